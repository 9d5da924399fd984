#include "verify_recipe.h"

#include "verify_names.h"

#include "sched/scheduler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- Metadata ----------------------------------------------------------------------------- */

/* Puts a copy under `key`; false where memory is out. */
static bool add_copy(cJSON *object, const char *key, const cJSON *item)
{
    cJSON *copy = cJSON_Duplicate(item, true);
    if (copy && cJSON_AddItemToObject(object, key, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

static const char *string_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

/* The scheduler with its whole config. */
static bool add_scheduler(cJSON *recipe, const cJSON *info)
{
    const char *class_name = string_of(info, "scheduler");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(info, "scheduler_config");
    cJSON *scheduler = cJSON_AddObjectToObject(recipe, "scheduler");
    bool made = scheduler != NULL;
    if (made && class_name[0]) made = cJSON_AddStringToObject(scheduler, "_class_name", class_name);
    const cJSON *option;
    cJSON_ArrayForEach(option, config) if (made && option->string[0] != '_') made =
        add_copy(scheduler, option->string, option);
    return made;
}

/* The `info` of the golden traces (golden/README.md). */
static enum status recipe_of_info(const cJSON *info, cJSON **json, struct error *error)
{
    const cJSON *call = cJSON_GetObjectItemCaseSensitive(info, "call");
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(info, "seed");
    const char *variant = string_of(cJSON_GetObjectItemCaseSensitive(info, "load"), "variant");
    const char *source = string_of(info, "noise_source");
    *json = cJSON_IsObject(call) ? cJSON_Duplicate(call, true) : cJSON_CreateObject();
    bool made = *json && (!seed || add_copy(*json, "seed", seed));
    if (made && source[0])
        made = cJSON_AddStringToObject(
            *json, "generator", strcmp(source, "torch") == 0 ? "torch-cpu" : "numpy-pcg64");
    if (made && variant[0]) made = cJSON_AddStringToObject(*json, "variant", variant);
    if (made) made = add_scheduler(*json, info);
    if (made) return STATUS_OK;
    cJSON_Delete(*json);
    *json = NULL;
    return error_memory(error, 0);
}

/* An object under a key of the metadata; `*object` is NULL where there is none. */
static enum status metadata_object(const struct tensor_set *theirs, const char *key, cJSON **object,
    struct warnings *warnings, struct error *error)
{
    const char *text = tensor_set_metadata(theirs, key);
    *object = NULL;
    if (!text) return STATUS_OK;
    struct error unread = {""};
    const enum status status = json_parse(text, strlen(text), key, object, &unread);
    if (status == STATUS_MACHINE) return error_memory(error, strlen(text));
    if (cJSON_IsObject(*object)) return STATUS_OK;
    warnings_add(warnings, "metadata %s: ignored, it is no JSON object", key);
    cJSON_Delete(*object);
    *object = NULL;
    return STATUS_OK;
}

enum status verify_recipe_of_metadata(
    const struct tensor_set *theirs, cJSON **json, struct warnings *warnings, struct error *error)
{
    enum status status = metadata_object(theirs, "recipe", json, warnings, error);
    if (status != STATUS_OK) return status;
    if (!*json) {
        cJSON *info;
        status = metadata_object(theirs, "info", &info, warnings, error);
        if (info) status = recipe_of_info(info, json, error);
        cJSON_Delete(info);
        return status;
    }
    /* The files that a run read its noise from may be elsewhere by now, and a seed then says nothing. */
    if (cJSON_HasObjectItem(*json, "latents") || cJSON_HasObjectItem(*json, "noise"))
        cJSON_DeleteItemFromObjectCaseSensitive(*json, "seed");
    cJSON_DeleteItemFromObjectCaseSensitive(*json, "latents");
    cJSON_DeleteItemFromObjectCaseSensitive(*json, "noise");
    return STATUS_OK;
}

/* --- Shapes ------------------------------------------------------------------------------- */

/* What recorded tensors show of the pictures: how many, how large; 0 where none does. */
struct pictures_shown {
    int64_t batch, height, width;
};

static struct pictures_shown look_at_shapes(const struct tensor_set *theirs, int64_t factor)
{
    struct pictures_shown shown = {0};
    for (size_t i = 0; i < tensor_set_count(theirs); i++) {
        const struct tensor *tensor = tensor_set_at(theirs, i);
        struct verify_place place;
        if (!verify_place(tensor_set_name(theirs, i), &place) || place.is_module || tensor->rank != 4)
            continue;
        bool is_bytes = place.stage == VERIFY_PICTURE;
        int64_t scale = is_bytes || strcmp(place.key, "image") == 0 ? 1 : factor;
        shown = (struct pictures_shown){tensor->shape[0], tensor->shape[is_bytes ? 1 : 2] * scale,
            tensor->shape[is_bytes ? 2 : 3] * scale};
    }
    return shown;
}

/* Whether a negative prompt was encoded, where no zeros stand for it. */
static bool has_negative_prompt(const struct tensor_set *theirs)
{
    for (size_t i = 0; i < tensor_set_count(theirs); i++) {
        struct verify_place place;
        if (verify_place(tensor_set_name(theirs, i), &place) && place.negative &&
            place.stage != VERIFY_CONDITIONING)
            return true;
    }
    return false;
}

/* As many empty prompts as there are pictures of one. */
static bool add_prompts(cJSON *json, const char *key, int64_t batch)
{
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(json, "num_images_per_prompt");
    int64_t each = cJSON_IsNumber(images) && images->valuedouble >= 1 ? (int64_t)images->valuedouble : 1;
    int64_t count = batch / each > 0 ? batch / each : 1;
    cJSON *prompts = cJSON_AddArrayToObject(json, key);
    bool made = prompts != NULL;
    for (int64_t i = 0; i < count && made; i++) {
        cJSON *prompt = cJSON_CreateString("");
        made = prompt && cJSON_AddItemToArray(prompts, prompt);
    }
    return made;
}

static void leave_what_differs(cJSON *scheduler, const cJSON *checkpoint_config)
{
    cJSON *option = scheduler ? scheduler->child : NULL;
    while (option) {
        cJSON *next = option->next;
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(checkpoint_config, option->string);
        if (old && cJSON_Compare(old, option, true))
            cJSON_Delete(cJSON_DetachItemViaPointer(scheduler, option));
        option = next;
    }
}

enum status verify_recipe_complete(const struct tensor_set *theirs, const struct pipeline *pipeline,
    cJSON *json, struct verify_options *options, struct error *error)
{
    struct pictures_shown shown = look_at_shapes(theirs, vae_scale_factor(pipeline->vae));
    bool made = true;
    bool has_size = cJSON_HasObjectItem(json, "height") || cJSON_HasObjectItem(json, "width");
    if (!has_size && shown.height > 0 && shown.width > 0)
        made = cJSON_AddNumberToObject(json, "height", (double)shown.height) &&
               cJSON_AddNumberToObject(json, "width", (double)shown.width);
    leave_what_differs(cJSON_GetObjectItemCaseSensitive(json, "scheduler"), pipeline->scheduler_config);
    options->prompt_unknown = !cJSON_HasObjectItem(json, "prompt");
    if (made && options->prompt_unknown) {
        /* A negative prompt is one of a pair: without the other nothing is known of the two. */
        cJSON_DeleteItemFromObjectCaseSensitive(json, "negative_prompt");
        cJSON_DeleteItemFromObjectCaseSensitive(json, "negative_prompt_2");
        cJSON_DeleteItemFromObjectCaseSensitive(json, "prompt_2");
        made = add_prompts(json, "prompt", shown.batch) &&
               (!has_negative_prompt(theirs) || add_prompts(json, "negative_prompt", shown.batch));
    }
    options->seed_unknown = !cJSON_HasObjectItem(json, "seed") && !cJSON_HasObjectItem(json, "latents") &&
                            !cJSON_HasObjectItem(json, "noise");
    return made ? STATUS_OK : error_memory(error, 0);
}

/* --- Steps -------------------------------------------------------------------------------- */

/* How many timesteps there are for so many steps; 0 where the scheduler refuses. */
static size_t count_timesteps(struct scheduler *scheduler, int steps)
{
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    return scheduler_set_timesteps(scheduler, &request, NULL, NULL) == STATUS_OK ? scheduler->num_timesteps
                                                                                 : 0;
}

/* How many timesteps they had: as recorded, or where the first step is there, up to the last one that is. */
static size_t recorded_timesteps(const struct tensor_set *theirs)
{
    const struct tensor *timesteps = tensor_set_find(theirs, "timesteps");
    bool has_first = false;
    size_t count = 0;
    if (timesteps && timesteps->rank == 1) return tensor_count(timesteps);
    for (size_t i = 0; i < tensor_set_count(theirs); i++) {
        struct verify_place place;
        if (!verify_place(tensor_set_name(theirs, i), &place) || place.step < 0 || place.is_module) continue;
        has_first = has_first || place.step == 0;
        if ((size_t)place.step >= count) count = (size_t)place.step + 1;
    }
    return has_first ? count : 0;
}

enum status verify_recipe_count_steps(const struct tensor_set *theirs, const struct pipeline *pipeline,
    struct recipe *recipe, struct warnings *warnings, struct error *error)
{
    if (recipe->has_num_inference_steps || recipe->timesteps || recipe->sigmas) return STATUS_OK;
    const size_t wanted = recorded_timesteps(theirs);
    cJSON *config = NULL;
    struct scheduler *scheduler = NULL;
    enum status status = pipeline_scheduler_config(pipeline, recipe, &config, NULL, error);
    if (status == STATUS_OK) status = scheduler_create(config, &scheduler, NULL, error);
    /* A class may take more timesteps than steps (PNDM one, Heun nearly twice as many), none takes fewer. */
    size_t found = 0;
    for (size_t steps = wanted < 1000 ? wanted : 0; status == STATUS_OK && steps > 0 && !found; steps--)
        if (count_timesteps(scheduler, (int)steps) == wanted) found = steps;
    if (status == STATUS_OK && found) {
        recipe->num_inference_steps = (int64_t)found;
        recipe->has_num_inference_steps = true;
        warnings_add(warnings,
            "num_inference_steps: taken as %zu, which gives the %zu steps that are recorded", found, wanted);
    } else if (status == STATUS_OK) {
        warnings_add(warnings,
            "num_inference_steps: nothing says how many; taken as %lld, the pipeline's default",
            (long long)recipe->num_inference_steps);
    }
    scheduler_free(scheduler);
    cJSON_Delete(config);
    return status;
}

/* --- Precision ---------------------------------------------------------------------------- */

enum number_format verify_format_of(const struct tensor_set *theirs)
{
    size_t models = 0, halves = 0, brain = 0;
    for (size_t i = 0; i < tensor_set_count(theirs); i++) {
        const struct tensor *tensor = tensor_set_at(theirs, i);
        struct verify_place place;
        if (!verify_place(tensor_set_name(theirs, i), &place)) continue;
        if (place.stage != VERIFY_TEXT_ENCODER && place.stage != VERIFY_UNET && place.stage != VERIFY_DECODER)
            continue;
        models++;
        halves += tensor->dtype == DTYPE_F16;
        brain += tensor->dtype == DTYPE_BF16;
    }
    return models && halves == models ? FORMAT_F16 : models && brain == models ? FORMAT_BF16 : FORMAT_F32;
}
