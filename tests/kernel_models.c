/*
 * The kernels that sum, at the shapes that the models have (model_shapes.h). A case is one kind of operator
 * with all its shapes; normal numbers and those that cancel, one number of threads.
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"
#include "tests/model_shapes.h"

static void check_shape(
    struct checker *k, const struct model_shape *shape, enum input_kind kind, unsigned seed)
{
    switch (shape->kind) {
    case MODEL_LINEAR: check_linear_shape(k, &shape->linear, kind, seed); break;
    case MODEL_CONV2D: check_conv2d_shape(k, &shape->conv2d, kind, seed); break;
    case MODEL_UPSAMPLE_CONV2D: check_upsample_conv2d_shape(k, &shape->conv2d, kind, seed); break;
    case MODEL_ATTENTION: check_attention_shape(k, &shape->attention, kind, seed); break;
    case MODEL_GROUP_NORM:
        check_group_norm_shape(k, shape->batch, shape->channels, shape->size, kind, seed);
        break;
    case MODEL_LAYER_NORM: check_layer_norm_shape(k, shape->size, shape->channels, kind, seed); break;
    case MODEL_OPERATORS: break;
    }
}

static void check_models(struct checker *k, enum model_operator kind)
{
    const struct model_shape *shape;
    k->few_ways = true;
    for (size_t i = 0; (shape = model_shape(k->effort, kind, i)) != NULL; i++) {
        check_shape(k, shape, INPUT_NORMAL, 20000 + 10 * (unsigned)i);
        check_shape(k, shape, INPUT_CANCELLING, 20000 + 10 * (unsigned)i);
    }
    k->few_ways = false;
}

/* Each takes the one index 0. */
static void linear_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_LINEAR);
}

static void conv2d_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_CONV2D);
}

static void upsample_conv2d_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_UPSAMPLE_CONV2D);
}

static void attention_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_ATTENTION);
}

static void group_norm_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_GROUP_NORM);
}

static void layer_norm_of_models(struct checker *k, size_t index)
{
    if (index == 0) check_models(k, MODEL_LAYER_NORM);
}

static const struct kernel_group groups[] = {
    {"linear", "acc", linear_of_models, 1},
    {"conv2d", "acc", conv2d_of_models, 1},
    {"upsample_conv2d", "acc", upsample_conv2d_of_models, 1},
    {"attention", "acc", attention_of_models, 1},
    {"group_norm", "ulp", group_norm_of_models, 1},
    {"layer_norm", "ulp", layer_norm_of_models, 1},
    {0},
};

const struct kernel_group *kernel_models_groups(void)
{
    return groups;
}
