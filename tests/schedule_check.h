/*
 * A scheduler config and a request, whatever is in them: refused in words, or a finite, well-formed schedule
 * that can be run.
 */
#ifndef TESTS_SCHEDULE_CHECK_H
#define TESTS_SCHEDULE_CHECK_H

#include "sched/scheduler.h"

struct schedule_verdict {
    bool made;       /* there is a schedule; false where it was refused */
    char fault[512]; /* what must not be; empty where all is well */
};

/* Creates the scheduler, sets its timesteps and takes every step (the first two dozen of a long schedule) of
 * a small sample, with model outputs between -2 and 2 that `seed` decides. A fault is
 *
 * - a refusal that does not say why;
 * - a schedule without timesteps, where one was asked for, or with fewer sigmas than timesteps;
 * - a timestep or a sigma that is no number or infinite, or a negative sigma that is not the request's own;
 * - on a schedule of ordinary levels, a sample that is not finite after a step. */
#define check_schedule(...) REAL_NAME(check_schedule)(__VA_ARGS__)
struct schedule_verdict check_schedule_f32(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, uint64_t seed);
struct schedule_verdict check_schedule_f64(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, uint64_t seed);

#endif
