/*
 * The loops over contiguous numbers that have a version for each instruction set: a table of functions,
 * filled with the scalar C of kernels/vector.c and, in the float build, replaced by the tables of
 * kernels/x86/, kernels/x86_512/ and kernels/arm/ where the processor has what they need. Internal to
 * kernels/.
 *
 * Contract of every entry: any n (0 too), any alignment, `y` equal to an input or apart from all of them,
 * never reading or writing past n; equal bit for bit to the scalar version (a NaN is equal to any NaN). NaN
 * in gives NaN out. One call runs on the calling thread.
 *
 * Sums are in double in an order that no instruction set changes: element i belongs to partial sum i mod
 * VECTOR_SUMS, each partial sum is taken in order, and vector_fold() adds the partial sums.
 */
#ifndef KERNELS_VECTOR_H
#define KERNELS_VECTOR_H

#include "real.h"

#include <stddef.h>

#define vector_set KERNEL_NAME(vector_set)
#define vector_kernels KERNEL_NAME(vector_kernels)
#define vector_scalar KERNEL_NAME(vector_scalar)

enum { VECTOR_SUMS = 16 };

struct vector_moments {
    double sum, squares;
};

struct vector_set {
    /* The activations of kernels.h. kernels/elementary.h has the errors of the float ones. */
    void (*silu)(const real *x, size_t n, real *y);
    void (*gelu)(const real *x, size_t n, real *y);
    void (*gelu_tanh)(const real *x, size_t n, real *y);
    void (*quick_gelu)(const real *x, size_t n, real *y);
    /* y = value * gelu(gate) */
    void (*geglu)(const real *value, const real *gate, size_t n, real *y);

    /* y = a + b;  y = x + term;  y = x * factor */
    void (*add)(const real *a, const real *b, size_t n, real *y);
    void (*add_constant)(const real *x, real term, size_t n, real *y);
    void (*multiply_constant)(const real *x, real factor, size_t n, real *y);

    /* The sum of x - pivot and that of (x - pivot)^2, both in double, the squares by fused multiply-adds. */
    struct vector_moments (*moments)(const real *x, real pivot, size_t n);
    /* y = x * scale + shift, computed in double and rounded once to real. */
    void (*affine)(const real *x, double scale, double shift, size_t n, real *y);
    /* y[i] = (x[i] - mean) * scale * weight[i] + bias[i], computed in double and rounded once to real. */
    void (*normalise)(
        const real *x, double mean, double scale, const real *weight, const real *bias, size_t n, real *y);

    /* Softmax down the columns of x: [rows, columns], all in order of the rows; rows may be 0.
     * largest[j] = the larger of it and of column j; any number of those where there is a NaN, a zero of
     * either sign where the largest are zeros of both. */
    void (*column_maxima)(const real *x, size_t rows, size_t columns, real *largest);
    /* x[i][j] = 2^(x[i][j] - offset[j]), whose exponent must not be positive; sums[j] += each x[i][j]. */
    void (*column_exp2)(real *x, size_t rows, size_t columns, const real *offset, double *sums);
    /* x[i][j] *= factor[j] */
    void (*column_multiply)(real *x, size_t rows, size_t columns, const real *factor);

    /* y[j][i] = x[i][j], x: [rows, columns]; strides from row to row. No overlap. */
    void (*transpose)(const real *x, size_t x_stride, size_t rows, size_t columns, real *y, size_t y_stride);

    /* Exact conversions. The input has any alignment. */
    void (*from_f16)(const void *x, size_t n, real *y);
    void (*from_bf16)(const void *x, size_t n, real *y);
};

/* The table in use (kernels_use in cpu.h chooses it; the double build has the scalar one only). */
const struct vector_set *vector_kernels(void);

/* The tables. Each is there whatever the processor; cpu.c decides which may be used. */
const struct vector_set *vector_scalar(void);
#if !PLUMB_REAL_IS_DOUBLE
const struct vector_set *vector_avx2(void);   /* kernels/x86/, on x86-64 only */
const struct vector_set *vector_avx512(void); /* kernels/x86_512/, on x86-64 only */
const struct vector_set *vector_neon(void);   /* kernels/arm/, on AArch64 only */
#endif

/* Adds VECTOR_SUMS partial sums, neighbours of equal rank first: (0 + 8), (1 + 9) ..., then halves again. */
static inline double vector_fold(double sums[VECTOR_SUMS])
{
    for (size_t half = VECTOR_SUMS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) sums[i] += sums[i + half];
    }
    return sums[0];
}

#endif
