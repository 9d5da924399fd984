/*
 * HeunDiscreteScheduler: Heun's method on the probability-flow ODE in sigma, Algorithm 2 of Karras et al.
 * 2022 (arXiv:2206.00364) without its churn.
 *
 * With D the predicted data, here pred_original_sample, the derivative is d(x, sigma) = (x - D) / sigma. A
 * step from sigma to sigma' takes two calls, the first of which is Euler's step:
 *
 *     x_1 = x + (sigma' - sigma) d(x, sigma),
 *     x'  = x + (sigma' - sigma) (d(x, sigma) + d(x_1, sigma')) / 2:
 *
 * the trapezoid rule. The last step, to sigma' = 0, where d cannot be taken, stays Euler's.
 */
#include "config.h"
#include "denoiser.h"
#include "history.h"
#include "real.h"
#include "second_order.h"
#include "sigma_schedule.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"

#include <stdlib.h>
#include <string.h>

struct heun_config {
    struct scheduler_config common;
    bool clip_sample;
    double clip_sample_range;
};

struct heun_state {
    /* Between the two calls of a step, where it began: the sample, then the derivative. Empty before the
     * first. */
    struct history began;
};

static const struct option options[] = {
    {OPTION_MEMBER(heun_config, clip_sample), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(heun_config, clip_sample_range), .type = OPTION_NUMBER, .number = 1},
};

static const struct heun_config *heun_config_of(const struct scheduler *scheduler)
{
    return (const struct heun_config *)scheduler->config;
}

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct heun_state *state = whole_state;
    memory[0] = history_memory(&state->began);
    return 1;
}

/* --- The schedule ------------------------------------------------------------------------- */

/* The schedule becomes the scheduler's, every entry twice but the first and the final one. */
static enum status take_twice(
    struct scheduler *scheduler, const struct sigma_schedule *schedule, struct error *error)
{
    const size_t n = schedule->num_sigmas, places = n ? 2 * n : 2;
    size_t count = 0;
    real *once = sigma_schedule_rounded(schedule, 0);
    real *sigmas = once ? second_order_sigmas(once, n + 1, places) : NULL;
    double *timesteps = second_order_timesteps(schedule->timesteps, schedule->count, &count);
    free(once);
    if (!sigmas || !timesteps) {
        free(sigmas);
        free(timesteps);
        return error_memory(error, places * sizeof *timesteps);
    }
    for (size_t i = 0; i < count; i++) timesteps[i] = (double)(real)timesteps[i];
    scheduler_take_sigmas(scheduler, sigmas, places);
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_FLOAT32);
    scheduler->num_inference_steps = (int)schedule->num_inference_steps;
    sigmas_set_init_noise(scheduler);
    return STATUS_OK;
}

static enum status check_request(
    const struct scheduler_config *config, const struct schedule_request *request, struct error *error)
{
    if (request->has_num_inference_steps == (request->timesteps != NULL))
        return error_input(error, "num_inference_steps, timesteps: expected one of the two, got %s",
            request->timesteps ? "both" : "neither");
    if (request->timesteps) return sigma_schedule_check_timesteps(config, error);
    if (request->num_inference_steps == 0)
        return error_input(error, "num_inference_steps: expected at least 1 step, got 0");
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    struct heun_state *state = scheduler->state;
    struct sigma_table table = {0};
    struct sigma_schedule schedule = {0};
    enum status status = check_request(scheduler->config, request, error);
    if (status == STATUS_OK) status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = sigma_schedule_make(scheduler, request, &table, &schedule, error);
    if (status == STATUS_OK) status = take_twice(scheduler, &schedule, error);
    if (status == STATUS_OK) history_clear(&state->began);
    sigma_schedule_free(&schedule);
    sigma_table_free(&table);
    return status;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct heun_config *config = heun_config_of(scheduler);
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    if (config->clip_sample_range != 1 && !config->clip_sample)
        warnings_add(warnings, "option clip_sample_range is ignored by %s unless clip_sample is true",
            scheduler_name(scheduler));
    const struct schedule_request whole = {
        .has_num_inference_steps = true, .num_inference_steps = scheduler->num_train_timesteps};
    return set_timesteps(scheduler, &whole, NULL, error); /* as diffusers leaves it */
}

/* --- Steps -------------------------------------------------------------------------------- */

static real clipped(const struct heun_config *config, real pred_original)
{
    const real range = (real)config->clip_sample_range;
    if (!config->clip_sample) return pred_original;
    const real raised = pred_original < -range ? -range : pred_original; /* no number stays none */
    return raised > range ? range : raised;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    const struct heun_config *config = heun_config_of(scheduler);
    struct history *began = &((struct heun_state *)scheduler->state)->began;
    const bool second = began->count > 0;
    struct denoiser denoiser;
    size_t index = 0;
    enum status status = denoiser_choose(config->common.prediction_type, SAMPLE_PREDICTION, &denoiser, error);
    if (status == STATUS_OK)
        status = second ? step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_ERROR, &index, error)
                        : step_index_with_next(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK) status = history_prepare(began, 2, input->batch * input->sample_size, error);
    if (status != STATUS_OK) return status;

    const size_t from = second ? index - 1 : index;
    const real sigma = scheduler->sigmas[from], sigma_next = scheduler->sigmas[from + 1];
    const real sigma_input = second ? sigma_next : sigma, dt = sigma_next - sigma;
    denoiser_at(&denoiser, sigma_input);
    if (!second) {
        memcpy(history_next(began), input->sample, began->size * sizeof *input->sample);
        history_push(began);
    }
    const real *start = history_at(began, second ? 1 : 0);
    real *first_derivative = second ? history_at(began, 0) : history_next(began);
    for (size_t i = 0; i < began->size; i++) {
        const real sample = input->sample[i];
        const real pred_original = clipped(config, denoise(&denoiser, sample, input->model_output[i]));
        real derivative = (sample - pred_original) / sigma_input;
        if (second)
            derivative = (first_derivative[i] + derivative) / 2;
        else
            first_derivative[i] = derivative;
        prev_sample[i] = start[i] + derivative * dt;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    if (second)
        history_forget(began);
    else
        history_push(began);
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = second ? 2 : 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(heun_discrete_solver) = {
    .class_name = "HeunDiscreteScheduler",
    .equation = "x_1 = x + (sigma' - sigma) d(x);  x' = x + (sigma' - sigma) (d(x) + d(x_1)) / 2,  d = (x - "
                "x_0) / sigma    (Karras et al. 2022, arXiv:2206.00364, Algorithm 2)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, BETA_KINDS), OPTION_TABLE_OF(latent_beta_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct heun_config),
    .takes_timesteps = true,
    .extra_beta_schedule = "exp",
    .steps_unset = true,
    .state_size = sizeof(struct heun_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = sigmas_scale_model_input,
    .step = step,
    .add_noise = sigmas_add_noise,
    .state_memory = state_memory,
};
