/*
 * The logarithm, sine and cosine of PyTorch's AVX2 kernel for torch.randn, one lane of it, bit for bit.
 */
#ifndef SCHED_TORCH_AVX2_MATH_H
#define SCHED_TORCH_AVX2_MATH_H

/* Natural logarithm; x normal and positive (randn gives it 2^-24 <= x <= 1). */
float torch_avx2_log(float x);

/* Sine and cosine; 0 <= x <= 8192 (randn gives it 0 <= x < 2 pi). */
void torch_avx2_sincos(float x, float *sine, float *cosine);

#endif
