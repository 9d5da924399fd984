#include "recipe.h"

#include "usual_names.h"

#include "sched/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROMPTS 1024
#define MAX_STEPS 100000
#define MAX_SIDE 65536

static const char *const known_keys[] = {"name", "description", "prompt", "prompt_2", "negative_prompt",
    "negative_prompt_2", "height", "width", "num_inference_steps", "timesteps", "sigmas", "denoising_end",
    "guidance_scale", "guidance_rescale", "eta", "clip_skip", "num_images_per_prompt", "original_size",
    "crops_coords_top_left", "target_size", "negative_original_size", "negative_crops_coords_top_left",
    "negative_target_size", "seed", "generator", "latents", "noise", "variant", "scheduler"};
/* Arguments of the Diffusers calls that have no meaning here, or are not built. */
static const char *const refused_keys[] = {"prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds", "ip_adapter_image", "ip_adapter_image_embeds", "output_type",
    "return_dict", "cross_attention_kwargs", "callback_on_step_end", "callback_on_step_end_tensor_inputs",
    "callback", "callback_steps"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static enum status check_keys(const cJSON *json, struct error *error)
{
    if (!cJSON_IsObject(json)) {
        char shown[80];
        return error_input(error, "expected a JSON object, got %s", json_show(json, shown, sizeof shown));
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *key = item->string;
        if (is_among(key, known_keys, COUNT(known_keys))) continue;
        if (is_among(key, refused_keys, COUNT(refused_keys)))
            return error_input(error, "%s: an argument of the Diffusers call that a recipe cannot have", key);
        char meant[64];
        const char *reason = why_there_is_none(key),
                   *likely = likely_name(key, known_keys, COUNT(known_keys));
        if (reason) return error_input(error, "%.80s: no such argument: %s", key, reason);
        return error_input(
            error, "%.80s: no such argument%s", key, did_you_mean(likely, "", meant, sizeof meant));
    }
    return STATUS_OK;
}

static enum status copy_string(const char *text, char **copy, struct error *error)
{
    *copy = strdup(text);
    return *copy ? STATUS_OK : error_memory(error, strlen(text) + 1);
}

static enum status read_string(const cJSON *json, const char *key, char **value, struct error *error)
{
    const char *text = NULL;
    enum status status = json_get_string(json, key, &text, NULL, error);
    if (status == STATUS_OK && text) status = copy_string(text, value, error);
    return status;
}

/* A list under `key`, or a single value as a list of one. */
static enum status open_list(const cJSON *json, const char *key, size_t maximum, const cJSON **first,
    size_t *count, struct error *error)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    *first = NULL;
    *count = 0;
    if (!value || cJSON_IsNull(value)) return STATUS_OK;
    *first = cJSON_IsArray(value) ? value->child : value;
    *count = cJSON_IsArray(value) ? (size_t)cJSON_GetArraySize(value) : 1;
    if (*count == 0 || *count > maximum)
        return error_input(error, "%s: expected 1 to %zu values, got %zu", key, maximum, *count);
    return STATUS_OK;
}

static enum status read_prompts(
    const cJSON *json, const char *key, struct prompts *prompts, struct error *error)
{
    const cJSON *item;
    size_t count;
    enum status status = open_list(json, key, MAX_PROMPTS, &item, &count, error);
    if (status != STATUS_OK || !item) return status;
    prompts->items = calloc(count, sizeof *prompts->items);
    if (!prompts->items) return error_memory(error, count * sizeof *prompts->items);
    prompts->given = true;
    prompts->is_list = cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, key));
    for (size_t i = 0; i < count && status == STATUS_OK; i++, item = item->next) {
        char shown[80];
        if (!cJSON_IsString(item))
            return error_input(
                error, "%s[%zu]: expected a string, got %s", key, i, json_show(item, shown, sizeof shown));
        status = copy_string(item->valuestring, &prompts->items[prompts->count], error);
        if (status == STATUS_OK) prompts->count++;
    }
    return status;
}

static enum status read_pair(const cJSON *json, const char *key, struct size_pair *pair, struct error *error)
{
    double *values;
    size_t count;
    enum status status = json_get_doubles(json, key, MAX_PROMPTS, &values, &count, &pair->given, error);
    if (status == STATUS_OK && pair->given) {
        bool whole = count == 2;
        for (size_t i = 0; i < count && whole; i++)
            whole = values[i] == floor(values[i]) && fabs(values[i]) < 1e6;
        char shown[80];
        if (!whole)
            status = error_input(error, "%s: expected two integers, got %s", key,
                json_show(cJSON_GetObjectItemCaseSensitive(json, key), shown, sizeof shown));
        else
            *pair =
                (struct size_pair){.given = true, .height = (int64_t)values[0], .width = (int64_t)values[1]};
    }
    free(values);
    return status;
}

/* Seeds are kept as text: NumPy takes integers of any size, and a JSON number holds 53 bits. */
static enum status read_seeds(const cJSON *json, struct recipe *recipe, struct error *error)
{
    const cJSON *item;
    size_t count;
    enum status status = open_list(json, "seed", MAX_PROMPTS, &item, &count, error);
    if (status != STATUS_OK) return status;
    recipe->seeds = calloc(count ? count : 1, sizeof *recipe->seeds);
    if (!recipe->seeds) return error_memory(error, count * sizeof *recipe->seeds);
    if (!item) {
        recipe->num_seeds = 1;
        return copy_string("0", &recipe->seeds[0], error);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++, item = item->next) {
        char text[64];
        double number = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (cJSON_IsString(item)) {
            status = copy_string(item->valuestring, &recipe->seeds[i], error);
        } else if (cJSON_IsNumber(item) && number >= 0 && number == floor(number) &&
                   number <= 9007199254740992.0) {
            snprintf(text, sizeof text, "%.0f", number);
            status = copy_string(text, &recipe->seeds[i], error);
        } else {
            return error_input(error,
                "seed[%zu]: expected a non-negative integer (above 2^53 as a string), got %s", i,
                json_show(item, text, sizeof text));
        }
        recipe->num_seeds = i + 1;
    }
    return status;
}

static enum status read_generator(const cJSON *json, struct recipe *recipe, struct error *error)
{
    const char *name = "numpy-pcg64";
    enum status status = json_get_string(json, "generator", &name, NULL, error);
    if (status != STATUS_OK) return status;
    recipe->generator = generator_kind_of(name);
    if (recipe->generator == GENERATOR_KINDS) {
        const char *names[GENERATOR_KINDS];
        char meant[64];
        for (int i = 0; i < GENERATOR_KINDS; i++) names[i] = generator_name((enum generator_kind)i);
        return error_input(error, "generator: expected " GENERATOR_NAMES ", got \"%.60s\"%s", name,
            did_you_mean(likely_name(name, names, GENERATOR_KINDS), "", meant, sizeof meant));
    }
    return STATUS_OK;
}

static enum status read_number(const cJSON *json, const char *key, double minimum, double maximum,
    double *value, bool *found, struct error *error)
{
    enum status status = json_get_double(json, key, value, found, error);
    if (status == STATUS_OK && !(*value >= minimum && *value <= maximum))
        return error_input(
            error, "%s: expected a number from %g to %g, got %g", key, minimum, maximum, *value);
    return status;
}

static enum status read_scheduler(const cJSON *json, struct recipe *recipe, struct error *error)
{
    const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
    if (!scheduler || cJSON_IsNull(scheduler)) return STATUS_OK;
    char shown[80];
    if (!cJSON_IsObject(scheduler))
        return error_input(error,
            "scheduler: expected an object with _class_name and options, as {\"_class_name\": "
            "\"DDIMScheduler\"}, got %s",
            json_show(scheduler, shown, sizeof shown));
    recipe->scheduler = cJSON_Duplicate(scheduler, true);
    return recipe->scheduler ? STATUS_OK : error_memory(error, 0);
}

static enum status read_schedule(const cJSON *json, struct recipe *recipe, struct error *error)
{
    recipe->num_inference_steps = 50;
    enum status status = json_get_int(json, "num_inference_steps", 1, MAX_STEPS, &recipe->num_inference_steps,
        &recipe->has_num_inference_steps, error);
    if (status == STATUS_OK)
        status = json_get_doubles(
            json, "timesteps", MAX_STEPS, &recipe->timesteps, &recipe->num_timesteps, NULL, error);
    if (status == STATUS_OK)
        status =
            json_get_doubles(json, "sigmas", MAX_STEPS, &recipe->sigmas, &recipe->num_sigmas, NULL, error);
    if (status == STATUS_OK && recipe->timesteps && recipe->sigmas)
        status = error_input(error, "timesteps and sigmas: only one of the two may be given");
    if (status == STATUS_OK)
        status = read_number(json, "denoising_end", 0, 1, &recipe->denoising_end, NULL, error);
    return status;
}

/* The recipe as it was read, and what its randomness hangs on even where that was left to the defaults: a
 * picture's text chunk must be enough to draw it again. */
static enum status keep_source(const cJSON *json, struct recipe *recipe, struct error *error)
{
    recipe->source = cJSON_Duplicate(json, true);
    if (!recipe->source) return error_memory(error, 0);
    bool has_seed = cJSON_GetObjectItemCaseSensitive(json, "seed");
    bool has_generator = cJSON_GetObjectItemCaseSensitive(json, "generator");
    if ((!has_seed && !cJSON_AddStringToObject(recipe->source, "seed", recipe->seeds[0])) ||
        (!has_generator &&
            !cJSON_AddStringToObject(recipe->source, "generator", generator_name(recipe->generator))))
        return error_memory(error, 0);
    return STATUS_OK;
}

enum status recipe_read(const cJSON *json, struct recipe *recipe, struct error *error)
{
    *recipe = (struct recipe){.num_images_per_prompt = 1};
    struct recipe *r = recipe;
    enum status s = check_keys(json, error);
    if (s == STATUS_OK) s = read_string(json, "name", &r->name, error);
    if (s == STATUS_OK) s = read_string(json, "description", &r->description, error);
    if (s == STATUS_OK) s = read_prompts(json, "prompt", &r->prompt, error);
    if (s == STATUS_OK) s = read_prompts(json, "prompt_2", &r->prompt_2, error);
    if (s == STATUS_OK) s = read_prompts(json, "negative_prompt", &r->negative_prompt, error);
    if (s == STATUS_OK) s = read_prompts(json, "negative_prompt_2", &r->negative_prompt_2, error);
    if (s == STATUS_OK) s = json_get_int(json, "height", 0, MAX_SIDE, &r->height, NULL, error);
    if (s == STATUS_OK) s = json_get_int(json, "width", 0, MAX_SIDE, &r->width, NULL, error);
    if (s == STATUS_OK) s = read_schedule(json, r, error);
    if (s == STATUS_OK)
        s = read_number(json, "guidance_scale", -1e6, 1e6, &r->guidance_scale, &r->has_guidance_scale, error);
    if (s == STATUS_OK)
        s = read_number(json, "guidance_rescale", -1e6, 1e6, &r->guidance_rescale, NULL, error);
    if (s == STATUS_OK) s = read_number(json, "eta", 0, 1, &r->eta, NULL, error);
    if (s == STATUS_OK) s = json_get_int(json, "clip_skip", 0, 1000, &r->clip_skip, &r->has_clip_skip, error);
    if (s == STATUS_OK)
        s = json_get_int(
            json, "num_images_per_prompt", 1, MAX_PROMPTS, &r->num_images_per_prompt, NULL, error);
    if (s == STATUS_OK) s = read_pair(json, "original_size", &r->original_size, error);
    if (s == STATUS_OK) s = read_pair(json, "crops_coords_top_left", &r->crops_coords_top_left, error);
    if (s == STATUS_OK) s = read_pair(json, "target_size", &r->target_size, error);
    if (s == STATUS_OK) s = read_pair(json, "negative_original_size", &r->negative_original_size, error);
    if (s == STATUS_OK)
        s = read_pair(json, "negative_crops_coords_top_left", &r->negative_crops_coords_top_left, error);
    if (s == STATUS_OK) s = read_pair(json, "negative_target_size", &r->negative_target_size, error);
    if (s == STATUS_OK) s = read_seeds(json, r, error);
    if (s == STATUS_OK) s = read_generator(json, r, error);
    if (s == STATUS_OK) s = read_string(json, "latents", &r->latents, error);
    if (s == STATUS_OK) s = read_string(json, "noise", &r->noise, error);
    if (s == STATUS_OK) s = read_string(json, "variant", &r->variant, error);
    if (s == STATUS_OK) s = read_scheduler(json, r, error);
    if (s == STATUS_OK) s = keep_source(json, r, error);
    if (s != STATUS_OK) recipe_free(r);
    return s;
}

static void free_prompts(struct prompts *prompts)
{
    for (size_t i = 0; i < prompts->count; i++) free(prompts->items[i]);
    free(prompts->items);
}

void recipe_free(struct recipe *recipe)
{
    free(recipe->name);
    free(recipe->description);
    free_prompts(&recipe->prompt);
    free_prompts(&recipe->prompt_2);
    free_prompts(&recipe->negative_prompt);
    free_prompts(&recipe->negative_prompt_2);
    free(recipe->timesteps);
    free(recipe->sigmas);
    for (size_t i = 0; recipe->seeds && i < recipe->num_seeds; i++) free(recipe->seeds[i]);
    free(recipe->seeds);
    free(recipe->latents);
    free(recipe->noise);
    free(recipe->variant);
    cJSON_Delete(recipe->scheduler);
    cJSON_Delete(recipe->source);
    *recipe = (struct recipe){0};
}
