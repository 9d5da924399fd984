#include "kernels/real.h"

#include "kernels/kernels.h"
#include "kernels/rounded.h"
#include "layers.h"
#include "layers_rounded.h"
#include "layers_shapes.h"

#include <string.h>

/* --- Memory ------------------------------------------------------------------------------- */

struct arena_mark scope_begin(struct forward *f)
{
    return arena_mark(f->arena);
}

struct tensor scope_return(struct forward *f, struct arena_mark scope, struct tensor result)
{
    arena_release_but(f->arena, scope, f->status == STATUS_OK ? result.data : NULL);
    return result;
}

void drop(struct forward *f, struct tensor x)
{
    if (f->status == STATUS_OK) arena_drop(f->arena, x.data);
}

struct tensor settle(struct forward *f, struct tensor x)
{
    if (f->status == STATUS_OK) x.data = arena_lower(f->arena, x.data, tensor_bytes(&x));
    return x;
}

/* --- Weights ------------------------------------------------------------------------------ */

/* Whether x can be read where it lies. */
static bool is_real(const struct tensor *x)
{
    return x->dtype == DTYPE_REAL && (uintptr_t)x->data % _Alignof(real) == 0;
}

struct tensor as_real(struct forward *f, struct tensor x)
{
    if (f->status != STATUS_OK || is_real(&x)) return x;
    struct tensor y = like(f, x);
    if (!forward_computes(f)) return y;
    size_t n = tensor_count(&x);
    real *values = y.data;
    switch (x.dtype) {
    case DTYPE_F16: kernel_from_f16(x.data, n, values); break;
    case DTYPE_BF16: kernel_from_bf16(x.data, n, values); break;
    case DTYPE_F32: kernel_from_f32(x.data, n, values); break;
    default:
        for (size_t i = 0; i < n; i++) values[i] = (real)tensor_get_double(&x, i);
    }
    return y;
}

/* x in `format`, a copy in the present scope; itself where that changes nothing. */
static struct tensor weight_in(struct forward *f, enum number_format format, struct tensor x)
{
    bool is_exact =
        (format == FORMAT_F16 && x.dtype == DTYPE_F16) || (format == FORMAT_BF16 && x.dtype == DTYPE_BF16);
    if (f->status != STATUS_OK || format == FORMAT_F32 || is_exact || DTYPE_REAL == DTYPE_F64) return x;
    bool in_place = is_real(&x);
    x = as_real(f, x);
    struct tensor y = in_place ? like(f, x) : x;
    if (forward_computes(f)) kernel_round(format, x.data, tensor_count(&x), y.data);
    return y;
}

struct tensor weight_as_real(struct forward *f, struct tensor x)
{
    return as_real(f, weight_in(f, f->format == FORMAT_TF32 ? FORMAT_F32 : f->format, x));
}

/* A bias or a norm's weight for a kernel to read, in place or converted into the present scope; NULL where
 * there is none. */
static const real *vector_of(struct forward *f, const struct tensor *stored)
{
    return stored->data ? weight_as_real(f, *stored).data : NULL;
}

/* A layer's weight for a kernel to convert tile by tile. */
static struct stored matrix_of(struct forward *f, const struct tensor *of_checkpoint)
{
    const struct tensor rounded = weight_in(f, f->format, *of_checkpoint), *weight = &rounded;
    struct stored stored = {weight->data, STORED_F32};
    switch (weight->dtype) {
    case DTYPE_F32: break;
    case DTYPE_F64: stored.type = STORED_F64; break;
    case DTYPE_F16: stored.type = STORED_F16; break;
    case DTYPE_BF16: stored.type = STORED_BF16; break;
    default: /* weights_take() lets no other type through; still, any tensor can be converted */
        stored.data = as_real(f, *weight).data;
        stored.type = DTYPE_REAL == DTYPE_F64 ? STORED_F64 : STORED_F32;
    }
    return stored;
}

/* What goes into a product, which with TF32 is rounded for it. */
static struct tensor product_operand(struct forward *f, struct tensor x)
{
    if (f->format != FORMAT_TF32 || !forward_rounds(f)) return x;
    struct tensor y = like(f, x);
    if (forward_computes(f)) kernel_round(f->format, x.data, tensor_count(&x), y.data);
    return y;
}

/* --- Layers with weights ------------------------------------------------------------------ */

/* What a record calls a layer with what is done in the same pass. */
static const char *linear_name(enum linear_after after, bool onto)
{
    switch (after) {
    case LINEAR_GELU: return "linear_gelu";
    case LINEAR_QUICK_GELU: return "linear_quick_gelu";
    case LINEAR_GEGLU: return "linear_geglu";
    default: return onto ? "linear_onto" : "linear";
    }
}

static const char *conv2d_name(bool shifted, bool added)
{
    return shifted ? "conv2d_shifted" : added ? "conv2d_added" : "conv2d";
}

/* after(x w^T + bias), added to `onto` where that has data and is of this shape. */
static struct tensor linear_after(struct forward *f, struct tensor x, const struct linear *layer,
    enum linear_after after, const struct tensor *onto)
{
    int64_t out = layer->weight.shape[0], in = layer->weight.shape[1];
    if (!may_run(f, last_side(&x) == in && (after != LINEAR_GEGLU || out % 2 == 0), "linear", &x)) return x;
    struct linear_shape shape = {sides(&x, 0, x.rank - 1), (size_t)in, (size_t)out, after};
    if (onto &&
        !may_run(f, last_side(onto) == out && tensor_count(onto) == shape.rows * shape.out, "linear", onto))
        return x;
    struct tensor y = onto ? *onto : like_with_last(f, x, after == LINEAR_GEGLU ? out / 2 : out);
    struct arena_mark scope = scope_begin(f);
    x = product_operand(f, x);
    struct stored w = matrix_of(f, &layer->weight);
    const real *bias = vector_of(f, &layer->bias);
    real *tiles = forward_scratch(f, kernel_linear_scratch(&shape));
    const char *name = linear_name(after, onto != NULL);
    if (forward_runs(
            f, &(struct kernel_call){.kernel = name, .x = x, .w = layer->weight, .y = y, .linear = layer}))
        kernel_linear(&shape, x.data, w, bias, onto ? onto->data : NULL, y.data, tiles);
    arena_release(f->arena, scope);
    return forward_result(f, y);
}

struct tensor linear(struct forward *f, struct tensor x, const struct linear *layer)
{
    return linear_after(f, x, layer, LINEAR_PLAIN, NULL);
}

struct tensor linear_gelu(struct forward *f, struct tensor x, const struct linear *layer)
{
    if (!forward_fuses(f)) return rounded_linear_gelu(f, x, layer);
    return linear_after(f, x, layer, LINEAR_GELU, NULL);
}

struct tensor linear_quick_gelu(struct forward *f, struct tensor x, const struct linear *layer)
{
    if (!forward_fuses(f)) return rounded_linear_quick_gelu(f, x, layer);
    return linear_after(f, x, layer, LINEAR_QUICK_GELU, NULL);
}

struct tensor linear_geglu(struct forward *f, struct tensor x, const struct linear *layer)
{
    if (!forward_fuses(f)) return rounded_linear_geglu(f, x, layer);
    return linear_after(f, x, layer, LINEAR_GEGLU, NULL);
}

struct tensor linear_onto(struct forward *f, struct tensor x, const struct linear *layer, struct tensor onto)
{
    if (!forward_fuses(f)) return rounded_linear_onto(f, x, layer, onto);
    return linear_after(f, x, layer, LINEAR_PLAIN, &onto);
}

/* The kernel's view of a convolution; false, with an error, where x does not fit. */
static bool conv2d_fits(
    struct forward *f, const struct tensor *x, const struct conv2d *layer, struct conv2d_shape *shape)
{
    const int64_t *w_shape = layer->weight.shape;
    if (!may_run(f, x->rank == 4 && x->shape[1] == w_shape[1], "conv2d", x)) return false;
    *shape = (struct conv2d_shape){
        .batch = (size_t)x->shape[0],
        .in_channels = (size_t)x->shape[1],
        .in_height = (size_t)x->shape[2],
        .in_width = (size_t)x->shape[3],
        .out_channels = (size_t)w_shape[0],
        .kernel_height = (size_t)w_shape[2],
        .kernel_width = (size_t)w_shape[3],
        .stride = (size_t)layer->stride,
        .pad_top = (size_t)layer->pad_top,
        .pad_bottom = (size_t)layer->pad_bottom,
        .pad_left = (size_t)layer->pad_left,
        .pad_right = (size_t)layer->pad_right,
    };
    bool fits = shape->in_height + shape->pad_top + shape->pad_bottom >= shape->kernel_height &&
                shape->in_width + shape->pad_left + shape->pad_right >= shape->kernel_width;
    return may_run(f, fits, "conv2d", x);
}

/* conv2d(x), with a shift for each channel of each picture where `shift` is given, and a residual where that
 * is; the result is written over the residual if `over`. */
static struct tensor conv2d_after(struct forward *f, struct tensor x, const struct conv2d *layer,
    const struct tensor *shift, const struct tensor *residual, bool over)
{
    struct conv2d_shape shape;
    if (!conv2d_fits(f, &x, layer, &shape)) return x;
    struct tensor y = {.dtype = DTYPE_REAL,
        .rank = 4,
        .shape = {x.shape[0], layer->weight.shape[0], (int64_t)conv2d_out_height(&shape),
            (int64_t)conv2d_out_width(&shape)}};
    bool fits =
        (!residual || tensor_same_shape(residual, &y)) &&
        (!shift || (shift->rank == 2 && shift->shape[0] == y.shape[0] && shift->shape[1] == y.shape[1]));
    if (!may_run(f, fits, "conv2d", &x)) return x;
    y = over ? *residual : forward_tensor(f, 4, y.shape);
    struct arena_mark scope = scope_begin(f);
    x = product_operand(f, x);
    struct stored w = matrix_of(f, &layer->weight);
    const real *bias = vector_of(f, &layer->bias);
    real *tiles = forward_scratch(f, kernel_conv2d_scratch(&shape));
    const char *name = conv2d_name(shift != NULL, residual != NULL);
    const struct tensor none = {0};
    if (forward_runs(f, &(struct kernel_call){.kernel = name,
                            .x = x,
                            .w = layer->weight,
                            .y = y,
                            .conv2d = layer,
                            .and = shift      ? *shift
                                   : residual ? *residual
                                              : none}))
        kernel_conv2d(&shape, x.data, w, bias, shift ? shift->data : NULL, residual ? residual->data : NULL,
            y.data, tiles);
    arena_release(f->arena, scope);
    return forward_result(f, y);
}

struct tensor conv2d(struct forward *f, struct tensor x, const struct conv2d *layer)
{
    return conv2d_after(f, x, layer, NULL, NULL, false);
}

struct tensor conv2d_onto(struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor onto)
{
    if (!forward_fuses(f)) return rounded_conv2d_onto(f, x, layer, onto);
    return conv2d_after(f, x, layer, NULL, &onto, true);
}

struct tensor conv2d_added(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor residual)
{
    if (!forward_fuses(f)) return rounded_conv2d_added(f, x, layer, residual);
    return conv2d_after(f, x, layer, NULL, &residual, false);
}

struct tensor conv2d_shifted(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor shift)
{
    if (!forward_fuses(f)) return rounded_conv2d_shifted(f, x, layer, shift);
    return conv2d_after(f, x, layer, &shift, NULL, false);
}

struct tensor conv2d_of_doubled(struct forward *f, struct tensor x, const struct conv2d *layer)
{
    struct conv2d_shape shape;
    if (!conv2d_fits(f, &x, layer, &shape)) return x;
    bool fits = shape.kernel_height == 3 && shape.kernel_width == 3 && shape.stride == 1 &&
                shape.pad_top == 1 && shape.pad_bottom == 1 && shape.pad_left == 1 && shape.pad_right == 1;
    if (!may_run(f, fits, "conv2d", &x)) return x;
    if (!forward_fuses(f)) return rounded_conv2d_of_doubled(f, x, layer);
    struct tensor y =
        forward_tensor(f, 4, (int64_t[]){x.shape[0], layer->weight.shape[0], 2 * x.shape[2], 2 * x.shape[3]});
    struct arena_mark scope = scope_begin(f);
    struct stored w = matrix_of(f, &layer->weight);
    const real *bias = vector_of(f, &layer->bias);
    real *tiles = forward_scratch(f, kernel_upsample_conv2d_scratch(&shape));
    if (forward_runs(
            f, &(struct kernel_call){
                   .kernel = "upsample_conv2d", .x = x, .w = layer->weight, .y = y, .conv2d = layer}))
        kernel_upsample_conv2d(&shape, x.data, w, bias, y.data, tiles);
    arena_release(f->arena, scope);
    return y;
}

/* Written to y, which may be x. */
static struct tensor normalise_groups(
    struct forward *f, struct tensor x, const struct norm *layer, bool silu_after, struct tensor y)
{
    struct arena_mark converted = scope_begin(f);
    const real *w = vector_of(f, &layer->weight), *bias = vector_of(f, &layer->bias);
    const char *name = silu_after ? "group_norm_silu" : "group_norm";
    if (forward_runs(f, &(struct kernel_call){.kernel = name, .x = x, .y = y, .norm = layer}))
        kernel_group_norm(x.data, (size_t)x.shape[0], (size_t)x.shape[1], sides(&x, 2, x.rank),
            (size_t)layer->groups, layer->eps, w, bias, silu_after, y.data);
    arena_release(f->arena, converted);
    return forward_result(f, y);
}

struct tensor group_norm(struct forward *f, struct tensor x, const struct norm *layer, bool silu_after)
{
    if (!may_run(f, x.rank >= 2 && x.shape[1] == layer->weight.shape[0], "group_norm", &x)) return x;
    struct tensor y = like(f, x);
    if (silu_after && !forward_fuses(f)) return silu_over(f, normalise_groups(f, x, layer, false, y));
    return normalise_groups(f, x, layer, silu_after, y);
}

struct tensor group_norm_over(struct forward *f, struct tensor x, const struct norm *layer, bool silu_after)
{
    if (!may_run(f, x.rank >= 2 && x.shape[1] == layer->weight.shape[0], "group_norm", &x)) return x;
    if (silu_after && !forward_fuses(f)) return silu_over(f, normalise_groups(f, x, layer, false, x));
    return normalise_groups(f, x, layer, silu_after, x);
}

struct tensor layer_norm(struct forward *f, struct tensor x, const struct norm *layer)
{
    if (!may_run(f, last_side(&x) == layer->weight.shape[0], "layer_norm", &x)) return x;
    struct tensor y = like(f, x);
    struct arena_mark converted = scope_begin(f);
    const real *w = vector_of(f, &layer->weight), *bias = vector_of(f, &layer->bias);
    if (forward_runs(f, &(struct kernel_call){.kernel = "layer_norm", .x = x, .y = y, .norm = layer}))
        kernel_layer_norm(
            x.data, sides(&x, 0, x.rank - 1), (size_t)last_side(&x), layer->eps, w, bias, y.data);
    arena_release(f->arena, converted);
    return forward_result(f, y);
}
