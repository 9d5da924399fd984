/*
 * Where on its schedule a run stands: the classes with sigmas count their steps with an index, which the
 * first step finds from its timestep.
 */
#ifndef SCHED_STEP_INDEX_H
#define SCHED_STEP_INDEX_H

#include "scheduler.h"

/* A first timestep that is not on the schedule: Euler refuses it, DPM-Solver takes the last index. */
enum off_schedule { OFF_SCHEDULE_IS_ERROR, OFF_SCHEDULE_IS_LAST };

/* The index of the step at `timestep`: that of the run, where it has begun; else begin_index, where it is
 * set; else that of the entry of `timesteps` that equals `timestep`, of two or more the second, so that a run
 * which starts in the middle of a schedule skips no sigma (a fractional timestep may be up to 1e-2 off, as
 * another machine's logarithms leave it). Does not change the scheduler. An index at which there is no sigma
 * is an error. */
enum status step_index_now(const struct scheduler *scheduler, double timestep, enum off_schedule off_schedule,
    size_t *index, struct error *error);

/* As step_index_now(), for the classes that refuse a timestep off the schedule; there must be a sigma after
 * the step too. */
enum status step_index_with_next(
    const struct scheduler *scheduler, double timestep, size_t *index, struct error *error);

/* The index of the sigma that add_noise takes for `timestep`: without begin_index that of the timestep; with
 * it the one of the run (inpainting), or begin_index itself (image to image). */
enum status step_index_for_noise(const struct scheduler *scheduler, double timestep,
    enum off_schedule off_schedule, size_t *index, struct error *error);

#endif
