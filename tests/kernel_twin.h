/*
 * The kernels once more, as plain loops in extended precision: what the real ones are judged against.
 * Arguments are as in kernels/kernels.h, with long double for every number. Where a kernel's rounding error
 * is bounded by the sum of the magnitudes of what it adds, that sum is returned as well (`size`, laid out as
 * y).
 */
#ifndef TESTS_KERNEL_TWIN_H
#define TESTS_KERNEL_TWIN_H

#include <stdbool.h>
#include <stddef.h>

typedef long double exact;

struct conv2d_shape;
struct attention_shape;

void twin_linear(const exact *x, const exact *w, const exact *bias, size_t rows, size_t in, size_t out,
    exact *y, exact *size);
void twin_conv2d(const struct conv2d_shape *shape, const exact *x, const exact *w, const exact *bias,
    exact *y, exact *size);
/* `score_size`: for each element of y the largest sum of |q||k| * scale over the keys that its query sees. */
void twin_attention(const struct attention_shape *shape, const exact *q, const exact *k, const exact *v,
    exact *y, exact *size, exact *score_size);

/* One group or row: the mean and 1 / sqrt(variance + eps). */
void twin_statistics(const exact *x, size_t n, exact eps, exact *mean, exact *inverse_deviation);

exact twin_silu(exact x);
exact twin_gelu(exact x);
exact twin_gelu_tanh(exact x);
exact twin_quick_gelu(exact x);

#endif
