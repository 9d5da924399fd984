/*
 * The kernels once more, as plain loops in a wider precision: what the real ones are judged against. The
 * float ones are judged by double, the double ones by long double (64 bits of significand on x86-64, 113 in
 * software on AArch64). Arguments are as in kernels/kernels.h, with `exact` for every number. Where a
 * kernel's rounding error is bounded by the sum of the magnitudes of what it adds, that sum is returned as
 * well (`size`, laid out as y).
 */
#ifndef TESTS_KERNEL_TWIN_H
#define TESTS_KERNEL_TWIN_H

#include "kernels/real.h"

#include <stdbool.h>
#include <stddef.h>

#if PLUMB_REAL_IS_DOUBLE
typedef long double exact;
#else
typedef double exact;
#endif

#define twin_linear KERNEL_NAME(twin_linear)
#define twin_conv2d KERNEL_NAME(twin_conv2d)
#define twin_attention KERNEL_NAME(twin_attention)
#define twin_statistics KERNEL_NAME(twin_statistics)
#define twin_silu KERNEL_NAME(twin_silu)
#define twin_gelu KERNEL_NAME(twin_gelu)
#define twin_gelu_tanh KERNEL_NAME(twin_gelu_tanh)
#define twin_quick_gelu KERNEL_NAME(twin_quick_gelu)

struct conv2d_shape;
struct attention_shape;

void twin_linear(const exact *x, const exact *w, const exact *bias, size_t rows, size_t in, size_t out,
    exact *y, exact *size);
void twin_conv2d(const struct conv2d_shape *shape, const exact *x, const exact *w, const exact *bias,
    exact *y, exact *size);
/* `score_size`: for each element of y the largest sum of |q||k| * scale over the keys that its query sees. */
void twin_attention(const struct attention_shape *shape, const exact *q, const exact *k, const exact *v,
    exact *y, exact *size, exact *score_size);

/* One group or row: the mean and 1 / sqrt(variance + eps), in long double and rounded at the end. */
void twin_statistics(const exact *x, size_t n, exact eps, exact *mean, exact *inverse_deviation);

exact twin_silu(exact x);
exact twin_gelu(exact x);
exact twin_gelu_tanh(exact x);
exact twin_quick_gelu(exact x);

#endif
