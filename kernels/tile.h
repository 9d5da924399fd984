/*
 * How work is cut into tiles: by its shape alone, never by the number of threads. Each tile is computed by
 * one thread from start to end, so which thread takes it, and how many there are, cannot change a bit of it.
 * Internal to kernels/.
 */
#ifndef KERNELS_TILE_H
#define KERNELS_TILE_H

#include <stddef.h>

/* Elements in one tile of element-wise work: 64 KiB of float, large against the cost of handing out a tile,
 * small enough for what one thread reads and writes to stay in its L2. */
enum { TILE_ELEMENTS = 16384 };

/* The half-open range [begin, end) of one tile. */
struct tile {
    size_t begin, end;
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many tiles of `size` cover `length`; the last may be shorter. */
static inline size_t tile_count(size_t length, size_t size)
{
    return length / size + (length % size != 0);
}

static inline struct tile tile_at(size_t index, size_t length, size_t size)
{
    return (struct tile){index * size, smaller(length, (index + 1) * size)};
}

/* A tile size not above `largest` (at least 1) for which the tiles of `length` differ little in size, rounded
 * up to a multiple of `grain` where it is below `length`. */
static inline size_t tile_even(size_t length, size_t largest, size_t grain)
{
    size_t count = tile_count(length, largest);
    size_t size = tile_count(length, count);
    return smaller(length, tile_count(size, grain) * grain);
}

/* Rows in one tile of row-wise work of `columns` elements a row. */
static inline size_t tile_rows(size_t columns)
{
    return columns >= TILE_ELEMENTS ? 1 : TILE_ELEMENTS / columns;
}

#endif
