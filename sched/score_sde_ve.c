/*
 * ScoreSdeVeScheduler: predictor-corrector sampling of the variance-exploding SDE (Song et al. 2021,
 * arXiv:2011.13456, Algorithms 2 and 4).
 *
 * A sample is x_0 + sigma noise, and the model says the score s, the gradient of the logarithm of its
 * density, which is -noise / sigma. At each level sigma_i = sigma_min (sigma_max / sigma_min)^(i / (N - 1)),
 * i falling to 0:
 *
 * - correct_steps times the corrector, Langevin dynamics at that level (Algorithm 4):
 *       x <- x + epsilon s + sqrt(2 epsilon) noise,   epsilon = 2 (snr |noise| / |s|)^2,
 *   the norms being the means over the batch. diffusers: step_correct(), epsilon is step_size;
 * - the predictor, which diffuses backwards to the level below, of which there is sigma 0 under the last
 *   (Algorithm 2):
 *       x <- x + (sigma_i^2 - sigma_{i-1}^2) s + sqrt(sigma_i^2 - sigma_{i-1}^2) noise.
 *   diffusers: step_pred(); without the noise it is prev_sample_mean.
 *
 * The class has no step(), so the pipelines for text do not run it. Its set_timesteps() and set_sigmas(),
 * which its own pipeline calls one after the other, are one call here. `sigmas` are those of the timesteps;
 * the steps take theirs from discrete_sigmas, in which timestep t stands at t (N - 1), cut to an integer.
 */
#include "real.h"
#include "noise_schedule.h"
#include "solver.h"

#include <math.h>
#include <stdlib.h>

struct score_sde_ve_config {
    struct scheduler_config base;
    double snr, sigma_min, sigma_max, sampling_eps;
    int correct_steps;
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 2000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(score_sde_ve_config, snr), .type = OPTION_NUMBER, .number = 0.15},
    {OPTION_MEMBER(score_sde_ve_config, sigma_min), .type = OPTION_NUMBER, .number = 0.01},
    {OPTION_MEMBER(score_sde_ve_config, sigma_max), .type = OPTION_NUMBER, .number = 1348},
    {OPTION_MEMBER(score_sde_ve_config, sampling_eps), .type = OPTION_NUMBER, .number = 1e-5},
    {OPTION_MEMBER(score_sde_ve_config, correct_steps), .type = OPTION_INT, .number = 1, .maximum = 1000},
};

struct score_sde_ve_state {
    size_t count;
    real *discrete_sigmas; /* [count], rising */
};

static const struct score_sde_ve_config *config_of(const struct scheduler *scheduler)
{
    return (const struct score_sde_ve_config *)scheduler->config;
}

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct score_sde_ve_state *state = whole_state;
    memory[0] = (struct state_memory){
        (void **)&state->discrete_sigmas, state->count * sizeof *state->discrete_sigmas};
    return 1;
}

/* --- The schedule ------------------------------------------------------------------------- */

static enum status make_schedule(
    struct scheduler *scheduler, int steps, double sampling_eps, struct error *error)
{
    const struct score_sde_ve_config *config = config_of(scheduler);
    struct score_sde_ve_state *state = scheduler->state;
    const size_t n = (size_t)steps;
    real *sigmas = malloc((n + 1) * sizeof *sigmas), *discrete = malloc((n + 1) * sizeof *discrete);
    double *timesteps = malloc((n + 1) * sizeof *timesteps);
    if (!sigmas || !discrete || !timesteps) {
        free(sigmas);
        free(discrete);
        free(timesteps);
        return error_memory(error, (n + 1) * sizeof *timesteps);
    }
    const real ratio = (real)(config->sigma_max / config->sigma_min);
    torch_linspace(1, sampling_eps, n, sigmas);
    for (size_t i = 0; i < n; i++) {
        timesteps[i] = (double)sigmas[i];
        sigmas[i] = (real)config->sigma_min * real_rounded_pow((double)ratio, timesteps[i]);
    }
    torch_linspace(rounded_log(config->sigma_min), rounded_log(config->sigma_max), n, discrete);
    for (size_t i = 0; i < n; i++) discrete[i] = real_exp(discrete[i]);
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, n);
    scheduler->num_inference_steps = steps;
    free(state->discrete_sigmas);
    *state = (struct score_sde_ve_state){n, discrete};
    return STATUS_OK;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const struct score_sde_ve_config *config = config_of(scheduler);
    if (!(config->sigma_min > 0 && config->sigma_max > 0))
        return error_input(error, "sigma_min, sigma_max: expected numbers above 0, got %g and %g",
            config->sigma_min, config->sigma_max);
    scheduler->init_noise_sigma = config->sigma_max;
    return make_schedule(scheduler, scheduler->num_train_timesteps, config->sampling_eps, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return make_schedule(scheduler, request->num_inference_steps,
        request->has_sampling_eps ? request->sampling_eps : config_of(scheduler)->sampling_eps, error);
}

static double shown_sigma(const struct scheduler *scheduler, size_t index)
{
    return (double)((const struct score_sde_ve_state *)scheduler->state)->discrete_sigmas[index];
}

static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    const struct score_sde_ve_state *state = scheduler->state;
    tables[0] = (struct shown_table){"discrete_sigmas", SHOWN_LIST, state->count, shown_sigma};
    return 1;
}

/* --- Steps -------------------------------------------------------------------------------- */

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)timestep, (void)step_options;
    return true;
}

/* discrete_sigmas[i] by Python's rule, -1 being the last. */
static enum status discrete_sigma(
    const struct scheduler *scheduler, double i, real *sigma, struct error *error)
{
    const struct score_sde_ve_state *state = scheduler->state;
    const double n = (double)state->count;
    if (!(i >= -n && i < n) || i != floor(i))
        return error_input(
            error, "timestep: index %g is outside the schedule of %zu sigmas", i, state->count);
    *sigma = state->discrete_sigmas[(size_t)(i < 0 ? i + n : i)];
    return STATUS_OK;
}

static enum status predict(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *prev_sample_mean, struct error *error)
{
    const real last = (real)scheduler->num_timesteps - 1;
    const double index = trunc((double)((real)input->timestep * last));
    real sigma = 0, adjacent_sigma = 0;
    enum status status = discrete_sigma(scheduler, index, &sigma, error);
    if (status == STATUS_OK && index != 0)
        status = discrete_sigma(scheduler, index - 1, &adjacent_sigma, error);
    if (status != STATUS_OK) return status;
    const real diffusion = real_sqrt(sigma * sigma - adjacent_sigma * adjacent_sigma);
    const real variance = diffusion * diffusion;
    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        const real mean = input->sample[i] + variance * input->model_output[i];
        if (prev_sample_mean) prev_sample_mean[i] = mean;
        prev_sample[i] = mean + diffusion * input->noise[i];
    }
    return STATUS_OK;
}

/* The mean over the batch of the pictures' Euclidean norms. */
static real mean_norm(const real *values, size_t batch, size_t size)
{
    double sum = 0;
    for (size_t b = 0; b < batch; b++) {
        double squares = 0;
        for (size_t i = 0; i < size; i++) {
            const double value = (double)values[b * size + i];
            squares += value * value;
        }
        sum += (double)(real)sqrt(squares);
    }
    return (real)(sum / (double)batch);
}

static enum status correct(
    struct scheduler *scheduler, const struct step_input *input, real *prev_sample, struct error *error)
{
    (void)error;
    const real grad_norm = mean_norm(input->model_output, input->batch, input->sample_size);
    const real noise_norm = mean_norm(input->noise, input->batch, input->sample_size);
    const real ratio = (real)config_of(scheduler)->snr * noise_norm / grad_norm;
    const real step_size = ratio * ratio * 2;
    const real spread = real_sqrt(step_size * 2);
    for (size_t i = 0; i < input->batch * input->sample_size; i++)
        prev_sample[i] = input->sample[i] + step_size * input->model_output[i] + spread * input->noise[i];
    return STATUS_OK;
}

static int correct_steps(const struct scheduler *scheduler)
{
    return config_of(scheduler)->correct_steps;
}

/* original + discrete_sigmas[t] noise: here timesteps are indices, counted from the clean end. */
static enum status add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    for (size_t b = 0; b < batch; b++) {
        real sigma = 0;
        enum status status = discrete_sigma(scheduler, timesteps[b], &sigma, error);
        if (status != STATUS_OK) return status;
        for (size_t i = b * sample_size; i < (b + 1) * sample_size; i++)
            noisy_samples[i] = noise[i] * sigma + original_samples[i];
    }
    return STATUS_OK;
}

const struct solver REAL_NAME(score_sde_ve_solver) = {
    .class_name = "ScoreSdeVeScheduler",
    .equation = "x' = x + (sigma^2 - sigma'^2) score + sqrt(sigma^2 - sigma'^2) z    (Song et al. 2021, "
                "arXiv:2011.13456, Algorithm 2)",
    .options = {OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct score_sde_ve_config),
    .takes_sampling_eps = true,
    .lacks_step = true,
    .steps_unset = true,
    .second_output = "prev_sample_mean",
    .state_size = sizeof(struct score_sde_ve_state),
    .shown_tables = shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .correct_steps = correct_steps,
    .correct = correct,
    .step = predict,
    .add_noise = add_noise,
    .state_memory = state_memory,
};
