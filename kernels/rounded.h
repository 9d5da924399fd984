/*
 * Operators as a backend computes them whose tensors are of a narrower number format: every intermediate that
 * it would store is rounded to the format, and sums are this build's. What there is no more to than the
 * kernel of kernels.h with its result rounded has no entry here.
 *
 * The double build is the exact answer and rounds nothing: there each of these is the plain operator. The
 * rules of kernels.h hold for shapes, scratch, threads and determinism.
 */
#ifndef KERNELS_ROUNDED_H
#define KERNELS_ROUNDED_H

#include "kernels.h"
#include "number_format.h"

#define kernel_round KERNEL_NAME(kernel_round)
#define round_real KERNEL_NAME(round_real)
#define kernel_geglu_rounded KERNEL_NAME(kernel_geglu_rounded)
#define kernel_attention_rounded KERNEL_NAME(kernel_attention_rounded)
#define kernel_attention_rounded_scratch KERNEL_NAME(kernel_attention_rounded_scratch)

/* One number, rounded. */
static inline real round_real(enum number_format format, real x)
{
    return PLUMB_REAL_IS_DOUBLE ? x : (real)number_format_round(format, (float)x);
}

/* y = x rounded, [n]; y may be x. */
void kernel_round(enum number_format format, const real *x, size_t n, real *y);

/* kernel_geglu() with gelu(gate) and the product rounded each. x: [rows, 2*inner], y: [rows, inner]. */
void kernel_geglu_rounded(enum number_format format, const real *x, size_t rows, size_t inner, real *y);

/* kernel_attention() as its formula is written ("eager"): the scores of all keys are computed, scaled and
 * rounded, their softmax is taken in float and rounded, and the product with the values is rounded. q, k and
 * v are rounded where they are read. With TF32, where results are float, the operands of the two products are
 * rounded alone: q, k, v and the softmax.
 *
 * A fused kernel (flash attention, PyTorch's scaled_dot_product_attention on a GPU) keeps scores and sums in
 * float and rounds less: the weights before the second product, and the result.
 *
 * largest_score: [1], the largest magnitude of the scores that are seen, before they are rounded (any number
 * where there is a NaN); or NULL. */
size_t kernel_attention_rounded_scratch(const struct attention_shape *shape);
void kernel_attention_rounded(enum number_format format, const struct attention_shape *shape, const real *q,
    const real *k, const real *v, real *y, real *largest_score, real *scratch);

#endif
