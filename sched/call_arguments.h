/*
 * The keyword arguments of Diffusers' set_timesteps() and step() as JSON objects: {"num_inference_steps":
 * 20},
 * {"sigmas": [14.6, 3.7, 0]}, {"eta": 0.5}.
 */
#ifndef SCHED_CALL_ARGUMENTS_H
#define SCHED_CALL_ARGUMENTS_H

#include "scheduler.h"

/* A request and the lists that it points to. */
struct owned_request {
    struct schedule_request request;
    double *timesteps, *sigmas;
};

/* Reads the arguments of set_timesteps(). An argument that there is not is refused, with the nearest name
 * that there is. */
enum status schedule_request_read(const cJSON *object, struct owned_request *owned, struct error *error);
void schedule_request_free(struct owned_request *owned); /* accepts an empty one */

/* Reads the arguments of step() over STEP_OPTIONS_DEFAULT; `object` may be NULL for none. */
enum status step_options_read(const cJSON *object, struct step_options *options, struct error *error);

#endif
