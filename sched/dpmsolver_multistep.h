/*
 * What DPMSolverMultistepScheduler shares with its inverse (all but options and schedule) and with the
 * multistep classes of EDM (the step).
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

/* The same step for classes (EDM) with other samples, or with models that mean something else: the level at a
 * sigma, and the model's output at it as data or as noise, [batch, sample_size]. */
struct dpm_multistep_terms {
    struct level (*level)(const struct scheduler *scheduler, real sigma);
    enum status (*convert)(const struct scheduler *scheduler, real sigma, const struct step_input *input,
        real *converted, struct error *error);
};
#define dpm_multistep_step_of REAL_NAME(dpm_multistep_step_of)
enum status dpm_multistep_step_of(const struct dpm_multistep_terms *terms, struct scheduler *scheduler,
    const struct step_input *input, real *prev_sample, struct error *error);

/* Warns of a solver_order beyond what there are updates for. */
#define dpm_multistep_warn REAL_NAME(dpm_multistep_warn)
void dpm_multistep_warn(const struct scheduler *scheduler, struct warnings *warnings);

/* Back to the beginning of a run. */
#define dpm_multistep_reset REAL_NAME(dpm_multistep_reset)
void dpm_multistep_reset(struct scheduler *scheduler);

#endif
