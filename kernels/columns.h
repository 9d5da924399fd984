/*
 * The matrix [K, columns] of an implicit im2col, made chunk by chunk for the columns of one tile.
 *
 * First the input that the tile looks at is copied with its padding, so that what follows needs no case for
 * the border, and with a stride s its columns sorted by their number mod s, so that neighbours in the output
 * are neighbours in memory:
 *
 *   planes: [picture, channel, input row, column mod s, column / s]
 *
 * A row of the matrix, (channel, ky, kx), is then put together of runs, one for each output row (kx mod s
 * says where in a row of planes, kx / s how far along). A 1x1 kernel of stride 1 without padding takes its
 * runs from the input itself. Internal to kernels/.
 */
#ifndef KERNELS_COLUMNS_H
#define KERNELS_COLUMNS_H

#include "gemm_tile.h"
#include "kernels.h"
#include "tile.h"

#define columns_room KERNEL_NAME(columns_room)
#define columns_make KERNEL_NAME(columns_make)

/* The columns of a tile: positions of the output, y * W' + x, of some pictures: all positions where there are
 * several pictures. */
struct column_tile {
    struct tile picture, position;
};

/* No tile has more columns than this. */
enum { MOST_COLUMNS = 512 };

/* Numbers of scratch that columns_make takes for its planes, for tiles of up to `pictures` and
 * `positions`. */
size_t columns_room(const struct conv2d_shape *shape, size_t depth, size_t pictures, size_t positions);

/* Rows k of the matrix for the columns of a tile, each picture's columns padded to whole panels: with
 * `blocks`, panels of [MICRO_DEPTH, blocks->columns] one after the other; without, one matrix [rows of k,
 * columns]. x: the whole input. */
void columns_make(const struct micro_kernel *blocks, const struct conv2d_shape *shape, const real *x,
    const struct column_tile *tile, struct tile k, real *planes, real *columns);

#endif
