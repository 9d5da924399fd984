/*
 * exp, expm1, log and sin of a float32 tensor in PyTorch, bit for bit as its AVX2 kernels compute them (the
 * same for a tensor of one number and of many). Within 1 ulp of the true value; the correctly rounded one
 * differs in a tenth of all arguments (exp), and what the solvers subtract from each other makes such last
 * bits large.
 */
#ifndef SCHED_TORCH_FLOAT_MATH_H
#define SCHED_TORCH_FLOAT_MATH_H

float torch_float_exp(float x);
float torch_float_expm1(float x);
float torch_float_log(float x);
float torch_float_sin(float x); /* |x| <= 100 */

#endif
