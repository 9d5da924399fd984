/*
 * Runs of the solvers that step through sigmas, in either arithmetic, with a model that knows its data to be
 * Gaussian, N(mu, s^2): samples are x_0 + sigma noise, or (1 - sigma) x_0 + sigma noise where the class is
 * one of flow matching.
 *
 * At a level with the weights alpha of the data and sigma of the noise a sample is N(alpha mu, alpha^2 s^2 +
 * sigma^2), and along the probability flow it keeps its quantile z = (x - alpha mu) / sqrt(alpha^2 s^2 +
 * sigma^2).
 */
#ifndef TESTS_SIGMA_RUN_H
#define TESTS_SIGMA_RUN_H

#include "sched/scheduler.h"

#include <stddef.h>

struct sigma_run {
    const cJSON *config;
    struct schedule_request request;
    struct step_options options;
    double mu, s;
    size_t n;          /* elements */
    size_t calls_left; /* how many calls of the model at the end are left out */
    bool
        consistent; /* the model gives the data at the end of the flow, not their mean: a consistency model */
    const char *seed; /* of the noise; NULL: the run draws none */
};

/* What came of it: the level of the last samples. */
struct sigma_end {
    double alpha, sigma;
};

/* Starts the elements on their quantiles z [n] at the first level, and runs: out [n]. Fails the test where
 * the sampler fails. */
struct sigma_end run_sigmas_f32(const struct sigma_run *run, const double *z, double *out);
struct sigma_end run_sigmas_f64(const struct sigma_run *run, const double *z, double *out);

#endif
