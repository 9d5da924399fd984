/*
 * The stored types of a checkpoint to the working precision: exact, since every binary16 and bfloat16 number
 * is a float and every float a double.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "stored.h"
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

static void from_f64(const void *x, size_t n, real *y)
{
    const unsigned char *bytes = x;
    for (size_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        y[i] = (real)value;
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

size_t stored_size(enum stored_type type)
{
    return type == STORED_F64 ? 8 : type == STORED_F32 ? 4 : 2;
}

const real *stored_in_place(struct stored x)
{
    enum stored_type own = sizeof(real) == sizeof(double) ? STORED_F64 : STORED_F32;
    return x.type == own && (uintptr_t)x.data % _Alignof(real) == 0 ? x.data : NULL;
}

void stored_read(struct stored x, size_t first, size_t n, real *y)
{
    const unsigned char *from = (const unsigned char *)x.data + first * stored_size(x.type);
    switch (x.type) {
    case STORED_F16: vector_kernels()->from_f16(from, n, y); break;
    case STORED_BF16: vector_kernels()->from_bf16(from, n, y); break;
    case STORED_F64: from_f64(from, n, y); break;
    case STORED_F32:
        if (sizeof(real) == sizeof(float)) {
            memcpy(y, from, n * sizeof *y);
        } else {
            from_f32(from, n, y);
        }
    }
}
