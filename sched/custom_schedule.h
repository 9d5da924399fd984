/*
 * Timesteps and sigmas of the caller's own, which diffusers takes as they are, that are hardly meant so.
 */
#ifndef SCHED_CUSTOM_SCHEDULE_H
#define SCHED_CUSTOM_SCHEDULE_H

#include "solver.h"

/* Warns of lists that do not fall, of timesteps that the model was not trained for, and of sigmas that are
 * negative or end above zero. `scheduler` has just set its timesteps by `request`. */
#define warn_of_custom_schedule(...) REAL_NAME(warn_of_custom_schedule)(__VA_ARGS__)
void warn_of_custom_schedule(
    const struct scheduler *scheduler, const struct schedule_request *request, struct warnings *warnings);

#endif
