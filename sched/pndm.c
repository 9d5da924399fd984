/*
 * PNDMScheduler: pseudo numerical methods for diffusion models (Liu et al. 2022, arXiv:2202.09778).
 *
 * The transfer from t to t' is DDIM's without noise, written as eq. 9 of the paper, with alpha_t being
 * alphas_cumprod[t] (transfer() below). What goes in as epsilon is not one prediction but a combination of
 * several, as in classical methods for differential equations:
 *
 * - PRK, pseudo Runge-Kutta, eq. 13: four predictions for one step, at t, twice at t - T//N//2 and at
 *   t - T//N, weighted 1/6, 1/3, 1/3, 1/6. The first three steps are made so: then four predictions at whole
 *   steps are known.
 * - PLMS, pseudo linear multistep, eq. 12: with e the predictions at t and the three steps before it,
 *   (55 e[0] - 59 e[1] + 37 e[2] - 9 e[3]) / 24.
 *
 * With skip_prk_steps, as Stable Diffusion's checkpoints have it, PLMS starts itself with the multistep
 * formulas of orders 1 to 3; its first step is made twice, the second time from the first sample with the
 * mean of the predictions at both ends. So a schedule of N steps has N + 1 timesteps, the second of them
 * twice; with PRK, N + 9.
 *
 * Known deviation: as in DDIM, a step goes to t - T // N and not to the next entry of `timesteps`.
 */
#include "real.h"
#include "adams_bashforth.h"
#include "integer_steps.h"
#include "noise_schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PNDM_ORDER = 4,
    PRK_STEPS = 3,                     /* the steps that Runge-Kutta takes */
    PRK_CALLS = PRK_STEPS * PNDM_ORDER /* of the model */
};

struct pndm_config {
    struct scheduler_config base;
    bool skip_prk_steps;
};

struct pndm_state {
    int counter;                     /* calls of step() since set_timesteps */
    double prk_timesteps[PRK_CALLS]; /* the model's timesteps in the Runge-Kutta steps */

    struct history ets; /* predictions at whole steps */
    real *began;        /* [2, n]: where the step began that takes more than one call, and the weighted sum of
                           the Runge-Kutta step so far */
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, set_alpha_to_one), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(pndm_config, skip_prk_steps), .type = OPTION_BOOL, .nullable = true},
};

static bool skips_prk(const struct scheduler *scheduler)
{
    return ((const struct pndm_config *)scheduler->config)->skip_prk_steps;
}

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct pndm_state *state = whole_state;
    memory[0] = history_memory(&state->ets);
    memory[1] = (struct state_memory){(void **)&state->began, 2 * state->ets.size * sizeof *state->began};
    return 2;
}

static real *cur_sample(const struct pndm_state *state)
{
    return state->began;
}

static real *cur_model_output(const struct pndm_state *state)
{
    return state->began + state->ets.size;
}

/* From the grid of whole steps [count], count >= 4, noisiest first: the Runge-Kutta calls, and what is left
 * for PLMS. With half = T // N // 2, or as documented half of what is between two entries, the calls for
 * grid[0], grid[1] are at grid[0], grid[1] + half twice, grid[1]. */
static void expand_prk(const struct scheduler *scheduler, const double *grid, size_t count,
    double *prk_timesteps, double *timesteps)
{
    const int stride = scheduler->num_train_timesteps / scheduler->num_inference_steps;
    for (size_t i = 0; i < PRK_STEPS; i++) {
        const bool documented = scheduler->semantics == SEMANTICS_DOCUMENTED;
        const double half = floor((documented ? grid[i] - grid[i + 1] : stride) / 2);
        double *call = prk_timesteps + i * PNDM_ORDER;
        call[0] = grid[i];
        call[1] = call[2] = grid[i + 1] + half;
        call[3] = grid[i + 1];
    }
    memcpy(timesteps, prk_timesteps, PRK_CALLS * sizeof *timesteps);
    memcpy(timesteps + PRK_CALLS, grid + PRK_STEPS, (count - PRK_STEPS) * sizeof *timesteps);
}

/* The grid with its second entry twice. */
static void expand_plms(const double *grid, size_t count, double *timesteps)
{
    timesteps[0] = grid[0];
    if (count > 1) timesteps[1] = grid[1];
    for (size_t i = 1; i < count; i++) timesteps[i + 1] = grid[i];
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    struct pndm_state *state = scheduler->state;
    const int steps = request->num_inference_steps;
    double *grid = NULL, *timesteps = NULL;
    size_t count = 0;
    enum status status = integer_steps_grid(scheduler, steps, &grid, &count, error);
    if (status != STATUS_OK) return status;
    const bool skip = skips_prk(scheduler);
    if (!skip && count < PNDM_ORDER) {
        status = error_input(error,
            "num_inference_steps: expected at least %d, which the Runge-Kutta steps need, or skip_prk_steps, "
            "got %d",
            PNDM_ORDER, steps);
        goto done;
    }
    const size_t expanded = skip ? (count > 1 ? count + 1 : count) : PRK_CALLS + count - PRK_STEPS;
    timesteps = malloc((expanded ? expanded : 1) * sizeof *timesteps);
    if (!timesteps) {
        status = error_memory(error, expanded * sizeof *timesteps);
        goto done;
    }
    scheduler->num_inference_steps = steps;
    if (!skip)
        expand_prk(scheduler, grid, count, state->prk_timesteps, timesteps);
    else if (count > 0)
        expand_plms(grid, count, timesteps);
    scheduler_take_timesteps(scheduler, timesteps, expanded, TIMESTEP_INT64);
    history_clear(&state->ets);
    free(state->began);
    state->began = NULL;
    state->counter = 0;
done:
    free(grid);
    return status;
}

static double prk_timestep(const struct scheduler *scheduler, size_t index)
{
    return ((const struct pndm_state *)scheduler->state)->prk_timesteps[index];
}

static double plms_timestep(const struct scheduler *scheduler, size_t index)
{
    return scheduler->timesteps[(skips_prk(scheduler) ? 0 : PRK_CALLS) + index];
}

/* The two parts of the list of timesteps; there are none before set_timesteps. */
static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    size_t count = integer_steps_shown(scheduler, tables);
    if (scheduler->num_inference_steps == 0) return count;
    const size_t prk = skips_prk(scheduler) ? 0 : PRK_CALLS, plms = scheduler->num_timesteps - prk;
    if (prk) tables[count++] = (struct shown_table){"prk_timesteps", SHOWN_INTEGERS, prk, prk_timestep};
    if (plms) tables[count++] = (struct shown_table){"plms_timesteps", SHOWN_INTEGERS, plms, plms_timestep};
    return count;
}

/* The first step fixes the size of the tensors. */
static enum status need_buffers(struct pndm_state *state, size_t n, struct error *error)
{
    enum status status = history_prepare(&state->ets, PNDM_ORDER, n, error);
    if (status != STATUS_OK || state->began) return status;
    state->began = malloc(2 * n * sizeof *state->began);
    return state->began ? STATUS_OK : error_memory(error, 2 * n * sizeof *state->began);
}

static void remember(struct pndm_state *state, const real *model_output)
{
    memcpy(history_next(&state->ets), model_output, state->ets.size * sizeof *model_output);
    history_push(&state->ets);
}

/* One call of a Runge-Kutta step: adds its share to cur_model_output, and gives the prediction to go on
 * with. */
static void combine_prk(struct pndm_state *state, const struct step_input *input, real *combined)
{
    const real *model_output = input->model_output;
    real *sum = cur_model_output(state);
    const size_t n = state->ets.size;
    const real sixth = (real)(1.0 / 6), third = (real)(1.0 / 3);
    const int call = state->counter % PNDM_ORDER;
    if (call == 0) {
        remember(state, model_output);
        memcpy(cur_sample(state), input->sample, n * sizeof *input->sample);
        for (size_t i = 0; i < n; i++) sum[i] = 0;
    }
    const real weight = call == 0 || call == 3 ? sixth : third;
    for (size_t i = 0; i < n; i++) {
        sum[i] += weight * model_output[i];
        combined[i] = call == 3 ? sum[i] : model_output[i];
    }
}

/* The multistep formula of the order that the predictions allow. */
static void combine_plms(struct pndm_state *state, const struct step_input *input, real *combined)
{
    const real *model_output = input->model_output;
    const size_t n = state->ets.size;
    if (state->counter == 1) { /* the first step's second try: the mean of both ends */
        const real *newest = history_at(&state->ets, 0);
        for (size_t i = 0; i < n; i++) combined[i] = (model_output[i] + newest[i]) / 2;
        return;
    }
    if (state->counter == 0) memcpy(cur_sample(state), input->sample, n * sizeof *input->sample);
    remember(state, model_output);
    adams_bashforth(&state->ets, combined);
}

/* Eq. 9, x_t added to both sides: x_t' from x_t and epsilon. `prev_sample` [n] holds epsilon (or v) on
 * entry. */
static void transfer(const struct step_alphas *alphas, enum prediction prediction, const real *sample,
    size_t n, real *prev_sample)
{
    const struct level level = level_of_alphas(alphas->alpha_prod_t, alphas->beta_prod_t);
    const real sample_coeff = real_sqrt(alphas->alpha_prod_t_prev / alphas->alpha_prod_t);
    const real model_output_denom_coeff =
        alphas->alpha_prod_t * real_sqrt(alphas->beta_prod_t_prev) +
        real_sqrt(alphas->alpha_prod_t * alphas->beta_prod_t * alphas->alpha_prod_t_prev);
    const real difference = alphas->alpha_prod_t_prev - alphas->alpha_prod_t;
    predict_noise(prediction, level, prev_sample, sample, n, prev_sample);
    for (size_t i = 0; i < n; i++)
        prev_sample[i] = sample_coeff * sample[i] - difference * prev_sample[i] / model_output_denom_coeff;
}

/* The ends of a call of a Runge-Kutta step: from where the step began, by a half step in even calls, and to
 * the call's own timestep in odd ones. */
static enum status ends_of_prk(
    const struct scheduler *scheduler, double timestep, double *from, double *to, struct error *error)
{
    const struct pndm_state *state = scheduler->state;
    const int call = state->counter;
    int stride = 0;
    enum status status = integer_steps_stride(scheduler, &stride, error);
    *from = state->prk_timesteps[call / PNDM_ORDER * PNDM_ORDER];
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        *to = state->prk_timesteps[call | 1]; /* where the next call is made, or this one */
    else
        *to = timestep - (call % 2 ? 0 : stride / 2);
    return status;
}

/* The ends of a multistep call: the second one is the first step's second try. */
static enum status ends_of_plms(
    const struct scheduler *scheduler, double timestep, double *from, double *to, struct error *error)
{
    const struct pndm_state *state = scheduler->state;
    *from = timestep;
    if (state->counter != 1) return integer_steps_next(scheduler, timestep, to, error);
    *to = timestep;
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        return integer_steps_in_front(scheduler, timestep, from, error);
    int stride = 0;
    enum status status = integer_steps_stride(scheduler, &stride, error);
    *from = timestep + stride;
    return status;
}

/* The order of this call: the last of a Runge-Kutta step's four has that of the whole step, the first
 * multistep's second try that of the mean of both ends. */
static int order_of_call(const struct pndm_state *state, bool prk)
{
    if (prk) return state->counter % PNDM_ORDER == PNDM_ORDER - 1 ? PNDM_ORDER : 1;
    return state->counter == 1 ? 2 : (int)state->ets.count;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class has none */
    struct pndm_state *state = scheduler->state;
    const bool prk = !skips_prk(scheduler) && state->counter < PRK_CALLS;
    const bool second_try = !prk && state->counter == 1;
    const char *prediction_type = scheduler->config->prediction_type;
    struct step_alphas alphas;
    enum prediction prediction = PREDICTS_EPSILON;
    double from = 0, to = 0;

    enum status status = STATUS_OK;
    if (option_is(prediction_type, "v_prediction"))
        prediction = PREDICTS_V;
    else if (!option_is(prediction_type, "epsilon"))
        status = option_refuse("prediction_type", prediction_type, "\"epsilon\" or \"v_prediction\"", error);
    if (status == STATUS_OK)
        status = prk ? ends_of_prk(scheduler, input->timestep, &from, &to, error)
                     : ends_of_plms(scheduler, input->timestep, &from, &to, error);
    if (status != STATUS_OK) return status;

    status = integer_steps_alphas(scheduler, from, to, &alphas, error);
    if (status == STATUS_OK) status = need_buffers(state, input->batch * input->sample_size, error);
    if (status != STATUS_OK) return status;

    if (prk)
        combine_prk(state, input, prev_sample);
    else
        combine_plms(state, input, prev_sample);
    transfer(&alphas, prediction, prk || second_try ? cur_sample(state) : input->sample, state->ets.size,
        prev_sample);
    scheduler->step_order = order_of_call(state, prk);
    state->counter++;
    return STATUS_OK;
}

const struct solver REAL_NAME(pndm_solver) = {
    .class_name = "PNDMScheduler",
    .equation = "x' = sqrt(a'/a) x - (a' - a) e / (a sqrt(1 - a') + sqrt(a (1 - a) a')),  a = "
                "alphas_cumprod,  e the Runge-Kutta or Adams-Bashforth combination of epsilon    (Liu et al. "
                "2022, arXiv:2202.09778, eqs. 9 to 13)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(integer_grid_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct pndm_config),
    .state_size = sizeof(struct pndm_state),
    .shown_tables = shown_tables,
    .create = integer_steps_create,
    .set_timesteps = set_timesteps,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .state_memory = state_memory,
};
