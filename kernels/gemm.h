/*
 * The one place where the kernels meet the BLAS. Internal to kernels/.
 */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "real.h"

#include <stddef.h>

#define gemm KERNEL_NAME(kernels_gemm)
#define gemm_transposed KERNEL_NAME(kernels_gemm_transposed)
#define gemm_of_columns KERNEL_NAME(kernels_gemm_of_columns)

/* Keeps OpenBLAS to the calling thread; every product calls it first, and only the first call does
 * anything. */
void kernels_prepare_blas(void);

/* A row-major matrix, or a part of one: `stride` elements from one row to the next. */
struct matrix {
    const real *data;
    size_t stride;
};

/* c = alpha a b + beta c.  a: [m, k], b: [k, n], c: [m, n] with `c_stride` elements from row to row. On the
 * calling thread only. Each of m, n, k and the strides fits in an int. With beta 0, c is written without
 * being read. */
void gemm(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta, real *c,
    size_t c_stride);

/* c = alpha a^T b + beta c.  a: [k, m], b: [k, n], c: [m, n]; the rest as above. */
void gemm_of_columns(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta,
    real *c, size_t c_stride);

/* c = alpha a b^T + beta c.  a: [m, k], b: [n, k], c: [m, n]. */
void gemm_transposed(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta,
    real *c, size_t c_stride);

#endif
