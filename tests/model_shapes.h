/*
 * The shapes that the models' operators have, from the models themselves: the dry passes behind `plumb bench
 * --list --architecture sd15`, `sd21` and `sdxl`, each shape once.
 */
#ifndef TESTS_MODEL_SHAPES_H
#define TESTS_MODEL_SHAPES_H

#include "kernels/kernels.h"
#include "tests/kernel_report.h"

enum model_operator {
    MODEL_LINEAR,
    MODEL_CONV2D,
    MODEL_UPSAMPLE_CONV2D,
    MODEL_ATTENTION,
    MODEL_GROUP_NORM,
    MODEL_LAYER_NORM,
    MODEL_OPERATORS
};

struct model_shape {
    enum model_operator kind;
    struct linear_shape linear;
    struct conv2d_shape conv2d;
    struct attention_shape attention;
    size_t batch, channels, size; /* of the norms; of layer_norm, `size` rows */
};

/* Shape `index` of a kind, NULL past the last. What a sum runs over (channels, taps, the size of a head) is
 * always the model's own; of what is only repeated (rows, positions, output channels, heads, keys) a part is
 * taken, of odd length, unless the effort is EFFORT_FULL. The first call lists them; a failure there ends the
 * program with status 2. */
const struct model_shape *model_shape(enum check_effort effort, enum model_operator kind, size_t index);

#endif
