/*
 * LU factors with partial pivoting and two triangular systems, in the order of operations of the BLAS behind
 * PyTorch (OpenBLAS's getrf and trsv for few equations): factors column by column, each number the matrix's
 * less a finished sum of products; multipliers by the reciprocal of the pivot; unknowns by division. The
 * triangular systems subtract one product after the other where the factors are those of the matrix, and
 * dot products, of products in `real` summed in double, where they are those of its transpose.
 */
#include "linear_system.h"
#include "real.h"

#include <math.h>
#include <string.h>

static void swap(real *a, real *b)
{
    const real kept = *a;
    *a = *b;
    *b = kept;
}

static void transpose(real *matrix, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) swap(&matrix[i * n + j], &matrix[j * n + i]);
}

/* `a` [n, n] becomes U on and above the diagonal, L (with ones on the diagonal) below it; row i of L U is row
 * rows[i] of what `a` was. False where a pivot is 0. */
static bool factor(real *a, size_t n, size_t *rows)
{
    for (size_t i = 0; i < n; i++) rows[i] = i;
    for (size_t j = 0; j < n; j++) {
        size_t pivot = j;
        for (size_t i = 0; i < n; i++) {
            real sum = 0;
            for (size_t k = 0; k < i && k < j; k++) sum += a[i * n + k] * a[k * n + j];
            a[i * n + j] -= sum;
            if (i > j && fabs((double)a[i * n + j]) > fabs((double)a[pivot * n + j])) pivot = i;
        }
        for (size_t k = 0; k < n && pivot != j; k++) swap(&a[j * n + k], &a[pivot * n + k]);
        const size_t row = rows[j];
        rows[j] = rows[pivot];
        rows[pivot] = row;
        if (a[j * n + j] == 0) return false;
        const real by_pivot = 1 / a[j * n + j];
        for (size_t i = j + 1; i < n; i++) a[i * n + j] *= by_pivot;
    }
    return true;
}

/* L U x = the rows of `right` in the order of the factors. */
static void solve_factored(const real *a, const size_t *rows, size_t n, real *right)
{
    real x[MAX_EQUATIONS];
    for (size_t i = 0; i < n; i++) x[i] = right[rows[i]];
    for (size_t k = 0; k < n; k++)
        for (size_t i = k + 1; i < n; i++) x[i] -= a[i * n + k] * x[k];
    for (size_t k = n; k-- > 0;) {
        x[k] /= a[k * n + k];
        for (size_t i = 0; i < k; i++) x[i] -= a[i * n + k] * x[k];
    }
    memcpy(right, x, n * sizeof *x);
}

/* (L U)^T y = `right`; the entries of y, in the order of the factors, are those of x in that of `rows`. */
static void solve_transposed(const real *a, const size_t *rows, size_t n, real *right)
{
    real y[MAX_EQUATIONS];
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) sum += (double)(a[j * n + k] * y[j]);
        y[k] = (right[k] - (real)sum) / a[k * n + k];
    }
    for (size_t k = n; k-- > 0;) {
        double sum = 0;
        for (size_t j = k + 1; j < n; j++) sum += (double)(a[j * n + k] * y[j]);
        y[k] -= (real)sum;
    }
    for (size_t i = 0; i < n; i++) right[rows[i]] = y[i];
}

enum status solve_linear_system(real *matrix, real *right, size_t n, bool contiguous, struct error *error)
{
    size_t rows[MAX_EQUATIONS];
    if (contiguous) transpose(matrix, n);
    if (!factor(matrix, n, rows))
        return error_input(error, "the %zu equations of this step are not independent", n);
    if (contiguous)
        solve_transposed(matrix, rows, n, right);
    else
        solve_factored(matrix, rows, n, right);
    return STATUS_OK;
}
