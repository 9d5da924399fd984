#include "recorded_call.h"

#include "support.h"

#include <stdint.h>
#include <stdlib.h>

static int need_int(const cJSON *arguments, const char *name, bool *found)
{
    int64_t value = 0;
    ck_assert_int_eq(json_get_int(arguments, name, INT32_MIN, INT32_MAX, &value, found, NULL), STATUS_OK);
    return (int)value;
}

static double *need_list(const cJSON *arguments, const char *name, size_t *count)
{
    double *values = NULL;
    ck_assert_int_eq(json_get_doubles(arguments, name, 100000, &values, count, NULL, NULL), STATUS_OK);
    return values;
}

static void need_number(const cJSON *arguments, const char *name, double *value, bool *found)
{
    ck_assert_int_eq(json_get_double(arguments, name, value, found, NULL), STATUS_OK);
}

struct recorded_request recorded_request(const cJSON *arguments)
{
    struct recorded_request recorded = {0};
    struct schedule_request *r = &recorded.request;
    r->num_inference_steps = need_int(arguments, "num_inference_steps", &r->has_num_inference_steps);
    r->original_inference_steps =
        need_int(arguments, "original_inference_steps", &r->has_original_inference_steps);
    need_number(arguments, "mu", &r->mu, &r->has_mu);
    need_number(arguments, "strength", &r->strength, &r->has_strength);
    need_number(arguments, "sampling_eps", &r->sampling_eps, &r->has_sampling_eps);
    r->timesteps = recorded.timesteps = need_list(arguments, "timesteps", &r->num_timesteps);
    r->sigmas = recorded.sigmas = need_list(arguments, "sigmas", &r->num_sigmas);
    return recorded;
}

void recorded_request_free(struct recorded_request *recorded)
{
    free(recorded->timesteps);
    free(recorded->sigmas);
    *recorded = (struct recorded_request){0};
}

struct step_options recorded_step_options(const cJSON *arguments)
{
    struct step_options options = STEP_OPTIONS_DEFAULT;
    need_number(arguments, "eta", &options.eta, NULL);
    need_number(arguments, "s_churn", &options.s_churn, NULL);
    need_number(arguments, "s_tmin", &options.s_tmin, NULL);
    need_number(arguments, "s_tmax", &options.s_tmax, NULL);
    need_number(arguments, "s_noise", &options.s_noise, NULL);
    bool found = false;
    const int order = need_int(arguments, "order", &found);
    if (found) options.order = order;
    ck_assert_int_eq(
        json_get_bool(arguments, "use_clipped_model_output", &options.use_clipped_model_output, NULL, NULL),
        STATUS_OK);
    return options;
}
