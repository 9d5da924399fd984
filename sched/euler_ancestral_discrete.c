/*
 * EulerAncestralDiscreteScheduler: Euler's method in sigma, with noise. It is the ancestral sampling of DDPM
 * (Ho et al. 2020, arXiv:2006.11239) for samples x = x_0 + sigma noise, as k-diffusion writes it.
 *
 * A step from sigma to sigma' takes Euler's method further down, to sigma_down, and adds fresh noise of size
 * sigma_up, so that sigma_down^2 + sigma_up^2 = sigma'^2:
 *
 *     sigma_up^2 = sigma'^2 (sigma^2 - sigma'^2) / sigma^2,
 *     x' = x + (sigma_down - sigma) (x - D) / sigma + sigma_up z,
 *
 * where D is the predicted data, here pred_original_sample. z is drawn at the last step too, which ends at 0
 * and multiplies it with 0.
 *
 * Known deviation of diffusers: sigma_down, the difference of two squares, is lost in rounding, or becomes
 * the root of a negative number, where sigma' is less than some 1/4000 of sigma: on cosine schedules and zero
 * SNR in few steps. SEMANTICS_DOCUMENTED takes it as sigma'^2 / sigma, which is the same.
 */
#include "config.h"
#include "denoiser.h"
#include "noise_schedule.h"
#include "real.h"
#include "sigma_schedule.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    return sigma_schedule_of_training(scheduler, TIMESTEP_FLOAT64, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return sigma_schedule_set_timesteps(scheduler, request, error);
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    (void)options;
    size_t index = 0;
    return step_index_with_next(scheduler, timestep, &index, NULL) == STATUS_OK;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct denoiser denoiser;
    size_t index = 0;
    enum status status =
        denoiser_choose(scheduler->config->prediction_type, NO_SAMPLE_PREDICTION, &denoiser, error);
    if (status == STATUS_OK) status = step_index_with_next(scheduler, input->timestep, &index, error);
    if (status != STATUS_OK) return status;

    const real sigma = scheduler->sigmas[index];
    const struct ancestral_step to = ancestral_split(scheduler, sigma, scheduler->sigmas[index + 1]);
    const real dt = to.sigma_down - sigma;
    denoiser_at(&denoiser, sigma);
    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        const real sample = input->sample[i];
        const real pred_original = denoise(&denoiser, sample, input->model_output[i]);
        const real derivative = (sample - pred_original) / sigma;
        prev_sample[i] = sample + derivative * dt + input->noise[i] * to.sigma_up;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(euler_ancestral_discrete_solver) = {
    .class_name = "EulerAncestralDiscreteScheduler",
    .equation = "x' = x + (sigma_down - sigma) (x - x_0) / sigma + sigma_up z,  sigma_up^2 = sigma'^2 "
                "(sigma^2 - sigma'^2) / sigma^2,  sigma_down^2 = sigma'^2 - sigma_up^2    (k-diffusion)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(sigma_grid_options)},
    .config_size = sizeof(struct scheduler_config),
    .float32_sample = true,
    .steps_unset = true,
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = sigmas_scale_model_input,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = sigmas_add_noise,
};
