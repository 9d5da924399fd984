/*
 * Stochastic churn (Karras et al. 2022, arXiv:2206.00364, Algorithm 2): before a step at sigma, noise is
 * added that brings the sample up to sigma_hat = sigma (1 + gamma).
 */
#ifndef SCHED_CHURN_H
#define SCHED_CHURN_H

#include "real.h"
#include "scheduler.h"

#define churn_at REAL_NAME(churn_at)
#define churn_needs_noise REAL_NAME(churn_needs_noise)

struct churn {
    double gamma;     /* 0: none, and nothing is drawn */
    real sigma_hat;   /* the level that the step starts from */
    real noise_scale; /* sqrt(sigma_hat^2 - sigma^2) */
};

/* Algorithm 2, its first lines: gamma = s_churn spread over the scheduler's steps, at most sqrt(2) - 1, where
 * s_tmin <= sigma <= s_tmax; else 0. */
struct churn churn_at(const struct scheduler *scheduler, real sigma, const struct step_options *options);

/* The needs_noise hook of the classes with churn: whether the step that `timestep` finds has any. */
bool churn_needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options);

#endif
