/*
 * The table of a schedule: what `plumb schedule` shows.
 */
#ifndef REF_SCHEDULE_TABLE_H
#define REF_SCHEDULE_TABLE_H

#include "sched/scheduler.h"

#include <stdio.h>

/* How many steps back a step may look for earlier samples and model outputs: PNDM's first multistep looks at
 * the model outputs that began its three Runge-Kutta steps of four stages each. */
#define SCHEDULE_HISTORY 16

/* A step of a linear solver is prev_sample = sum over the lags of sample[lag] * (the sample `lag` steps ago)
 * + model_output[lag] * (the model's output `lag` steps ago), + noise * (this step's draw). */
struct step_coefficients {
    double sample[SCHEDULE_HISTORY], model_output[SCHEDULE_HISTORY], noise;
    double order;       /* scheduler_step()'s step_order */
    double evaluations; /* calls of the model so far, this step's with them */
};

struct schedule_table {
    bool is_f32; /* the numbers that the scheduler keeps are float32 values */

    size_t count; /* steps */
    double *timesteps;
    /* Noise over signal, sigma of sample / alpha = data + sigma * noise, at each step and after the last:
     * [count + 1]. For the classes that have sigmas their own list, otherwise from alphas_cumprod in double.
     * Infinite at zero terminal SNR. */
    double *sigmas;
    bool has_sigmas; /* the class keeps sigmas */
    bool flow;       /* flow matching's sigmas: sample = (1 - sigma) * data + sigma * noise */
    /* What is left of the data's variance, alpha^2 of sample = alpha * data + ...: the scheduler's own entry
     * where the class has no sigmas, from sigma otherwise; and the logarithm of the signal-to-noise ratio, 2
     * lambda_t. */
    double *alphas_cumprod, *log_snrs;
    /* DDIM, which goes to t - T // N, whatever stands next in the list; NULL for the others. */
    double *previous_timesteps, *previous_alphas_cumprod;

    double init_noise_sigma;
    bool init_noise_sigma_is_f32;

    struct step_coefficients *coefficients; /* NULL where not asked for */

    /* [count]: what of each row differs between the semantics, as bits of enum departure_sign, and the
     * departures that it shows, a bit for each heading (schedule_departures.h). */
    unsigned char *signs;
    uint32_t *departures;
};

/* Builds the scheduler of `config`, asks for the schedule, and fills the table. With `with_coefficients`, the
 * coefficients too: found by running the solver itself on unit impulses, so they are what it computes. That
 * is an error for a step that is not linear (clip_sample, thresholding). The suffix is the sampler's
 * arithmetic. */
enum status schedule_table_make_f32(const cJSON *config, const struct schedule_request *request,
    bool with_coefficients, struct schedule_table *table, struct warnings *warnings, struct error *error);
enum status schedule_table_make_f64(const cJSON *config, const struct schedule_request *request,
    bool with_coefficients, struct schedule_table *table, struct warnings *warnings, struct error *error);
void schedule_table_free(struct schedule_table *table); /* accepts an empty one */

/* Writes the schedule from its betas to the last step's coefficients in words, equations and numbers. */
enum status schedule_explain_f32(const cJSON *config, const struct schedule_request *request, FILE *out,
    struct warnings *warnings, struct error *error);
enum status schedule_explain_f64(const cJSON *config, const struct schedule_request *request, FILE *out,
    struct warnings *warnings, struct error *error);

enum schedule_format { SCHEDULE_AS_TABLE, SCHEDULE_AS_JSON, SCHEDULE_AS_CSV };

/* Writes the schedule. In JSON and CSV every number is the shortest that reads back as the same float or
 * double; infinities are written as Python's json module does. `config` is the one that the table was made
 * of. */
enum status schedule_table_write(const struct schedule_table *table, const cJSON *config,
    enum schedule_format format, FILE *out, struct error *error);

#endif
