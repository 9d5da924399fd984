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
 * the final one.
 */
#include "euler_discrete.h"
#include "churn.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"

#include <math.h>

static const struct option euler_options[] = {
    {OPTION_MEMBER(euler_config, interpolation_type), .type = OPTION_STRING, .string = "linear"},
    {OPTION_MEMBER(euler_config, timestep_type), .type = OPTION_STRING, .string = "discrete"},
    {OPTION_MEMBER(euler_config, sigma_min), .type = OPTION_OPTIONAL_NUMBER},
    {OPTION_MEMBER(euler_config, sigma_max), .type = OPTION_OPTIONAL_NUMBER},
};

/* --- Steps -------------------------------------------------------------------------------- */

static enum status euler_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    size_t index = 0;
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)index;
    real sigma = scheduler->sigmas[index];
    real scale = real_sqrt(sigma * sigma + 1);
    for (size_t i = 0; i < n; i++) model_input[i] = sample[i] / scale;
    return STATUS_OK;
}

enum prediction { PREDICTS_SAMPLE, PREDICTS_EPSILON, PREDICTS_V };

static enum status find_prediction(
    const struct scheduler_config *config, enum prediction *prediction, struct error *error)
{
    const char *type = config->prediction_type;
    if (option_is(type, "epsilon"))
        *prediction = PREDICTS_EPSILON;
    else if (option_is(type, "v_prediction"))
        *prediction = PREDICTS_V;
    else if (option_is(type, "sample") || option_is(type, "original_sample"))
        *prediction = PREDICTS_SAMPLE;
    else
        return option_refuse("prediction_type", type, "\"epsilon\", \"v_prediction\" or \"sample\"", error);
    return STATUS_OK;
}

static enum status euler_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    enum prediction prediction = PREDICTS_EPSILON;
    size_t index = 0;
    enum status status = find_prediction(scheduler->config, &prediction, error);
    if (status == STATUS_OK)
        status = step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    if (index + 1 >= scheduler->num_sigmas)
        return error_input(
            error, "step %zu: the schedule has only %zu steps", index, scheduler->num_sigmas - 1);

    real sigma = scheduler->sigmas[index];
    const struct churn churn = churn_at(scheduler, sigma, &input->options);
    const real sigma_hat = churn.sigma_hat, s_noise = (real)input->options.s_noise;
    /* v = alpha eps - sigma_t x_0 of the scaled sample: D = c_out v + x / (sigma^2 + 1). */
    real c_out = -sigma / real_sqrt(sigma * sigma + 1), by_skip = sigma * sigma + 1;
    real dt = scheduler->sigmas[index + 1] - sigma_hat;

    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        real sample = input->sample[i], model_output = input->model_output[i];
        if (churn.gamma > 0) sample += input->noise[i] * s_noise * churn.noise_scale;
        real pred_original = model_output;
        if (prediction == PREDICTS_EPSILON) pred_original = sample - sigma_hat * model_output;
        if (prediction == PREDICTS_V) pred_original = model_output * c_out + sample / by_skip;
        real derivative = (sample - pred_original) / sigma_hat;
        prev_sample[i] = sample + derivative * dt;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(euler_discrete_solver) = {
    .class_name = "EulerDiscreteScheduler",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(sigma_options),
        OPTION_TABLE_OF(sigma_grid_options), OPTION_TABLE_OF(euler_options)},
    .config_size = sizeof(struct euler_config),
    .takes_timesteps = true,
    .takes_sigmas = true,
    .steps_unset = true,
    .create = euler_create,
    .set_timesteps = euler_set_timesteps,
    .scale_model_input = euler_scale_model_input,
    .needs_noise = churn_needs_noise,
    .step = euler_step,
    .add_noise = sigmas_add_noise,
};
