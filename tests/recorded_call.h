/*
 * Arguments of set_timesteps() and step() as the golden files record them: a JSON object each.
 */
#ifndef TESTS_RECORDED_CALL_H
#define TESTS_RECORDED_CALL_H

#include "sched/scheduler.h"

struct recorded_request {
    struct schedule_request request;
    double *timesteps, *sigmas; /* what `request` points to */
};

/* These fail the test where an argument has the wrong type; absent ones are not given. */
struct recorded_request recorded_request(const cJSON *arguments);
void recorded_request_free(struct recorded_request *recorded);
struct step_options recorded_step_options(const cJSON *arguments);

#endif
