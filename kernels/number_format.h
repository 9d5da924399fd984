/*
 * The number formats that a backend computes in, and rounding to them. Arithmetic of these formats is
 * imitated by rounding every operand and every result, with sums in float: what tensor cores and PyTorch do.
 */
#ifndef KERNELS_NUMBER_FORMAT_H
#define KERNELS_NUMBER_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum number_format {
    FORMAT_F32,  /* nothing is rounded beyond float */
    FORMAT_F16,  /* IEEE 754 binary16: 11 bits, largest 65504, smallest 2^-24 */
    FORMAT_BF16, /* the upper half of a float: 8 bits */
    FORMAT_TF32, /* operands of matrix products only: 11 bits with a float's exponents; results are float */
    NUMBER_FORMATS
};
extern const char *const number_format_names[NUMBER_FORMATS]; /* "f32", "f16", "bf16", "tf32" */

/* What a format can hold. */
struct number_limits {
    double largest;         /* finite */
    double overflow;        /* from here on a number becomes infinity: half a step beyond the largest */
    double smallest_normal; /* below it there are fewer bits */
    double smallest;        /* positive; what is less than half of it becomes zero */
    double unit_roundoff;   /* largest relative error of rounding a number between the two: 2^-11 for f16 */
};
extern const struct number_limits number_format_limits[NUMBER_FORMATS];

/* To the nearest number of the format, ties to even; from half a step beyond the largest on, infinity;
 * subnormal numbers are kept, and so is a zero's sign. A NaN stays a NaN, quiet. */
float number_format_round(enum number_format format, float x);

/* The same for x: [n]; y may be x. On the calling thread. */
void number_format_round_all(enum number_format format, const float *x, size_t n, float *y);

#endif
