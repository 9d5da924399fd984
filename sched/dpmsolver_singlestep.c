/*
 * DPMSolverSinglestepScheduler: DPM-Solver-2, DPM-Solver-3 (Lu et al. 2022, arXiv:2206.00927, algorithms 1
 * and 2) and their data-predicting and stochastic variants (arXiv:2211.01095).
 *
 * A block of k steps of the schedule is one step of order k, from s to t with the points between for the
 * derivatives: its first step is of order 1 from s, its second one of order 2 from s again, and its third one
 * of order 3 from s. The samples between are only there for the model to be asked at. With
 * h = lambda_t - lambda_s, the model's predictions m0 (newest), m1, m2 (at s) and r = (their lambda -
 * lambda_s) / h, the derivatives in the exact solution (dpmsolver.h) are
 *
 *     order 2    D0 = m1,  D1 = (m0 - m1) / r0
 *     order 3    D0 = m2,  D1_0 = (m1 - m2) / r1,  D1_1 = (m0 - m2) / r0,
 *                D1 = (r0 D1_0 - r1 D1_1) / (r0 - r1),  D2 = 2 (D1_1 - D1_0) / (r0 - r1)
 *
 * `midpoint` takes half of the coefficient of D0 for D1 in order 2, and in order 3 D1_1 for D1 and no D2.
 *
 * The last block is shorter where the count of steps is no multiple of the order: that is lower_order_final,
 * which set_timesteps turns on where the count, or a step to sigma 0, needs it. A run that begins inside a
 * block takes lower orders until it is out of it.
 *
 * Known deviations of diffusers: predicted noise cannot be thresholded (its tensors do not fit; documented
 * semantics threshold it); the `heun` update of order 3 of sde-dpmsolver++ has a wrong sign (dpmsolver.h;
 * documented semantics: the right one).
 */
#include "dpmsolver_schedule.h"
#include "real.h"

#include <string.h>

enum { MAX_ORDER = 3 };

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "epsilon"},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "dpmsolver++"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL},
};

static const struct dpm_schedule_rules rules = {
    .clips_lambda = true,
    .final_sigma = FINAL_OF_TRAINING,
};

struct state {
    enum dpm_algorithm algorithm;
    struct history model_outputs; /* converted: data or noise */
    struct history block_start;   /* one entry: the sample that the block began with */
};

static size_t state_memory(void *memory_of, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct state *state = memory_of;
    memory[0] = history_memory(&state->model_outputs);
    memory[1] = history_memory(&state->block_start);
    return 2;
}

/* --- The order of each step --------------------------------------------------------------- */

/* The order at `index` of `steps`: 1, 2 .. solver_order, and again; with lower_order_final the last step is
 * of order 1, and where that would end a whole block the one before of order 1 (order 2) or 2 (order 3). */
static int listed_order(const struct dpm_config *config, size_t steps, size_t index)
{
    const size_t order = (size_t)config->solver_order;
    const size_t left = steps - index; /* 1 at the last step */
    const bool to_zero = option_is(config->common.final_sigmas_type, "zero");
    if (left == 1 && to_zero) return 1;
    if (config->lower_order_final && order > 1) {
        const size_t whole = steps / order * order; /* the steps in whole blocks */
        if (order == 2 && left == 1) return 1;
        if (order == 3 && steps == whole && left == 1) return 1;
        if (order == 3 && steps != whole && index >= whole) return (int)(index - whole + 1);
    }
    return (int)(index % order) + 1;
}

static double order_at(const struct scheduler *scheduler, size_t index)
{
    return listed_order(dpm_config_of(scheduler), scheduler->num_timesteps, index);
}

static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    const size_t count = dpm_shown_tables(scheduler, tables);
    tables[count] = (struct shown_table){"order_list", SHOWN_INTEGERS, scheduler->num_timesteps, order_at};
    return count + 1;
}

/* --- Constructor and schedule ------------------------------------------------------------- */

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct state *state = scheduler->state;
    enum status status = dpm_find_algorithm(config, false, &state->algorithm, error);
    if (status == STATUS_OK) status = dpm_check_final_sigma(config, error);
    if (status == STATUS_OK) status = dpm_create_schedule(scheduler, &rules, warnings, error);
    if (status == STATUS_OK && config->solver_order > MAX_ORDER)
        status = error_input(
            error, "solver_order: expected an order from 1 to %d, got %d", MAX_ORDER, config->solver_order);
    if (status == STATUS_OK && scheduler->num_train_timesteps < config->solver_order &&
        !config->lower_order_final && option_is(config->common.final_sigmas_type, "zero"))
        status =
            error_input(error, "num_train_timesteps: expected a block of solver_order %d at least, got %d",
                config->solver_order, scheduler->num_train_timesteps);
    return status;
}

/* A block that is cut short, or ends in sigma 0, needs lower orders; the config keeps the change. */
static void lower_orders_where_needed(struct scheduler *scheduler, struct warnings *warnings)
{
    struct dpm_config *config = dpm_config_of(scheduler);
    const int steps = scheduler->num_inference_steps, order = config->solver_order;
    if (config->lower_order_final) return;
    if (steps % order != 0) {
        config->lower_order_final = true;
        warnings_add(warnings,
            "lower_order_final: now true, since %d steps are no multiple of solver_order %d", steps, order);
    } else if (option_is(config->common.final_sigmas_type, "zero")) {
        config->lower_order_final = true;
        warnings_add(warnings, "lower_order_final: now true, since the last step goes to sigma 0");
    }
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    const bool none = request->timesteps
                          ? request->num_timesteps == 0
                          : request->has_num_inference_steps && request->num_inference_steps == 0;
    if (none) return error_input(error, "num_inference_steps: expected at least 1 step, got 0");
    enum status status = dpm_make_schedule(scheduler, &rules, request, warnings, error);
    if (status != STATUS_OK) return status;
    lower_orders_where_needed(scheduler, warnings);
    struct state *state = scheduler->state;
    history_clear(&state->model_outputs);
    history_clear(&state->block_start);
    return STATUS_OK;
}

/* --- A step ------------------------------------------------------------------------------- */

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)timestep, (void)step_options;
    const struct state *state = scheduler->state;
    return dpm_is_stochastic(state->algorithm);
}

/* One step of `order` from the block's start x_s = `sample` [n]. s[0] and m[0] are the level and the
 * prediction [n] of this timestep; those of the block's start are s[order - 1] and m[order - 1]. In diffusers
 * these are singlestep_dpm_solver_second_order_update and ..._third_order_update. */
static void singlestep_update(struct dpm_coefficients c, int order, bool midpoint, struct level t,
    const struct level *s, const real *const *m, const real *sample, const real *noise, size_t n, real *x_t)
{
    const struct level start = s[order - 1];
    const real h = t.lambda - start.lambda;
    const real r0 = (s[0].lambda - start.lambda) / h, r1 = order > 2 ? (s[1].lambda - start.lambda) / h : 0;
    const real by_r0 = 1 / r0, by_r1 = 1 / r1;
    const real *newest = m[0], *middle = m[1], *first = m[order - 1];
    /* A loop for each order, since compilers make vectors of loops without branches. */
    switch (order) {
    case 1:
        for (size_t i = 0; i < n; i++) x_t[i] = c.sample * sample[i] + c.d0 * first[i];
        break;
    case 2:
        for (size_t i = 0; i < n; i++)
            x_t[i] = c.sample * sample[i] + c.d0 * first[i] + c.d1 * (by_r0 * (newest[i] - first[i]));
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an order is 1, 2 or 3 */
            const real D0 = first[i], D1_0 = by_r1 * (middle[i] - D0), D1_1 = by_r0 * (newest[i] - D0);
            const real D1 = (r0 * D1_0 - r1 * D1_1) / (r0 - r1);
            const real D2 = 2 * (D1_1 - D1_0) / (r0 - r1);
            x_t[i] = c.sample * sample[i] + c.d0 * D0 + c.d1 * (midpoint ? D1_1 : D1);
            if (!midpoint) x_t[i] += c.d2 * D2;
        }
    }
    for (size_t i = 0; noise && i < n; i++) x_t[i] += c.noise * noise[i];
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    size_t index = 0;
    enum status status = dpm_step_index(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK)
        status = history_prepare(&state->model_outputs, (size_t)config->solver_order, n, error);
    if (status == STATUS_OK) status = history_prepare(&state->block_start, 1, n, error);
    if (status != STATUS_OK) return status;
    status = dpm_convert_or_refuse(scheduler, dpm_predicts_data(state->algorithm), index, input,
        history_next(&state->model_outputs), error);
    if (status != STATUS_OK) return status;
    history_push(&state->model_outputs);

    int order = listed_order(config, scheduler->num_timesteps, index);
    if (order > (int)state->model_outputs.count) order = (int)state->model_outputs.count;
    if (order == 1) {
        memcpy(history_next(&state->block_start), input->sample, n * sizeof *input->sample);
        history_push(&state->block_start);
    }

    const bool midpoint = !option_is(config->solver_type, "heun");
    const struct level t = dpm_level(config, scheduler->sigmas[index + 1]);
    struct level s[MAX_ORDER] = {0};
    const real *m[MAX_ORDER] = {0};
    for (int i = 0; i < order; i++) {
        s[i] = dpm_level(config, scheduler->sigmas[index - (size_t)i]);
        m[i] = history_at(&state->model_outputs, (size_t)i);
    }
    const struct dpm_coefficients c = dpm_coefficients_of(state->algorithm, t, s[order - 1],
        midpoint && order < 3, scheduler->semantics == SEMANTICS_DOCUMENTED);
    singlestep_update(c, order, midpoint, t, s, m, history_at(&state->block_start, 0),
        dpm_is_stochastic(state->algorithm) ? input->noise : NULL, n, prev_sample);
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = order;
    return STATUS_OK;
}

const struct solver REAL_NAME(dpmsolver_singlestep_solver) = {
    .class_name = "DPMSolverSinglestepScheduler",
    .equation =
        "x' = (sigma'/sigma) x - alpha' (e^-h - 1) D0 + c1 D1 + c2 D2 from the block's first sample x,  h = "
        "lambda' - lambda    (Lu et al. 2022, arXiv:2206.00927, Algorithms 1 and 2; arXiv:2211.01095)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(sigma_options), OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_OF(dpm_flow_options), OPTION_TABLE_OF(dpm_lambda_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct dpm_config),
    .takes_timesteps = true,
    .takes_mu = true,
    .takes_variance = true,
    .state_size = sizeof(struct state),
    .shown_tables = shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = dpm_add_noise,
    .state_memory = state_memory,
};
