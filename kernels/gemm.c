/*
 * Matrix products by OpenBLAS: sgemm in the float build, dgemm in the double build. OpenBLAS is kept to one
 * thread (kernels/cpu.c), so a product is computed whole by the thread that asks for it.
 */
#include "real.h"

#include "gemm.h"

#include <cblas.h>

#if PLUMB_REAL_IS_DOUBLE
#define CBLAS_GEMM cblas_dgemm
#else
#define CBLAS_GEMM cblas_sgemm
#endif

void gemm(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta, real *c,
    size_t c_stride)
{
    kernels_prepare_blas();
    CBLAS_GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, alpha, a.data,
        (blasint)a.stride, b.data, (blasint)b.stride, beta, c, (blasint)c_stride);
}

void gemm_of_columns(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta,
    real *c, size_t c_stride)
{
    kernels_prepare_blas();
    CBLAS_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, alpha, a.data,
        (blasint)a.stride, b.data, (blasint)b.stride, beta, c, (blasint)c_stride);
}

void gemm_transposed(size_t m, size_t n, size_t k, real alpha, struct matrix a, struct matrix b, real beta,
    real *c, size_t c_stride)
{
    kernels_prepare_blas();
    CBLAS_GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, alpha, a.data,
        (blasint)a.stride, b.data, (blasint)b.stride, beta, c, (blasint)c_stride);
}
