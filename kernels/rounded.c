#include "real.h"

#include "cpu.h"
#include "rounded.h"
#include "tile.h"
#include "vector.h"

#include <string.h>

/* On the calling thread. */
static void round_all(enum number_format format, const real *x, size_t n, real *y)
{
#if PLUMB_REAL_IS_DOUBLE
    (void)format;
    if (y != x) memmove(y, x, n * sizeof *y);
#else
    number_format_round_all(format, x, n, y);
#endif
}

void kernel_round(enum number_format format, const real *x, size_t n, real *y)
{
    size_t count = tile_count(n, TILE_ELEMENTS);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, n, TILE_ELEMENTS);
        round_all(format, x + tile.begin, tile.end - tile.begin, y + tile.begin);
    }
}

void kernel_geglu_rounded(enum number_format format, const real *x, size_t rows, size_t inner, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t size = tile_rows(2 * inner), count = tile_count(rows, size);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, rows, size);
        for (size_t i = tile.begin; i < tile.end; i++) {
            const real *value = x + i * 2 * inner, *gate = value + inner;
            real *to = y + i * inner;
            vector->gelu(gate, inner, to);
            round_all(format, to, inner, to);
            for (size_t j = 0; j < inner; j++) to[j] = value[j] * to[j];
            round_all(format, to, inner, to);
        }
    }
}
