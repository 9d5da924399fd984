/*
 * The logarithm, sine and cosine of PyTorch's AVX2 kernel for torch.randn, one lane of it, bit for bit.
 */
#ifndef SCHED_TORCH_AVX2_MATH_H
#define SCHED_TORCH_AVX2_MATH_H

#include <stddef.h>

/* Natural logarithm; x normal and positive (randn gives it 2^-24 <= x <= 1). */
float torch_avx2_log(float x);

/* Sine and cosine; 0 <= x <= 8192 (randn gives it 0 <= x < 2 pi). */
void torch_avx2_sincos(float x, float *sine, float *cosine);

/* Makes normal numbers of uniform ones, 0 <= u < 1, in place, block by block, by Box and Muller's method:
 * u[j] is the radius and u[j + 8] the angle; the cosine goes to j and the sine to j + 8. */
enum { TORCH_AVX2_BLOCK = 16 };
void torch_avx2_normals(float *block, size_t blocks);

#endif
