/*
 * The scalar C of the vector kernels: what the other instruction sets must agree with, bit for bit.
 */
#include "real.h"

#include "half.h"
#include "vector.h"

#if PLUMB_REAL_IS_DOUBLE
#include "elementary_double.h"
#else
#include "lanes.h"

#include "elementary.h"
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>

static void silu(const real *x, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = element_silu(x[i]);
}

static void gelu(const real *x, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = element_gelu(x[i]);
}

static void gelu_tanh(const real *x, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = element_gelu_tanh(x[i]);
}

static void quick_gelu(const real *x, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = element_quick_gelu(x[i]);
}

static void geglu(const real *value, const real *gate, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = value[i] * element_gelu(gate[i]);
}

static void add(const real *a, const real *b, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void add_constant(const real *x, real term, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] + term;
}

static void multiply_constant(const real *x, real factor, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * factor;
}

static struct vector_moments moments(const real *x, real pivot, size_t n)
{
    double sums[VECTOR_SUMS] = {0}, squares[VECTOR_SUMS] = {0};
    for (size_t i = 0; i < n; i++) {
        double difference = (double)x[i] - (double)pivot;
        sums[i % VECTOR_SUMS] += difference;
        squares[i % VECTOR_SUMS] = fma(difference, difference, squares[i % VECTOR_SUMS]);
    }
    return (struct vector_moments){vector_fold(sums), vector_fold(squares)};
}

static void affine(const real *x, double scale, double shift, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = (real)((double)x[i] * scale + shift);
}

static void normalise(
    const real *x, double mean, double scale, const real *weight, const real *bias, size_t n, real *y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = (real)(((double)x[i] - mean) * scale * (double)weight[i] + (double)bias[i]);
    }
}

static void column_maxima(const real *x, size_t rows, size_t columns, real *largest)
{
    for (size_t i = 0; i < rows; i++) {
        const real *row = x + i * columns;
        for (size_t j = 0; j < columns; j++) largest[j] = row[j] > largest[j] ? row[j] : largest[j];
    }
}

static void column_exp2(real *x, size_t rows, size_t columns, const real *offset, double *sums)
{
    for (size_t i = 0; i < rows; i++) {
        real *row = x + i * columns;
        for (size_t j = 0; j < columns; j++) {
            row[j] = element_exp2(row[j] - offset[j]);
            sums[j] += (double)row[j];
        }
    }
}

static void column_multiply(real *x, size_t rows, size_t columns, const real *factor)
{
    for (size_t i = 0; i < rows; i++) {
        real *row = x + i * columns;
        for (size_t j = 0; j < columns; j++) row[j] *= factor[j];
    }
}

static void transpose(const real *x, size_t x_stride, size_t rows, size_t columns, real *y, size_t y_stride)
{
    for (size_t j = 0; j < columns; j++) {
        for (size_t i = 0; i < rows; i++) y[j * y_stride + i] = x[i * x_stride + j];
    }
}

static void from_f16(const void *x, size_t n, real *y)
{
    const unsigned char *bytes = x;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        y[i] = f16_to_f32(bits);
    }
}

static void from_bf16(const void *x, size_t n, real *y)
{
    const unsigned char *bytes = x;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        y[i] = bf16_to_f32(bits);
    }
}

static const struct vector_set scalar = {
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

const struct vector_set *vector_scalar(void)
{
    return &scalar;
}

#if PLUMB_REAL_IS_DOUBLE
const struct vector_set *vector_kernels(void)
{
    return &scalar;
}
#endif
