/*
 * A scheduler config and a request, whatever is in them: refused in words, or a schedule that can be run.
 */
#ifndef TESTS_SCHEDULE_CHECK_H
#define TESTS_SCHEDULE_CHECK_H

#include "sched/scheduler.h"

/* Creates the scheduler, sets its timesteps and takes every step (the first and last few of a long
 * schedule) of a small sample. Fails the test where a refusal does not say why, or where a schedule is empty
 * (but where that is what was asked for) or holds a timestep that is not finite. Returns whether there is a
 * schedule. `where` stands in messages. */
bool check_schedule_f32(const cJSON *config, const struct schedule_request *request, const char *where);
bool check_schedule_f64(const cJSON *config, const struct schedule_request *request, const char *where);

#endif
