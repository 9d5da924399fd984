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

/* Rows and columns that are transposed at a time: what is read of a row and what is written of one are whole
 * cache lines, several in a row, and the block's two halves stay in L1 and their pages in the first TLB. */
enum { TURN = 64 };

void kernel_transpose(const real *x, size_t batch, size_t rows, size_t columns, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t down = tile_count(rows, TURN), across = tile_count(columns, TURN);
    size_t count = batch * down * across;

#pragma omp parallel for schedule(static)                                                                    \
    num_threads(kernels_threads()) if (batch * rows * columns > TILE_ELEMENTS)
    for (size_t index = 0; index < count; index++) {
        size_t offset = index / (down * across) * rows * columns;
        struct tile column = tile_at(index / down % across, columns, TURN);
        struct tile row = tile_at(index % down, rows, TURN);
        vector->transpose(x + offset + row.begin * columns + column.begin, columns, row.end - row.begin,
            column.end - column.begin, y + offset + column.begin * rows + row.begin, rows);
    }
}

/* y[j] = x[floor(j width / out_width)]: a step of one in j is a step of width / out_width in x, of which the
 * whole part and the rest are carried. */
static void stretch(const real *x, size_t width, size_t out_width, real *y)
{
    size_t step = width / out_width, rest = width % out_width, carried = 0;
    for (size_t j = 0, at = 0; j < out_width; j++) {
        y[j] = x[at];
        at += step;
        carried += rest;
        if (carried >= out_width) {
            carried -= out_width;
            at++;
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
        stretch(source, width, out_width, y + row * out_width);
    }
}
