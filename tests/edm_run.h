/*
 * Whole runs in double of the classes whose samples are x_0 + sigma noise, with the exact denoiser of
 * Gaussian data N(mu, s^2): D(x; sigma) = mu + s^2/(s^2 + sigma^2) (x - mu). Along the probability flow z =
 * (x - mu)/sqrt(s^2 + sigma^2) is constant.
 */
#ifndef TESTS_EDM_RUN_H
#define TESTS_EDM_RUN_H

#include "sched/scheduler.h"

struct gaussian_run {
    const char *config; /* JSON, as printf would print it */
    int steps;
    double mu, s;
    struct step_options options;
    const char *seed; /* of the noise, drawn or made; NULL: none is needed */
};

/* From the quantiles z [n] at the first sigma to the end: out [n]. Returns the last sigma. Fails the test
 * where the sampler fails. */
double run_gaussian(const struct gaussian_run *run, const double *z, size_t n, double *out);

/* The sigmas that set_timesteps makes of `given` [count], with the config's semantics: [count + 1]. */
void sigmas_made_of(const char *config, const double *given, size_t count, double *sigmas);

#endif
