/*
 * The arithmetic of the model, one function an operator. All tensors are contiguous, row-major, in the layout
 * that the comment gives; sizes are positive, each fits in an int (OpenBLAS's type), as do H' * W',
 * in_channels * kh * kw and heads * dim, and their products fit in size_t (callers check). No kernel
 * allocates or fails: those that need room say how much (`*_scratch`, in elements of real, for the number of
 * threads set at that moment; 0 where none is needed) and the caller brings it.
 *
 * Numbers: matrix products are those of kernels/micro_kernel.h, or OpenBLAS's on one thread a tile (gemm_kind
 * in cpu.h); statistics (mean, variance, softmax sums) are accumulated in double. Work is cut into tiles by
 * the shape alone and each tile is computed by one thread, so the bits do not depend on the number of
 * threads, nor on the thread that calls (a parallel region too). The float build has AVX2, AVX-512 and NEON
 * versions of the element-wise kernels, chosen at run time, equal bit for bit to the scalar ones; the double
 * build is scalar. A NaN in an input gives NaN in what is computed from it.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A weight as a checkpoint stores it, at any alignment: kernels convert it tile by tile, exactly (but F64 in
 * the float build, which is rounded). */
enum stored_type { STORED_F32, STORED_F64, STORED_F16, STORED_BF16 };
struct stored {
    const void *data;
    enum stored_type type;
};

/* What becomes of x w^T + bias before it is written. Each gives the bits of the operator of its name
 * below. */
enum linear_after { LINEAR_PLAIN, LINEAR_GELU, LINEAR_QUICK_GELU, LINEAR_GEGLU };

struct linear_shape {
    size_t rows, in, out;
    enum linear_after after;
};

/* y = residual + after(x w^T + bias).  x: [rows, in], w: [out, in], bias: [out] or NULL, y: [rows, out], with
 * LINEAR_GEGLU [rows, out / 2]; residual: as y, may be y, or NULL. y must not overlap x. */
size_t kernel_linear_scratch(const struct linear_shape *shape);
void kernel_linear(const struct linear_shape *shape, const real *x, struct stored w, const real *bias,
    const real *residual, real *y, real *scratch);

/* What a 2-D convolution needs besides its tensors. Padding is zeros; asymmetric padding (the encoder's
 * downsampler) is bottom/right larger than top/left. */
struct conv2d_shape {
    size_t batch, in_channels, in_height, in_width;
    size_t out_channels, kernel_height, kernel_width, stride;
    size_t pad_top, pad_bottom, pad_left, pad_right;
};

static inline size_t conv2d_out_height(const struct conv2d_shape *shape)
{
    return (shape->in_height + shape->pad_top + shape->pad_bottom - shape->kernel_height) / shape->stride + 1;
}

static inline size_t conv2d_out_width(const struct conv2d_shape *shape)
{
    return (shape->in_width + shape->pad_left + shape->pad_right - shape->kernel_width) / shape->stride + 1;
}

/* y = residual + ((x * w + bias) + shift).  x: [batch, in_channels, H, W], w: [out_channels, in_channels, kh,
 * kw], bias: [out_channels] or NULL, shift: a number for each channel of each picture, [batch, out_channels],
 * or NULL, y: [batch, out_channels, H', W'], residual: as y, may be y, or NULL. y must not overlap x. The
 * scratch is tiles for each thread, never the whole im2col. */
size_t kernel_conv2d_scratch(const struct conv2d_shape *shape);
void kernel_conv2d(const struct conv2d_shape *shape, const real *x, struct stored w, const real *bias,
    const real *shift, const real *residual, real *y, real *scratch);

/* Nearest-neighbour enlargement of x to twice its sides, then a 3x3 convolution of stride 1 and padding 1, at
 * 4/9 of the multiplications. `shape` is that of the input: in_height, in_width are x's, the kernel is 3x3;
 * y: [batch, out_channels, 2 H, 2 W], which must not overlap x. The scratch holds the weights of one 2x2
 * convolution as well. kernels/upsample_conv2d.c says in which order its sums are taken. */
size_t kernel_upsample_conv2d_scratch(const struct conv2d_shape *shape);
void kernel_upsample_conv2d(const struct conv2d_shape *shape, const real *x, struct stored w,
    const real *bias, real *y, real *scratch);

/* Multi-head attention: softmax(q k^T * scale + mask) v for each picture and head.
 * q: [batch, q_len, heads*dim], k, v: [batch, kv_len, heads*dim], y: as q. With `causal`, position i sees
 * 0..i; a value after i that is not finite may still make it NaN (0 times infinity), as in PyTorch. One tile
 * is a block of queries of one head, past which the keys stream: the scratch does not grow with kv_len. */
struct attention_shape {
    size_t batch, heads, q_len, kv_len, dim;
    bool causal;
    double scale;
};
/* The scratch of one call, and the call. */
size_t kernel_attention_scratch(const struct attention_shape *shape);
void kernel_attention(
    const struct attention_shape *shape, const real *q, const real *k, const real *v, real *y, real *scratch);

/* GroupNorm (Wu and He 2018): x, y: [batch, channels, size] with `size` = H*W; weight, bias: [channels]. Mean
 * and biased variance over each group's channels and positions, in double. `silu` applies SiLU to the result.
 * May be in place. */
void kernel_group_norm(const real *x, size_t batch, size_t channels, size_t size, size_t groups, double eps,
    const real *weight, const real *bias, bool silu, real *y);

/* LayerNorm (Ba et al. 2016) over the last dimension: mean and biased variance of each row, in double. x, y:
 * [rows, channels]; weight, bias: [channels]. May be in place. */
void kernel_layer_norm(
    const real *x, size_t rows, size_t channels, double eps, const real *weight, const real *bias, real *y);

/* Activations (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2), [n]; may be in place. elementary.h
 * has their errors. */
void kernel_silu(const real *x, size_t n, real *y);      /* x sigmoid(x) */
void kernel_gelu(const real *x, size_t n, real *y);      /* x (1 + erf(x / sqrt 2)) / 2 */
void kernel_gelu_tanh(const real *x, size_t n, real *y); /* x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 */
void kernel_quick_gelu(const real *x, size_t n, real *y); /* x sigmoid(1.702 x) */

/* GEGLU (Shazeer 2020, arXiv:2002.05202, eq. 5): x: [rows, 2*inner], first half the value, second half the
 * gate; y: [rows, inner] = value * gelu(gate), erf GELU. */
void kernel_geglu(const real *x, size_t rows, size_t inner, real *y);

/* y = a + b, [n]; may be in place. */
void kernel_add(const real *a, const real *b, size_t n, real *y);
/* y[b, c, i] += v[b, c]: a vector a picture added to every position. y: [batch, channels, size], v: [batch,
 * channels]. */
void kernel_add_channels(real *y, const real *v, size_t batch, size_t channels, size_t size);

/* y[b, j, i] = x[b, i, j].  x: [batch, rows, columns] (NCHW to tokens and back). No overlap. */
void kernel_transpose(const real *x, size_t batch, size_t rows, size_t columns, real *y);

/* Nearest neighbour: y[.., i, j] = x[.., floor(i H / H'), floor(j W / W')].  planes = batch*channels. */
void kernel_upsample_nearest(
    const real *x, size_t planes, size_t height, size_t width, size_t out_height, size_t out_width, real *y);

/* Exact conversions from the stored types, [n]; `x` may be unaligned. */
void kernel_from_f16(const void *x, size_t n, real *y);
void kernel_from_bf16(const void *x, size_t n, real *y);
void kernel_from_f32(const void *x, size_t n, real *y);

#endif
