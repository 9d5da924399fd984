#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"
#include "timesteps.h"

enum status integer_steps_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = noise_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    scheduler->final_alpha_cumprod =
        scheduler->config->set_alpha_to_one ? (real)1 : scheduler->alphas_cumprod[0];
    scheduler->init_noise_sigma = 1;
    scheduler->timestep_dtype = TIMESTEP_INT64;
    return STATUS_OK;
}

enum status integer_steps_grid(
    const struct scheduler *scheduler, int steps, double **timesteps, size_t *count, struct error *error)
{
    const struct spacing spacing = {
        .timestep_spacing = scheduler->config->timestep_spacing,
        .num_train_timesteps = scheduler->num_train_timesteps,
        .last_timestep = scheduler->num_train_timesteps,
        .num_inference_steps = steps,
        .steps_offset = scheduler->config->steps_offset,
    };
    return timesteps_spaced(&spacing, timesteps, count, error);
}

enum status integer_steps_stride(const struct scheduler *scheduler, int *stride, struct error *error)
{
    if (scheduler->num_inference_steps == 0)
        return error_input(error, "num_inference_steps: a schedule of 0 steps has no step to take");
    *stride = scheduler->num_train_timesteps / scheduler->num_inference_steps;
    return STATUS_OK;
}

enum status integer_steps_alphas(const struct scheduler *scheduler, double timestep, double prev_timestep,
    struct step_alphas *alphas, struct error *error)
{
    enum status status = alphas_cumprod_at(scheduler, timestep, &alphas->alpha_prod_t, error);
    if (status != STATUS_OK) return status;
    alphas->alpha_prod_t_prev = scheduler->final_alpha_cumprod;
    if (prev_timestep >= 0)
        status = alphas_cumprod_at(scheduler, prev_timestep, &alphas->alpha_prod_t_prev, error);
    alphas->beta_prod_t = 1 - alphas->alpha_prod_t;
    alphas->beta_prod_t_prev = 1 - alphas->alpha_prod_t_prev;
    return status;
}
