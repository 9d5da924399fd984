#include "scheduler_input.h"

#include "../schedule_check.h"

#include "sched/call_arguments.h"
#include "sched/config.h"

enum { MOST_STEPS = 4000, MOST_TRAIN_TIMESTEPS = 20000 };

static bool is_between(const cJSON *object, const char *key, double above, double most)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) && item->valuedouble > above && item->valuedouble <= most;
}

bool scheduler_input_takes_long(const cJSON *config, const cJSON *set_timesteps)
{
    return is_between(config, "num_train_timesteps", MOST_TRAIN_TIMESTEPS, MAX_TRAIN_TIMESTEPS) ||
           is_between(config, "original_inference_steps", MOST_STEPS, MAX_INFERENCE_STEPS) ||
           is_between(set_timesteps, "original_inference_steps", MOST_STEPS, MAX_INFERENCE_STEPS) ||
           is_between(set_timesteps, "num_inference_steps", MOST_STEPS, MAX_INFERENCE_STEPS);
}

bool scheduler_input_run(const cJSON *config, const cJSON *set_timesteps, const cJSON *step_kwargs)
{
    struct owned_request owned = {.request = {.has_num_inference_steps = true, .num_inference_steps = 10}};
    struct step_options options = STEP_OPTIONS_DEFAULT;
    struct error error = {""};
    enum status status = STATUS_OK;
    if (set_timesteps) status = schedule_request_read(set_timesteps, &owned, &error);
    if (status == STATUS_OK) status = step_options_read(step_kwargs, &options, &error);
    bool made = fuzz_accepted(status, &error);
    if (made) {
        const uint64_t seed = (uint64_t)owned.request.num_inference_steps;
        const struct schedule_verdict single = check_schedule_f32(config, &owned.request, &options, seed);
        const struct schedule_verdict twofold = check_schedule_f64(config, &owned.request, &options, seed);
        fuzz_require(!single.fault[0], "%s", single.fault);
        fuzz_require(!twofold.fault[0], "f64: %s", twofold.fault);
        made = single.made && twofold.made;
    }
    schedule_request_free(&owned);
    return made;
}
