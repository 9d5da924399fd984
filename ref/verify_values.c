#include "verify_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The list ----------------------------------------------------------------------------- */

static enum status add_value(
    struct verify_values *values, const char *name, const struct tensor *shape, struct error *error)
{
    struct verify_value value = {.shape = *shape};
    if (!verify_place(name, &value.place)) return STATUS_OK; /* which no trace has */
    value.shape.data = NULL;
    if (values->count == values->capacity) {
        size_t capacity = values->capacity ? 2 * values->capacity : 256;
        struct verify_value *larger = realloc(values->items, capacity * sizeof *larger);
        if (!larger) return error_memory(error, capacity * sizeof *larger);
        values->items = larger;
        values->capacity = capacity;
    }
    value.name = strdup(name);
    if (!value.name) return error_memory(error, strlen(name) + 1);
    verify_place(value.name, &value.place); /* whose key then points into the name */
    values->items[values->count++] = value;
    if (value.place.step >= (int)values->steps) values->steps = (size_t)value.place.step + 1;
    if (strcmp(value.place.key, "noise_pred_uncond") == 0) values->is_guided = true;
    return STATUS_OK;
}

static enum status foresee(void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct verify_values *values = context;
    enum status status = add_value(values, name, value, error);
    size_t step;
    char key[16], noise[48];
    /* What a dry pass does not come to: the draws, which depend on the sampler's numbers, and the bytes. */
    if (status == STATUS_OK && sscanf(name, "step.%zu.%15s", &step, key) == 2 &&
        strcmp(key, "noise_pred") == 0) {
        snprintf(noise, sizeof noise, "step.%02zu.noise", step);
        status = add_value(values, noise, value, error);
    }
    if (status == STATUS_OK && strcmp(name, "image") == 0) {
        const int64_t *image = value->shape;
        const struct tensor pixels = {DTYPE_U8, 4, {image[0], image[2], image[3], image[1]}, NULL};
        status = add_value(values, "image_u8", &pixels, error);
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct verify_name *)a)->name, ((const struct verify_name *)b)->name);
}

static enum status order_names(struct verify_values *values, struct error *error)
{
    values->by_name = malloc((values->count + 1) * sizeof *values->by_name);
    if (!values->by_name) return error_memory(error, values->count * sizeof *values->by_name);
    for (size_t i = 0; i < values->count; i++)
        values->by_name[i] = (struct verify_name){values->items[i].name, i};
    qsort(values->by_name, values->count, sizeof *values->by_name, compare_names);
    return STATUS_OK;
}

struct verify_value *verify_value_find(const struct verify_values *values, const char *name)
{
    const struct verify_name key = {name, 0};
    const struct verify_name *found =
        bsearch(&key, values->by_name, values->count, sizeof key, compare_names);
    return found ? &values->items[found->at] : NULL;
}

struct verify_value *verify_value_at(const struct verify_values *values, size_t step, const char *key)
{
    char name[64];
    snprintf(name, sizeof name, "step.%02zu.%s", step, key);
    return verify_value_find(values, name);
}

/* Where a kept value of `bytes` lies: each on its own cache line. */
#define KEPT_ALIGNMENT ((size_t)64)

static void find_recorded(struct verify_values *values, const struct tensor_set *theirs, const char *target)
{
    for (size_t i = 0; i < values->count; i++) {
        struct verify_value *value = &values->items[i];
        value->recorded = tensor_set_find(theirs, value->name);
        if (value->recorded && tensor_same_shape(value->recorded, &value->shape))
            value->theirs = value->recorded;
        value->is_target = target ? strcmp(value->name, target) == 0 : value->theirs != NULL;
        bool makes_bytes = strcmp(value->name, "image") == 0 && tensor_set_find(theirs, "image_u8");
        value->is_kept = value->is_target || (makes_bytes && !value->theirs);
        if (!value->is_kept) continue;
        value->offset = values->kept;
        values->kept += (tensor_bytes(&value->shape) + KEPT_ALIGNMENT - 1) / KEPT_ALIGNMENT * KEPT_ALIGNMENT;
    }
}

enum status verify_values_of_run(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const char *target, struct verify_values *values, struct error *error)
{
    *values = (struct verify_values){0};
    const struct observer observer = {.context = values, .foresee = foresee};
    const struct run_options options = {.observer = &observer};
    struct memory_plan memory;
    enum status status = pipeline_plan_f32(pipeline, recipe, &options, &memory, NULL, error);
    if (status == STATUS_OK) status = order_names(values, error);
    if (status == STATUS_OK)
        find_recorded(values, theirs, target);
    else
        verify_values_free(values);
    return status;
}

void verify_values_free(struct verify_values *values)
{
    for (size_t i = 0; i < values->count; i++) free(values->items[i].name);
    free(values->items);
    free(values->by_name);
    *values = (struct verify_values){0};
}

/* --- What has to be run ------------------------------------------------------------------- */

static bool is_recorded(const struct verify_value *value)
{
    return value && value->theirs;
}

static bool is_target(const struct verify_value *value)
{
    return value && value->is_target;
}

static bool has(const struct verify_values *values, const char *name)
{
    return is_recorded(verify_value_find(values, name));
}

static bool targets(const struct verify_values *values, const char *name)
{
    return is_target(verify_value_find(values, name));
}

/* Whether the model needs to be run for a target of its own: a module, or what `stage` otherwise has. */
static bool has_target_of(
    const struct verify_values *values, enum verify_stage stage, int step, size_t encoder, bool negative)
{
    for (size_t i = 0; i < values->count; i++) {
        const struct verify_value *value = &values->items[i];
        const struct verify_place *place = &value->place;
        if (value->is_target && place->stage == stage && place->step == step && place->encoder == encoder &&
            place->negative == negative && strcmp(place->key, "vae_input") != 0)
            return true;
    }
    return false;
}

/* The decoder; returns whether the loop's last latents are needed. */
static bool find_decoder_needs(const struct verify_values *values, struct verify_needs *needs)
{
    needs->vae = has_target_of(values, VERIFY_DECODER, -1, 0, false) ||
                 (targets(values, "image_u8") && !has(values, "image"));
    bool needs_final = needs->vae && !has(values, "vae_input");
    return targets(values, "latents.final") || (needs_final && !has(values, "latents.final"));
}

/* One step, given whether the latents after it are needed; returns whether those before it are. */
static bool find_step_needs(
    const struct verify_values *values, size_t step, bool needs_latents, struct verify_needs *needs)
{
    const struct verify_value *latents = verify_value_at(values, step, "latents");
    const struct verify_value *noise_pred = verify_value_at(values, step, "noise_pred");
    const struct verify_value *model_input = verify_value_at(values, step, "model_input");
    bool takes_step = is_target(latents) || (needs_latents && !is_recorded(latents));
    bool needs_halves = is_target(noise_pred) || (takes_step && !is_recorded(noise_pred));
    bool halves_are_there =
        is_recorded(verify_value_at(values, step, "noise_pred_text")) &&
        (!values->is_guided || is_recorded(verify_value_at(values, step, "noise_pred_uncond")));
    needs->unet[step] =
        has_target_of(values, VERIFY_UNET, (int)step, 0, false) || (needs_halves && !halves_are_there);
    needs->passes += needs->unet[step];
    return (needs->unet[step] || takes_step) && !is_recorded(model_input);
}

/* One side of guidance: the encoders, given that the UNet reads their result or does not. */
static void find_encoder_needs(const struct verify_values *values, bool negative, struct verify_needs *needs)
{
    const bool reads = needs->passes > 0;
    const char *prefix = negative ? "negative_" : "";
    char embeds[40], pooled[40];
    snprintf(embeds, sizeof embeds, "%sprompt_embeds", prefix);
    snprintf(pooled, sizeof pooled, "%spooled_prompt_embeds", prefix);
    bool needs_embeds = targets(values, embeds) || (reads && !has(values, embeds));
    bool needs_pooled =
        targets(values, pooled) || (!has(values, pooled) && (targets(values, "add_text_embeds") ||
                                                                (reads && !has(values, "add_text_embeds"))));
    for (size_t e = 0; e < TEXT_ENCODERS; e++)
        needs->encoders[e][negative] = has_target_of(values, VERIFY_TEXT_ENCODER, -1, e, negative) ||
                                       needs_embeds || (needs_pooled && e == TEXT_ENCODERS - 1);
}

enum status verify_needs_find(
    const struct verify_values *values, struct verify_needs *needs, struct error *error)
{
    *needs = (struct verify_needs){.unet = calloc(values->steps + 1, sizeof *needs->unet)};
    if (!needs->unet) return error_memory(error, values->steps + 1);
    bool needs_latents = find_decoder_needs(values, needs);
    for (size_t step = values->steps; step-- > 0;)
        needs_latents = find_step_needs(values, step, needs_latents, needs);
    find_encoder_needs(values, false, needs);
    find_encoder_needs(values, true, needs);
    return STATUS_OK;
}

void verify_needs_free(struct verify_needs *needs)
{
    free(needs->unet);
    *needs = (struct verify_needs){0};
}
