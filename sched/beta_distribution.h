/*
 * The beta distribution, for the schedule of "Beta Sampling is All You Need" (Lee et al. 2024,
 * arXiv:2407.12173).
 */
#ifndef SCHED_BETA_DISTRIBUTION_H
#define SCHED_BETA_DISTRIBUTION_H

/* The regularised incomplete beta function I_x(a, b): the probability of a value up to x, 0 <= x <= 1,
 * 0 < a, b <= 1. Relative error below 1e-14. */
double beta_cdf(double x, double a, double b);

/* Its inverse: the x with I_x(a, b) = q, 0 <= q <= 1; scipy.stats.beta.ppf(q, a, b). Relative error of x, or
 * of 1 - x where that is smaller, below 1e-12. */
double beta_ppf(double q, double a, double b);

#endif
