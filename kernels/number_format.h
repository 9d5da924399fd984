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

/* To the nearest number of the format, ties to even; beyond the largest, infinity; subnormal numbers kept. */
float number_format_round(enum number_format format, float x);

#endif
