/*
 * One tile of a matrix product c = a b, computed by one thread in its own memory and handed to the layer to
 * finish: what linear.c and conv2d.c have in common. k runs in chunks; of each the thread brings the rows of
 * a and the columns of b into the layout that the product wants, and adds the chunk's product to c.
 *
 * There are two kinds of product (gemm_kind in cpu.h): the blocks of micro_kernel.h over b in panels, and
 * OpenBLAS, which has its own layouts and takes plain matrices. c is row-major for both. Internal to
 * kernels/.
 */
#ifndef KERNELS_GEMM_TILE_H
#define KERNELS_GEMM_TILE_H

#include "gemm.h"
#include "micro_kernel.h"
#include "stored.h"
#include "tile.h"

#define gemm_blocks KERNEL_NAME(kernels_gemm_blocks)
#define gemm_rows KERNEL_NAME(kernels_gemm_rows)
#define gemm_panels KERNEL_NAME(kernels_gemm_panels)

/* The blocks that products are made of, or NULL where OpenBLAS makes them. */
const struct micro_kernel *gemm_blocks(void);

/* Steps of k in a chunk. OpenBLAS's own is near 384, so that the cut costs it nothing. */
enum { BLAS_DEPTH = 384, MOST_DEPTH = 384 };
_Static_assert((int)MOST_DEPTH >= (int)MICRO_DEPTH, "the longest chunk of either kind");
static inline size_t gemm_depth(const struct micro_kernel *blocks)
{
    return blocks != NULL ? MICRO_DEPTH : BLAS_DEPTH;
}

/* Numbers from one row of a chunk to the next where it is copied: a whole number of cache lines, and rows do
 * not fall on one another in the cache. */
static inline size_t gemm_row_stride(const struct micro_kernel *blocks)
{
    return gemm_depth(blocks) + 16;
}

/* A count of numbers rounded up to whole cache lines of float. */
static inline size_t gemm_round(size_t count)
{
    return (count + 15) / 16 * 16;
}

/* Columns of a tile as b is laid out: whole panels. */
static inline size_t gemm_padded(const struct micro_kernel *blocks, size_t columns)
{
    return blocks != NULL ? tile_count(columns, blocks->columns) * blocks->columns : columns;
}

/* Whether a product is too little work for its columns to be shared between threads. */
static inline bool gemm_is_small(size_t rows, size_t depth, size_t columns)
{
    enum { SMALL_WORK = 1 << 18 }; /* multiplications */
    return rows <= SMALL_WORK / depth && columns <= SMALL_WORK / depth / rows;
}

/* The largest side of a tile along `length`, each of which is there `others` times: `largest`, or less where
 * that makes fewer than `wanted` tiles, but not less than `least` for them. */
static inline size_t gemm_shared_side(
    size_t length, size_t largest, size_t least, size_t others, size_t wanted)
{
    if (others * tile_count(length, largest) >= wanted) return largest;
    size_t side = tile_count(length, tile_count(wanted, others));
    return side < least ? least : side;
}

/* Rows `row` and columns `k` of a stored matrix of `width` columns: where they lie, or copied to `room`
 * ([rows, gemm_row_stride]). */
struct matrix gemm_rows(const struct micro_kernel *blocks, struct stored x, size_t width, struct tile row,
    struct tile k, real *room);

/* c = a b, or c += a b, over panels: a: [rows, depth], b: columns / blocks->columns panels of [MICRO_DEPTH,
 * blocks->columns] of which the first `depth` rows count, c: [rows, columns]. */
void gemm_panels(const struct micro_kernel *blocks, size_t rows, size_t columns, size_t depth,
    struct matrix a, const real *b, real *c, size_t c_stride, bool accumulate);

#endif
