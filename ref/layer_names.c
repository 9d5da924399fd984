#include "layer_names.h"

#include "text_encoder_model.h"
#include "unet_model.h"
#include "vae_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer_name {
    const void *weight;
    char name[MODULE_NAME];
};

struct layer_names {
    struct layer_name *items; /* in the order of their weights' addresses */
    size_t count;
};

/* What files from before diffusers 0.12 call the projections of the autoencoder's attention. */
static const char *const old_names[][2] = {
    {".query", ".to_q"}, {".key", ".to_k"}, {".value", ".to_v"}, {".proj_attn", ".to_out.0"}};

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcmp(text + length - end, ending) == 0;
}

/* "<component>.<name of the weight without .weight>" */
static void write_name(char name[MODULE_NAME], const char *component, const char *weight)
{
    snprintf(name, MODULE_NAME, "%s.%.*s", component, (int)(strlen(weight) - strlen(".weight")), weight);
    for (size_t i = 0; i < sizeof old_names / sizeof *old_names; i++) {
        if (!ends_with(name, old_names[i][0])) continue;
        size_t stem = strlen(name) - strlen(old_names[i][0]);
        snprintf(name + stem, MODULE_NAME - stem, "%s", old_names[i][1]);
    }
}

static enum status gather(
    struct layer_names *names, const char *component, const struct weights *weights, struct error *error)
{
    size_t count = weights_tensor_count(weights);
    struct layer_name *items = realloc(names->items, (names->count + count + 1) * sizeof *items);
    if (!items) return error_memory(error, (names->count + count + 1) * sizeof *items);
    names->items = items;
    for (size_t i = 0; i < count; i++) {
        struct tensor tensor;
        const char *weight = weights_tensor_at(weights, i, &tensor);
        if (!ends_with(weight, ".weight")) continue;
        struct layer_name *item = &names->items[names->count++];
        item->weight = tensor.data;
        write_name(item->name, component, weight);
    }
    return STATUS_OK;
}

static int compare_addresses(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct layer_name *)a)->weight;
    uintptr_t y = (uintptr_t)((const struct layer_name *)b)->weight;
    return (x > y) - (x < y);
}

enum status layer_names_create(const struct pipeline *pipeline, struct layer_names **out, struct error *error)
{
    *out = NULL;
    struct layer_names *names = calloc(1, sizeof *names);
    if (!names) return error_memory(error, sizeof *names);
    enum status status = gather(names, "unet", pipeline->unet->weights, error);
    if (status == STATUS_OK) status = gather(names, "vae", pipeline->vae->weights, error);
    for (size_t i = 0; status == STATUS_OK && i < pipeline->num_encoders; i++)
        status = gather(names, text_encoder_names[i], pipeline->text_encoders[i]->weights, error);
    if (status != STATUS_OK) {
        layer_names_free(names);
        return status;
    }
    qsort(names->items, names->count, sizeof *names->items, compare_addresses);
    *out = names;
    return STATUS_OK;
}

void layer_names_free(struct layer_names *names)
{
    if (!names) return;
    free(names->items);
    free(names);
}

const char *layer_names_find(const struct layer_names *names, const void *weight)
{
    if (names->count == 0) return NULL;
    struct layer_name key = {.weight = weight};
    const struct layer_name *found =
        bsearch(&key, names->items, names->count, sizeof *names->items, compare_addresses);
    return found ? found->name : NULL;
}
