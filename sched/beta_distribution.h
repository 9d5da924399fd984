/*
 * The beta distribution, for the schedule of "Beta Sampling is All You Need" (Lee et al. 2024,
 * arXiv:2407.12173).
 */
#ifndef SCHED_BETA_DISTRIBUTION_H
#define SCHED_BETA_DISTRIBUTION_H

/* Both parameters, 0 < a, b <= 1, the complete beta function of them, and the probability of a value up to
 * 1/2. */
struct beta_distribution {
    double a, b, beta, at_half;
};
/* 0 < a, b <= 1; other parameters are not checked, and give numbers of no meaning. */
struct beta_distribution beta_distribution(double a, double b);

/* The regularised incomplete beta function I_x(a, b): the probability of a value up to x, 0 <= x <= 1.
 * Relative error below 1e-14. */
double beta_cdf(const struct beta_distribution *d, double x);

/* Its inverse: the x with I_x(a, b) = q, 0 <= q <= 1; scipy.stats.beta.ppf(q, a, b). Relative error of x
 * below 4e-15. */
double beta_quantile(const struct beta_distribution *d, double q);

#endif
