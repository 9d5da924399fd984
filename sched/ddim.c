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
 * Known deviation: t' is t - T // N and not the next entry of `timesteps`, as the paper has it and documented
 * semantics do. They agree for `leading` spacing, and for `trailing` only where N divides T (golden cases
 * ddim_*). With rescale_betas_zero_snr the last alpha is exactly 0, and predicting epsilon divides by it.
 */
#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, set_alpha_to_one), .type = OPTION_BOOL, .number = true,
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL, .nullable = true},
};

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)timestep;
    return step_options->eta > 0;
}

/* Eq. 16 at eta = 1, squared (diffusers: _get_variance): also the variance of DDPM's posterior. */
static real variance_of(const struct step_alphas *alphas)
{
    return (alphas->beta_prod_t_prev / alphas->beta_prod_t) *
           (1 - alphas->alpha_prod_t / alphas->alpha_prod_t_prev);
}

/* Eq. 12. x0 [n], as clipped, may be prev_sample itself. */
static void take_step(enum prediction prediction, struct level level, const struct step_alphas *alphas,
    const struct step_input *input, const real *x0, real *prev_sample)
{
    const real *sample = input->sample;
    const size_t n = input->batch * input->sample_size;
    const real std_dev_t = (real)input->options.eta * real_sqrt(variance_of(alphas));
    const real direction = real_sqrt(alphas->beta_prod_t_prev - std_dev_t * std_dev_t);
    const real sqrt_alpha_prod_t_prev = real_sqrt(alphas->alpha_prod_t_prev);

    /* The model's own epsilon, or that of the clipped x_0. */
    const bool of_x0 = input->options.use_clipped_model_output;
    const real *output = of_x0 ? x0 : input->model_output;
    if (of_x0) prediction = PREDICTS_SAMPLE;
    mix_data_and_noise(
        prediction, level, output, sample, sqrt_alpha_prod_t_prev, x0, direction, n, prev_sample);
    for (size_t i = 0; input->options.eta > 0 && i < n; i++) prev_sample[i] += std_dev_t * input->noise[i];
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct step_alphas alphas;
    enum prediction prediction;
    double prev_timestep = 0;
    enum status status = integer_steps_next(scheduler, input->timestep, &prev_timestep, error);
    if (status == STATUS_OK)
        status = integer_steps_alphas(scheduler, input->timestep, prev_timestep, &alphas, error);
    if (status != STATUS_OK) return status;

    /* Where nobody asks for x_0, it lies where x_t' will. */
    real *x0 = pred_original_sample ? pred_original_sample : prev_sample;
    const struct level level = level_of_alphas(alphas.alpha_prod_t, alphas.beta_prod_t);
    status = integer_steps_original(scheduler, input, level, &prediction, x0, error);
    if (status == STATUS_OK) take_step(prediction, level, &alphas, input, x0, prev_sample);
    return status;
}

const struct solver REAL_NAME(ddim_solver) = {
    .class_name = "DDIMScheduler",
    .equation = "x' = sqrt(a') x_0 + sqrt(1 - a' - s^2) epsilon + s z,  a = alphas_cumprod,  s = eta sqrt((1 "
                "- a') / (1 - a)) sqrt(1 - a / a')    (Song et al. 2021, arXiv:2010.02502, eqs. 12 and 16)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(integer_grid_options), OPTION_TABLE_OF(clipping_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct scheduler_config),
    .takes_eta = true,
    .shown_tables = integer_steps_shown,
    .create = integer_steps_create_list,
    .set_timesteps = integer_steps_set,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .get_velocity = noise_schedule_get_velocity,
};
