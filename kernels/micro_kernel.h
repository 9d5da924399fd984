/*
 * The innermost part of a matrix product, which exists for each instruction set: a block of c = a b so small
 * that it stays in registers while k runs. Everything larger (gemm_tile.h, attention) is built of it.
 * Internal to kernels/.
 *
 *   a, the side that is broadcast: any strides, so that rows and columns of it may change places; one number
 *      of it meets a whole row of b
 *   b, the side of the vectors: a panel [depth, columns], contiguous, padded with zeros to all its columns
 *   c  [rows, columns]
 *
 * The numbers are part of the contract of the whole library: c[i, j] is the sum over k = 0, 1 ... of
 * a[i, k] b[k, j] from +0 on, in that order, each step one fused multiply-add (one rounding); with
 * `accumulate` that finished sum is added to what c holds. So neither the instruction set nor the size of a
 * block has any say in the bits, and products longer than MICRO_DEPTH are cut there, in order of k:
 *
 *   c = (...((s_0 + s_1) + s_2) + ...),  s_m the sum over k = m MICRO_DEPTH ... (m + 1) MICRO_DEPTH - 1
 *
 * A cut sum is also the better one: the error of a sum of K random terms in one go grows as K/2 steps do, of
 * a cut one as MICRO_DEPTH/2 + K/(2 MICRO_DEPTH) do (in the square; Higham, Accuracy and Stability of
 * Numerical Algorithms, 4.2).
 */
#ifndef KERNELS_MICRO_KERNEL_H
#define KERNELS_MICRO_KERNEL_H

#include "real.h"

#include <stdbool.h>
#include <stddef.h>

#define micro_kernel KERNEL_NAME(micro_kernel)
#define micro_kernel_in_use KERNEL_NAME(micro_kernel_in_use)
#define micro_kernel_scalar KERNEL_NAME(micro_kernel_scalar)

/* A panel of 32 columns is 32 KiB of float, which leaves room in an L1 of 48; of 16 columns half of one of
 * 32. */
enum { MICRO_DEPTH = 256 };

/* A run of neighbours that a row of a matrix takes from elsewhere. */
struct copy_run {
    size_t begin, count; /* in the row */
    size_t offset;       /* where it comes from */
};

struct micro_kernel {
    size_t most_rows; /* of a block */
    size_t columns;   /* of a panel */

    /* c = a b, or c += a b. rows: 1 to most_rows, depth: at least 1; a[i, k] is a[i * a_row + k * a_depth],
     * c[i, j] is c[i * c_stride + j]; b [depth, columns]; c apart from a and b. No alignment is needed, one
     * of 64 bytes is faster. */
    void (*multiply)(size_t rows, size_t depth, const real *a, size_t a_row, size_t a_depth, const real *b,
        real *c, size_t c_stride, bool accumulate);

    /* A panel from rows that are contiguous in k: panel[k * columns + j] = x[j * stride + k] for j < count,
     * zero from there to `columns`. count: 0 to columns. */
    void (*pack)(const real *x, size_t stride, size_t count, size_t depth, real *panel);

    /* Rows of `columns` numbers, a panel's or wider ones, each put together of runs: for each k < depth and
     * each run, y[k * columns + run.begin + j] = x[offsets[k] + run.offset + j] for j < run.count. Nothing
     * else is read or written. */
    void (*copy_runs)(const real *x, const size_t *offsets, size_t depth, const struct copy_run *runs,
        size_t count, real *y, size_t columns);
};

/* That of the kernel set in use (kernels_use in cpu.h); the double build has the scalar one only. */
const struct micro_kernel *micro_kernel_in_use(void);

/* The tables. Each is there whatever the processor; cpu.c decides which may be used. */
const struct micro_kernel *micro_kernel_scalar(void);
#if !PLUMB_REAL_IS_DOUBLE
const struct micro_kernel *micro_kernel_avx2(void);   /* kernels/x86/, on x86-64 only */
const struct micro_kernel *micro_kernel_avx512(void); /* kernels/x86_512/, on x86-64 only */
const struct micro_kernel *micro_kernel_neon(void);   /* kernels/arm/, on AArch64 only */
#endif

/* How many blocks `rows` are cut into; block i begins at row micro_begin(i). The blocks differ by one row at
 * most (40 rows are 14 + 13 + 13). */
static inline size_t micro_blocks(const struct micro_kernel *kernel, size_t rows)
{
    return (rows + kernel->most_rows - 1) / kernel->most_rows;
}

static inline size_t micro_begin(size_t rows, size_t blocks, size_t block)
{
    size_t larger = rows % blocks;
    return block * (rows / blocks) + (block < larger ? block : larger);
}

#endif
