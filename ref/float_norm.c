#include "kernels/real.h"

#include "float_norm.h"
#include "forward.h"
#include "layers.h"

#include <math.h>
#include <string.h>

/* What is normalised together: `channels` of `length` elements each, one behind the other. */
struct group {
    const real *x;
    real *y;
    size_t channels, length;
};

/* The mean of (x - from)^power, summed as by vectors: a number of lanes, each of so many numbers. */
static real mean_of_powers(const real *x, size_t count, real from, int power)
{
    enum { LANE = 64 };
    double sum = 0;
    for (size_t begin = 0; begin < count; begin += LANE) {
        real lane = 0;
        for (size_t i = begin; i < count && i < begin + LANE; i++)
            lane += power == 1 ? x[i] - from : (x[i] - from) * (x[i] - from);
        sum += (double)lane;
    }
    return (real)(sum / (double)count);
}

static void normalise(const struct group *group, const struct norm *layer, size_t first_channel)
{
    const size_t count = group->channels * group->length;
    const real mean = mean_of_powers(group->x, count, 0, 1),
               variance = mean_of_powers(group->x, count, mean, 2);
    const real inverse_deviation = 1 / (real)sqrt((double)(variance + (real)layer->eps));
    for (size_t c = 0; c < group->channels; c++) {
        const real scale = inverse_deviation * (real)tensor_get_double(&layer->weight, first_channel + c);
        const real shift = (real)tensor_get_double(&layer->bias, first_channel + c) - mean * scale;
        for (size_t i = c * group->length; i < (c + 1) * group->length; i++)
            group->y[i] = group->x[i] * scale + shift;
    }
}

static bool norm_instead(void *context, struct forward *f, const struct kernel_call *call)
{
    (void)context;
    const struct norm *layer = call->norm;
    const bool is_layer_norm = strcmp(call->kernel, "layer_norm") == 0;
    if (!layer || !(is_layer_norm || strcmp(call->kernel, "group_norm") == 0)) return false;
    if (!forward_computes(f)) return true;
    const size_t all = tensor_count(&call->x), channels = (size_t)layer->weight.shape[0];
    const size_t groups = is_layer_norm ? 1 : (size_t)layer->groups;
    const size_t length = is_layer_norm ? 1 : all / ((size_t)call->x.shape[0] * channels);
    const size_t size = channels / groups * length;
    for (size_t i = 0; i < all / size; i++) {
        const struct group group = {(const real *)call->x.data + i * size, (real *)call->y.data + i * size,
            channels / groups, length};
        normalise(&group, layer, i % groups * group.channels);
    }
    return true;
}

const struct kernel_replacement KERNEL_NAME(float_norms) = {.KERNEL_NAME(replace) = norm_instead};
