/*
 * The logarithm, sine and cosine of PyTorch's AVX2 kernel for torch.randn, and its torch.exp, torch.log
 * and torch.sin, one lane of it, bit for bit.
 */
#ifndef SCHED_TORCH_AVX2_MATH_H
#define SCHED_TORCH_AVX2_MATH_H

/* Natural logarithm; x normal and positive (randn gives it 2^-24 <= x <= 1). */
float torch_avx2_log(float x);

/* Sine and cosine; 0 <= x <= 8192 (randn gives it 0 <= x < 2 pi). */
void torch_avx2_sincos(float x, float *sine, float *cosine);

/* torch.exp and torch.sin, which are SLEEF's expf_u10 and sinf_u10 (Shibata and Petrogalli 2020,
 * arXiv:2001.09258): at most 1 ulp from the exact value. exp of any x; sine of |x| <= 100. */
float torch_avx2_exp(float x);
float torch_avx2_sin(float x);

/* torch.log, which is SLEEF's logf_u10: at most 1 ulp from the correctly rounded value. Any x; one in some
 * millions differs from PyTorch's, by 1 ulp. */
float torch_avx2_log_u10(float x);

#endif
