#include "known_tensors.h"

#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The list ----------------------------------------------------------------------------- */

enum status known_tensors_add(
    struct known_tensors *known, const char *name, int rank, const int64_t *shape, struct error *error)
{
    if (known->count == known->capacity) {
        size_t capacity = known->capacity ? 2 * known->capacity : 256;
        struct known_tensor *larger = realloc(known->items, capacity * sizeof *larger);
        if (!larger) return error_memory(error, capacity * sizeof *larger);
        known->items = larger;
        known->capacity = capacity;
    }
    struct known_tensor item = {.name = strdup(name), .rank = rank, .added = known->count};
    if (!item.name) return error_memory(error, strlen(name) + 1);
    if (shape) memcpy(item.shape, shape, (size_t)rank * sizeof *shape);
    known->items[known->count++] = item;
    return STATUS_OK;
}

static int compare(const void *a, const void *b)
{
    const struct known_tensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->added > y->added) - (x->added < y->added);
}

void known_tensors_order(struct known_tensors *known)
{
    if (known->count == 0) return;
    qsort(known->items, known->count, sizeof *known->items, compare);
    size_t kept = 1;
    for (size_t i = 1; i < known->count; i++) {
        if (strcmp(known->items[i].name, known->items[kept - 1].name) == 0)
            free(known->items[i].name);
        else
            known->items[kept++] = known->items[i];
    }
    known->count = kept;
}

static int compare_name(const void *name, const void *item)
{
    return strcmp(name, ((const struct known_tensor *)item)->name);
}

const struct known_tensor *known_tensors_find(const struct known_tensors *known, const char *name)
{
    if (known->count == 0) return NULL;
    return bsearch(name, known->items, known->count, sizeof *known->items, compare_name);
}

void known_tensors_free(struct known_tensors *known)
{
    for (size_t i = 0; i < known->count; i++) free(known->items[i].name);
    free(known->items);
    *known = (struct known_tensors){0};
}

/* --- The keys of every trace -------------------------------------------------------------- */

struct key {
    const char *name;
    int rank;
};

static const struct key encoder_keys[] = {{"input_ids", 2}, {"last_hidden_state", 3}, {"text_embeds", 2}};
static const struct key run_keys[] = {
    {"prompt_embeds", 3},
    {"negative_prompt_embeds", 3},
    {"pooled_prompt_embeds", 2},
    {"negative_pooled_prompt_embeds", 2},
    {"add_time_ids", 2},
    {"add_text_embeds", 2},
    {"timesteps", 1},
    {"sigmas", 1},
    {"alphas_cumprod", 1},
    {"init_noise", 4},
    {"latents.init", 4},
    {"latents.final", 4},
    {"vae_input", 4},
    {"image", 4},
    {"image_u8", 4},
};
static const struct key step_keys[] = {{"model_input", 4}, {"noise_pred_uncond", 4}, {"noise_pred_text", 4},
    {"noise_pred", 4}, {"noise", 4}, {"latents", 4}};
#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const int64_t any_sides[TENSOR_MAX_RANK];

enum status known_tensors_add_keys(struct known_tensors *known, size_t steps, struct error *error)
{
    char name[96];
    enum status status = STATUS_OK;
    for (size_t i = 0; i < LENGTH(run_keys) && status == STATUS_OK; i++)
        status = known_tensors_add(known, run_keys[i].name, run_keys[i].rank, any_sides, error);
    for (size_t e = 0; e < TEXT_ENCODERS; e++)
        for (size_t i = 0; i < 2 * LENGTH(encoder_keys) && status == STATUS_OK; i++) {
            const struct key *key = &encoder_keys[i / 2];
            snprintf(
                name, sizeof name, "%s%s.%s", i % 2 ? "negative_" : "", key->name, text_encoder_names[e]);
            status = known_tensors_add(known, name, key->rank, any_sides, error);
        }
    for (size_t step = 0; step < steps; step++)
        for (size_t i = 0; i < LENGTH(step_keys) && status == STATUS_OK; i++) {
            snprintf(name, sizeof name, "step.%02zu.%s", step, step_keys[i].name);
            status = known_tensors_add(known, name, step_keys[i].rank, any_sides, error);
        }
    return status;
}

/* --- What a run has ----------------------------------------------------------------------- */

struct foreseen {
    struct known_tensors *known;
    struct tensor latents, image;
    size_t steps;
};

static enum status foresee(void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct foreseen *run = context;
    size_t step;
    char key[32];
    if (strcmp(name, "latents.init") == 0) run->latents = *value;
    if (strcmp(name, "image") == 0) run->image = *value;
    if (sscanf(name, "step.%zu.%31s", &step, key) == 2 && step >= run->steps) run->steps = step + 1;
    return known_tensors_add(run->known, name, value->rank, value->shape, error);
}

enum status known_tensors_of_run(const struct pipeline *pipeline, const struct recipe *recipe,
    struct known_tensors *known, struct error *error)
{
    *known = (struct known_tensors){0};
    struct foreseen run = {.known = known};
    const struct observer observer = {.context = &run, .foresee = foresee};
    const struct run_options options = {.observer = &observer};
    struct memory_plan memory;
    enum status status = pipeline_plan_f32(pipeline, recipe, &options, &memory, NULL, error);
    /* What a dry pass does not come to: draws, which depend on the sampler's numbers, and the bytes. */
    for (size_t step = 0; step < run.steps && status == STATUS_OK; step++) {
        char name[48];
        snprintf(name, sizeof name, "step.%02zu.noise", step);
        status = known_tensors_add(known, name, run.latents.rank, run.latents.shape, error);
    }
    if (status == STATUS_OK) {
        const int64_t *image = run.image.shape, pixels[4] = {image[0], image[2], image[3], image[1]};
        status = known_tensors_add(known, "image_u8", 4, pixels, error);
    }
    if (status == STATUS_OK) status = known_tensors_add_keys(known, run.steps, error);
    known_tensors_order(known);
    if (status != STATUS_OK) known_tensors_free(known);
    return status;
}
