#include "variation_kernels.h"

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
