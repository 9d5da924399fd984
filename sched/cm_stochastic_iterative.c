/*
 * CMStochasticIterativeScheduler: multistep sampling of a consistency model (Song et al. 2023,
 * arXiv:2303.01469, Algorithm 1).
 *
 * The network F is wrapped so that f(x, sigma_min) = x (eq. 5, with Karras et al.'s scalings shifted):
 *
 *     f(x, sigma) = c_skip x + c_out F(x / sqrt(sigma^2 + sigma_data^2), t)        diffusers: denoised
 *     c_skip = sigma_data^2 / ((sigma - sigma_min)^2 + sigma_data^2)
 *     c_out  = (sigma - sigma_min) sigma_data / sqrt(sigma^2 + sigma_data^2)
 *     t = 250 log sigma
 *
 * and noise takes the predicted data to the next sigma: x' = f + s_noise sqrt(sigma'^2 - sigma_min^2) noise.
 * The sigmas are Karras's at `num_train_timesteps` equal places of the ramp, of which a schedule takes every
 * T // N-th, or custom ones; sigma_min follows the last.
 */
#include "edm.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"
#include "timesteps.h"

#include <stdlib.h>

struct cm_config {
    struct edm_config edm;
    double s_noise;
    bool clip_denoised;
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 40, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(edm_config, sigma_min), .type = OPTION_NUMBER, .number = 0.002},
    {OPTION_MEMBER(edm_config, sigma_max), .type = OPTION_NUMBER, .number = 80},
    {OPTION_MEMBER(edm_config, sigma_data), .type = OPTION_NUMBER, .number = 0.5},
    {OPTION_MEMBER(cm_config, s_noise), .type = OPTION_NUMBER, .number = 1},
    {OPTION_MEMBER(edm_config, rho), .type = OPTION_NUMBER, .number = 7},
    {OPTION_MEMBER(cm_config, clip_denoised), .type = OPTION_BOOL, .number = true},
};

static const struct cm_config *cm_config_of(const struct scheduler *scheduler)
{
    return (const struct cm_config *)scheduler->config;
}

/* --- The schedule ------------------------------------------------------------------------- */

/* Makes the schedule from n places on the ramp of `intervals` steps, noisiest first. `ends` asks for
 * sigma_min behind it. */
static enum status take_ramp(struct scheduler *scheduler, const double *ramp, size_t n, double intervals,
    bool ends, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    double *timesteps = malloc((n + 1) * sizeof *timesteps);
    real *sigmas = malloc((n + 1) * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, (n + 1) * sizeof *timesteps);
    }
    const struct edm_karras karras = edm_karras_of(config);
    for (size_t i = 0; i < n; i++) {
        const double sigma = edm_karras_sigma(&karras, ramp[i] / intervals);
        timesteps[i] = 1000 * 0.25 * rounded_log(sigma + 1e-44);
        sigmas[i] = (real)sigma;
    }
    sigmas[n] = (real)config->sigma_min;
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT64);
    scheduler_take_sigmas(scheduler, sigmas, ends ? n + 1 : n);
    return STATUS_OK;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const struct edm_config *config = edm_config_of(scheduler);
    if (config->sigma_min < 0 || config->sigma_max < 0)
        return error_input(error, "sigma_min, sigma_max: expected numbers from 0 up, got %g and %g",
            config->sigma_min, config->sigma_max);
    if (config->rho == 0) return error_input(error, "rho: expected a number other than 0, got 0");
    scheduler->init_noise_sigma = config->sigma_max;

    const size_t count = (size_t)scheduler->num_train_timesteps;
    double *ramp = malloc(count * sizeof *ramp);
    if (!ramp) return error_memory(error, count * sizeof *ramp);
    numpy_linspace(0, 1, count, ramp);
    enum status status = take_ramp(scheduler, ramp, count, 1, false, error);
    free(ramp);
    return status;
}

/* The grid, noisiest first, as timesteps of the ramp from its clean end up. */
static enum status make_grid(const struct scheduler *scheduler, const struct schedule_request *request,
    double **grid, size_t *count, struct error *error)
{
    const int trained = scheduler->num_train_timesteps, steps = request->num_inference_steps;
    *count = request->timesteps ? request->num_timesteps : (size_t)steps;
    if (request->timesteps)
        return timesteps_custom(request->timesteps, request->num_timesteps, trained, grid, error);
    enum status status = timesteps_check_count(steps, trained, error);
    if (status != STATUS_OK) return status;
    const struct spacing spacing = {.timestep_spacing = "leading",
        .num_train_timesteps = trained,
        .last_timestep = trained,
        .num_inference_steps = steps};
    return timesteps_spaced(&spacing, grid, count, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    double *grid = NULL;
    size_t count = 0;
    enum status status =
        timesteps_check_one_given(request->has_num_inference_steps, request->timesteps, error);
    if (status == STATUS_OK) status = make_grid(scheduler, request, &grid, &count, error);
    if (status != STATUS_OK) return status;
    reverse_numbers(grid, count);
    status = take_ramp(scheduler, grid, count, scheduler->num_train_timesteps - 1, true, error);
    if (status == STATUS_OK) scheduler->num_inference_steps = (int)count;
    free(grid);
    return status;
}

/* --- Steps -------------------------------------------------------------------------------- */

static enum status scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    size_t index = 0;
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)index;
    const real scale = real_sqrt(edm_variance_at(edm_config_of(scheduler), scheduler->sigmas[index]));
    for (size_t i = 0; i < n; i++) model_input[i] = sample[i] / scale;
    return STATUS_OK;
}

/* Every step draws, unless it is the only one. */
static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)timestep, (void)step_options;
    return scheduler->num_timesteps > 1;
}

/* How much noise takes the predicted data to sigma `next`, but for s_noise. */
static real noise_level(const struct edm_config *config, real next)
{
    const real low = (real)config->sigma_min, high = (real)config->sigma_max;
    real sigma_hat = next < low ? low : next;
    if (sigma_hat > high) sigma_hat = high;
    return real_sqrt(sigma_hat * sigma_hat - (real)(config->sigma_min * config->sigma_min));
}

static real clipped(real x)
{
    return x < -1 ? -1 : x > 1 ? 1 : x; /* NaN stays NaN */
}

/* c_skip and c_out of f, which is x itself at sigma_min: eq. 5 of arXiv:2303.01469, with the scalings of its
 * appendix C. */
static struct edm_skip boundary_condition(const struct edm_config *config, real sigma)
{
    const real above = sigma - (real)config->sigma_min;
    const real data_variance = (real)(config->sigma_data * config->sigma_data);
    return (struct edm_skip){
        .c_skip = 1 / (above * above + data_variance) * data_variance,
        .c_out = above * (real)config->sigma_data / real_sqrt(edm_variance_at(config, sigma)),
    };
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    const struct cm_config *config = cm_config_of(scheduler);
    size_t index = 0;
    enum status status = step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    const size_t trained = (size_t)scheduler->num_train_timesteps;
    const size_t next = index + 1 < trained ? index + 1 : scheduler->num_sigmas - 1;
    if (next >= scheduler->num_sigmas)
        return error_input(
            error, "step %zu: the schedule has only %zu steps", index, scheduler->num_timesteps);

    const struct edm_skip skip = boundary_condition(&config->edm, scheduler->sigmas[index]);
    const real c_skip = skip.c_skip, c_out = skip.c_out;
    const real level = noise_level(&config->edm, scheduler->sigmas[next]), s_noise = (real)config->s_noise;
    const bool draws = scheduler->num_timesteps > 1;
    const size_t n = input->batch * input->sample_size;
    for (size_t i = 0; i < n; i++)
        prev_sample[i] = c_out * input->model_output[i] + c_skip * input->sample[i];
    for (size_t i = 0; config->clip_denoised && i < n; i++) prev_sample[i] = clipped(prev_sample[i]);
    for (size_t i = 0; draws && i < n; i++) prev_sample[i] += input->noise[i] * s_noise * level;
    for (size_t i = 0; !draws && i < n; i++) prev_sample[i] += 0 * level; /* which makes a zero of -0 */
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(cm_stochastic_iterative_solver) = {
    .class_name = "CMStochasticIterativeScheduler",
    .equation = "f = c_skip x + c_out F;  x' = f + s_noise sqrt(sigma'^2 - sigma_min^2) z    (Song et al. "
                "2023, arXiv:2303.01469, Algorithm 1)",
    .options = {OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct cm_config),
    .takes_timesteps = true,
    .steps_unset = true,
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = scale_model_input,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = sigmas_add_noise,
};
