#include "kernels/real.h"

#include "layers.h"
#include "timestep_embedding.h"
#include "unet_model.h"
#include "variation_kernels.h"

#include "kernels/kernels.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

static bool is(const struct kernel_call *call, const char *kernel)
{
    return strcmp(call->kernel, kernel) == 0;
}

static bool deliver(struct forward *f, const struct kernel_call *call, struct tensor result)
{
    if (forward_computes(f)) memcpy(call->y.data, result.data, tensor_bytes(&call->y));
    return true;
}

/* --- The layers with weights, run again with other ones ----------------------------------- */

/* after(value or gate), [rows, columns] in place */
static void activate(enum layer_change change, real *x, size_t n)
{
    if (change == LAYER_GELU_ERF) kernel_gelu(x, n, x);
    if (change == LAYER_GELU_TANH) kernel_gelu_tanh(x, n, x);
    if (change == LAYER_QUICK_GELU) kernel_quick_gelu(x, n, x);
    if (change == LAYER_SILU_GATE) kernel_silu(x, n, x);
}

/* y = value * activation(gate) from x [rows, 2 * inner], whose second half is the gate, or whose first is */
static void gate(real *x, size_t rows, size_t inner, enum layer_change activation, bool gates_first, real *y)
{
    for (size_t r = 0; r < rows; r++) {
        real *first = x + 2 * r * inner, *second = first + inner;
        real *value = gates_first ? second : first, *gates = gates_first ? first : second;
        activate(activation, gates, inner);
        for (size_t i = 0; i < inner; i++) y[r * inner + i] = value[i] * gates[i];
    }
}

/* The layer with `layer`'s weights in place of its own, and what follows it with `activation` (an activation
 * of enum layer_change). */
static bool linear_instead(struct forward *f, const struct kernel_call *call, const struct linear *layer,
    enum layer_change activation, bool gates_first, bool residual)
{
    struct tensor result = linear(f, call->x, layer);
    if (!forward_computes(f)) return true;
    size_t n = tensor_count(&result), inner = (size_t)call->y.shape[call->y.rank - 1];
    if (is(call, "linear_geglu")) {
        gate(result.data, tensor_count(&call->y) / inner, inner, activation, gates_first, call->y.data);
        return true;
    }
    if (is(call, "linear_gelu") || is(call, "linear_quick_gelu")) activate(activation, result.data, n);
    if (is(call, "linear_onto") && residual) kernel_add(result.data, call->y.data, n, result.data);
    return deliver(f, call, result);
}

static enum layer_change own_activation(const struct kernel_call *call)
{
    return is(call, "linear_quick_gelu") ? LAYER_QUICK_GELU : LAYER_GELU_ERF;
}

static bool conv2d_instead(
    struct forward *f, const struct kernel_call *call, const struct conv2d *layer, bool residual)
{
    struct tensor x = call->x;
    if (is(call, "upsample_conv2d")) x = upsample_nearest(f, x, 2 * x.shape[2], 2 * x.shape[3]);
    struct tensor result = conv2d(f, x, layer);
    if (f->status == STATUS_OK && !tensor_same_shape(&result, &call->y)) return false;
    if (is(call, "conv2d_shifted") && residual) result = add_channels(f, result, call->and);
    if (is(call, "conv2d_added") && residual) result = add_onto(f, result, call->and);
    return deliver(f, call, result);
}

static bool norm_instead(
    struct forward *f, const struct kernel_call *call, const struct norm *norm, bool silu)
{
    struct tensor result =
        is(call, "layer_norm") ? layer_norm(f, call->x, norm) : group_norm(f, call->x, norm, silu);
    return deliver(f, call, result);
}

/* A copy of a weight [out, in, kh, kw] with some of its sides exchanged or turned round. */
static struct tensor turned(struct forward *f, const struct tensor *weight, enum layer_change change)
{
    struct tensor stored = as_real(f, *weight), copy = forward_tensor(f, weight->rank, weight->shape);
    if (!forward_computes(f)) return copy;
    const int64_t *shape = weight->shape;
    int64_t out = shape[0], in = shape[1];
    int64_t height = weight->rank > 2 ? shape[2] : 1, width = weight->rank > 3 ? shape[3] : 1;
    const real *from = stored.data;
    real *to = copy.data;
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) {
                    int64_t o2 = o, i2 = i, y2 = y, x2 = x;
                    if (change == LAYER_TRANSPOSED) o2 = i, i2 = o;
                    if (change == LAYER_KERNEL_TRANSPOSED) y2 = x, x2 = y;
                    if (change == LAYER_KERNEL_FLIPPED) y2 = height - 1 - y, x2 = width - 1 - x;
                    *to++ = from[((o2 * in + i2) * height + y2) * width + x2];
                }
    return copy;
}

static bool change_linear(struct forward *f, const struct kernel_call *call, const struct layer_rule *rule)
{
    struct linear layer = *call->linear;
    const struct tensor none = {0};
    enum layer_change activation = own_activation(call);
    bool activated = is(call, "linear_gelu") || is(call, "linear_quick_gelu") || is(call, "linear_geglu");
    switch (rule->change) {
    case LAYER_NO_BIAS:
        if (!layer.bias.data) return false;
        layer.bias = none;
        return linear_instead(f, call, &layer, activation, false, true);
    case LAYER_TRANSPOSED:
        if (layer.weight.shape[0] != layer.weight.shape[1]) return false;
        layer.weight = turned(f, &layer.weight, rule->change);
        return linear_instead(f, call, &layer, activation, false, true);
    case LAYER_NO_RESIDUAL:
        return is(call, "linear_onto") && linear_instead(f, call, &layer, activation, false, false);
    case LAYER_NOTHING_ADDED: return is(call, "linear_onto");
    case LAYER_GATES_FIRST:
        return is(call, "linear_geglu") && linear_instead(f, call, &layer, activation, true, true);
    case LAYER_GELU_ERF:
    case LAYER_GELU_TANH:
    case LAYER_QUICK_GELU:
    case LAYER_SILU_GATE: return activated && linear_instead(f, call, &layer, rule->change, false, true);
    case LAYER_LEFT_OUT:
        return is(call, "linear") && tensor_same_shape(&call->x, &call->y) && deliver(f, call, call->x);
    default: return false;
    }
}

/* Between neighbours of the enlarged picture, which lie at (i + 1/2) / 2 - 1/2 of the small one, as
 * interpolate(mode="bilinear", align_corners=False) has them. x: [planes, h, w] -> y: [planes, 2h, 2w] */
static void enlarge_bilinear(const real *x, int64_t planes, int64_t height, int64_t width, real *y)
{
    for (int64_t p = 0; p < planes; p++, x += height * width)
        for (int64_t i = 0; i < 2 * height; i++)
            for (int64_t j = 0; j < 2 * width; j++) {
                double at_y = fmax(((double)i + 0.5) / 2 - 0.5, 0);
                double at_x = fmax(((double)j + 0.5) / 2 - 0.5, 0);
                int64_t top = (int64_t)at_y, left = (int64_t)at_x;
                int64_t bottom = top + (top < height - 1), right = left + (left < width - 1);
                double down = at_y - (double)top, across = at_x - (double)left;
                double upper =
                    (double)x[top * width + left] * (1 - across) + (double)x[top * width + right] * across;
                double lower = (double)x[bottom * width + left] * (1 - across) +
                               (double)x[bottom * width + right] * across;
                *y++ = (real)(upper * (1 - down) + lower * down);
            }
}

static bool upsample_bilinear(struct forward *f, const struct kernel_call *call)
{
    struct tensor x = call->x;
    int64_t shape[4] = {x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]};
    struct tensor larger = forward_tensor(f, 4, shape);
    if (forward_computes(f))
        enlarge_bilinear(x.data, shape[0] * shape[1], x.shape[2], x.shape[3], larger.data);
    return deliver(f, call, conv2d(f, larger, call->conv2d));
}

static bool change_conv2d(struct forward *f, const struct kernel_call *call, const struct layer_rule *rule)
{
    struct conv2d layer = *call->conv2d;
    const struct tensor none = {0};
    const int64_t *sides = layer.weight.shape;
    int ahead = (int)rule->number;
    switch (rule->change) {
    case LAYER_NO_BIAS:
        if (!layer.bias.data) return false;
        layer.bias = none;
        break;
    case LAYER_TRANSPOSED:
        if (sides[0] != sides[1]) return false;
        layer.weight = turned(f, &layer.weight, rule->change);
        break;
    case LAYER_KERNEL_TRANSPOSED:
    case LAYER_KERNEL_FLIPPED:
        if (sides[2] != sides[3] || sides[2] == 1) return false;
        layer.weight = turned(f, &layer.weight, rule->change);
        break;
    case LAYER_PADDING:
        if (layer.pad_top < ahead || layer.pad_left < ahead) return false;
        layer.pad_top -= ahead, layer.pad_left -= ahead;
        if (layer.stride == 1) layer.pad_bottom += ahead, layer.pad_right += ahead;
        break;
    case LAYER_NO_RESIDUAL: return call->and.rank > 0 && conv2d_instead(f, call, &layer, false);
    case LAYER_LEFT_OUT:
        return is(call, "conv2d") && tensor_same_shape(&call->x, &call->y) && deliver(f, call, call->x);
    case LAYER_BILINEAR: return is(call, "upsample_conv2d") && upsample_bilinear(f, call);
    default: return false;
    }
    return conv2d_instead(f, call, &layer, true);
}

static bool change_norm(struct forward *f, const struct kernel_call *call, const struct layer_rule *rule)
{
    struct norm norm = *call->norm;
    bool silu = is(call, "group_norm_silu");
    size_t groups = (size_t)rule->number;
    switch (rule->change) {
    case LAYER_EPS: norm.eps = rule->number; break;
    case LAYER_GROUPS:
        if (is(call, "layer_norm") || groups == 0 || (size_t)call->x.shape[1] % groups != 0) return false;
        norm.groups = (int)groups;
        break;
    case LAYER_NO_BIAS: /* a norm always has one: zeros */
        norm.bias = forward_tensor(f, 1, norm.bias.shape);
        if (forward_computes(f)) memset(norm.bias.data, 0, tensor_bytes(&norm.bias));
        break;
    case LAYER_NO_SILU:
        if (!silu) return false;
        silu = false;
        break;
    case LAYER_LEFT_OUT: return !silu && deliver(f, call, call->x);
    default: return false;
    }
    return norm_instead(f, call, &norm, silu);
}

/* --- What has no weights ------------------------------------------------------------------ */

/* [rows, heads * dim]: element h of every group of heads comes to head h, or goes back. */
static struct tensor regroup(struct forward *f, struct tensor x, int64_t heads, bool back)
{
    struct tensor y = forward_tensor(f, x.rank, x.shape);
    if (!forward_computes(f)) return y;
    int64_t width = x.shape[2], dim = width / heads;
    const real *from = x.data;
    real *to = y.data;
    for (int64_t r = 0; r < x.shape[0] * x.shape[1]; r++, from += width, to += width)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t d = 0; d < dim; d++)
                if (back)
                    to[d * heads + h] = from[h * dim + d];
                else
                    to[h * dim + d] = from[d * heads + h];
    return y;
}

static bool change_attention(struct forward *f, const struct kernel_call *call, const struct layer_rule *rule)
{
    struct tensor q = call->x, k = call->w, v = call->and;
    int64_t heads = call->heads, width = q.shape[2], dim = width / heads;
    double scale = call->scale;
    bool causal = call->causal;
    switch (rule->change) {
    case LAYER_SCALE: scale *= pow((double)dim, rule->number + 0.5); break;
    case LAYER_SCALE_OF_WIDTH: scale *= sqrt((double)dim / (double)width); break;
    case LAYER_HEADS_AS_SIZE:
        if (heads == dim || width % dim != 0) return false;
        scale *= sqrt((double)dim / (double)heads);
        heads = dim;
        break;
    case LAYER_HEADS_INTERLEAVED:
        if (heads == 1) return false;
        q = regroup(f, q, heads, false), k = regroup(f, k, heads, false), v = regroup(f, v, heads, false);
        return deliver(f, call, regroup(f, attention(f, q, k, v, heads, scale, causal), heads, true));
    case LAYER_NOT_CAUSAL:
        if (!causal) return false;
        causal = false;
        break;
    case LAYER_CAUSAL:
        if (causal) return false;
        causal = true;
        break;
    default: return false;
    }
    return deliver(f, call, attention(f, q, k, v, heads, scale, causal));
}

/* The kinds of calls without weights that are told apart by what is done there. */
static bool change_embedding(struct forward *f, const struct kernel_call *call,
    const struct unet_config *config, const struct layer_rule *rule)
{
    struct sinusoid sinusoid = {call->y.shape[1], config->flip_sin_to_cos, config->freq_shift};
    struct tensor timesteps = call->x;
    switch (rule->change) {
    case LAYER_SIN_COS_EXCHANGED: sinusoid.flip_sin_to_cos = !sinusoid.flip_sin_to_cos; break;
    case LAYER_FREQ_SHIFT:
        if (sinusoid.freq_shift == rule->number || (double)(sinusoid.dim / 2) == rule->number) return false;
        sinusoid.freq_shift = rule->number;
        break;
    case LAYER_TIMESTEP:
        timesteps = forward_tensor(f, 1, call->x.shape);
        for (int64_t i = 0; forward_computes(f) && i < timesteps.shape[0]; i++)
            ((real *)timesteps.data)[i] = (real)(float)rule->number;
        break;
    default: return false;
    }
    return deliver(f, call, timestep_embedding(f, timesteps, &sinusoid));
}

static bool change_concat(struct forward *f, const struct kernel_call *call, const struct layer_rule *rule)
{
    if (rule->change != LAYER_CONCAT_ORDER) return false;
    return deliver(f, call, concat_channels(f, call->and, call->x));
}

static bool change_call(struct forward *f, const struct kernel_call *call,
    const struct layer_variation *variation, const struct layer_rule *rule)
{
    if (call->linear) return change_linear(f, call, rule);
    if (call->conv2d) return change_conv2d(f, call, rule);
    if (call->norm) return change_norm(f, call, rule);
    if (is(call, "attention")) return change_attention(f, call, rule);
    if (is(call, "timestep_embedding"))
        return change_embedding(f, call, &variation->pipeline->unet->config, rule);
    if (is(call, "concat_channels")) return change_concat(f, call, rule);
    if (is(call, "silu") && rule->change == LAYER_NO_SILU_APART) return deliver(f, call, call->x);
    if (is(call, "multiply") && rule->change == LAYER_SCALE && rule->number == 0) /* CLIP's queries */
        return deliver(f, call, call->x);
    if (is(call, "add") && rule->change == LAYER_NO_RESIDUAL && call->x.data == call->y.data)
        return true; /* x is the result already */
    return false;
}

/* --- The replacement ---------------------------------------------------------------------- */

/* The layer of a call, or for what has no weight the one before it. */
static const char *place_of(const struct layer_variation *variation, const struct kernel_call *call)
{
    const void *weight = call->linear   ? call->linear->weight.data
                         : call->conv2d ? call->conv2d->weight.data
                         : call->norm   ? call->norm->weight.data
                                        : NULL;
    const char *place = variation->place;
    if (is(call, "timestep_embedding")) {
        bool sizes = place && strcmp(place, "unet.time_embedding.linear_2") == 0;
        return sizes ? "unet.add_time_proj" : "unet.time_proj";
    }
    if (!weight) return place;
    return layer_names_find(variation->names, weight);
}

#define layer_variation_replace KERNEL_NAME(layer_variation_replace)
bool layer_variation_replace(void *context, struct forward *f, const struct kernel_call *call)
{
    struct layer_variation *variation = context;
    const char *place = place_of(variation, call);
    variation->place = place;
    if (variation->visits) layer_visits_add(variation->visits, place);
    bool replaced = false;
    f->replacement = NULL; /* what is computed instead is not replaced again */
    for (size_t i = 0; place && i < variation->count && !replaced; i++) {
        if (fnmatch(variation->rules[i].layers, place, 0) != 0) continue;
        struct arena_mark scope = scope_begin(f);
        replaced = change_call(f, call, variation, &variation->rules[i]);
        arena_release(f->arena, scope);
    }
    f->replacement = &variation->replacement;
    return replaced;
}
