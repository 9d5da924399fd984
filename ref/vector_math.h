/*
 * exp, sin and cos in single precision as the vector kernels of SLEEF 3.5 compute them on a machine with
 * fused multiply-add, which is what PyTorch's CPU kernels call ("u10": at most 1.0 ulp). They differ from the
 * correctly rounded values in the last place of about one value in twenty; the UNet's timestep embedding is
 * made of them.
 *
 * Everything is ordinary C with fmaf: the bits are the same on every machine.
 */
#ifndef REF_VECTOR_MATH_H
#define REF_VECTOR_MATH_H

#include <stddef.h>

/* y[i] = f(x[i]) for i < n, finite x, |x| < 2^24; may be in place. The vectors have eight elements, and an
 * argument of 125 or more in one of them changes how its neighbours are reduced: so the functions take the
 * whole array. */
void vector_expf(const float *x, size_t n, float *y);
void vector_sinf(const float *x, size_t n, float *y);
void vector_cosf(const float *x, size_t n, float *y);

#endif
