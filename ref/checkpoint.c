#include "checkpoint.h"

#include "no_checkpoint.h"
#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The parts of the two pipelines, and the classes that Plumb implements of each. */
static const struct {
    const char *name, *library;
    const char *classes[2]; /* one or two; NULL: any, what follows reads it checks it */
    bool xl_only;
} components[] = {
    {"scheduler", "diffusers", {NULL, NULL}, false},
    {"text_encoder", "transformers", {"CLIPTextModel", NULL}, false},
    {"text_encoder_2", "transformers", {"CLIPTextModelWithProjection", NULL}, true},
    {"tokenizer", "transformers", {"CLIPTokenizer", "CLIPTokenizerFast"}, false},
    {"tokenizer_2", "transformers", {"CLIPTokenizer", "CLIPTokenizerFast"}, true},
    {"unet", "diffusers", {"UNet2DConditionModel", NULL}, false},
    {"vae", "diffusers", {"AutoencoderKL", NULL}, false},
};
#define COMPONENTS (sizeof components / sizeof components[0])

/* --- Paths and JSON ----------------------------------------------------------------------- */

char *checkpoint_path(const struct checkpoint *checkpoint, const char *component, const char *file)
{
    const char *parts[3] = {checkpoint->folder, component, file};
    size_t size = 1;
    for (int i = 0; i < 3; i++) size += parts[i] ? strlen(parts[i]) + 1 : 0;
    char *path = malloc(size);
    if (!path) return NULL;
    size_t used = (size_t)snprintf(path, size, "%s", parts[0]);
    for (int i = 1; i < 3; i++)
        if (parts[i]) used += (size_t)snprintf(path + used, size - used, "/%s", parts[i]);
    return path;
}

enum status checkpoint_read_json(const struct checkpoint *checkpoint, const char *component, const char *file,
    cJSON **out, struct error *error)
{
    *out = NULL;
    char *path = checkpoint_path(checkpoint, component, file);
    if (!path) return error_memory(error, strlen(checkpoint->folder));
    struct stat info;
    enum status status = STATUS_OK;
    if (component && stat(path, &info) != 0 && errno == ENOENT)
        status =
            error_input(error, "%s: cannot be read: %s (an incomplete download?)", path, strerror(ENOENT));
    else
        status = json_read_file(path, out, error);
    if (status == STATUS_OK && !cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        status = error_input(error, "%s: expected a JSON object", path);
    }
    free(path);
    return status;
}

enum status checkpoint_prefix(const struct checkpoint *checkpoint, const char *component, const char *file,
    enum status status, struct error *error)
{
    return error_prefix(error, status, "%s/%s/%s: ", checkpoint->folder, component, file);
}

/* --- model_index.json --------------------------------------------------------------------- */

static enum status read_class(struct checkpoint *checkpoint, struct error *error)
{
    const char *name = NULL;
    enum status status = json_get_string(checkpoint->model_index, "_class_name", &name, NULL, error);
    if (status != STATUS_OK) return status;
    if (!name) return error_input(error, "_class_name: expected the pipeline's class, and it is missing");
    if (strcmp(name, "StableDiffusionPipeline") != 0 && strcmp(name, "StableDiffusionXLPipeline") != 0)
        return refuse_pipeline(name, error);
    checkpoint->pipeline_class = strdup(name);
    return checkpoint->pipeline_class ? STATUS_OK : error_memory(error, strlen(name) + 1);
}

/* A component is a pair [library, class]; [null, null] and null say that there is none. */
static enum status read_pair(
    const cJSON *model_index, const char *name, const char *pair[2], struct error *error)
{
    pair[0] = pair[1] = NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(model_index, name);
    if (!list || cJSON_IsNull(list)) return STATUS_OK;
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == 2;
    for (int i = 0; good && i < 2; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        good = cJSON_IsString(item) || cJSON_IsNull(item);
        pair[i] = good ? item->valuestring : NULL; /* NULL for null */
    }
    if (good && !pair[0] == !pair[1]) return STATUS_OK;
    char shown[120];
    return error_input(error, "%s: expected a list [library, class] or null, got %s", name,
        json_show(list, shown, sizeof shown));
}

static enum status check_component(const struct checkpoint *checkpoint, size_t i, struct error *error)
{
    const char *name = components[i].name, *const *classes = components[i].classes, *pair[2];
    enum status status = read_pair(checkpoint->model_index, name, pair, error);
    if (status != STATUS_OK) return status;
    bool xl = strcmp(checkpoint->pipeline_class, "StableDiffusionXLPipeline") == 0;
    if (components[i].xl_only && !xl) return STATUS_OK;
    if (!pair[0])
        return error_input(error, "%s: missing, and a %s needs it", name, checkpoint->pipeline_class);
    bool known =
        !classes[0] || strcmp(pair[1], classes[0]) == 0 || (classes[1] && strcmp(pair[1], classes[1]) == 0);
    if (known && strcmp(pair[0], components[i].library) == 0) return STATUS_OK;
    return error_input(error, "%s: expected [\"%s\", \"%s\"], got [\"%.80s\", \"%.80s\"]", name,
        components[i].library, classes[0] ? classes[0] : "... Scheduler", pair[0], pair[1]);
}

static enum status read_model_index(struct checkpoint *checkpoint, struct error *error)
{
    enum status status = read_class(checkpoint, error);
    for (size_t i = 0; i < COMPONENTS && status == STATUS_OK; i++)
        status = check_component(checkpoint, i, error);
    checkpoint->force_zeros_for_empty_prompt = true;
    if (status == STATUS_OK)
        status = json_get_bool(checkpoint->model_index, "force_zeros_for_empty_prompt",
            &checkpoint->force_zeros_for_empty_prompt, NULL, error);
    return error_prefix(error, status, "%s/model_index.json: ", checkpoint->folder);
}

enum status checkpoint_open(const char *folder, struct checkpoint *checkpoint, struct error *error)
{
    *checkpoint = (struct checkpoint){0};
    struct stat info;
    if (stat(folder, &info) != 0) return refuse_absent(folder, errno, error);
    if (!S_ISDIR(info.st_mode)) return refuse_file(folder, error);

    checkpoint->folder = strdup(folder);
    if (!checkpoint->folder) return error_memory(error, strlen(folder) + 1);
    size_t length = strlen(folder);
    while (length > 1 && checkpoint->folder[length - 1] == '/') checkpoint->folder[--length] = '\0';

    enum status status;
    char *path = checkpoint_path(checkpoint, NULL, "model_index.json");
    if (!path) {
        status = error_memory(error, length);
    } else if (stat(path, &info) != 0 && path_is_absent(errno)) {
        status = refuse_folder(checkpoint->folder, error);
    } else {
        status = checkpoint_read_json(checkpoint, NULL, "model_index.json", &checkpoint->model_index, error);
        if (status == STATUS_OK) status = read_model_index(checkpoint, error);
    }
    free(path);
    if (status != STATUS_OK) checkpoint_close(checkpoint);
    return status;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    free(checkpoint->folder);
    free(checkpoint->pipeline_class);
    cJSON_Delete(checkpoint->model_index);
    *checkpoint = (struct checkpoint){0};
}

bool checkpoint_has(const struct checkpoint *checkpoint, const char *component)
{
    const char *pair[2];
    return read_pair(checkpoint->model_index, component, pair, NULL) == STATUS_OK && pair[0] != NULL;
}
