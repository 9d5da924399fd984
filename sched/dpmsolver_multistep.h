/*
 * What DPMSolverMultistepScheduler shares with its inverse: all but options and schedule.
 */
#ifndef SCHED_DPMSOLVER_MULTISTEP_H
#define SCHED_DPMSOLVER_MULTISTEP_H

#include "dpmsolver_schedule.h"

#define MAX_DPM_ORDER 3

struct dpm_multistep_state {
    enum dpm_algorithm algorithm; /* what algorithm_type names */
    int highest_order;            /* for which diffusers has an update of that algorithm */
    struct history model_outputs; /* converted: data or noise */
    int lower_order_nums;         /* steps taken since set_timesteps, counted up to solver_order */
};

/* The members of struct solver of both classes; the first two take the rules of the class's schedule. */
#define dpm_multistep_create REAL_NAME(dpm_multistep_create)
enum status dpm_multistep_create(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    struct warnings *warnings, struct error *error);

#define dpm_multistep_set_timesteps REAL_NAME(dpm_multistep_set_timesteps)
enum status dpm_multistep_set_timesteps(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct schedule_request *request, struct warnings *warnings, struct error *error);

#define dpm_multistep_memory REAL_NAME(dpm_multistep_memory)
size_t dpm_multistep_memory(void *state, struct state_memory memory[MAX_STATE_MEMORY]);

#define dpm_multistep_needs_noise REAL_NAME(dpm_multistep_needs_noise)
bool dpm_multistep_needs_noise(
    struct scheduler *scheduler, double timestep, const struct step_options *options);

#define dpm_multistep_step REAL_NAME(dpm_multistep_step)
enum status dpm_multistep_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error);

#endif
