/*
 * A scheduler as it is named on a command line.
 */
#include "cli.h"
#include "paths.h"

#include "sched/nearest.h"
#include "sched/scheduler.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_CLASSES 64

/* A class name for comparing what people type: lower case, without "Scheduler". */
static void shorten(const char *name, char *buffer, size_t size)
{
    size_t length = strlen(name);
    if (path_ends_with(name, "Scheduler")) length -= strlen("Scheduler");
    snprintf(buffer, size, "%.*s", (int)length, name);
    for (char *c = buffer; *c; c++) *c = (char)tolower((unsigned char)*c);
}

/* The class that a misspelt name may mean: the nearest, or the first that begins so; NULL where none is near.
 */
static const char *guess_class(const char *name)
{
    char wanted[64], shorts[MOST_CLASSES][64];
    const char *candidates[MOST_CLASSES];
    size_t count = 0;
    shorten(name, wanted, sizeof wanted);
    for (; count < scheduler_class_count() && count < MOST_CLASSES; count++) {
        shorten(scheduler_class_name(count), shorts[count], sizeof shorts[count]);
        candidates[count] = shorts[count];
        if (strcmp(wanted, candidates[count]) == 0) return scheduler_class_name(count);
    }
    const char *nearest = nearest_name(wanted, candidates, count);
    for (size_t i = 0; i < count; i++)
        if (nearest ? candidates[i] == nearest
                    : *wanted && strncmp(candidates[i], wanted, strlen(wanted)) == 0)
            return scheduler_class_name(i);
    return NULL;
}

/* A class by its name, with or without "Scheduler"; the config then has the class's defaults throughout. */
static enum status config_of_class(const char *name, cJSON **config, struct error *error)
{
    char full[128], list[512] = "";
    snprintf(full, sizeof full, "%.100s%s", name, path_ends_with(name, "Scheduler") ? "" : "Scheduler");
    bool known = false;
    for (size_t i = 0; i < scheduler_class_count(); i++) {
        const char *class_name = scheduler_class_name(i);
        known = known || strcmp(full, class_name) == 0;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", class_name);
    }
    if (!known) {
        const char *guess = guess_class(name);
        return error_input(error, "%.100s: neither a file nor a scheduler class%s%s%s; the classes are %s",
            name, guess ? " (did you mean " : "", guess ? guess : "", guess ? "?)" : "", list);
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
