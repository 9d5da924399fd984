#include "call_arguments.h"
#include "config.h"
#include "nearest.h"

#include <stdlib.h>
#include <string.h>

/* An object's keys must be among `names`. */
static enum status check_keys(
    const cJSON *object, const char *const *names, size_t count, struct error *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        bool known = false;
        for (size_t i = 0; i < count; i++) known = known || strcmp(item->string, names[i]) == 0;
        if (known) continue;
        char meant[64];
        return error_input(error, "no argument %.80s%s", item->string,
            did_you_mean(nearest_name(item->string, names, count), "", meant, sizeof meant));
    }
    return STATUS_OK;
}

enum status schedule_request_read(const cJSON *object, struct owned_request *owned, struct error *error)
{
    static const char *const names[] = {"num_inference_steps", "timesteps", "sigmas", "mu",
        "original_inference_steps", "strength", "sampling_eps"};
    *owned = (struct owned_request){0};
    struct schedule_request *request = &owned->request;
    int64_t steps = 0, original_steps = 0;
    enum status status = check_keys(object, names, sizeof names / sizeof *names, error);
    if (status == STATUS_OK)
        status = json_get_int(object, "num_inference_steps", 0, MAX_INFERENCE_STEPS, &steps,
            &request->has_num_inference_steps, error);
    if (status == STATUS_OK)
        status = json_get_doubles(object, "timesteps", MAX_INFERENCE_STEPS, &owned->timesteps,
            &request->num_timesteps, NULL, error);
    if (status == STATUS_OK)
        status = json_get_doubles(
            object, "sigmas", MAX_INFERENCE_STEPS, &owned->sigmas, &request->num_sigmas, NULL, error);
    if (status == STATUS_OK) status = json_get_double(object, "mu", &request->mu, &request->has_mu, error);
    if (status == STATUS_OK)
        status = json_get_int(object, "original_inference_steps", 0, MAX_INFERENCE_STEPS, &original_steps,
            &request->has_original_inference_steps, error);
    if (status == STATUS_OK)
        status = json_get_double(object, "strength", &request->strength, &request->has_strength, error);
    if (status == STATUS_OK)
        status = json_get_double(
            object, "sampling_eps", &request->sampling_eps, &request->has_sampling_eps, error);
    request->num_inference_steps = (int)steps;
    request->original_inference_steps = (int)original_steps;
    request->timesteps = owned->timesteps;
    request->sigmas = owned->sigmas;
    if (status != STATUS_OK) schedule_request_free(owned);
    return status;
}

void schedule_request_free(struct owned_request *owned)
{
    free(owned->timesteps);
    free(owned->sigmas);
    *owned = (struct owned_request){0};
}

enum status step_options_read(const cJSON *object, struct step_options *options, struct error *error)
{
    static const char *const names[] = {
        "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "use_clipped_model_output", "order"};
    *options = STEP_OPTIONS_DEFAULT;
    if (!object) return STATUS_OK;
    double *const numbers[] = {
        &options->eta, &options->s_churn, &options->s_tmin, &options->s_tmax, &options->s_noise};
    enum status status = check_keys(object, names, sizeof names / sizeof *names, error);
    for (size_t i = 0; status == STATUS_OK && i < sizeof numbers / sizeof *numbers; i++)
        status = json_get_double(object, names[i], numbers[i], NULL, error);
    if (status == STATUS_OK)
        status = json_get_bool(
            object, "use_clipped_model_output", &options->use_clipped_model_output, NULL, error);
    int64_t order = options->order;
    if (status == STATUS_OK)
        status = json_get_int(object, "order", 0, MAX_INFERENCE_STEPS, &order, NULL, error);
    options->order = (int)order;
    return status;
}
