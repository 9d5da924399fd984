/*
 * The scalar C of the innermost product: what the other instruction sets must agree with, bit for bit, and
 * what a processor without vectors runs. Its fused multiply-add is the C library's.
 */
#include "real.h"

#include "micro_kernel.h"

#include <math.h>
#include <string.h>

/* Sizes of its own, unlike those of any vector version: the bits do not depend on them. */
enum { MOST_ROWS = 5, COLUMNS = 8 };

static real fused(real a, real b, real c)
{
#if PLUMB_REAL_IS_DOUBLE
    return fma(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

static void multiply(size_t rows, size_t depth, const real *a, size_t a_row, size_t a_depth, const real *b,
    real *c, size_t c_stride, bool accumulate)
{
    for (size_t i = 0; i < rows; i++) {
        real sums[COLUMNS] = {0};
        for (size_t k = 0; k < depth; k++) {
            real factor = a[i * a_row + k * a_depth];
            for (size_t j = 0; j < COLUMNS; j++) sums[j] = fused(factor, b[k * COLUMNS + j], sums[j]);
        }
        real *row = c + i * c_stride;
        for (size_t j = 0; j < COLUMNS; j++) row[j] = accumulate ? row[j] + sums[j] : sums[j];
    }
}

static void pack(const real *x, size_t stride, size_t count, size_t depth, real *panel)
{
    if (count < COLUMNS) memset(panel, 0, depth * COLUMNS * sizeof *panel);
    for (size_t j = 0; j < count; j++) {
        for (size_t k = 0; k < depth; k++) panel[k * COLUMNS + j] = x[j * stride + k];
    }
}

static void copy_runs(const real *x, const size_t *offsets, size_t depth, const struct copy_run *runs,
    size_t count, real *y, size_t columns)
{
    for (size_t k = 0; k < depth; k++, y += columns) {
        for (size_t r = 0; r < count; r++) {
            memcpy(y + runs[r].begin, x + offsets[k] + runs[r].offset, runs[r].count * sizeof *y);
        }
    }
}

const struct micro_kernel *micro_kernel_scalar(void)
{
    static const struct micro_kernel scalar = {MOST_ROWS, COLUMNS, multiply, pack, copy_runs};
    return &scalar;
}

#if PLUMB_REAL_IS_DOUBLE
const struct micro_kernel *micro_kernel_in_use(void)
{
    return micro_kernel_scalar();
}
#endif
