/*
 * The mean and the deviation that a run of the sampler ends with, exactly, where the data are Gaussian.
 *
 * The model that knows the data to be N(mu, s^2) is affine in the sample, and so is every linear solver's
 * step. So the last sample is affine in the first one and in each draw of noise, all independent normal
 * numbers: the run is made once for each of them, with it at one deviation and the others at 0, and the
 * variance is the sum of the squares of what each one moves.
 */
#ifndef TESTS_GAUSSIAN_MOMENTS_H
#define TESTS_GAUSSIAN_MOMENTS_H

#include "sched/scheduler.h"

#include <cjson/cJSON.h>

struct gaussian_moments {
    double mean, deviation; /* of the last sample */
    double alpha, sigma;    /* weights of the data and of the noise in it, as the schedule has them */
};

/* Runs the schedule from its step `begin` on, started on the data's distribution at that step's level. A step
 * that is refused is an error. The suffix is the sampler's arithmetic. */
enum status gaussian_moments_f32(const cJSON *config, const struct schedule_request *request, size_t begin,
    double mu, double s, struct gaussian_moments *moments, struct error *error);
enum status gaussian_moments_f64(const cJSON *config, const struct schedule_request *request, size_t begin,
    double mu, double s, struct gaussian_moments *moments, struct error *error);

#endif
