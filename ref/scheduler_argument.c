/*
 * A scheduler as it is named on a command line.
 */
#include "cli.h"
#include "no_checkpoint.h"
#include "paths.h"
#include "scheduler_nicknames.h"

#include "sched/nearest.h"
#include "sched/scheduler.h"
#include "sched/uncovered_classes.h"

#include <ctype.h>
#include <errno.h>
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

/* The class that a misspelt name may mean; NULL where there is none. */
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
    const char *guess = nearest_name(wanted, candidates, count);
    for (size_t i = 0; i < count; i++)
        if (candidates[i] == guess) return scheduler_class_name(i);
    return NULL;
}

enum status cli_scheduler_class(const char *name, const char **class_name, struct error *error)
{
    char full[128];
    snprintf(full, sizeof full, "%.100s%s", name, path_ends_with(name, "Scheduler") ? "" : "Scheduler");
    for (size_t i = 0; i < scheduler_class_count(); i++) {
        *class_name = scheduler_class_name(i);
        if (strcmp(full, *class_name) == 0) return STATUS_OK;
    }
    const char *reason = why_not_covered(full), *guess = guess_class(name);
    char settings[160] = "", meant[192];
    if (reason)
        return error_input(error, "%s: a class of diffusers that Plumb does not have: %s", full, reason);
    if (!scheduler_of_nickname(name, settings, sizeof settings) && guess)
        snprintf(settings, sizeof settings, "%s", guess);
    return error_input(error,
        "%.100s: neither a file nor a scheduler class%s; plumb schedule --list names the classes", name,
        did_you_mean(*settings ? settings : NULL, "", meant, sizeof meant));
}

/* A class by its name; the config then has the class's defaults throughout. */
static enum status config_of_class(const char *name, cJSON **config, struct error *error)
{
    const char *class_name = NULL;
    enum status status = cli_scheduler_class(name, &class_name, error);
    if (status != STATUS_OK) return status;
    *config = cJSON_CreateObject();
    if (*config && cJSON_AddStringToObject(*config, "_class_name", class_name)) return STATUS_OK;
    return error_memory(error, sizeof(cJSON));
}

struct cli_option cli_semantics_option(int *value)
{
    static const char *const choices[] = {"diffusers", "documented", NULL};
    return (struct cli_option){
        .name = "semantics",
        .kind = CLI_CHOICE,
        .value = value,
        .argument = "WHICH",
        .help = "diffusers, or documented: what the documentation or the paper says where diffusers' code "
                "departs from them (sched/DEVIATIONS.md)",
        .choices = choices,
    };
}

enum status cli_set_semantics(cJSON **settings, int semantics, struct error *error)
{
    return semantics ? cli_set(settings, "_semantics=documented", error) : STATUS_OK;
}

/* A checkpoint's folder, or its scheduler/ itself. */
static enum status config_of_folder(const char *folder, cJSON **config, struct error *error)
{
    static const char *const places[] = {"scheduler/scheduler_config.json", "scheduler_config.json"};
    for (size_t i = 0; i < 2; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, places[i]) < 0) return error_memory(error, strlen(folder));
        bool there;
        enum status status = path_look(path, &there, error);
        if (status == STATUS_OK && there) status = json_read_file(path, config, error);
        free(path);
        if (status != STATUS_OK || there) return status;
    }
    return error_input(
        error, "%s: the folder has no %s, as a checkpoint has, and no %s", folder, places[0], places[1]);
}

enum status cli_merge(cJSON *onto, const cJSON *from, struct error *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        cJSON *copy = cJSON_Duplicate(item, true);
        cJSON_DeleteItemFromObjectCaseSensitive(onto, item->string);
        if (!copy || !cJSON_AddItemToObject(onto, item->string, copy)) {
            cJSON_Delete(copy);
            return error_memory(error, sizeof(cJSON));
        }
    }
    return STATUS_OK;
}

enum status cli_scheduler_config(
    const char *argument, const cJSON *settings, cJSON **config, struct error *error)
{
    *config = NULL;
    struct stat info;
    bool exists = stat(argument, &info) == 0;
    enum status status;
    if (!exists && !path_is_absent(errno))
        status = error_file(error, argument, "cannot be read", errno);
    else if (exists && S_ISDIR(info.st_mode))
        status = config_of_folder(argument, config, error);
    else if (exists)
        status = json_read_file(argument, config, error);
    else if (strchr(argument, '/') || path_ends_with(argument, ".json"))
        status = refuse_absent(argument, errno, error);
    else
        status = config_of_class(argument, config, error);
    if (status == STATUS_OK && !cJSON_IsObject(*config))
        status = error_input(error, "%s: expected a scheduler config, a JSON object", argument);
    if (status == STATUS_OK) status = cli_merge(*config, settings, error);
    if (status != STATUS_OK) {
        cJSON_Delete(*config);
        *config = NULL;
    }
    return status;
}
