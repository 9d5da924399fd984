/*
 * Classifier-free guidance (Ho and Salimans 2022, eq. 6) and its rescaling (Lin et al. 2023, section 3.4, eq.
 * 15-16).
 */
#ifndef SCHED_GUIDANCE_H
#define SCHED_GUIDANCE_H

#include "real.h"
#include <stddef.h>

/* out = uncond + scale * (text - uncond), [n]; `out` may be either input. */
void guidance_combine(const real *uncond, const real *text, size_t n, double scale, real *out);

/* Per picture: guided * (rescale * std(text)/std(guided) + 1 - rescale), with the unbiased standard deviation
 * over the picture's `size` elements. In place on `guided` [batch, size]. */
void guidance_rescale(real *guided, const real *text, size_t batch, size_t size, double rescale);

/* The same where tensors are of a narrower dtype: every operation's result is kept by `keep`. */
void guidance_combine_stored(
    const real *uncond, const real *text, size_t n, double scale, store *keep, real *out);
void guidance_rescale_stored(
    real *guided, const real *text, size_t batch, size_t size, double rescale, store *keep);

#endif
