/*
 * DPMSolverSDEScheduler: DPM-Solver++ (SDE) of k-diffusion: the second-order single-step solver of Lu et al.
 * 2022 (arXiv:2211.01095) with the midpoint of log sigma in its middle, made ancestral, on samples
 * x_0 + sigma noise.
 *
 * With the time t = -log sigma, D the predicted data and r = 1/2, a step from sigma to sigma' takes two calls
 * of the model: at sigma, whose D leads to s = t + r (t' - t), and at sigma(s), whose D leads, from where the
 * step began, to t'. Each of the two is a step of order 1 down to sigma_down, and noise back up:
 *
 *     sigma_up   = min(sigma', sqrt(sigma'^2 (sigma^2 - sigma'^2) / sigma^2))
 *     sigma_down = sqrt(sigma'^2 - sigma_up^2)
 *     x' = sigma_down/sigma x - (e^(t - t_down) - 1) D + sigma_up s_noise z
 *
 * with sigma' being sigma(s) in the first. z is no draw: it is the increment of a Brownian path over the
 * schedule's sigmas, from the step's sigma to where the call leads, divided by the root of their distance
 * (brownian_interval.h), so that the noise of the second call goes on from that of the first. The path is
 * that of noise_sampler_seed; where that is null, diffusers takes a random one, and here the run's seed
 * decides. The last step, to sigma 0, is Euler's, without noise.
 *
 * Timesteps are kept in float64, those of the second calls stand between the others.
 */
#include "brownian_interval.h"
#include "config.h"
#include "denoiser.h"
#include "history.h"
#include "real.h"
#include "second_order.h"
#include "sigma_schedule.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dpm_sde_config {
    struct scheduler_config common;
    struct optional_number noise_sampler_seed;
};

struct dpm_sde_state {
    struct history began; /* between the two calls of a step: the sample that it began with */
};

static const struct option options[] = {
    {OPTION_MEMBER(dpm_sde_config, noise_sampler_seed), .type = OPTION_OPTIONAL_NUMBER},
};

static const struct dpm_sde_config *config_of(const struct scheduler *scheduler)
{
    return (const struct dpm_sde_config *)scheduler->config;
}

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct dpm_sde_state *state = whole_state;
    memory[0] = history_memory(&state->began);
    return 1;
}

/* --- The schedule ------------------------------------------------------------------------- */

/* The timesteps of the calls: those of the schedule, and between them those of the middles of log sigma. */
static void fill_timesteps(
    const struct sigma_schedule *schedule, const struct sigma_table *table, double *timesteps)
{
    for (size_t i = 0; i < schedule->count; i++) {
        timesteps[2 * i] = schedule->timesteps[i];
        if (i + 1 == schedule->count) break;
        const double t = -rounded_log(schedule->sigmas[i]), t_next = -rounded_log(schedule->sigmas[i + 1]);
        timesteps[2 * i + 1] = sigma_to_t(table, rounded_exp(-(t + (t_next - t) * 0.5)));
    }
}

static enum status take(struct scheduler *scheduler, const struct sigma_schedule *schedule,
    const struct sigma_table *table, struct error *error)
{
    struct dpm_sde_state *state = scheduler->state;
    const size_t n = schedule->count, places = n ? 2 * n : 2, calls = n ? 2 * n - 1 : 0;
    real *once = sigma_schedule_rounded(schedule, 0);
    real *sigmas = once ? second_order_sigmas(once, n + 1, places) : NULL;
    double *timesteps = malloc((calls + 1) * sizeof *timesteps);
    free(once);
    if (!sigmas || !timesteps) {
        free(sigmas);
        free(timesteps);
        return error_memory(error, places * sizeof *timesteps);
    }
    fill_timesteps(schedule, table, timesteps);
    scheduler_take_sigmas(scheduler, sigmas, places);
    scheduler_take_timesteps(scheduler, timesteps, calls, TIMESTEP_FLOAT64);
    scheduler->num_inference_steps = (int)schedule->num_inference_steps;
    sigmas_set_init_noise(scheduler);
    history_clear(&state->began);
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    struct sigma_table table = {0};
    struct sigma_schedule schedule = {.in_double = true};
    enum status status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = sigma_schedule_make(scheduler, request, &table, &schedule, error);
    if (status == STATUS_OK) status = take(scheduler, &schedule, &table, error);
    sigma_schedule_free(&schedule);
    sigma_table_free(&table);
    return status;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct optional_number *seed = &config_of(scheduler)->noise_sampler_seed;
    if (seed->given && !(seed->value >= 0 && seed->value <= 0x1p53 && seed->value == floor(seed->value)))
        return error_input(
            error, "noise_sampler_seed: expected null or an integer from 0 to 2^53, got %.17g", seed->value);
    if (!seed->given)
        warnings_add(warnings,
            "noise_sampler_seed: not given; %s takes the run's seed, diffusers a random one",
            scheduler_name(scheduler));
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    const struct schedule_request whole = {
        .has_num_inference_steps = true, .num_inference_steps = scheduler->num_train_timesteps};
    return set_timesteps(scheduler, &whole, NULL, error); /* as diffusers leaves it */
}

/* --- Calls -------------------------------------------------------------------------------- */

/* One call of a step, with all that torch keeps as tensors of one number. */
struct call {
    bool second;
    size_t index;
    bool is_last;     /* the step to sigma 0 */
    real sigma;       /* where the step began */
    real sigma_input; /* where the model is called */
    real t, t_next;   /* where the step began, and where this call leads */
    real sigma_next;  /* 0 for the last step */
};

static enum status find_call(
    const struct scheduler *scheduler, double timestep, struct call *call, struct error *error)
{
    const struct dpm_sde_state *state = scheduler->state;
    call->second = state->began.count > 0;
    enum status status = call->second
                             ? step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &call->index, error)
                             : step_index_with_next(scheduler, timestep, &call->index, error);
    if (status != STATUS_OK) return status;
    const real *sigmas = scheduler->sigmas + (call->second ? call->index - 1 : call->index);
    const real t = -real_log(sigmas[0]), t_end = -real_log(sigmas[1]);
    const real t_middle = t + (t_end - t) * (real)0.5;
    call->sigma = sigmas[0];
    call->sigma_next = sigmas[1];
    call->is_last = sigmas[1] == 0;
    call->sigma_input = call->second ? real_exp(-t_middle) : sigmas[0];
    call->t = t;
    call->t_next = call->second ? t_end : t_middle;
    return STATUS_OK;
}

static enum status scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    struct call call;
    enum status status = find_call(scheduler, timestep, &call, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)call.index;
    sigma_scale_input(call.sigma_input, sample, n, model_input);
    return STATUS_OK;
}

/* --- Noise -------------------------------------------------------------------------------- */

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)step_options;
    struct call call;
    return find_call(scheduler, timestep, &call, NULL) == STATUS_OK && !call.is_last;
}

static enum status make_noise(struct scheduler *scheduler, double timestep, size_t batch, size_t sample_size,
    real *noise, struct error *error)
{
    const struct optional_number *configured = &config_of(scheduler)->noise_sampler_seed;
    const uint64_t seed = configured->given ? (uint64_t)configured->value : 0;
    struct brownian_noise paths = {&seed, 1, (real)INFINITY, 0};
    if (!configured->given) {
        paths.seeds = scheduler->noise_seeds;
        paths.count = scheduler->num_noise_seeds;
    }
    for (size_t i = 0; i < scheduler->num_sigmas; i++) {
        const real sigma = scheduler->sigmas[i];
        if (sigma > 0 && sigma < paths.sigma_min) paths.sigma_min = sigma;
        if (sigma > paths.sigma_max) paths.sigma_max = sigma;
    }
    struct call call;
    enum status status = find_call(scheduler, timestep, &call, error);
    if (status != STATUS_OK) return status;
    return brownian_noise_between(
        &paths, real_exp(-call.t), real_exp(-call.t_next), batch, sample_size, noise, error);
}

/* --- Steps -------------------------------------------------------------------------------- */

/* x' = sample x - data D + noise z */
struct coefficients {
    real sample, data, noise;
};

static struct coefficients coefficients_of(const struct call *call)
{
    const real from = real_exp(-call->t), to = real_exp(-call->t_next);
    const real up = real_sqrt(to * to * (from * from - to * to) / (from * from));
    const real sigma_up = up < to ? up : to;
    const real t_down = -real_log(real_sqrt(to * to - sigma_up * sigma_up));
    return (struct coefficients){
        .sample = real_exp(-t_down) / from,
        .data = real_expm1(call->t - t_down),
        .noise = sigma_up,
    };
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct history *began = &((struct dpm_sde_state *)scheduler->state)->began;
    const size_t n = input->batch * input->sample_size;
    struct denoiser denoiser;
    struct call call;
    enum status status =
        denoiser_choose(scheduler->config->prediction_type, NO_SAMPLE_PREDICTION, &denoiser, error);
    if (status == STATUS_OK) status = find_call(scheduler, input->timestep, &call, error);
    if (status == STATUS_OK) status = history_prepare(began, 1, n, error);
    if (status != STATUS_OK) return status;

    denoiser_at(&denoiser, call.sigma_input);
    const struct coefficients c = coefficients_of(&call);
    const real dt = call.sigma_next - call.sigma, s_noise = (real)input->options.s_noise;
    const real *start = call.second ? history_at(began, 0) : input->sample;
    const struct denoiser at_level = denoiser; /* which no store reaches: the loops become vectors */
    const real sigma = call.sigma;
    const bool is_last = call.is_last;
    for (size_t i = 0; i < n; i++) {
        const real sample = input->sample[i];
        const real pred_original = denoise(&at_level, sample, input->model_output[i]);
        if (is_last)
            prev_sample[i] = sample + (sample - pred_original) / sigma * dt;
        else
            prev_sample[i] =
                c.sample * start[i] - c.data * pred_original + input->noise[i] * s_noise * c.noise;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    if (!call.is_last && call.second) history_forget(began);
    if (!call.is_last && !call.second) {
        memcpy(history_next(began), input->sample, n * sizeof *input->sample);
        history_push(began);
    }
    scheduler->step_index = (int)call.index + 1;
    scheduler->step_order = call.second ? 2 : 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(dpmsolver_sde_solver) = {
    .class_name = "DPMSolverSDEScheduler",
    .karras_is_as_spaced = true,
    .equation =
        "x' = (sigma_down/sigma) x - (e^(t - t_down) - 1) D + sigma_up s_noise z,  t = -log sigma, by way of "
        "the middle of log sigma    (Lu et al. 2022, arXiv:2211.01095; k-diffusion; z from a Brownian path)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, BETA_KINDS), OPTION_TABLE_OF(latent_beta_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct dpm_sde_config),
    .steps_unset = true,
    .state_size = sizeof(struct dpm_sde_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = scale_model_input,
    .needs_noise = needs_noise,
    .make_noise = make_noise,
    .step = step,
    .add_noise = sigmas_add_noise,
    .state_memory = state_memory,
};
