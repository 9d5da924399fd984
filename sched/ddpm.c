/*
 * DDPMScheduler: denoising diffusion probabilistic models (Ho, Jain and Abbeel 2020, arXiv:2006.11239), on a
 * part of the timesteps as in Nichol and Dhariwal 2021 (arXiv:2102.09672), section 4.
 *
 * One step from t to the next t' of the list draws from the posterior q(x_t' | x_t, x_0), eqs. 6 and 7, at
 * the predicted x_0 of eq. 15; bar(alpha) being alphas_cumprod:
 *
 *     x_t' = c_0 x_0 + c_t x_t + sigma noise
 *     c_0  = sqrt(bar(alpha)_t') beta / (1 - bar(alpha)_t)
 *     c_t  = sqrt(alpha) (1 - bar(alpha)_t') / (1 - bar(alpha)_t)
 *     alpha = bar(alpha)_t / bar(alpha)_t',  beta = 1 - alpha             diffusers: current_alpha_t, _beta_t
 *
 * Of sigma^2 the data's own variance leaves a range (section 3.2): fixed_small is its lower end
 * beta (1 - bar(alpha)_t') / (1 - bar(alpha)_t), fixed_large its upper one, beta. With `learned` the model
 * says it, with `learned_range` where it lies between the ends' logarithms (Nichol and Dhariwal, eq. 15).
 *
 * Known deviation: fixed_large_log takes the root of the logarithm of beta, which is no number.
 */
#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"
#include "timesteps.h"

#include <math.h>

struct ddpm_config {
    struct scheduler_config base;
    char *variance_type;
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(ddpm_config, variance_type), .type = OPTION_STRING, .string = "fixed_small",
        .nullable = true},
};

static const char *variance_type_of(const struct scheduler *scheduler)
{
    return ((const struct ddpm_config *)scheduler->config)->variance_type;
}

static bool learns_variance(const char *variance_type)
{
    return option_is(variance_type, "learned") || option_is(variance_type, "learned_range");
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    static const char *const fixed[] = {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"};
    const char *type = variance_type_of(scheduler);
    bool known = learns_variance(type);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) known |= option_is(type, fixed[i]);
    if (!known)
        warnings_add(warnings, "variance_type: %s takes \"%.60s\" for \"fixed_small\"",
            scheduler_name(scheduler), type ? type : "null");
    if (option_is(type, "fixed_large_log"))
        warnings_add(warnings,
            "variance_type: with \"fixed_large_log\" %s takes the root of a negative number",
            scheduler_name(scheduler));
    enum status status = integer_steps_create_list(scheduler, warnings, error);
    scheduler->final_alpha_cumprod = 1;
    return status;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status =
        timesteps_check_one_given(request->has_num_inference_steps, request->timesteps, error);
    if (status != STATUS_OK) return status;
    if (!request->timesteps) return integer_steps_set(scheduler, request, warnings, error);
    double *timesteps;
    status = timesteps_custom(
        request->timesteps, request->num_timesteps, scheduler->num_train_timesteps, &timesteps, error);
    if (status != STATUS_OK) return status;
    scheduler_take_timesteps(scheduler, timesteps, request->num_timesteps, TIMESTEP_INT64);
    scheduler->num_inference_steps = (int)request->num_timesteps;
    return STATUS_OK;
}

/* The next entry of the list; before set_timesteps, and on a schedule of no steps, the timestep below. Given
 * timesteps are cut to integers, which can make neighbours equal: then every one of them is the first. */
static enum status previous_timestep(
    const struct scheduler *scheduler, double timestep, double *prev_timestep, struct error *error)
{
    *prev_timestep = timestep - 1;
    if (!scheduler->timesteps_are_set || scheduler->num_timesteps == 0) return STATUS_OK;
    return integer_steps_after_first(scheduler, timestep, prev_timestep, error);
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)step_options;
    return timestep > 0;
}

/* What makes the mean: c_0 x_0 + c_t x_t. */
struct posterior_mean {
    real pred_original_sample_coeff; /* c_0 */
    real current_sample_coeff;       /* c_t */
};

/* The mean of q(x_t' | x_t, x_0), eq. 7. */
static struct posterior_mean posterior_mean_of(
    const struct step_alphas *alphas, real current_alpha_t, real current_beta_t)
{
    return (struct posterior_mean){
        .pred_original_sample_coeff =
            real_sqrt(alphas->alpha_prod_t_prev) * current_beta_t / alphas->beta_prod_t,
        .current_sample_coeff = real_sqrt(current_alpha_t) * alphas->beta_prod_t_prev / alphas->beta_prod_t,
    };
}

/* What the noise of a step is multiplied by: the same for every element, or as the model says. */
struct deviation {
    real fixed;
    bool learned, learned_range;
    real min_log, max_log; /* of learned_range */
};

/* The two ends of section 3.2, eq. 7 below and beta above, and their logarithms. */
static struct deviation deviation_of(
    const struct scheduler *scheduler, const struct step_alphas *alphas, real current_beta_t)
{
    const char *type = variance_type_of(scheduler);
    struct deviation deviation = {
        .learned = option_is(type, "learned"), .learned_range = option_is(type, "learned_range")};
    const real half = (real)0.5, smallest = (real)1e-20;
    real variance = alphas->beta_prod_t_prev / alphas->beta_prod_t * current_beta_t;
    if (variance < smallest) variance = smallest; /* NaN stays NaN */
    deviation.min_log = real_log(variance);
    deviation.max_log = real_log(current_beta_t);
    if (option_is(type, "fixed_small_log"))
        deviation.fixed = real_exp(half * deviation.min_log);
    else if (option_is(type, "fixed_large"))
        deviation.fixed = real_sqrt(current_beta_t);
    else if (option_is(type, "fixed_large_log"))
        deviation.fixed = scheduler->semantics == SEMANTICS_DOCUMENTED ? real_exp(half * deviation.max_log)
                                                                       : real_sqrt(deviation.max_log);
    else
        deviation.fixed = real_sqrt(variance);
    return deviation;
}

/* For one element; of a model that predicts a variance by eq. 15 of Nichol and Dhariwal, whose v is
 * `frac`. */
static real deviation_at(const struct deviation *deviation, real predicted_variance)
{
    if (deviation->learned) return real_sqrt(predicted_variance);
    if (!deviation->learned_range) return deviation->fixed;
    const real frac = (predicted_variance + 1) / 2;
    return real_exp((real)0.5 * (frac * deviation->max_log + (1 - frac) * deviation->min_log));
}

static enum status check_model_output(
    const struct scheduler *scheduler, const struct step_input *input, struct error *error)
{
    const char *type = variance_type_of(scheduler);
    const bool has_variance = input->model_output_size == 2 * input->sample_size;
    if (has_variance && !learns_variance(type))
        return error_input(error,
            "model_output: twice the sample's size; variance_type: expected \"learned\" or "
            "\"learned_range\" for such a model, got \"%.60s\"",
            type ? type : "null");
    if (!has_variance && learns_variance(type) && input->timestep > 0)
        return error_input(error,
            "variance_type: \"%s\" needs a model that predicts a variance behind the mean; expected %zu "
            "numbers a picture, got %zu",
            type, 2 * input->sample_size, input->model_output_size);
    return STATUS_OK;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    const size_t size = input->sample_size, stride = input->model_output_size;
    struct step_alphas alphas;
    enum prediction prediction;
    double prev_timestep = 0;

    enum status status = check_model_output(scheduler, input, error);
    if (status == STATUS_OK) status = previous_timestep(scheduler, input->timestep, &prev_timestep, error);
    if (status == STATUS_OK)
        status = integer_steps_alphas(scheduler, input->timestep, prev_timestep, &alphas, error);
    if (status != STATUS_OK) return status;

    /* Where nobody asks for x_0, it lies where x_t' will. */
    real *x0 = pred_original_sample ? pred_original_sample : prev_sample;
    const struct level level = level_of_alphas(alphas.alpha_prod_t, alphas.beta_prod_t);
    status = integer_steps_original(scheduler, input, level, &prediction, x0, error);
    if (status != STATUS_OK) return status;

    const real current_alpha_t = alphas.alpha_prod_t / alphas.alpha_prod_t_prev;
    const real current_beta_t = 1 - current_alpha_t;
    const struct posterior_mean mean = posterior_mean_of(&alphas, current_alpha_t, current_beta_t);
    const real c_0 = mean.pred_original_sample_coeff, c_t = mean.current_sample_coeff;
    const struct deviation deviation = deviation_of(scheduler, &alphas, current_beta_t);
    for (size_t i = 0; i < input->batch * size; i++) prev_sample[i] = c_0 * x0[i] + c_t * input->sample[i];
    for (size_t b = 0; input->timestep > 0 && b < input->batch; b++) {
        /* A variance, where there is one, lies behind the picture's mean. */
        const real *variance = input->model_output + b * stride + stride - size;
        const real *noise = input->noise + b * size;
        for (size_t i = 0; i < size; i++)
            prev_sample[b * size + i] += deviation_at(&deviation, variance[i]) * noise[i];
    }
    return STATUS_OK;
}

const struct solver REAL_NAME(ddpm_solver) = {
    .class_name = "DDPMScheduler",
    .equation =
        "x' = sqrt(a') b / (1 - a) x_0 + sqrt(1 - b) (1 - a') / (1 - a) x + s z,  a = alphas_cumprod,  b = 1 "
        "- a / a',  s^2 by variance_type    (Ho et al. 2020, arXiv:2006.11239, eqs. 6, 7 and 15)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(integer_grid_options), OPTION_TABLE_OF(clipping_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct ddpm_config),
    .takes_timesteps = true,
    .takes_variance = true,
    .steps_unset = true,
    .extra_beta_schedule = "sigmoid",
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .get_velocity = noise_schedule_get_velocity,
};
