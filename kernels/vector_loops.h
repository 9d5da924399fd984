/*
 * The vector kernels over VEC_WIDTH lanes at a time, for kernels/x86/avx2.c, kernels/x86_512/avx512.c and
 * kernels/arm/neon.c, which include their lanes first. kernels/vector.c says in scalar C what each of these
 * must give, bit for bit.
 *
 * What is left after the last whole vector goes through a vector padded with zeros, of which only the wanted
 * lanes are stored.
 */
#ifndef KERNELS_VECTOR_LOOPS_H
#define KERNELS_VECTOR_LOOPS_H

#include "elementary.h"
#include "vector.h"

#include <math.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE vec load_part(const float *x, size_t n)
{
    float lanes[VEC_WIDTH] = {0};
    memcpy(lanes, x, n * sizeof *x);
    return vec_load(lanes);
}

ALWAYS_INLINE void store_part(float *y, vec a, size_t n)
{
    float lanes[VEC_WIDTH];
    vec_store(lanes, a);
    memcpy(y, lanes, n * sizeof *y);
}

/* y = function(x); inlined for each function. */
ALWAYS_INLINE void map(vec (*function)(vec), const float *x, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(y + i, function(vec_load(x + i)));
    if (i < n) store_part(y + i, function(load_part(x + i, n - i)), n - i);
}

/* y = function(a, b) */
ALWAYS_INLINE void map_pairs(vec (*function)(vec, vec), const float *a, const float *b, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(y + i, function(vec_load(a + i), vec_load(b + i)));
    if (i < n) store_part(y + i, function(load_part(a + i, n - i), load_part(b + i, n - i)), n - i);
}

static void silu(const float *x, size_t n, float *y)
{
    map(element_silu, x, n, y);
}

static void gelu(const float *x, size_t n, float *y)
{
    map(element_gelu, x, n, y);
}

static void gelu_tanh(const float *x, size_t n, float *y)
{
    map(element_gelu_tanh, x, n, y);
}

static void quick_gelu(const float *x, size_t n, float *y)
{
    map(element_quick_gelu, x, n, y);
}

ALWAYS_INLINE vec gated(vec value, vec gate)
{
    return value * element_gelu(gate);
}

static void geglu(const float *value, const float *gate, size_t n, float *y)
{
    map_pairs(gated, value, gate, n, y);
}

ALWAYS_INLINE vec added(vec a, vec b)
{
    return a + b;
}

static void add(const float *a, const float *b, size_t n, float *y)
{
    map_pairs(added, a, b, n, y);
}

static void add_constant(const float *x, float term, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(y + i, vec_load(x + i) + vec_all(term));
    for (; i < n; i++) y[i] = x[i] + term;
}

static void multiply_constant(const float *x, float factor, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(y + i, vec_load(x + i) * vec_all(factor));
    for (; i < n; i++) y[i] = x[i] * factor;
}

/* The partial sums of vector.h, in registers: those of rank i * DOUBLES and up in vector i. */
enum { DOUBLES = VEC_WIDTH / 2, SUM_VECTORS = VECTOR_SUMS / DOUBLES };

/* vector_fold() of vectors. */
ALWAYS_INLINE double fold_vectors(vec_double sums[SUM_VECTORS])
{
    for (size_t half = SUM_VECTORS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) sums[i] += sums[i + half];
    }
    return vec_double_fold(sums[0]);
}

static struct vector_moments moments(const float *x, float pivot, size_t n)
{
    vec_double pivots = vec_double_all((double)pivot), sums[SUM_VECTORS], squares[SUM_VECTORS];
    for (size_t j = 0; j < SUM_VECTORS; j++) sums[j] = squares[j] = vec_double_all(0);
    size_t i = 0;
    for (; i + VECTOR_SUMS <= n; i += VECTOR_SUMS) {
        for (size_t j = 0; j < SUM_VECTORS; j += 2) {
            vec a = vec_load(x + i + j * DOUBLES);
            vec_double low = vec_low(a) - pivots, high = vec_high(a) - pivots;
            sums[j] += low;
            sums[j + 1] += high;
            squares[j] = vec_double_fma(low, low, squares[j]);
            squares[j + 1] = vec_double_fma(high, high, squares[j + 1]);
        }
    }
    if (i == n) return (struct vector_moments){fold_vectors(sums), fold_vectors(squares)};

    double partial_sums[VECTOR_SUMS], partial_squares[VECTOR_SUMS];
    for (size_t j = 0; j < SUM_VECTORS; j++) {
        vec_double_store(partial_sums + j * DOUBLES, sums[j]);
        vec_double_store(partial_squares + j * DOUBLES, squares[j]);
    }
    for (; i < n; i++) {
        double difference = (double)x[i] - (double)pivot;
        partial_sums[i % VECTOR_SUMS] += difference;
        partial_squares[i % VECTOR_SUMS] = fma(difference, difference, partial_squares[i % VECTOR_SUMS]);
    }
    return (struct vector_moments){vector_fold(partial_sums), vector_fold(partial_squares)};
}

static void affine(const float *x, double scale, double shift, size_t n, float *y)
{
    vec_double scales = vec_double_all(scale), shifts = vec_double_all(shift);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vec a = vec_load(x + i);
        vec_store(y + i, vec_narrow(vec_low(a) * scales + shifts, vec_high(a) * scales + shifts));
    }
    for (; i < n; i++) y[i] = (float)((double)x[i] * scale + shift);
}

static void normalise(
    const float *x, double mean, double scale, const float *weight, const float *bias, size_t n, float *y)
{
    vec_double means = vec_double_all(mean), scales = vec_double_all(scale);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vec a = vec_load(x + i), w = vec_load(weight + i), b = vec_load(bias + i);
        vec_double low = (vec_low(a) - means) * scales * vec_low(w) + vec_low(b);
        vec_double high = (vec_high(a) - means) * scales * vec_high(w) + vec_high(b);
        vec_store(y + i, vec_narrow(low, high));
    }
    for (; i < n; i++) {
        y[i] = (float)(((double)x[i] - mean) * scale * (double)weight[i] + (double)bias[i]);
    }
}

/* A strip of `width` columns, at most VEC_WIDTH, of a matrix of `columns`; inlined for whole vectors and for
 * the last strip. */
ALWAYS_INLINE vec load_strip(const float *x, size_t width)
{
    return width == VEC_WIDTH ? vec_load(x) : load_part(x, width);
}

ALWAYS_INLINE void store_strip(float *y, vec a, size_t width)
{
    if (width == VEC_WIDTH) {
        vec_store(y, a);
    } else {
        store_part(y, a, width);
    }
}

/* Four maxima at a time, since each must wait for the one before. */
ALWAYS_INLINE void strip_maxima(const float *x, size_t rows, size_t columns, size_t width, float *largest)
{
    vec first = load_strip(largest, width), second = first, third = first, fourth = first;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        first = vec_larger(load_strip(x + i * columns, width), first);
        second = vec_larger(load_strip(x + (i + 1) * columns, width), second);
        third = vec_larger(load_strip(x + (i + 2) * columns, width), third);
        fourth = vec_larger(load_strip(x + (i + 3) * columns, width), fourth);
    }
    for (; i < rows; i++) first = vec_larger(load_strip(x + i * columns, width), first);
    store_strip(largest, vec_larger(vec_larger(first, second), vec_larger(third, fourth)), width);
}

static void column_maxima(const float *x, size_t rows, size_t columns, float *largest)
{
    size_t j = 0;
    for (; j + VEC_WIDTH <= columns; j += VEC_WIDTH)
        strip_maxima(x + j, rows, columns, VEC_WIDTH, largest + j);
    if (j < columns) strip_maxima(x + j, rows, columns, columns - j, largest + j);
}

ALWAYS_INLINE void strip_exp2(
    float *x, size_t rows, size_t columns, size_t width, const float *offset, double *sums)
{
    vec offsets = load_strip(offset, width);
    double partial[VEC_WIDTH] = {0};
    memcpy(partial, sums, width * sizeof *sums);
    vec_double low = vec_double_load(partial), high = vec_double_load(partial + VEC_WIDTH / 2);
    for (size_t i = 0; i < rows; i++) {
        vec a = element_exp2(load_strip(x + i * columns, width) - offsets);
        store_strip(x + i * columns, a, width);
        low += vec_low(a);
        high += vec_high(a);
    }
    vec_double_store(partial, low);
    vec_double_store(partial + VEC_WIDTH / 2, high);
    memcpy(sums, partial, width * sizeof *sums);
}

static void column_exp2(float *x, size_t rows, size_t columns, const float *offset, double *sums)
{
    size_t j = 0;
    for (; j + VEC_WIDTH <= columns; j += VEC_WIDTH)
        strip_exp2(x + j, rows, columns, VEC_WIDTH, offset + j, sums + j);
    if (j < columns) strip_exp2(x + j, rows, columns, columns - j, offset + j, sums + j);
}

static void column_multiply(float *x, size_t rows, size_t columns, const float *factor)
{
    for (size_t i = 0; i < rows; i++) {
        float *row = x + i * columns;
        size_t j = 0;
        for (; j + VEC_WIDTH <= columns; j += VEC_WIDTH)
            vec_store(row + j, vec_load(row + j) * vec_load(factor + j));
        for (; j < columns; j++) row[j] *= factor[j];
    }
}

/* Squares of VEC_WIDTH, then what is left to the right of them and below. */
static void transpose(const float *x, size_t x_stride, size_t rows, size_t columns, float *y, size_t y_stride)
{
    size_t whole_rows = rows - rows % VEC_WIDTH, whole_columns = columns - columns % VEC_WIDTH;
    for (size_t j = 0; j < whole_columns; j += VEC_WIDTH) {
        for (size_t i = 0; i < whole_rows; i += VEC_WIDTH) {
            vec square[VEC_WIDTH];
#pragma GCC unroll 16
            for (size_t l = 0; l < VEC_WIDTH; l++) square[l] = vec_load(x + (i + l) * x_stride + j);
            vec_transpose(square);
#pragma GCC unroll 16
            for (size_t l = 0; l < VEC_WIDTH; l++) vec_store(y + (j + l) * y_stride + i, square[l]);
        }
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
            y[j * y_stride + i] = x[i * x_stride + j];
    }
}

/* y = load(x), two bytes an element. */
ALWAYS_INLINE void convert(vec (*load)(const void *), const void *x, size_t n, float *y)
{
    const unsigned char *bytes = x;
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(y + i, load(bytes + 2 * i));
    if (i < n) {
        unsigned char part[2 * VEC_WIDTH] = {0};
        memcpy(part, bytes + 2 * i, 2 * (n - i));
        store_part(y + i, load(part), n - i);
    }
}

static void from_f16(const void *x, size_t n, float *y)
{
    convert(vec_load_f16, x, n, y);
}

static void from_bf16(const void *x, size_t n, float *y)
{
    convert(vec_load_bf16, x, n, y);
}

/* The table of these functions, which each includer gives out under its own name. */
static const struct vector_set vector_loops = {
    .silu = silu,
    .gelu = gelu,
    .gelu_tanh = gelu_tanh,
    .quick_gelu = quick_gelu,
    .geglu = geglu,
    .add = add,
    .add_constant = add_constant,
    .multiply_constant = multiply_constant,
    .moments = moments,
    .affine = affine,
    .normalise = normalise,
    .column_maxima = column_maxima,
    .column_exp2 = column_exp2,
    .column_multiply = column_multiply,
    .transpose = transpose,
    .from_f16 = from_f16,
    .from_bf16 = from_bf16,
};

#endif
