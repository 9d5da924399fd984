/*
 * The linear layer: y = x w^T + bias, as blocks of one matrix product, each computed by one thread.
 *
 * The product is rounded first and the bias added to it: one rounding more than a product that starts from
 * the bias, and the same for every tiling.
 */
#include "real.h"

#include "cpu.h"
#include "gemm.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

/* OpenBLAS copies both operands into its own layout for each product. With 512 rows in a block the copy of w
 * is a few per cent of the arithmetic; fewer rows only where there are not enough blocks to share. */
enum { LARGEST_ROWS = 512, LEAST_BLOCKS = 8, LEAST_COLUMNS = 128, SMALL_WORK = 1 << 18 };

struct blocks {
    size_t rows, columns; /* of one block */
};

/* Multiplications below SMALL_WORK are not worth sharing out: one block. */
static struct blocks choose_blocks(size_t rows, size_t in, size_t out)
{
    if (rows <= SMALL_WORK / in && out <= SMALL_WORK / in / rows) return (struct blocks){rows, out};
    size_t block_rows = tile_even(rows, LARGEST_ROWS, 16);
    size_t across = tile_count(LEAST_BLOCKS, tile_count(rows, block_rows));
    size_t block_columns = tile_count(out, across);
    if (block_columns < LEAST_COLUMNS) block_columns = LEAST_COLUMNS;
    return (struct blocks){block_rows, tile_even(out, smaller(out, block_columns), 16)};
}

void kernel_linear(
    const real *x, const real *w, const real *bias, size_t rows, size_t in, size_t out, real *y)
{
    const struct vector_set *vector = vector_kernels();
    struct blocks block = choose_blocks(rows, in, out);
    size_t across = tile_count(out, block.columns);
    size_t count = tile_count(rows, block.rows) * across;

#pragma omp parallel for schedule(dynamic) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile row = tile_at(index / across, rows, block.rows);
        struct tile column = tile_at(index % across, out, block.columns);
        size_t width = column.end - column.begin;
        gemm_transposed(row.end - row.begin, width, in, 1, (struct matrix){x + row.begin * in, in},
            (struct matrix){w + column.begin * in, in}, y + row.begin * out + column.begin, out);
        if (bias == NULL) continue;
        for (size_t i = row.begin; i < row.end; i++) {
            real *segment = y + i * out + column.begin;
            vector->add(segment, bias + column.begin, width, segment);
        }
    }
}
