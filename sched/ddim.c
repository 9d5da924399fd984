/*
 * DDIMScheduler: denoising diffusion implicit models (Song, Meng and Ermon 2021, arXiv:2010.02502).
 *
 * One step from t to t' < t, eq. 12, with the paper's alpha_t being alphas_cumprod[t]:
 *
 *     x_t' = sqrt(alpha_t') x_0 + sqrt(1 - alpha_t' - sigma^2) epsilon + sigma noise
 *     x_0  = (x_t - sqrt(1 - alpha_t) epsilon) / sqrt(alpha_t)            "predicted x_0", eq. 9
 *     sigma = eta sqrt((1 - alpha_t') / (1 - alpha_t)) sqrt(1 - alpha_t / alpha_t')      eq. 16
 *
 *     paper          diffusers
 *     x_0            pred_original_sample
 *     epsilon        pred_epsilon
 *     sigma          std_dev_t, whose square is `variance` at eta = 1
 *
 * eta = 0 is the deterministic sampler, eta = 1 the ancestral one of DDPM. x_0 can be clipped or thresholded;
 * then epsilon stays what the model said, unless use_clipped_model_output derives it again from x_t and x_0.
 *
 * Known deviation: t' is t - T // N and not the next entry of `timesteps`. They agree for `leading` spacing,
 * and for `trailing` only where N divides T (golden cases ddim_*). With rescale_betas_zero_snr the last alpha
 * is exactly 0, and predicting epsilon divides by it.
 */
#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"
#include "predictions.h"
#include "thresholding.h"
#include "timesteps.h"

#include <stdlib.h>

struct ddim_config {
    struct scheduler_config base;
    bool clip_sample;
    double clip_sample_range;
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, set_alpha_to_one), .type = OPTION_BOOL, .number = true,
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(ddim_config, clip_sample), .type = OPTION_BOOL, .number = true, .nullable = true},
    {OPTION_MEMBER(ddim_config, clip_sample_range), .type = OPTION_NUMBER, .number = 1},
};

static const struct ddim_config *config_of(const struct scheduler *scheduler)
{
    return (const struct ddim_config *)scheduler->config;
}

static void warn_of_options(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct ddim_config *config = config_of(scheduler);
    const char *name = scheduler_name(scheduler);
    const bool clips = config->clip_sample && !config->base.thresholding;
    if (config->clip_sample_range != 1 && !clips)
        warnings_add(warnings, "option clip_sample_range is ignored by %s %s", name,
            config->base.thresholding ? "where thresholding is true" : "unless clip_sample is true");
    if (config->base.rescale_betas_zero_snr && option_is(config->base.prediction_type, "epsilon") && !clips)
        warnings_add(warnings,
            "rescale_betas_zero_snr: with prediction_type \"epsilon\" %s divides by alphas_cumprod 0 at the "
            "last timestep of training",
            name);
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = integer_steps_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;

    /* Before set_timesteps: every training timestep. */
    size_t count = (size_t)scheduler->num_train_timesteps;
    double *timesteps = timesteps_of_training(count);
    if (!timesteps) return error_memory(error, count * sizeof *timesteps);
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    warn_of_options(scheduler, warnings);
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const int steps = request->num_inference_steps;
    if (steps > scheduler->num_train_timesteps)
        return error_input(error, "num_inference_steps: expected at most num_train_timesteps, %d, got %d",
            scheduler->num_train_timesteps, steps);
    double *timesteps;
    size_t count;
    enum status status = integer_steps_grid(scheduler, steps, &timesteps, &count, error);
    if (status != STATUS_OK) return status;
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    scheduler->num_inference_steps = steps;
    return STATUS_OK;
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)timestep;
    return step_options->eta > 0;
}

static real clamp(real x, real low, real high)
{
    real raised = x < low ? low : x; /* NaN stays NaN */
    return raised > high ? high : raised;
}

/* Eq. 12. x0 [n], as clipped, may be prev_sample itself. */
static void take_step(enum prediction prediction, const struct step_alphas *alphas,
    const struct step_input *input, const real *x0, real *prev_sample)
{
    const real *sample = input->sample, *model_output = input->model_output;
    const size_t n = input->batch * input->sample_size;
    const real sqrt_alpha_prod_t = real_sqrt(alphas->alpha_prod_t);
    const real sqrt_beta_prod_t = real_sqrt(alphas->beta_prod_t);
    const real variance = (alphas->beta_prod_t_prev / alphas->beta_prod_t) *
                          (1 - alphas->alpha_prod_t / alphas->alpha_prod_t_prev);
    const real std_dev_t = (real)input->options.eta * real_sqrt(variance);
    const real direction = real_sqrt(alphas->beta_prod_t_prev - std_dev_t * std_dev_t);
    const real sqrt_alpha_prod_t_prev = real_sqrt(alphas->alpha_prod_t_prev);

    for (size_t i = 0; i < n; i++) {
        real pred_epsilon;
        if (input->options.use_clipped_model_output)
            pred_epsilon = (sample[i] - sqrt_alpha_prod_t * x0[i]) / sqrt_beta_prod_t;
        else if (prediction == PREDICTS_EPSILON)
            pred_epsilon = model_output[i];
        else if (prediction == PREDICTS_SAMPLE) /* of the model's x_0, not the clipped one */
            pred_epsilon = (sample[i] - sqrt_alpha_prod_t * model_output[i]) / sqrt_beta_prod_t;
        else
            pred_epsilon = sqrt_alpha_prod_t * model_output[i] + sqrt_beta_prod_t * sample[i];
        prev_sample[i] = sqrt_alpha_prod_t_prev * x0[i] + direction * pred_epsilon;
        if (input->options.eta > 0) prev_sample[i] += std_dev_t * input->noise[i];
    }
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    const struct ddim_config *config = config_of(scheduler);
    const size_t n = input->batch * input->sample_size;
    enum prediction prediction = PREDICTS_EPSILON;
    struct step_alphas alphas;
    int stride = 0;

    enum status status = prediction_of(config->base.prediction_type, false, &prediction, error);
    if (status == STATUS_OK) status = integer_steps_stride(scheduler, &stride, error);
    if (status == STATUS_OK)
        status = integer_steps_alphas(scheduler, input->timestep, input->timestep - stride, &alphas, error);
    if (status != STATUS_OK) return status;

    /* Where nobody asks for x_0, it lies where x_t' will. */
    real *x0 = pred_original_sample ? pred_original_sample : prev_sample;
    const struct level level = {
        .alpha = real_sqrt(alphas.alpha_prod_t), .sigma = real_sqrt(alphas.beta_prod_t)};
    predict_data(prediction, level, input->model_output, input->sample, n, x0);
    if (config->base.thresholding) {
        status = threshold_sample(&config->base, x0, input->batch, input->sample_size, error);
        if (status != STATUS_OK) return status;
    } else if (config->clip_sample) {
        const real range = (real)config->clip_sample_range;
        for (size_t i = 0; i < n; i++) x0[i] = clamp(x0[i], -range, range);
    }
    take_step(prediction, &alphas, input, x0, prev_sample);
    return STATUS_OK;
}

const struct solver REAL_NAME(ddim_solver) = {
    .class_name = "DDIMScheduler",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(integer_grid_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct ddim_config),
    .takes_eta = true,
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
};
