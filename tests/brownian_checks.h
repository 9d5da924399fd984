/*
 * What a Brownian path must be, in either arithmetic.
 */
#ifndef TESTS_BROWNIAN_CHECKS_H
#define TESTS_BROWNIAN_CHECKS_H

/* W(a,c) = W(a,b) + W(b,c), and -W(c,a) in the noise of a sampler that goes back: up to rounding. */
void check_brownian_sums_f32(void);
void check_brownian_sums_f64(void);

/* Over 1e5 dimensions: mean 0, the length as the variance, the common length as the covariance of two
 * increments, all within 4.5 standard errors. */
void check_brownian_moments_f32(void);
void check_brownian_moments_f64(void);

/* A picture with a seed of its own gets the noise that it would get alone. */
void check_brownian_seeds_f32(void);
void check_brownian_seeds_f64(void);

/* n increments of one path in one dimension, which is the same path in both arithmetics, up to rounding. */
void brownian_sample_f32(double *increments, int n);
void brownian_sample_f64(double *increments, int n);

#endif
