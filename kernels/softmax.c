/*
 * Softmax over rows: exp(x - max) / sum, the largest element subtracted first so that nothing overflows. The
 * exponentials are in the working precision, their sum in double, and each is multiplied once by the sum's
 * inverse. A row with a NaN or +infinity, or with nothing but -infinity, becomes NaN, as in PyTorch.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

void kernel_softmax(const real *x, size_t rows, size_t columns, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t per_tile = tile_rows(columns);
    size_t count = tile_count(rows, per_tile);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, rows, per_tile);
        for (size_t i = tile.begin; i < tile.end; i++) {
            const real *row = x + i * columns;
            real *result = y + i * columns;
            double sum = vector->exp_sum(row, vector->maximum(row, columns), columns, result);
            vector->multiply_constant(result, (real)(1 / sum), columns, result);
        }
    }
}
