/* The weights of the layers: taken from a component's files under the names that Diffusers saves them by,
 * with the shapes that the config asks for. Not tied to a precision: they stay as they are stored. */
#include "layers.h"

#include <stdio.h>

const char *module_path(char path[MODULE_NAME], const char *parent, const char *child)
{
    snprintf(path, MODULE_NAME, "%s.%s", parent, child);
    return path;
}

void linear_load(
    struct weights *weights, struct linear *layer, const char *name, int64_t in, int64_t out, bool bias)
{
    *layer = (struct linear){0};
    weights_take(weights, &layer->weight, 2, (int64_t[]){out, in}, "%s.weight", name);
    if (bias) weights_take(weights, &layer->bias, 1, &out, "%s.bias", name);
}

void conv2d_load(struct weights *weights, struct conv2d *layer, const char *name, int64_t in, int64_t out,
    int kernel, int stride, int padding)
{
    *layer = (struct conv2d){.stride = stride,
        .pad_top = padding,
        .pad_bottom = padding,
        .pad_left = padding,
        .pad_right = padding};
    weights_take(weights, &layer->weight, 4, (int64_t[]){out, in, kernel, kernel}, "%s.weight", name);
    weights_take(weights, &layer->bias, 1, &out, "%s.bias", name);
}

void norm_load(
    struct weights *weights, struct norm *layer, const char *name, int64_t channels, int groups, double eps)
{
    *layer = (struct norm){.groups = groups, .eps = eps};
    weights_take(weights, &layer->weight, 1, &channels, "%s.weight", name);
    weights_take(weights, &layer->bias, 1, &channels, "%s.bias", name);
}
