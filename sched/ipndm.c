/*
 * IPNDMScheduler: the improved PNDM of Crowson's v-diffusion, fourth-order pseudo linear multistep (Liu et
 * al. 2022, arXiv:2202.09778; Zhang and Chen 2023, arXiv:2204.13902, section 3.3) on a schedule of its own.
 *
 * The schedule has no table of training. A sample at time t in [0, 1] is alpha x_0 + sigma epsilon with
 *
 *     sigma = sin^2(pi t' / 2),  alpha = sqrt(1 - sigma^2),  t' falling from 1 to 0 in N equal steps,
 *     t = 2 / pi atan2(sigma, alpha)           diffusers: sigma is `betas`, alpha is `alphas`
 *
 * The model predicts v = alpha epsilon - sigma x_0. Each step turns it into epsilon = sigma x + alpha v,
 * combines that with the last three by the Adams-Bashforth formula, and transfers as DDIM does:
 *
 *     x' = alpha' (x - sigma epsilon) / alpha + sigma' epsilon
 *
 * trained_betas are the sigmas themselves, for whatever number of steps.
 */
#include "real.h"
#include "adams_bashforth.h"
#include "noise_schedule.h"
#include "solver.h"
#include "step_index.h"

#include <math.h>
#include <stdlib.h>

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 1000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, trained_betas), .type = OPTION_NUMBERS},
};

struct ipndm_state {
    struct history ets; /* predictions of the noise */
};

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct ipndm_state *state = whole_state;
    memory[0] = history_memory(&state->ets);
    return 1;
}

/* sigma at `points` times: trained_betas, or the square of the sine. */
static void fill_betas(const struct scheduler_config *config, real *betas, size_t points)
{
    if (config->trained_betas.values) {
        for (size_t i = 0; i < points; i++) betas[i] = (real)config->trained_betas.values[i];
        return;
    }
    torch_linspace(1, 0, points, betas);
    betas[points - 1] = 0;
    for (size_t i = 0; i < points; i++) {
        const real sine = real_sin(betas[i] * (real)M_PI / 2);
        betas[i] = sine * sine;
    }
}

/* Sigmas, whose alphas are sqrt(1 - sigma^2), and a step between each two. */
static enum status check_levels(const struct number_list *trained, struct error *error)
{
    if (!trained->values) return STATUS_OK;
    if (trained->count < 2)
        return error_input(error,
            "trained_betas: expected two numbers or more, from one of which to the next a step goes, got %zu",
            trained->count);
    for (size_t i = 0; i < trained->count; i++)
        if (!(trained->values[i] >= 0 && trained->values[i] <= 1))
            return error_input(
                error, "trained_betas[%zu]: expected a number from 0 to 1, got %g", i, trained->values[i]);
    return STATUS_OK;
}

static enum status make_schedule(struct scheduler *scheduler, int steps, struct error *error)
{
    const struct number_list *trained = &scheduler->config->trained_betas;
    const size_t points = trained->values ? trained->count : (size_t)steps + 1;
    enum status status = check_levels(trained, error);
    if (status != STATUS_OK) return status;
    real *betas = malloc(points * sizeof *betas), *alphas = malloc(points * sizeof *alphas);
    double *timesteps = malloc(points * sizeof *timesteps);
    if (!betas || !alphas || !timesteps) {
        free(betas);
        free(alphas);
        free(timesteps);
        return error_memory(error, points * sizeof *timesteps);
    }
    fill_betas(scheduler->config, betas, points);
    for (size_t i = 0; i < points; i++) {
        alphas[i] = real_sqrt(1 - betas[i] * betas[i]);
        timesteps[i] = (double)(real_atan2(betas[i], alphas[i]) / (real)M_PI * 2);
    }
    scheduler_take_betas(scheduler, betas, alphas, points);
    scheduler_take_timesteps(scheduler, timesteps, points - 1, TIMESTEP_FLOAT32);
    scheduler->num_inference_steps = steps;
    return STATUS_OK;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return make_schedule(scheduler, scheduler->num_train_timesteps, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    struct ipndm_state *state = scheduler->state;
    enum status status = make_schedule(scheduler, request->num_inference_steps, error);
    if (status != STATUS_OK) return status;
    if (scheduler->config->trained_betas.values &&
        scheduler->num_timesteps != (size_t)request->num_inference_steps)
        warnings_add(
            warnings, "num_inference_steps: ignored, trained_betas make %zu steps", scheduler->num_timesteps);
    history_clear(&state->ets);
    return STATUS_OK;
}

static void level_at(const struct scheduler *scheduler, size_t index, double *alpha, double *sigma)
{
    *alpha = (double)scheduler->alphas[index];
    *sigma = (double)scheduler->betas[index];
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class has none */
    struct ipndm_state *state = scheduler->state;
    const real *sample = input->sample;
    const size_t n = input->batch * input->sample_size;
    size_t index = 0;
    enum status status = step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status == STATUS_OK && index + 1 >= scheduler->num_betas)
        status =
            error_input(error, "step %zu: the schedule has only %zu steps", index, scheduler->num_timesteps);
    if (status == STATUS_OK) status = history_prepare(&state->ets, ADAMS_BASHFORTH_ORDER, n, error);
    if (status != STATUS_OK) return status;

    const real alpha = scheduler->alphas[index], sigma = scheduler->betas[index];
    const real next_alpha = scheduler->alphas[index + 1], next_sigma = scheduler->betas[index + 1];
    const real divisor = (real)1e-8 > alpha ? (real)1e-8 : alpha;
    real *ets = history_next(&state->ets);
    for (size_t i = 0; i < n; i++) ets[i] = sample[i] * sigma + input->model_output[i] * alpha;
    history_push(&state->ets);
    adams_bashforth(&state->ets, prev_sample);
    for (size_t i = 0; i < n; i++) {
        const real combined = prev_sample[i];
        const real pred = (sample[i] - sigma * combined) / divisor;
        prev_sample[i] = next_alpha * pred + combined * next_sigma;
    }
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = (int)state->ets.count; /* ADAMS_BASHFORTH_ORDER at most */
    return STATUS_OK;
}

const struct solver REAL_NAME(ipndm_solver) = {
    .class_name = "IPNDMScheduler",
    .equation = "x' = alpha' (x - sigma e) / alpha + sigma' e,  e the Adams-Bashforth combination of the "
                "last four epsilon    (Zhang and Chen 2023, arXiv:2204.13902, section 3.3)",
    .options = {OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct scheduler_config),
    .steps_unset = true,
    .makes_betas = true,
    .state_size = sizeof(struct ipndm_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .level_at = level_at,
    .step = step,
    .state_memory = state_memory,
};
