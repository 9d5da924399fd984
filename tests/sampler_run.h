/*
 * A whole run of the sampler with a model that is known in closed form, in either arithmetic.
 *
 * Everything here is in the variance-preserving scale, x = sqrt(a) x_0 + sqrt(1 - a) noise with a the level's
 * alphas_cumprod; the run converts where a class has another (Euler keeps x / sqrt(a)).
 */
#ifndef TESTS_SAMPLER_RUN_H
#define TESTS_SAMPLER_RUN_H

#include "sched/scheduler.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* What the best model says of x at a level: the noise in it and the data behind it. */
struct prediction {
    double epsilon, original;
};

struct sampler_run {
    const cJSON *config; /* a whole scheduler config; its prediction_type says what the class is told */
    struct schedule_request request;
    struct step_options options;
    size_t batch, size;
    const double *noise; /* [steps, batch, size], what a step draws; may be NULL where none does */

    struct prediction (*model)(const void *context, double alpha_cumprod, double x);
    /* Where the exact solution that is labelled by z passes a level. */
    double (*solution)(const void *context, double alpha_cumprod, double z);
    const void *context;
};

/* Starts every element on its exact solution at the schedule's first level, z: [batch, size], and steps to
 * the end: out [batch, size]. Returns the last level. Fails the test where the sampler fails. */
double run_sampler_f32(const struct sampler_run *run, const double *z, double *out);
double run_sampler_f64(const struct sampler_run *run, const double *z, double *out);

/* add_noise at the schedule's first timestep, then one step with the exact model output for that data and
 * noise: original_samples, noise and the result prev_sample are [size]. Returns the first level. */
double noise_and_step_f32(const cJSON *config, const struct schedule_request *request,
    const double *original_samples, const double *noise, size_t size, double *prev_sample);
double noise_and_step_f64(const cJSON *config, const struct schedule_request *request,
    const double *original_samples, const double *noise, size_t size, double *prev_sample);

/* The class's alphas_cumprod, at most `capacity` of them; returns how many it has. */
size_t noise_schedule_of_f32(const cJSON *config, double *alphas_cumprod, size_t capacity);
size_t noise_schedule_of_f64(const cJSON *config, double *alphas_cumprod, size_t capacity);

#endif
