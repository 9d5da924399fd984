/*
 * The layers of the models over `struct tensor`: weights with their module's name, and one function each. The
 * arithmetic is in kernels/; here are shapes, weights of every stored type, and the memory of the result.
 */
#ifndef REF_LAYERS_H
#define REF_LAYERS_H

#include "checkpoint.h"
#include "forward.h"

/* With arguments, so that a layer and its function may share a name: struct linear is one type for both
 * precisions. */
#define linear(...) KERNEL_NAME(linear)(__VA_ARGS__)
#define linear_onto(...) KERNEL_NAME(linear_onto)(__VA_ARGS__)
#define linear_gelu(...) KERNEL_NAME(linear_gelu)(__VA_ARGS__)
#define linear_quick_gelu(...) KERNEL_NAME(linear_quick_gelu)(__VA_ARGS__)
#define linear_geglu(...) KERNEL_NAME(linear_geglu)(__VA_ARGS__)
#define conv2d(...) KERNEL_NAME(conv2d)(__VA_ARGS__)
#define conv2d_onto(...) KERNEL_NAME(conv2d_onto)(__VA_ARGS__)
#define conv2d_added(...) KERNEL_NAME(conv2d_added)(__VA_ARGS__)
#define conv2d_shifted(...) KERNEL_NAME(conv2d_shifted)(__VA_ARGS__)
#define conv2d_of_doubled(...) KERNEL_NAME(conv2d_of_doubled)(__VA_ARGS__)
#define group_norm(...) KERNEL_NAME(group_norm)(__VA_ARGS__)
#define group_norm_over(...) KERNEL_NAME(group_norm_over)(__VA_ARGS__)
#define layer_norm(...) KERNEL_NAME(layer_norm)(__VA_ARGS__)
#define attention(...) KERNEL_NAME(attention)(__VA_ARGS__)
#define silu(...) KERNEL_NAME(silu)(__VA_ARGS__)
#define silu_over(...) KERNEL_NAME(silu_over)(__VA_ARGS__)
#define gelu(...) KERNEL_NAME(gelu)(__VA_ARGS__)
#define quick_gelu(...) KERNEL_NAME(quick_gelu)(__VA_ARGS__)
#define geglu(...) KERNEL_NAME(geglu)(__VA_ARGS__)
#define add(...) KERNEL_NAME(add)(__VA_ARGS__)
#define add_onto(...) KERNEL_NAME(add_onto)(__VA_ARGS__)
#define multiply(...) KERNEL_NAME(multiply)(__VA_ARGS__)
#define weight_as_real(...) KERNEL_NAME(weight_as_real)(__VA_ARGS__)
#define as_real(...) KERNEL_NAME(as_real)(__VA_ARGS__)
#define add_channels(...) KERNEL_NAME(add_channels)(__VA_ARGS__)
#define concat_channels(...) KERNEL_NAME(concat_channels)(__VA_ARGS__)
#define to_tokens(...) KERNEL_NAME(to_tokens)(__VA_ARGS__)
#define from_tokens(...) KERNEL_NAME(from_tokens)(__VA_ARGS__)
#define upsample_nearest(...) KERNEL_NAME(upsample_nearest)(__VA_ARGS__)
#define scope_begin(...) KERNEL_NAME(scope_begin)(__VA_ARGS__)
#define scope_return(...) KERNEL_NAME(scope_return)(__VA_ARGS__)
#define drop(...) KERNEL_NAME(drop)(__VA_ARGS__)
#define settle(...) KERNEL_NAME(settle)(__VA_ARGS__)

#include "arena.h"

/* Everything allocated since scope_begin() is given back but `result`, which is returned. */
struct arena_mark scope_begin(struct forward *f);
struct tensor scope_return(struct forward *f, struct arena_mark scope, struct tensor result);
/* Gives `x` back before its scope ends: a large tensor that nothing looks at any more. */
void drop(struct forward *f, struct tensor x);
/* Moves `x` down to where it leaves the most room in one piece; returns it in its new place. */
struct tensor settle(struct forward *f, struct tensor x);

struct linear {
    struct tensor weight; /* [out, in] */
    struct tensor bias;   /* [out]; data NULL where there is none */
};

struct conv2d {
    struct tensor weight; /* [out, in, kh, kw] */
    struct tensor bias;   /* [out]; data NULL where there is none */
    int stride;
    int pad_top, pad_bottom, pad_left, pad_right;
};

struct norm {
    struct tensor weight, bias; /* [channels] */
    int groups;                 /* GroupNorm */
    double eps;
};

/* Room for a module's path ("unet.up_blocks.0.attentions.1.transformer_blocks.10.attn2"). Blocks keep their
 * own, under which forward_output() records them. */
#define MODULE_NAME 128
/* Writes "<parent>.<child>" and returns `path`. */
const char *module_path(char path[MODULE_NAME], const char *parent, const char *child);

/* Loading: `name` is the module's path inside the component; errors gather in `weights` (checkpoint.h). These
 * are not compiled twice (layers_load.c): weights stay in their stored type. */
void linear_load(
    struct weights *weights, struct linear *layer, const char *name, int64_t in, int64_t out, bool bias);
/* A square kernel, `padding` on all four sides. */
void conv2d_load(struct weights *weights, struct conv2d *layer, const char *name, int64_t in, int64_t out,
    int kernel, int stride, int padding);
void norm_load(
    struct weights *weights, struct norm *layer, const char *name, int64_t channels, int groups, double eps);

/* x: [..., in] -> [..., out] */
struct tensor linear(struct forward *f, struct tensor x, const struct linear *layer);
/* A layer and what follows it, while a part of its result is in the cache; the bits are those of the two
 * operators one after the other. */
struct tensor linear_gelu(struct forward *f, struct tensor x, const struct linear *layer);
struct tensor linear_quick_gelu(struct forward *f, struct tensor x, const struct linear *layer);
struct tensor linear_geglu(struct forward *f, struct tensor x, const struct linear *layer);
/* onto += linear(x), of its shape; returns onto */
struct tensor linear_onto(struct forward *f, struct tensor x, const struct linear *layer, struct tensor onto);

/* x: [B, C, H, W] -> [B, out, H', W'] */
struct tensor conv2d(struct forward *f, struct tensor x, const struct conv2d *layer);
/* onto += conv2d(x), of its shape; returns onto */
struct tensor conv2d_onto(struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor onto);
/* residual + conv2d(x), of its shape */
struct tensor conv2d_added(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor residual);
/* conv2d(x) + shift at every position; shift: [B, out] */
struct tensor conv2d_shifted(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor shift);
/* conv2d(upsample_nearest(x, 2 H, 2 W)) for a 3x3 layer of stride 1 and padding 1, at 4/9 of the operations:
 * close to what the two give, not of the same bits (kernels/upsample_conv2d.c). */
struct tensor conv2d_of_doubled(struct forward *f, struct tensor x, const struct conv2d *layer);
/* x: [B, C, ...] -> the same shape; `silu` applies the activation to the result. */
struct tensor group_norm(struct forward *f, struct tensor x, const struct norm *layer, bool silu);
/* The same written over x, which is returned. */
struct tensor group_norm_over(struct forward *f, struct tensor x, const struct norm *layer, bool silu);
/* x: [..., C] */
struct tensor layer_norm(struct forward *f, struct tensor x, const struct norm *layer);
/* softmax(q k^T * scale) v for each head. q: [B, L, heads*dim], k, v: [B, S, heads*dim] -> [B, L, heads*dim].
 * With `causal`, position i sees 0..i. The UNet and the VAE scale the scores by dim^-1/2; CLIP multiplies q
 * by it beforehand and passes 1. */
struct tensor attention(struct forward *f, struct tensor q, struct tensor k, struct tensor v, int64_t heads,
    double scale, bool causal);

struct tensor silu(struct forward *f, struct tensor x);
struct tensor silu_over(struct forward *f, struct tensor x); /* written over x, which is returned */
struct tensor gelu(struct forward *f, struct tensor x);
struct tensor quick_gelu(struct forward *f, struct tensor x);
struct tensor geglu(struct forward *f, struct tensor x);                /* [..., 2*inner] -> [..., inner] */
struct tensor add(struct forward *f, struct tensor a, struct tensor b); /* of one shape */
/* x += y of one shape; returns x */
struct tensor add_onto(struct forward *f, struct tensor x, struct tensor y);
/* x times a number, which is rounded to real first */
struct tensor multiply(struct forward *f, struct tensor x, double factor);
/* x (F32, F64, F16 or BF16) as a tensor of type real: itself where it is one already, otherwise a copy. */
struct tensor as_real(struct forward *f, struct tensor x);
/* The same for a weight, which is of the format that the pass imitates. */
struct tensor weight_as_real(struct forward *f, struct tensor x);
/* x: [B, C, ...] += v: [B, C] at every position, in place; returns x */
struct tensor add_channels(struct forward *f, struct tensor x, struct tensor v);
/* [B, C1, ...], [B, C2, ...] -> [B, C1+C2, ...] */
struct tensor concat_channels(struct forward *f, struct tensor a, struct tensor b);
/* [B, C, H, W] -> [B, H*W, C] and back */
struct tensor to_tokens(struct forward *f, struct tensor x);
struct tensor from_tokens(struct forward *f, struct tensor x, int64_t height, int64_t width);
struct tensor upsample_nearest(struct forward *f, struct tensor x, int64_t height, int64_t width);

#endif
