/*
 * What KDPM2DiscreteScheduler and KDPM2AncestralDiscreteScheduler share: DPM-Solver-2 (Lu et al. 2022,
 * arXiv:2206.00927, Algorithm 1) for samples x_0 + sigma noise, as k-diffusion has it.
 *
 * A step from sigma takes two calls of the model, one at sigma and one in the middle, at sigma_interpol. With
 * the derivative d(x, sigma) = (x - D) / sigma, D being the predicted data:
 *
 *     x_1 = x + (sigma_interpol - sigma) d(x, sigma),
 *     x'  = x + (sigma_end - sigma) d(x_1, sigma_interpol).
 *
 * sigma_interpol lies half way to sigma_end in the logarithm: it is the midpoint rule in lambda = -log sigma,
 * as far as the choice of the midpoint goes. The last step, to 0, has one call and is Euler's. So N steps
 * have 2 N - 1 timesteps: the first, then by turns that of a middle and that of the next step.
 */
#ifndef SCHED_K_DPM_2_H
#define SCHED_K_DPM_2_H

#include "history.h"
#include "scheduler.h"
#include "solver.h"

struct k_dpm_2_state {
    /* In one block, [count] each, for a step that begins at that entry of the scheduler's sigmas: its middle,
     * its end, and the size of the noise that is added there. */
    real *tables;
    size_t count;
    struct history began; /* between the two calls of a step: the sample where it began */
};

#define k_dpm_2_create REAL_NAME(k_dpm_2_create)
#define k_dpm_2_set_timesteps REAL_NAME(k_dpm_2_set_timesteps)
#define k_dpm_2_scale_model_input REAL_NAME(k_dpm_2_scale_model_input)
#define k_dpm_2_step REAL_NAME(k_dpm_2_step)
#define k_dpm_2_state_memory REAL_NAME(k_dpm_2_state_memory)

/* The constructor and set_timesteps. An `ancestral` step ends at sigma_down, where noise of size sigma_up
 * takes it to the next sigma of the schedule (sigmas.h); the other ends at the next sigma. */
enum status k_dpm_2_create(
    struct scheduler *scheduler, bool ancestral, struct warnings *warnings, struct error *error);
enum status k_dpm_2_set_timesteps(
    struct scheduler *scheduler, bool ancestral, const struct schedule_request *request, struct error *error);

/* Hooks of both classes; k_dpm_2_step() is Algorithm 1, one of its two calls of the model. A step that has
 * noise in its input adds it in the second call. */
enum status k_dpm_2_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error);
enum status k_dpm_2_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error);
size_t k_dpm_2_state_memory(void *state, struct state_memory memory[MAX_STATE_MEMORY]);

#endif
