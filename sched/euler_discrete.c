/*
 * EulerDiscreteScheduler: Euler's method on the probability-flow ODE in the sigma of Karras et al. 2022
 * (arXiv:2206.00364), Algorithm 2 without its second-order correction.
 *
 * A sample is x = x_0 + sigma noise, dx/dsigma = (x - D(x; sigma)) / sigma, where D is the predicted data,
 * here pred_original_sample. With churn, a step first adds noise to come from sigma up to
 * sigma_hat = sigma (1 + gamma):
 *
 *     x_hat = x + sqrt(sigma_hat^2 - sigma^2) s_noise z,
 *     x' = x_hat + (sigma' - sigma_hat) (x_hat - D) / sigma_hat.
 *
 * The model sees x / sqrt(sigma^2 + 1), which has the size that it was trained on.
 *
 * Known deviations of diffusers: with churn, D of a v-prediction is still that at sigma; log_linear
 * interpolation makes one sigma too many, so that the last step ends at the smallest of training and not at
 * the final one (SEMANTICS_DOCUMENTED: N sigmas, at the timesteps).
 */
#include "euler_discrete.h"
#include "churn.h"
#include "denoiser.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"

static const struct option euler_options[] = {
    {OPTION_MEMBER(euler_config, interpolation_type), .type = OPTION_STRING, .string = "linear"},
    {OPTION_MEMBER(euler_config, timestep_type), .type = OPTION_STRING, .string = "discrete"},
};

static enum status euler_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct denoiser denoiser;
    size_t index = 0;
    enum status status =
        denoiser_choose(scheduler->config->prediction_type, ORIGINAL_SAMPLE_TOO, &denoiser, error);
    if (status == STATUS_OK) status = step_index_with_next(scheduler, input->timestep, &index, error);
    if (status != STATUS_OK) return status;

    real sigma = scheduler->sigmas[index];
    const struct churn churn = churn_at(scheduler, sigma, &input->options);
    const real sigma_hat = churn.sigma_hat, s_noise = (real)input->options.s_noise;
    denoiser_at(&denoiser, denoiser.prediction == PREDICTS_V ? sigma : sigma_hat);
    real dt = scheduler->sigmas[index + 1] - sigma_hat;

    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        real sample = input->sample[i], model_output = input->model_output[i];
        if (churn.gamma > 0) sample += input->noise[i] * s_noise * churn.noise_scale;
        real pred_original = denoise(&denoiser, sample, model_output);
        real derivative = (sample - pred_original) / sigma_hat;
        prev_sample[i] = sample + derivative * dt;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(euler_discrete_solver) = {
    .class_name = "EulerDiscreteScheduler",
    .equation = "x' = x + (sigma' - sigma) (x - x_0) / sigma    (Karras et al. 2022, arXiv:2206.00364, "
                "Algorithm 2 without its correction)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(sigma_options),
        OPTION_TABLE_OF(sigma_range_options), OPTION_TABLE_OF(sigma_grid_options),
        OPTION_TABLE_OF(euler_options)},
    .config_size = sizeof(struct euler_config),
    .float32_sample = true,
    .takes_timesteps = true,
    .takes_sigmas = true,
    .steps_unset = true,
    .create = euler_create,
    .set_timesteps = euler_set_timesteps,
    .scale_model_input = sigmas_scale_model_input,
    .needs_noise = churn_needs_noise,
    .step = euler_step,
    .add_noise = sigmas_add_noise,
};
