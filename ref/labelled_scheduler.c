#include "labelled_scheduler.h"

#include "cli.h"
#include "paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What tells a scheduler from the others in a picture: the scheduler's name without folders and ending, the
 * class, and the settings of its own. */
static char *make_label(const char *name, const char *own_settings, const cJSON *config)
{
    const char *class_name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "_class_name"));
    if (!class_name) class_name = "";
    int class_length = (int)strlen(class_name);
    if (path_ends_with(class_name, "Scheduler")) class_length -= (int)strlen("Scheduler");
    const char *base = path_base_name(name);
    int base_length = (int)strlen(base);
    if (path_ends_with(base, ".json")) base_length -= (int)strlen(".json");
    bool is_class = strncmp(base, class_name, (size_t)class_length) == 0;
    char *label = NULL;
    int written = is_class ? asprintf(&label, "%.*s%s", class_length, class_name, own_settings)
                           : asprintf(&label, "%.*s (%.*s)%s", base_length, base, class_length, class_name,
                                 own_settings);
    return written < 0 ? NULL : label;
}

/* Cuts the next setting off "KEY=VALUE,KEY=[1,2],...": a comma in brackets does not end it. NULL at the
 * end. */
static char *next_setting(char **rest)
{
    char *setting = *rest;
    int depth = 0;
    if (!setting) return NULL;
    for (char *c = setting; *c; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c != ',' || depth > 0) continue;
        *c = '\0';
        *rest = c + 1;
        return setting;
    }
    *rest = NULL;
    return setting;
}

/* A setting for a label; of a list of more than three the first two: "timesteps=[999,845,...]". */
static void add_to_label(char *shown, size_t size, const char *setting)
{
    const char *end = strchr(setting, '[');
    for (int commas = 0; end && commas < 2; commas++) end = strchr(end + 1, ',');
    bool is_long = end && strchr(end + 1, ',');
    size_t used = strlen(shown), length = is_long ? (size_t)(end - setting) : strlen(setting);
    snprintf(shown + used, size - used, ", %.*s%s", (int)length, setting, is_long ? ",...]" : "");
}

/* Takes the arguments of set_timesteps() out of the settings: they make a request of its own. */
static enum status take_request(cJSON *settings, struct labelled_scheduler *scheduler, struct error *error)
{
    static const char *const names[] = {"num_inference_steps", "timesteps", "sigmas"};
    cJSON *call = cJSON_CreateObject();
    if (!call) return error_memory(error, sizeof(cJSON));
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < sizeof names / sizeof *names; i++) {
        cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(settings, names[i]);
        if (item && !cJSON_AddItemToObject(call, names[i], item)) {
            cJSON_Delete(item);
            status = error_memory(error, sizeof(cJSON));
        }
    }
    int given = cJSON_GetArraySize(call);
    if (status == STATUS_OK && given > 1)
        status = error_input(error, "num_inference_steps, timesteps and sigmas exclude each other: give one");
    if (status == STATUS_OK && given == 1) {
        const struct schedule_request common = scheduler->request;
        status = schedule_request_read(call, &scheduler->own, error);
        scheduler->request = scheduler->own.request;
        scheduler->request.has_mu = common.has_mu;
        scheduler->request.mu = common.mu;
    }
    cJSON_Delete(call);
    return status;
}

enum status labelled_scheduler_read(const char *argument, const cJSON *common,
    const struct schedule_request *request, struct labelled_scheduler *scheduler, struct error *error)
{
    *scheduler = (struct labelled_scheduler){.request = *request};
    const char *comma = access(argument, F_OK) == 0 ? NULL : strchr(argument, ',');
    size_t length = comma ? (size_t)(comma - argument) : strlen(argument);
    char *name = strndup(argument, length), *own = strdup(comma ? comma : "");
    cJSON *settings = cJSON_CreateObject();
    enum status status = name && own && settings ? STATUS_OK : error_memory(error, strlen(argument));
    char shown[512] = ""; /* of the settings, for the label; the class stands there already */
    char *rest = comma && own ? own + 1 : NULL, *setting;
    while (status == STATUS_OK && (setting = next_setting(&rest))) {
        status = cli_set(&settings, setting, error);
        if (strncmp(setting, "_class_name=", strlen("_class_name=")) != 0)
            add_to_label(shown, sizeof shown, setting);
    }
    if (status == STATUS_OK)
        status = error_prefix(error, take_request(settings, scheduler, error), "%s: ", argument);
    if (status == STATUS_OK) status = cli_scheduler_config(name, common, &scheduler->config, error);
    if (status == STATUS_OK) status = cli_merge(scheduler->config, settings, error);
    if (status == STATUS_OK) {
        scheduler->label = make_label(name, shown, scheduler->config);
        if (!scheduler->label) status = error_memory(error, strlen(argument));
    }
    cJSON_Delete(settings);
    free(own);
    free(name);
    return status;
}

void labelled_scheduler_free(struct labelled_scheduler *scheduler)
{
    cJSON_Delete(scheduler->config);
    free(scheduler->label);
    schedule_request_free(&scheduler->own);
    *scheduler = (struct labelled_scheduler){0};
}
