/*
 * The stored types of a checkpoint to the working precision: exact, since every binary16 and bfloat16 number
 * is a float and every float a double.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <string.h>

static void convert(
    void (*function)(const void *, size_t, real *), const void *x, size_t item, size_t n, real *y)
{
    const unsigned char *bytes = x;
    size_t count = tile_count(n, TILE_ELEMENTS);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, n, TILE_ELEMENTS);
        function(bytes + tile.begin * item, tile.end - tile.begin, y + tile.begin);
    }
}

static void from_f32(const void *x, size_t n, real *y)
{
    const unsigned char *bytes = x;
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        y[i] = value;
    }
}

void kernel_from_f16(const void *x, size_t n, real *y)
{
    convert(vector_kernels()->from_f16, x, 2, n, y);
}

void kernel_from_bf16(const void *x, size_t n, real *y)
{
    convert(vector_kernels()->from_bf16, x, 2, n, y);
}

void kernel_from_f32(const void *x, size_t n, real *y)
{
    convert(from_f32, x, 4, n, y);
}
