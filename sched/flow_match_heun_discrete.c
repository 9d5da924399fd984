/*
 * FlowMatchHeunDiscreteScheduler: Heun's method on a rectified flow (flow_match.h), Algorithm 2 of Karras et
 * al. 2022 (arXiv:2206.00364) with the flow's velocity v in the place of its derivative. A step from sigma to
 * sigma' takes two calls of the model, of which the first is Euler's step:
 *
 *     x_1 = x + (sigma' - sigma) v(x, sigma),
 *     x'  = x + (sigma' - sigma) (v(x, sigma) + v(x_1, sigma')) / 2.
 *
 * The last step, to 0, has the first call only. With churn, each call first adds noise, as churn.h has it.
 *
 * Known deviations of diffusers: churn is that of samples x_0 + sigma noise, which a flow's are not: the
 * noise is added but the data are not scaled down with it; and the first call's velocity is made smaller, by
 * sigma / sigma_hat. The noise of the second call is drawn and does not count: the
 * step starts from where the first call began, and rounding is all that is left of it in the velocity.
 */
#include "churn.h"
#include "flow_match.h"
#include "history.h"
#include "real.h"
#include "second_order.h"
#include "solver.h"
#include "step_index.h"

#include <stdlib.h>

struct flow_heun_state {
    /* Between the two calls of a step, where it began: the sample, churned, then the velocity. Empty before
     * the first. */
    struct history began;
    real dt; /* how far it goes, from the churned sigma */
};

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct flow_heun_state *state = whole_state;
    memory[0] = history_memory(&state->began);
    return 1;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const size_t n = (size_t)request->num_inference_steps, places = n ? 2 * n : 2;
    const double shift = flow_match_config_of(scheduler)->shift, trained = scheduler->num_train_timesteps;
    size_t calls = 0;
    double *grid = malloc((n + 1) * sizeof *grid), *timesteps = NULL;
    real *once = malloc((n + 1) * sizeof *once), *sigmas = NULL;
    if (!grid || !once) goto no_memory;
    flow_match_grid(scheduler, n, grid);
    for (size_t i = 0; i < n; i++) {
        once[i] = (real)flow_match_shift(shift, grid[i] / trained, false);
        grid[i] = (double)(once[i] * (real)scheduler->num_train_timesteps);
    }
    once[n] = 0;
    sigmas = second_order_sigmas(once, n + 1, places);
    timesteps = second_order_timesteps(grid, n, &calls);
    if (!sigmas || !timesteps) goto no_memory;

    free(grid);
    free(once);
    scheduler_take_sigmas(scheduler, sigmas, places);
    scheduler_take_timesteps(scheduler, timesteps, calls, TIMESTEP_FLOAT32);
    scheduler->num_inference_steps = (int)n;
    history_clear(&((struct flow_heun_state *)scheduler->state)->began);
    return STATUS_OK;

no_memory:
    free(grid);
    free(once);
    free(sigmas);
    free(timesteps);
    return error_memory(error, places * sizeof *timesteps);
}

/* One call of a step: `from` is the place of the sigma that the step starts from. */
struct call {
    bool second;
    size_t index, from;
    struct churn churn;
};

static enum status find_call(struct scheduler *scheduler, double timestep, const struct step_options *options,
    struct call *call, struct error *error)
{
    call->second = ((const struct flow_heun_state *)scheduler->state)->began.count > 0;
    enum status status = call->second
                             ? step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &call->index, error)
                             : step_index_with_next(scheduler, timestep, &call->index, error);
    if (status != STATUS_OK) return status;
    call->from = call->second ? call->index - 1 : call->index;
    call->churn = churn_at(scheduler, scheduler->sigmas[call->from], options);
    return STATUS_OK;
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    struct call call;
    return find_call(scheduler, timestep, options, &call, NULL) == STATUS_OK && call.churn.gamma > 0;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    struct flow_heun_state *state = scheduler->state;
    struct history *began = &state->began;
    struct call call;
    enum status status = find_call(scheduler, input->timestep, &input->options, &call, error);
    if (status == STATUS_OK) status = history_prepare(began, 2, input->batch * input->sample_size, error);
    if (status != STATUS_OK) return status;

    const real s_noise = (real)input->options.s_noise;
    const real sigma = scheduler->sigmas[call.from], sigma_next = scheduler->sigmas[call.from + 1];
    const real level = call.second ? sigma_next : sigma;                  /* of the model's output, */
    const real divisor = call.second ? sigma_next : call.churn.sigma_hat; /* and of the churned sample */
    if (!call.second) state->dt = sigma_next - call.churn.sigma_hat;
    real *start = call.second ? history_at(began, 1) : history_next(began);
    if (!call.second) history_push(began);
    real *first_derivative = call.second ? history_at(began, 0) : history_next(began);
    for (size_t i = 0; i < began->size; i++) {
        real sample = input->sample[i];
        if (call.churn.gamma > 0) sample += input->noise[i] * s_noise * call.churn.noise_scale;
        const real denoised = sample - input->model_output[i] * level;
        real derivative = (sample - denoised) / divisor;
        if (call.second) {
            derivative = (real)0.5 * (first_derivative[i] + derivative);
        } else {
            start[i] = sample;
            first_derivative[i] = derivative;
        }
        prev_sample[i] = start[i] + derivative * state->dt;
    }
    if (call.second)
        history_forget(began);
    else
        history_push(began);
    scheduler->step_index = (int)call.index + 1;
    scheduler->step_order = call.second ? 2 : 1;
    return STATUS_OK;
}

/* Diffusers' scale_noise(), which takes one timestep for all pictures, and that of the run where it has
 * begun. A run begins at the index that it finds here, too. */
static enum status add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    size_t index = 0;
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        return flow_match_add_noise(
            scheduler, original_samples, noise, timesteps, batch, sample_size, noisy_samples, error);
    if (scheduler->step_index < 0 && scheduler->begin_index < 0 && batch != 1)
        return error_input(error, "timesteps: %s takes one timestep for all pictures, got %zu",
            scheduler_name(scheduler), batch);
    enum status status =
        step_index_now(scheduler, batch ? timesteps[0] : 0, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)index;
    const real sigma = scheduler->sigmas[index], rest = 1 - sigma;
    for (size_t i = 0; i < batch * sample_size; i++)
        noisy_samples[i] = sigma * noise[i] + rest * original_samples[i];
    return STATUS_OK;
}

const struct solver REAL_NAME(flow_match_heun_discrete_solver) = {
    .class_name = "FlowMatchHeunDiscreteScheduler",
    .equation = "x_1 = x + (sigma' - sigma) v(x);  x' = x + (sigma' - sigma) (v(x) + v(x_1)) / 2    (Karras "
                "et al. 2022, arXiv:2206.00364, Algorithm 2, on a flow)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, 1), OPTION_TABLE_OF(flow_shift_options)},
    .config_size = sizeof(struct flow_match_config),
    .float32_sample = true,
    .flow = true,
    .state_size = sizeof(struct flow_heun_state),
    .create = flow_match_create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = add_noise,
    .state_memory = state_memory,
};
