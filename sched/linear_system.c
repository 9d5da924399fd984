#include "linear_system.h"
#include "real.h"

static real magnitude(real x)
{
    return x < 0 ? -x : x;
}

static size_t find_pivot(const real *matrix, size_t n, size_t column)
{
    size_t pivot = column;
    for (size_t i = column + 1; i < n; i++)
        if (magnitude(matrix[i * n + column]) > magnitude(matrix[pivot * n + column])) pivot = i;
    return pivot;
}

static void swap_rows(real *matrix, real *right, size_t n, size_t a, size_t b)
{
    for (size_t j = 0; j < n && a != b; j++) {
        const real kept = matrix[a * n + j];
        matrix[a * n + j] = matrix[b * n + j];
        matrix[b * n + j] = kept;
    }
    const real kept = right[a];
    right[a] = right[b];
    right[b] = kept;
}

enum status solve_linear_system(real *matrix, real *right, size_t n, struct error *error)
{
    for (size_t k = 0; k < n; k++) {
        swap_rows(matrix, right, n, k, find_pivot(matrix, n, k));
        const real *pivot_row = matrix + k * n;
        if (pivot_row[k] == 0)
            return error_input(error, "the %zu equations of this step are not independent", n);
        const real by_pivot = 1 / pivot_row[k];
        for (size_t i = k + 1; i < n; i++) {
            real *row = matrix + i * n;
            const real factor = row[k] * by_pivot;
            for (size_t j = k + 1; j < n; j++) row[j] -= factor * pivot_row[j];
            right[i] -= factor * right[k];
        }
    }
    for (size_t k = n; k-- > 0;) {
        for (size_t j = k + 1; j < n; j++) right[k] -= matrix[k * n + j] * right[j];
        right[k] /= matrix[k * n + k];
    }
    return STATUS_OK;
}
