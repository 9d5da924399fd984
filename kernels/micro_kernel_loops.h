/*
 * The innermost product with vectors, for kernels/x86/micro_avx2.c, kernels/x86_512/micro_avx512.c and
 * kernels/arm/micro_neon.c, which include their lanes first and say how large a block is: MICRO_ROWS rows by
 * MICRO_VECTORS vectors. kernels/micro_kernel.c says in scalar C what it must give, bit for bit.
 *
 * The sums stay in MICRO_ROWS * MICRO_VECTORS registers; a step of k loads one row of the panel, and for each
 * row of c one number of a into all lanes of one more register. Each number of rows has a body of its own, in
 * which the compiler knows that number and unrolls every loop but that over k.
 */
#ifndef KERNELS_MICRO_KERNEL_LOOPS_H
#define KERNELS_MICRO_KERNEL_LOOPS_H

#include "micro_kernel.h"

enum { MICRO_COLUMNS = MICRO_VECTORS * VEC_WIDTH, ROWS_OF_A_BASE = 7 };

/* Row i of a, for i < 14, from two bases seven rows apart and three strides: x86 adds a register once, twice,
 * four or eight times to another in the address of a load, so that fourteen rows need five registers. */
static inline __attribute__((always_inline)) const float *row_of(
    const char *const base[2], size_t i, size_t one, size_t three, size_t five)
{
    const char *b = base[i / ROWS_OF_A_BASE];
    switch (i % ROWS_OF_A_BASE) {
    case 0: return (const float *)b;
    case 1: return (const float *)(b + one);
    case 2: return (const float *)(b + 2 * one);
    case 3: return (const float *)(b + three);
    case 4: return (const float *)(b + 4 * one);
    case 5: return (const float *)(b + five);
    default: return (const float *)(b + 2 * three);
    }
}

static inline __attribute__((always_inline)) void multiply_rows(const size_t rows, size_t depth,
    const float *a, size_t a_row, size_t a_depth, const float *b, float *c, size_t c_stride, bool accumulate)
{
    vec sums[MICRO_ROWS][MICRO_VECTORS], panel[MICRO_VECTORS];
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < MICRO_VECTORS; v++) sums[i][v] = vec_all(0);
    }
    const char *base[2] = {
        (const char *)a, (const char *)(rows > ROWS_OF_A_BASE ? a + ROWS_OF_A_BASE * a_row : a)};
    const size_t one = a_row * sizeof *a, three = 3 * one, five = 5 * one, step = a_depth * sizeof *a;
    for (size_t k = 0; k < depth; k++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < MICRO_VECTORS; v++) panel[v] = vec_load(b + v * VEC_WIDTH);
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++) {
            vec factor = vec_all(*row_of(base, i, one, three, five));
#pragma GCC unroll 4
            for (size_t v = 0; v < MICRO_VECTORS; v++) sums[i][v] = vec_fma(factor, panel[v], sums[i][v]);
        }
        base[0] += step;
        base[1] += step;
        b += MICRO_COLUMNS;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < MICRO_VECTORS; v++) {
            float *place = c + i * c_stride + v * VEC_WIDTH;
            if (accumulate) sums[i][v] = vec_load(place) + sums[i][v];
            vec_store(place, sums[i][v]);
        }
    }
}

static void multiply(size_t rows, size_t depth, const float *a, size_t a_row, size_t a_depth, const float *b,
    float *c, size_t c_stride, bool accumulate)
{
    switch (rows) {
    case 1: multiply_rows(1, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 2: multiply_rows(2, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 3: multiply_rows(3, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 4: multiply_rows(4, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 5: multiply_rows(5, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 6: multiply_rows(6, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
#if MICRO_ROWS > 6
    case 7: multiply_rows(7, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 8: multiply_rows(8, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 9: multiply_rows(9, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 10: multiply_rows(10, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 11: multiply_rows(11, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 12: multiply_rows(12, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 13: multiply_rows(13, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
    case 14: multiply_rows(14, depth, a, a_row, a_depth, b, c, c_stride, accumulate); break;
#endif
    default: break; /* a block has 1 to MICRO_ROWS rows */
    }
}

/* VEC_WIDTH rows of x to one vector's width of the panel, a square at a time. */
static void pack_strip(const float *x, size_t stride, size_t depth, float *panel)
{
    size_t k = 0;
    for (; k + VEC_WIDTH <= depth; k += VEC_WIDTH) {
        vec square[VEC_WIDTH];
#pragma GCC unroll 16
        for (size_t j = 0; j < VEC_WIDTH; j++) square[j] = vec_load(x + j * stride + k);
        vec_transpose(square);
#pragma GCC unroll 16
        for (size_t j = 0; j < VEC_WIDTH; j++) vec_store(panel + (k + j) * MICRO_COLUMNS, square[j]);
    }
    for (; k < depth; k++) {
        for (size_t j = 0; j < VEC_WIDTH; j++) panel[k * MICRO_COLUMNS + j] = x[j * stride + k];
    }
}

static void pack(const float *x, size_t stride, size_t count, size_t depth, float *panel)
{
    size_t j = 0;
    for (; j + VEC_WIDTH <= count; j += VEC_WIDTH) pack_strip(x + j * stride, stride, depth, panel + j);
    if (j == MICRO_COLUMNS) return;
    for (size_t k = 0; k < depth; k++) {
        for (size_t rest = j; rest < MICRO_COLUMNS; rest++) {
            panel[k * MICRO_COLUMNS + rest] = rest < count ? x[rest * stride + k] : 0;
        }
    }
}

/* One run of exactly one panel's row, as most are, or any. */
static void copy_runs(const float *x, const size_t *offsets, size_t depth, const struct copy_run *runs,
    size_t count, float *y, size_t columns)
{
    if (count == 1 && runs->count == MICRO_COLUMNS) {
        x += runs->offset;
        y += runs->begin;
        for (size_t k = 0; k < depth; k++, y += columns) {
#pragma GCC unroll 4
            for (size_t v = 0; v < MICRO_COLUMNS; v += VEC_WIDTH)
                vec_store(y + v, vec_load(x + offsets[k] + v));
        }
        return;
    }
    bool narrow = true; /* as in small pictures: each run is one vector or a part of one */
    for (size_t r = 0; r < count; r++) narrow = narrow && runs[r].count <= VEC_WIDTH;
    for (size_t k = 0; k < depth; k++, y += columns) {
        const float *row = x + offsets[k];
        for (size_t r = 0; narrow && r < count; r++)
            vec_copy_part(row + runs[r].offset, runs[r].count, y + runs[r].begin);
        for (size_t r = 0; !narrow && r < count; r++) {
            const float *from = row + runs[r].offset;
            float *to = y + runs[r].begin;
            size_t j = 0;
            for (; j + VEC_WIDTH <= runs[r].count; j += VEC_WIDTH) vec_store(to + j, vec_load(from + j));
            if (j < runs[r].count) vec_copy_part(from + j, runs[r].count - j, to + j);
        }
    }
}

/* The table of these functions, which each includer gives out under its own name. */
static const struct micro_kernel micro_kernel_loops = {MICRO_ROWS, MICRO_COLUMNS, multiply, pack, copy_runs};

#endif
