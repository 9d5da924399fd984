/*
 * What DDIM and PNDM share: they walk the integer timesteps of the training schedule, and step back by
 * T // N from the timestep they are given, not to the next entry of their own list.
 */
#ifndef SCHED_INTEGER_STEPS_H
#define SCHED_INTEGER_STEPS_H

#include "solver.h"

#define integer_steps_create REAL_NAME(integer_steps_create)
#define integer_steps_grid REAL_NAME(integer_steps_grid)
#define integer_steps_stride REAL_NAME(integer_steps_stride)
#define integer_steps_alphas REAL_NAME(integer_steps_alphas)

/* alphas_cumprod at both ends of a step, and what they leave of 1: diffusers' names. */
struct step_alphas {
    real alpha_prod_t, alpha_prod_t_prev;
    real beta_prod_t, beta_prod_t_prev;
};

/* The constructor: the noise schedule and final_alpha_cumprod, 1 or the schedule's first entry. */
enum status integer_steps_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* The grid of `steps` timesteps that the options ask for: timesteps_spaced(). */
enum status integer_steps_grid(
    const struct scheduler *scheduler, int steps, double **timesteps, size_t *count, struct error *error);

/* T // N, which is 0 where N is more than T. Refuses a step on a schedule of no steps. */
enum status integer_steps_stride(const struct scheduler *scheduler, int *stride, struct error *error);

/* The coefficients of a step from `timestep` to `prev_timestep`; below 0 lies final_alpha_cumprod. */
enum status integer_steps_alphas(const struct scheduler *scheduler, double timestep, double prev_timestep,
    struct step_alphas *alphas, struct error *error);

#endif
