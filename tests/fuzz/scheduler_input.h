/*
 * A scheduler's config with the arguments of set_timesteps and step, as the targets have them in their
 * inputs.
 */
#ifndef TESTS_FUZZ_SCHEDULER_INPUT_H
#define TESTS_FUZZ_SCHEDULER_INPUT_H

#include "fuzz.h"

/* Whether a schedule of these takes more than a moment to compute, which is no fault: more than a few
 * thousand steps, of sampling or of training, within what the library allows. `set_timesteps` may be NULL. */
bool scheduler_input_takes_long(const cJSON *config, const cJSON *set_timesteps);

/* check_schedule() in both arithmetics; ends the process where it finds a fault. Ten steps where
 * `set_timesteps` is NULL; `step_kwargs` may be NULL. Returns whether there was a schedule in both. */
bool scheduler_input_run(const cJSON *config, const cJSON *set_timesteps, const cJSON *step_kwargs);

#endif
