#include "variation_kernels.h"

#include <stdlib.h>

void layer_variation_init(struct layer_variation *variation, const struct pipeline *pipeline,
    const struct layer_names *names, const struct layer_rule *rules, size_t count)
{
    *variation = (struct layer_variation){
        .replacement = {variation, layer_variation_replace_f32, layer_variation_replace_f64},
        .names = names,
        .pipeline = pipeline,
        .rules = rules,
        .count = count,
    };
}

void layer_visits_add(struct layer_visits *visits, const char *place)
{
    if (!place) return;
    for (size_t i = visits->count; i-- > 0;)
        if (visits->items[i] == place) return;
    if (visits->count == visits->capacity) {
        size_t capacity = 2 * visits->capacity + 64;
        const char **items = realloc(visits->items, capacity * sizeof *items);
        visits->failed = visits->failed || !items;
        if (!items) return;
        visits->items = items;
        visits->capacity = capacity;
    }
    visits->items[visits->count++] = place;
}

void layer_visits_free(struct layer_visits *visits)
{
    free(visits->items);
    *visits = (struct layer_visits){0};
}
