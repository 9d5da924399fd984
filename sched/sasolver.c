/*
 * SASolverScheduler: stochastic Adams methods, a predictor and a corrector of orders 1 to 4 (Xue et al. 2023,
 * arXiv:2309.05019).
 *
 * Between the ODE (tau = 0) and the SDE of diffusion (tau = 1) lies a family of SDEs with the same
 * distributions. With lambda as the time, a step from s to t is (their eq. 14 and 10)
 *
 *     x_t = e^(-tau^2 h) sigma_t/sigma_s x_s + sum of b_i data_i + sigma_t sqrt(1 - e^(-2 tau^2 h)) z
 *     x_t = alpha_t/alpha_s x_s + sum of b_i noise_i + tau sigma_t sqrt(e^(2 h) - 1) z
 *
 * for a model that predicts the data, or the noise; h = lambda_t - lambda_s. The predictions between s and t
 * are taken from the polynomial through those of this step and the ones before (predictor, Adams-Bashforth),
 * or, when the model has been asked at t, through that one too (corrector, Adams-Moulton):
 *
 *     b_i = (1 + tau^2) sigma_t e^(-tau^2 lambda_t) integral of e^((1 + tau^2) x) l_i(x) dx     data
 *     b_i = -(1 + tau^2) alpha_t integral of e^-x l_i(x) dx                                     noise
 *
 * (sasolver_coefficients.c). At order 2, for data, both take a term of O(h^3) more (diffusers, as UniPC
 * does), which leaves the order as it is. The corrector works at the beginning of a step, on the step before,
 * with the noise of the step before, and asks the model no second time.
 *
 * tau is 1 from timestep 200 to 800 and 0 elsewhere: the default of tau_func, which no config can hold
 * another value of. Every step draws, also those with tau = 0.
 *
 * Known deviations of diffusers: predicted noise cannot be thresholded, and a model that predicts a variance
 * cannot be used (tensors do not fit; documented semantics do both); the last of the sigmas of any kind is
 * repeated, and the last step does nothing (documented semantics: N + 1 sigmas over the same range).
 */
#include "dpmsolver_schedule.h"
#include "real.h"
#include "noise_schedule.h"
#include "sasolver_coefficients.h"
#include "weighted_sum.h"

#include <string.h>

enum { MAX_ORDER = SASOLVER_MAX_ORDER };

struct sasolver_config {
    struct dpm_config base;
    int predictor_order, corrector_order;
    char *tau_func;
};

static const struct option options[] = {
    {OPTION_MEMBER(sasolver_config, predictor_order), .type = OPTION_INT, .number = 2, .minimum = 1,
        .maximum = 1000},
    {OPTION_MEMBER(sasolver_config, corrector_order), .type = OPTION_INT, .number = 2, .minimum = 1,
        .maximum = 1000},
    {OPTION_MEMBER(sasolver_config, tau_func), .type = OPTION_STRING, .nullable = true},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "data_prediction"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
};

static const struct dpm_schedule_rules rules = {.clips_lambda = true, .final_sigma = FINAL_REPEATED};

struct state {
    struct history model_outputs;           /* converted: data or noise */
    struct history last_sample, last_noise; /* of the step before: x_s, corrected, and z; room for two each */
    int lower_order_nums;     /* steps taken since set_timesteps, counted up to kept_outputs() */
    int last_corrector_order; /* what the corrector will take for the step before */
    double last_timestep;
};

static size_t state_memory(void *memory_of, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct state *state = memory_of;
    memory[0] = history_memory(&state->model_outputs);
    memory[1] = history_memory(&state->last_sample);
    memory[2] = history_memory(&state->last_noise);
    return 3;
}

static const struct sasolver_config *config_of(const struct scheduler *scheduler)
{
    return (const struct sasolver_config *)scheduler->config;
}

static bool predicts_data(const struct scheduler *scheduler)
{
    return option_is(config_of(scheduler)->base.algorithm_type, "data_prediction");
}

/* The outputs that predictor and corrector look back on: the corrector has this step's as its first. */
static int kept_outputs(const struct sasolver_config *config)
{
    const int predictor = config->predictor_order, corrector = config->corrector_order - 1;
    return predictor > corrector ? predictor : corrector;
}

/* --- Constructor and schedule ------------------------------------------------------------- */

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct sasolver_config *config = config_of(scheduler);
    enum status status = dpm_create_schedule(scheduler, &rules, warnings, error);
    if (status != STATUS_OK) return status;
    if (!predicts_data(scheduler) && !option_is(config->base.algorithm_type, "noise_prediction"))
        return option_refuse("algorithm_type", config->base.algorithm_type,
            "\"data_prediction\" or \"noise_prediction\"", error);
    if (config->tau_func)
        return error_input(
            error, "tau_func: expected null (another is a function), got \"%.100s\"", config->tau_func);
    if (config->predictor_order > MAX_ORDER || config->corrector_order > MAX_ORDER)
        warnings_add(warnings,
            "predictor_order, corrector_order: a run of %s that comes to an order above %d ends there",
            scheduler_name(scheduler), MAX_ORDER);
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status = dpm_make_schedule(scheduler, &rules, request, warnings, error);
    if (status != STATUS_OK) return status;
    struct state *state = scheduler->state;
    history_clear(&state->model_outputs);
    history_clear(&state->last_sample);
    history_clear(&state->last_noise);
    state->lower_order_nums = state->last_corrector_order = 0;
    return STATUS_OK;
}

static int tau_at(double timestep)
{
    return timestep >= 200 && timestep <= 800;
}

/* --- The update --------------------------------------------------------------------------- */

/* One step from s to t, by predictor or corrector. */
struct update {
    bool data, corrects;
    int order, tau;
    struct level t, s;
    real nodes[MAX_ORDER];      /* lambda, and the prediction there, the newest first: the corrector's are */
    const real *m[MAX_ORDER];   /* those at t, s ..., the predictor's those at s and before; m[i]: [n] */
    const real *sample, *noise; /* [n] at s; the noise of the step */
    size_t n;
};

/* What is added to the first weight of order 2 and taken from the second; `before` is the lambda of the step
 * before s. */
static real second_order_term(const struct update *u, real h)
{
    const real k = (real)(1 + u->tau * u->tau), half_h = h / 2;
    const real growth = real_exp(k * u->t.lambda), rest = h * k - 1 + real_exp(k * -h);
    if (u->corrects) return growth * (half_h - rest / (k * k * h));
    return growth * (h * h / 2 - rest / (k * k)) / (u->nodes[0] - u->nodes[1]);
}

/* Eq. 14 for predicted data, eq. 10 for predicted noise, with the weights b_i integrated. x_t: [n] */
static void sasolver_update(const struct update *u, real *x_t)
{
    const struct level t = u->t, s = u->s;
    const real tau = (real)u->tau, tau2 = tau * tau, k = 1 + tau2, h = t.lambda - s.lambda;
    real weights[MAX_ORDER];
    sasolver_weigh(u->data, u->order, s.lambda, t.lambda, u->tau, u->nodes, weights);
    if (u->data && u->order == 2) {
        const real term = second_order_term(u, h);
        weights[0] += term;
        weights[1] -= term;
    }
    const real scale = u->data ? k * t.sigma * real_exp(-tau2 * t.lambda) : -k * t.alpha;
    for (int i = 0; i < u->order; i++) weights[i] = scale * weights[i];

    const real keep = u->data ? real_exp(-tau2 * h) * (t.sigma / s.sigma) : t.alpha / s.alpha;
    const real spread = u->data ? t.sigma * real_sqrt(1 - real_exp(-2 * tau2 * h))
                                : tau * t.sigma * real_sqrt(real_exp(2 * h) - 1);
    for (size_t from = 0; from < u->n; from += SUM_BLOCK) {
        const size_t size = sum_block(from, u->n);
        const real *sample = u->sample + from, *noise = u->noise + from;
        real gradient[SUM_BLOCK] = {0};
        add_weighted(weights, u->m, (size_t)u->order, from, size, gradient);
        for (size_t i = 0; i < size; i++) x_t[from + i] = keep * sample[i] + gradient[i] + spread * noise[i];
    }
}

/* The nodes and predictions of an update whose newest node is at `index`, with the prediction `newest`
 * [n]. */
static void gather(const struct scheduler *scheduler, size_t index, const real *newest, struct update *u)
{
    const struct state *state = scheduler->state;
    for (int i = 0; i < u->order; i++) {
        u->nodes[i] = dpm_level(dpm_config_of(scheduler), scheduler->sigmas[index - (size_t)i]).lambda;
        u->m[i] = i ? history_at(&state->model_outputs, (size_t)i - 1) : newest;
    }
}

/* --- A step ------------------------------------------------------------------------------- */

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)timestep, (void)step_options;
    return true;
}

/* The sample [n] at the start of the step at `index`: as it came, or by the corrector. `converted` [n] is the
 * model's output there. */
static void correct(const struct scheduler *scheduler, size_t index, const real *converted,
    const real *sample, size_t n, real *corrected)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct state *state = scheduler->state;
    if (index == 0 || state->last_sample.count == 0) {
        memcpy(corrected, sample, n * sizeof *sample);
        return;
    }
    struct update u = {
        .data = predicts_data(scheduler),
        .corrects = true,
        .order = state->last_corrector_order,
        .tau = tau_at(state->last_timestep),
        .t = dpm_level(config, scheduler->sigmas[index]),
        .s = dpm_level(config, scheduler->sigmas[index - 1]),
        .sample = history_at(&state->last_sample, 0),
        .noise = history_at(&state->last_noise, 0),
        .n = n,
    };
    gather(scheduler, index, converted, &u);
    sasolver_update(&u, corrected);
}

/* The predictor's step, from `sample` [n]. */
static void predict(const struct scheduler *scheduler, size_t index, int order, const real *converted,
    const real *sample, const struct step_input *input, real *prev_sample)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct update u = {
        .data = predicts_data(scheduler),
        .order = order,
        .tau = tau_at(input->timestep),
        .t = dpm_level(config, scheduler->sigmas[index + 1]),
        .s = dpm_level(config, scheduler->sigmas[index]),
        .sample = sample,
        .noise = input->noise,
        .n = input->batch * input->sample_size,
    };
    gather(scheduler, index, converted, &u);
    sasolver_update(&u, prev_sample);
}

/* The orders of the step at `index`: as configured, less where there is no history yet, or near the end. The
 * corrector's is that of its work on this step, done in the next. */
static enum status orders_of_step(
    const struct scheduler *scheduler, size_t index, int *predictor, int *corrector, struct error *error)
{
    const struct sasolver_config *config = config_of(scheduler);
    const struct state *state = scheduler->state;
    const int taken = state->lower_order_nums;
    const size_t left = scheduler->num_timesteps - index;
    *predictor = config->predictor_order;
    *corrector = config->corrector_order;
    if (config->base.lower_order_final && left < (size_t)*predictor) *predictor = (int)left;
    if (config->base.lower_order_final && left + 1 < (size_t)*corrector) *corrector = (int)left + 1;
    if (*predictor > taken + 1) *predictor = taken + 1;
    if (*corrector > taken + 2) *corrector = taken + 2;
    if (*predictor > MAX_ORDER)
        return error_input(error, "predictor_order: there is no predictor of order %d; expected %d at most",
            *predictor, MAX_ORDER);
    return STATUS_OK;
}

/* The model's output as the algorithm needs it: [batch, sample_size]. */
static enum status convert(const struct scheduler *scheduler, const struct step_input *input, size_t index,
    real *converted, struct error *error)
{
    if (input->model_output_size != input->sample_size && scheduler->semantics == SEMANTICS_DIFFUSERS)
        return error_input(error,
            "model_output: expected %zu numbers a picture, got %zu: diffusers draws noise for a predicted "
            "variance too, and cannot add it to the sample",
            input->sample_size, input->model_output_size);
    return dpm_convert_or_refuse(scheduler, predicts_data(scheduler), index, input, converted, error);
}

/* Room for the state's blocks: one output more than is looked back on, and a second sample and noise, so that
 * this step's are beside those of the one before until it has succeeded. */
static enum status prepare(struct scheduler *scheduler, size_t n, struct error *error)
{
    struct state *state = scheduler->state;
    const int kept = kept_outputs(config_of(scheduler));
    const size_t outputs = (size_t)(kept < MAX_ORDER ? kept : MAX_ORDER) + 1;
    enum status status = history_prepare(&state->model_outputs, outputs, n, error);
    if (status == STATUS_OK) status = history_prepare(&state->last_sample, 2, n, error);
    if (status == STATUS_OK) status = history_prepare(&state->last_noise, 2, n, error);
    return status;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    struct state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    size_t index = 0;
    int predictor_order = 0, corrector_order = 0;
    enum status status = dpm_step_index(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK) status = prepare(scheduler, n, error);
    if (status == STATUS_OK && state->last_corrector_order > MAX_ORDER)
        status = error_input(error, "corrector_order: there is no corrector of order %d; expected %d at most",
            state->last_corrector_order, MAX_ORDER);
    if (status == STATUS_OK)
        status = orders_of_step(scheduler, index, &predictor_order, &corrector_order, error);
    if (status != STATUS_OK) return status;

    real *converted = history_next(&state->model_outputs), *sample = history_next(&state->last_sample);
    status = convert(scheduler, input, index, converted, error);
    if (status != STATUS_OK) return status;
    correct(scheduler, index, converted, input->sample, n, sample);
    predict(scheduler, index, predictor_order, converted, sample, input, prev_sample);

    memcpy(history_next(&state->last_noise), input->noise, n * sizeof *input->noise);
    history_push(&state->last_noise);
    history_push(&state->last_sample);
    history_push(&state->model_outputs);
    if (state->lower_order_nums < kept_outputs(config_of(scheduler))) state->lower_order_nums++;
    state->last_corrector_order = corrector_order;
    state->last_timestep = input->timestep;
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = predictor_order;
    return STATUS_OK;
}

static const real *corrected_sample(const struct scheduler *scheduler)
{
    return history_newest(&((const struct state *)scheduler->state)->last_sample);
}

const struct solver REAL_NAME(sasolver_solver) = {
    .class_name = "SASolverScheduler",
    .equation = "predictor, then corrector: x' = (sigma'/sigma) e^(-tau^2 h) x + sum of b_i D_i + sigma' "
                "sqrt(1 - e^(-2 tau^2 h)) z,  h = lambda' - lambda    (Xue et al. 2023, arXiv:2309.05019)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID),
        OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(dpm_flow_options, FLOW_OPTIONS_WITHOUT_MU), OPTION_TABLE_OF(dpm_lambda_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct sasolver_config),
    .takes_variance = true,
    .state_size = sizeof(struct state),
    .shown_tables = dpm_shown_tables,
    .corrected_sample = corrected_sample,
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .state_memory = state_memory,
};
