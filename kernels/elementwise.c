/*
 * Sums, the change between pictures and tokens (a transpose), and nearest-neighbour enlargement.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

void kernel_add(const real *a, const real *b, size_t n, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t count = tile_count(n, TILE_ELEMENTS);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, n, TILE_ELEMENTS);
        vector->add(a + tile.begin, b + tile.begin, tile.end - tile.begin, y + tile.begin);
    }
}

void kernel_add_channels(real *y, const real *v, size_t batch, size_t channels, size_t size)
{
    const struct vector_set *vector = vector_kernels();
    size_t rows = batch * channels, per_tile = tile_rows(size);
    size_t count = tile_count(rows, per_tile);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, rows, per_tile);
        for (size_t i = tile.begin; i < tile.end; i++) {
            vector->add_constant(y + i * size, v[i], size, y + i * size);
        }
    }
}

/* Sides of the square that is transposed at a time: 16 floats are one cache line, so a square reads and
 * writes whole lines and the 2 * 16 lines it touches stay in L1. */
enum { SQUARE = 16 };

static void transpose_square(
    const real *x, size_t rows, size_t columns, struct tile row, struct tile column, real *y)
{
    for (size_t j = column.begin; j < column.end; j++) {
        for (size_t i = row.begin; i < row.end; i++) y[j * rows + i] = x[i * columns + j];
    }
}

void kernel_transpose(const real *x, size_t batch, size_t rows, size_t columns, real *y)
{
    size_t down = tile_count(rows, SQUARE), across = tile_count(columns, SQUARE);
    size_t count = batch * across;

#pragma omp parallel for schedule(static)                                                                    \
    num_threads(kernels_threads()) if (batch * rows * columns > TILE_ELEMENTS)
    for (size_t index = 0; index < count; index++) {
        size_t offset = index / across * rows * columns;
        struct tile column = tile_at(index % across, columns, SQUARE);
        for (size_t i = 0; i < down; i++) {
            transpose_square(x + offset, rows, columns, tile_at(i, rows, SQUARE), column, y + offset);
        }
    }
}

void kernel_upsample_nearest(
    const real *x, size_t planes, size_t height, size_t width, size_t out_height, size_t out_width, real *y)
{
    size_t rows = planes * out_height;

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (rows * out_width > TILE_ELEMENTS)
    for (size_t row = 0; row < rows; row++) {
        size_t plane = row / out_height, i = row % out_height;
        const real *source = x + (plane * height + i * height / out_height) * width;
        for (size_t j = 0; j < out_width; j++) y[row * out_width + j] = source[j * width / out_width];
    }
}
