/*
 * The activation functions over whole tensors; kernels/elementary.h has the functions themselves.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

static void apply(void (*function)(const real *, size_t, real *), const real *x, size_t n, real *y)
{
    size_t count = tile_count(n, TILE_ELEMENTS);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, n, TILE_ELEMENTS);
        function(x + tile.begin, tile.end - tile.begin, y + tile.begin);
    }
}

void kernel_silu(const real *x, size_t n, real *y)
{
    apply(vector_kernels()->silu, x, n, y);
}

void kernel_gelu(const real *x, size_t n, real *y)
{
    apply(vector_kernels()->gelu, x, n, y);
}

void kernel_gelu_tanh(const real *x, size_t n, real *y)
{
    apply(vector_kernels()->gelu_tanh, x, n, y);
}

void kernel_quick_gelu(const real *x, size_t n, real *y)
{
    apply(vector_kernels()->quick_gelu, x, n, y);
}

void kernel_geglu(const real *x, size_t rows, size_t inner, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t per_tile = tile_rows(inner);
    size_t count = tile_count(rows, per_tile);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, rows, per_tile);
        for (size_t i = tile.begin; i < tile.end; i++) {
            const real *value = x + i * 2 * inner;
            vector->geglu(value, value + inner, inner, y + i * inner);
        }
    }
}
