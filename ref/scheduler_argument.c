/*
 * A scheduler as it is named on a command line.
 */
#include "cli.h"
#include "paths.h"

#include "sched/nearest.h"
#include "sched/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_CLASSES 64

/* A class by its name, with or without "Scheduler"; the config then has the class's defaults throughout. */
static enum status config_of_class(const char *name, cJSON **config, struct error *error)
{
    char full[128];
    snprintf(full, sizeof full, "%.100s%s", name, path_ends_with(name, "Scheduler") ? "" : "Scheduler");
    const char *classes[MOST_CLASSES];
    size_t count = 0;
    bool known = false;
    for (; count < scheduler_class_count() && count < MOST_CLASSES; count++) {
        classes[count] = scheduler_class_name(count);
        known = known || strcmp(full, classes[count]) == 0;
    }
    if (!known) {
        char list[512] = "";
        for (size_t i = 0; i < count; i++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", classes[i]);
        const char *nearest = nearest_name(full, classes, count);
        return error_input(error, "%.100s: neither a file nor a scheduler class%s%s%s; the classes are %s",
            name, nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "", list);
    }
    *config = cJSON_CreateObject();
    if (*config && cJSON_AddStringToObject(*config, "_class_name", full)) return STATUS_OK;
    return error_memory(error, sizeof(cJSON));
}

static enum status config_of_folder(const char *folder, cJSON **config, struct error *error)
{
    char *path = NULL;
    if (asprintf(&path, "%s/scheduler/scheduler_config.json", folder) < 0)
        return error_memory(error, strlen(folder));
    enum status status = json_read_file(path, config, error);
    free(path);
    return status;
}

enum status cli_scheduler_config(
    const char *argument, const cJSON *settings, cJSON **config, struct error *error)
{
    *config = NULL;
    struct stat info;
    bool exists = stat(argument, &info) == 0;
    enum status status;
    if (exists && S_ISDIR(info.st_mode))
        status = config_of_folder(argument, config, error);
    else if (exists || strchr(argument, '/') || path_ends_with(argument, ".json"))
        status = json_read_file(argument, config, error);
    else
        status = config_of_class(argument, config, error);
    if (status == STATUS_OK && !cJSON_IsObject(*config))
        status = error_input(error, "%s: expected a scheduler config, a JSON object", argument);
    const cJSON *setting;
    cJSON_ArrayForEach(setting, settings)
    {
        if (status != STATUS_OK) break;
        cJSON *copy = cJSON_Duplicate(setting, true);
        cJSON_DeleteItemFromObjectCaseSensitive(*config, setting->string);
        if (!copy || !cJSON_AddItemToObject(*config, setting->string, copy)) {
            cJSON_Delete(copy);
            status = error_memory(error, sizeof(cJSON));
        }
    }
    if (status != STATUS_OK) {
        cJSON_Delete(*config);
        *config = NULL;
    }
    return status;
}
