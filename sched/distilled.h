/*
 * What LCM and TCD share: models distilled to need a handful of steps, each of which predicts the end of the
 * trajectory, or a later point of it, at once. Their timesteps are taken from the coarse schedule of
 * original_inference_steps that they were distilled on; timestep_spacing and steps_offset are not looked at.
 *
 * Known deviation: custom timesteps that strength cuts keep the uncut list's length for num_inference_steps,
 * so the last step takes itself for one in the middle, and adds noise.
 */
#ifndef SCHED_DISTILLED_H
#define SCHED_DISTILLED_H

#include "solver.h"

#define distilled_set_timesteps REAL_NAME(distilled_set_timesteps)
#define distilled_step_index REAL_NAME(distilled_step_index)
#define distilled_is_last REAL_NAME(distilled_is_last)
#define distilled_options REAL_NAME(distilled_options)
#define distilled_clipping_options REAL_NAME(distilled_clipping_options)
#define distilled_scaling_options REAL_NAME(distilled_scaling_options)

struct distilled_config {
    struct scheduler_config base;
    int original_inference_steps;
    double timestep_scaling; /* LCM */
};

/* What both classes read; clip_sample, which is false by default, and clip_sample_range; timestep_scaling. */
extern const struct option distilled_options[9];
extern const struct option distilled_clipping_options[2], distilled_scaling_options[1];

/* The distillation's schedule where original_inference_steps is an argument: as where it is an option (LCM),
 * or every training timestep (TCD). */
enum distilled_grid { DISTILLED_ON_ORIGINAL_STEPS, DISTILLED_ON_EVERY_TIMESTEP };

/* set_timesteps: a count of steps, or custom timesteps, of which `strength` cuts the noisy end. */
enum status distilled_set_timesteps(struct scheduler *scheduler, enum distilled_grid grid,
    const struct schedule_request *request, struct warnings *warnings, struct error *error);

/* Where the step at `timestep` stands in the list, and the timestep after it: `past_end` behind the last. */
enum status distilled_step_index(const struct scheduler *scheduler, double timestep, double past_end,
    size_t *index, double *prev_timestep, struct error *error);

/* Whether the step at `index` is the last, which adds no noise. */
bool distilled_is_last(const struct scheduler *scheduler, size_t index);

#endif
