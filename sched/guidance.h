/*
 * Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598, eq. 6, whose w is scale - 1) and its
 * rescaling (Lin et al. 2023, arXiv:2305.08891, section 3.4, eqs. 15 and 16, whose phi is rescale).
 */
#ifndef SCHED_GUIDANCE_H
#define SCHED_GUIDANCE_H

#include "real.h"
#include <stddef.h>

/* Eq. 6: out = uncond + scale * (text - uncond), [n]; `out` may be either input. scale 1 is no guidance. */
void guidance_combine(const real *uncond, const real *text, size_t n, double scale, real *out);

/* Per picture, eq. 15 and eq. 16: guided * (rescale * std(text)/std(guided) + 1 - rescale), with the unbiased
 * standard deviation over the picture's `size` >= 2 elements. In place on `guided` [batch, size]; `rescale`
 * is 0 (nothing) to 1. */
void guidance_rescale(real *guided, const real *text, size_t batch, size_t size, double rescale);

/* The same where tensors are of a narrower dtype: every operation's result is kept by `keep`. */
void guidance_combine_stored(
    const real *uncond, const real *text, size_t n, double scale, store *keep, real *out);
void guidance_rescale_stored(
    real *guided, const real *text, size_t batch, size_t size, double rescale, store *keep);

#endif
