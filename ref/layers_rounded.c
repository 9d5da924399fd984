#include "kernels/real.h"

#include "layers_rounded.h"

#include "kernels/rounded.h"

static struct tensor linear_then(struct forward *f, struct tensor x, const struct linear *layer,
    struct tensor (*activation)(struct forward *, struct tensor))
{
    struct arena_mark scope = scope_begin(f);
    return scope_return(f, scope, activation(f, linear(f, x, layer)));
}

struct tensor rounded_linear_gelu(struct forward *f, struct tensor x, const struct linear *layer)
{
    return linear_then(f, x, layer, KERNEL_NAME(gelu));
}

struct tensor rounded_linear_quick_gelu(struct forward *f, struct tensor x, const struct linear *layer)
{
    return linear_then(f, x, layer, KERNEL_NAME(quick_gelu));
}

struct tensor rounded_linear_geglu(struct forward *f, struct tensor x, const struct linear *layer)
{
    return linear_then(f, x, layer, KERNEL_NAME(geglu));
}

struct tensor rounded_linear_onto(
    struct forward *f, struct tensor x, const struct linear *layer, struct tensor onto)
{
    struct arena_mark scope = scope_begin(f);
    add_onto(f, onto, linear(f, x, layer));
    arena_release(f->arena, scope);
    return onto;
}

struct tensor rounded_conv2d_onto(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor onto)
{
    struct arena_mark scope = scope_begin(f);
    add_onto(f, onto, conv2d(f, x, layer));
    arena_release(f->arena, scope);
    return onto;
}

struct tensor rounded_conv2d_added(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor residual)
{
    return add_onto(f, conv2d(f, x, layer), residual);
}

struct tensor rounded_conv2d_shifted(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor shift)
{
    return add_channels(f, conv2d(f, x, layer), shift);
}

struct tensor rounded_conv2d_of_doubled(struct forward *f, struct tensor x, const struct conv2d *layer)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor larger = upsample_nearest(f, x, 2 * x.shape[2], 2 * x.shape[3]);
    return scope_return(f, scope, conv2d(f, larger, layer));
}

struct tensor rounded_attention(
    struct forward *f, const struct attention_shape *shape, struct tensor q, struct tensor k, struct tensor v)
{
    struct tensor y = forward_tensor(f, q.rank, q.shape);
    struct arena_mark scope = scope_begin(f);
    struct tensor largest_score = forward_tensor(f, 1, (int64_t[]){1});
    real *room = forward_scratch(f, kernel_attention_rounded_scratch(shape));
    const struct kernel_call call = {.kernel = "attention",
        .x = q,
        .w = k,
        .y = y,
        .and = v,
        .heads = (int64_t)shape->heads,
        .scale = shape->scale,
        .causal = shape->causal};
    if (forward_runs(f, &call)) {
        kernel_attention_rounded(forward_rounds(f) ? f->format : FORMAT_F32, shape, q.data, k.data, v.data,
            y.data, largest_score.data, room);
        f->kernel = "attention_scores";
        forward_result(f, largest_score);
        f->kernel = call.kernel;
    }
    arena_release(f->arena, scope);
    return forward_result(f, y);
}
