#include "edm_multistep.h"
#include "real.h"
#include "thresholding.h"

#include <stdlib.h>

/* --- The schedule ------------------------------------------------------------------------- */

enum status edm_multistep_schedule(struct scheduler *scheduler, size_t count, real (*label)(real sigma),
    real final_sigma, struct error *error)
{
    double *timesteps = malloc((count + 1) * sizeof *timesteps);
    real *sigmas = malloc((count + 1) * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, (count + 1) * sizeof *timesteps);
    }
    edm_sigmas(edm_config_of(scheduler), count, sigmas);
    for (size_t i = 0; i < count; i++) timesteps[i] = (double)label(sigmas[i]);
    sigmas[count] = final_sigma;
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, count + 1);
    return STATUS_OK;
}

enum status edm_multistep_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    real (*label)(real sigma), struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    const bool ends_at_zero = option_is(config->dpm.common.final_sigmas_type, "zero");
    enum status status = edm_check_final_sigma(config, error);
    if (status == STATUS_OK)
        status = edm_multistep_schedule(scheduler, (size_t)request->num_inference_steps, label,
            ends_at_zero ? 0 : (real)config->sigma_min, error);
    if (status != STATUS_OK) return status;
    scheduler->num_inference_steps = request->num_inference_steps;
    dpm_multistep_reset(scheduler);
    return STATUS_OK;
}

/* --- Steps -------------------------------------------------------------------------------- */

enum status edm_multistep_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    return edm_scale_model_input(scheduler, timestep, OFF_SCHEDULE_IS_LAST, sample, n, model_input, error);
}

static struct level level_of(const struct scheduler *scheduler, real sigma)
{
    (void)scheduler;
    return (struct level){.alpha = 1, .sigma = sigma, .lambda = 0 - real_log(sigma)};
}

static enum status convert(const struct scheduler *scheduler, real sigma, const struct step_input *input,
    real *converted, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    struct edm_skip skip;
    enum status status = edm_skip_at(scheduler, sigma, &skip, error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < input->batch * input->sample_size; i++)
        converted[i] = skip.c_skip * input->sample[i] + skip.c_out * input->model_output[i];
    if (!config->thresholding) return STATUS_OK;
    return threshold_sample(config, converted, input->batch, input->sample_size, error);
}

enum status edm_multistep_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* these classes return none */
    static const struct dpm_multistep_terms terms = {level_of, convert};
    return dpm_multistep_step_of(&terms, scheduler, input, prev_sample, error);
}
