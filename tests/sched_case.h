/*
 * A recorded sampler case (golden/sched/<name>.json and .safetensors) run again through the sampler, in
 * either arithmetic: tables, timesteps, and each step from its recorded inputs.
 */
#ifndef TESTS_SCHED_CASE_H
#define TESTS_SCHED_CASE_H

#include <stdbool.h>
#include <stddef.h>

/* How near something came to what was recorded, over all elements of all cases. */
struct nearness {
    size_t count, equal; /* elements; those with the same bits (NaN equals NaN) */
    double largest;      /* the largest distance, in the unit that the member's comment gives */
};

struct case_totals {
    size_t cases, steps, failures;
    struct nearness tables;              /* betas, alphas, alphas_cumprod: units in the last place */
    struct nearness integers, fractions; /* timesteps, by type: steps of training */
    struct nearness sigmas;              /* units in the last place */
    struct nearness model_input;         /* relative to the largest element */
    /* Relative to the largest term of the sum; pred_original_sample or what the class returns in its
     * place. */
    struct nearness prev_sample, pred_original_sample, noised;
    struct nearness made_noise; /* by a class that makes its own: of a standard deviation */
};

/* What a case must keep to. */
struct case_limits {
    double table_ulp;         /* betas, alphas_cumprod */
    double fraction;          /* fractional timesteps */
    double sigma_ulp;         /* sigmas, init_noise_sigma */
    double score_sde_vp_step; /* ScoreSdeVp's prev_sample and prev_sample_mean */
    double step;              /* prev_sample, pred_original_sample, noised samples, model input */
    double made_noise;
};

/* Runs the case `name`; adds to `totals`, and prints a line for each thing that is beyond the limits, which
 * counts as a failure. `_f32` is the arithmetic of diffusers, `_f64` the one in double. */
void sched_case_check_f32(const char *name, const struct case_limits *limits, struct case_totals *totals);
void sched_case_check_f64(const char *name, const struct case_limits *limits, struct case_totals *totals);

/* Whether the case's class is one that the sampler has. */
bool sched_case_is_known(const char *name);

#endif
