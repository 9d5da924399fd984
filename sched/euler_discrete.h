/*
 * What the two files of EulerDiscreteScheduler share: constructor and schedule are in
 * euler_discrete_schedule.c, the steps are in euler_discrete.c.
 */
#ifndef SCHED_EULER_DISCRETE_H
#define SCHED_EULER_DISCRETE_H

#include "config.h"
#include "scheduler.h"

struct euler_config {
    struct scheduler_config common;
    char *interpolation_type, *timestep_type;
};

static inline const struct euler_config *euler_config_of(const struct scheduler *scheduler)
{
    return (const struct euler_config *)scheduler->config;
}

/* The create hook: options checked, every timestep of training from the last down with its sigma. */
#define euler_create REAL_NAME(euler_create)
enum status euler_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* The set_timesteps hook. */
#define euler_set_timesteps REAL_NAME(euler_set_timesteps)
enum status euler_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error);

#endif
