/*
 * exp, expm1, log, sin, atan and powers of a float32 tensor in PyTorch, bit for bit as its AVX2 kernels
 * compute them (the same for a tensor of one number and of many). Within 1 ulp of the true value; the
 * correctly rounded one differs in a tenth of all arguments (exp), and what the solvers subtract from each
 * other makes such last bits large.
 */
#ifndef SCHED_TORCH_FLOAT_MATH_H
#define SCHED_TORCH_FLOAT_MATH_H

/* Any x, infinities and NaN too; torch_float_log() of a negative number is NaN, of 0 -infinity. */
float torch_float_exp(float x);
float torch_float_expm1(float x);
float torch_float_log(float x);
float torch_float_sin(float x); /* |x| <= 100 */
float torch_float_atan(float x);

/* x^y for x >= 0 and any y, infinities and NaN too, as in the full vectors of a tensor; below the normal
 * numbers the result may be off by more than 1 ulp. What is left over behind the last whole 16 elements
 * PyTorch leaves to the C library. */
float torch_float_pow(float x, float y);

#endif
