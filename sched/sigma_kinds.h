/*
 * Schedules of sigmas from their two end points, from sigma_max down to sigma_min: [n], in double, as NumPy
 * computes them from Python floats.
 */
#ifndef SCHED_SIGMA_KINDS_H
#define SCHED_SIGMA_KINDS_H

#include "config.h"

#include <stddef.h>

/* The kind that a config's use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas ask for: the
 * option's name, or NULL where none is true. */
const char *sigma_kind_of(const struct scheduler_config *config);

/* Refuses two kinds at once. */
enum status sigma_kinds_check(const struct scheduler_config *config, struct error *error);

/* The sigmas of that kind. Refuses ends that it cannot take: below 0, or 0 for exponential ones. */
enum status sigmas_of_kind(const struct scheduler_config *config, double sigma_min, double sigma_max,
    size_t n, double *sigmas, struct error *error);

/* Karras et al. 2022 (arXiv:2206.00364), eq. 5, rho = 7. Both ends >= 0. */
void sigmas_karras(double sigma_min, double sigma_max, size_t n, double *sigmas);
/* Equally spaced logarithms. Both ends > 0. */
void sigmas_exponential(double sigma_min, double sigma_max, size_t n, double *sigmas);
/* Quantiles of the beta distribution (0.6, 0.6): Lee et al. 2024 (arXiv:2407.12173). */
void sigmas_beta(double sigma_min, double sigma_max, size_t n, double *sigmas);
/* Equally spaced lambda = -log sigma, from the logarithms of the ends: Lu et al. 2022 (arXiv:2206.00927). */
void sigmas_lu(double log_sigma_min, double log_sigma_max, size_t n, double *sigmas);
/* A flow's sigma, 0 to 1, shifted towards the noisy end: s sigma / (1 + (s - 1) sigma) (Esser et al. 2024,
 * arXiv:2403.03206, eq. 23). */
double sigma_shifted(double shift, double sigma);
/* Flow matching: n of n + 1 equally spaced points from 1 - 1/num_train_timesteps down to 0, the last dropped,
 * shifted. */
void sigmas_flow(int num_train_timesteps, double flow_shift, size_t n, double *sigmas);

#endif
