/*
 * A scheduler of several on a command line, "SCHEDULER" or "SCHEDULER,KEY=VALUE,...": with settings of its
 * own, among them steps, timesteps or sigmas of its own.
 */
#ifndef REF_LABELLED_SCHEDULER_H
#define REF_LABELLED_SCHEDULER_H

#include "sched/call_arguments.h"

struct labelled_scheduler {
    cJSON *config;
    char *label; /* its name without folders and ending, its class, and the settings of its own */
    struct schedule_request request;
    struct owned_request own; /* what the request points to, where it is not the common one */
};

/* Reads such an argument: the scheduler's config, the `common` settings (may be NULL) over it, and its own
 * over those. Lists stand in brackets: KEY=[1,2]. Its own num_inference_steps, timesteps or sigmas take the
 * place of the common request's. A file whose name has a comma is a file. */
enum status labelled_scheduler_read(const char *argument, const cJSON *common,
    const struct schedule_request *request, struct labelled_scheduler *scheduler, struct error *error);
void labelled_scheduler_free(struct labelled_scheduler *scheduler); /* accepts an empty one */

#endif
