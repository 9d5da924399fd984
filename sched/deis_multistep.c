/*
 * DEISMultistepScheduler: diffusion exponential integrator sampler, log-rho Adams-Bashforth, orders 1 to 3
 * (Zhang and Chen 2022, arXiv:2204.13902).
 *
 * With rho = sigma / alpha as the time the ODE is d(x / alpha) / d rho = epsilon (their eq. 17), so
 *
 *     x_t = alpha_t (x_s / alpha_s + integral of epsilon from rho_s to rho_t)
 *
 * and epsilon is replaced by the polynomial in log rho through this step's predicted noise and the ones
 * before: each prediction m_i counts as much as the integral of its Lagrange basis polynomial. Order 1 is
 * DDIM, written as DPM-Solver does.
 *
 *     paper        diffusers
 *     rho_t        rho_t = sigma_t / alpha_t
 *     C_ij         coef1, coef2, coef3, as differences of ind_fn, the antiderivative
 *
 * The antiderivatives are sums of large terms, and their differences small: in float32 what is left can be
 * off by 1e-4 (a flow with small steps); in double, by 1e-12.
 *
 * The model's output is converted to data first (to be thresholded) and then to noise.
 *
 * Known deviations of diffusers: the last of the sigmas of any kind is repeated, so the last step does
 * nothing (documented semantics: the kinds have N + 1 sigmas over the same range); where the model predicts a
 * flow, noise is found by dividing by sigma as the schedule has it, which is that of the level only with flow
 * sigmas (documented semantics: by that of the level).
 */
#include "dpmsolver_schedule.h"
#include "real.h"
#include "numpy_log.h"
#include "weighted_sum.h"

enum { MAX_ORDER = 3 };

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "deis"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "logrho"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
};

static const struct dpm_schedule_rules rules = {.final_sigma = FINAL_REPEATED};

struct state {
    struct history model_outputs; /* predicted noise */
    int lower_order_nums;         /* steps taken since set_timesteps, counted up to solver_order */
};

static size_t state_memory(void *state, struct state_memory memory[MAX_STATE_MEMORY])
{
    memory[0] = history_memory(&((struct state *)state)->model_outputs);
    return 1;
}

/* --- Constructor and schedule ------------------------------------------------------------- */

static bool is_one_of(const char *option, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (option_is(option, names[i])) return true;
    return false;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    static const char *const algorithms[] = {"deis", "dpmsolver", "dpmsolver++"};
    static const char *const types[] = {"logrho", "midpoint", "heun", "bh1", "bh2"};
    const struct dpm_config *config = dpm_config_of(scheduler);
    enum status status = dpm_create_schedule(scheduler, &rules, warnings, error);
    if (status != STATUS_OK) return status;
    if (!is_one_of(config->algorithm_type, algorithms, 3))
        return option_refuse("algorithm_type", config->algorithm_type,
            "\"deis\" (or \"dpmsolver\", \"dpmsolver++\", which mean the same)", error);
    if (!is_one_of(config->solver_type, types, 5))
        return option_refuse("solver_type", config->solver_type,
            "\"logrho\" (or \"midpoint\", \"heun\", \"bh1\", \"bh2\", which mean the same)", error);
    if (config->solver_order > MAX_ORDER)
        warnings_add(warnings,
            "option solver_order is ignored by %s above %d: there is no update of order %d",
            scheduler_name(scheduler), MAX_ORDER, config->solver_order);
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status = dpm_make_schedule(scheduler, &rules, request, warnings, error);
    if (status != STATUS_OK) return status;
    struct state *state = scheduler->state;
    history_clear(&state->model_outputs);
    state->lower_order_nums = 0;
    return STATUS_OK;
}

/* --- The coefficients --------------------------------------------------------------------- */

static real log_of(real rho)
{
    return PLUMB_REAL_IS_DOUBLE ? real_log(rho) : (real)numpy_log((float)rho);
}

/* The antiderivative at t of (log t - log c) / (log b - log c). */
static real linear_integral(real t, real b, real c)
{
    return t * (-log_of(c) + log_of(t) - 1) / (log_of(b) - log_of(c));
}

/* The antiderivative at t of (log t - log c) (log t - log d) / ((log b - log c) (log b - log d)). */
static real quadratic_integral(real t, real b, real c, real d)
{
    const real log_t = log_of(t), log_b = log_of(b), log_c = log_of(c), log_d = log_of(d);
    const real numerator =
        t * (log_c * (log_d - log_t + 1) - log_d * log_t + log_d + log_t * log_t - 2 * log_t + 2);
    return numerator / ((log_b - log_c) * (log_b - log_d));
}

/* C_ij: the weights of the predictions, each the integral of its Lagrange polynomial in log rho, for a step
 * of order 2 or 3 from rho[0] to rho_t; rho[1], rho[2] are those of the steps before. */
static void deis_weights(int order, real rho_t, const real *rho, real *weights)
{
    for (int i = 0; i < order; i++) {
        const real own = rho[i], next = rho[(i + 1) % order], after = rho[(i + 2) % order];
        weights[i] = order == 2 ? linear_integral(rho_t, own, next) - linear_integral(rho[0], own, next)
                                : quadratic_integral(rho_t, own, next, after) -
                                      quadratic_integral(rho[0], own, next, after);
    }
}

/* --- A step ------------------------------------------------------------------------------- */

/* One step of `order` from x_s = `sample` [n] at s[0] to t; m[0] [n] is the noise predicted at s[0]. */
static void update(int order, struct level t, const struct level *s, const real *const *m, const real *sample,
    size_t n, real *x_t)
{
    if (order == 1) {
        const struct dpm_coefficients c = dpm_coefficients_of(DPMSOLVER, t, s[0], false, false);
        for (size_t i = 0; i < n; i++) x_t[i] = c.sample * sample[i] + c.d0 * m[0][i];
        return;
    }
    real rho[MAX_ORDER], weights[MAX_ORDER];
    for (int j = 0; j < order; j++) rho[j] = s[j].sigma / s[j].alpha;
    deis_weights(order, t.sigma / t.alpha, rho, weights);
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        const size_t size = sum_block(from, n);
        real sums[SUM_BLOCK];
        for (size_t i = 0; i < size; i++) sums[i] = sample[from + i] / s[0].alpha;
        add_weighted(weights, m, (size_t)order, from, size, sums);
        for (size_t i = 0; i < size; i++) x_t[from + i] = t.alpha * sums[i];
    }
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    const int kept = config->solver_order < MAX_ORDER ? config->solver_order : MAX_ORDER;
    size_t index = 0;
    enum status status = dpm_step_index(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK) status = history_prepare(&state->model_outputs, (size_t)kept, n, error);
    if (status != STATUS_OK) return status;

    real *noise = history_next(&state->model_outputs);
    status = dpm_convert_output(config, true, scheduler->sigmas[index], input, noise, error);
    if (status != STATUS_OK) return status;
    struct level s[MAX_ORDER] = {dpm_level(config, scheduler->sigmas[index])}, own = s[0];
    if (option_is(config->common.prediction_type, "flow_prediction") &&
        scheduler->semantics == SEMANTICS_DIFFUSERS)
        own.sigma = scheduler->sigmas[index];
    predict_noise(PREDICTS_SAMPLE, own, noise, input->sample, n, noise);
    history_push(&state->model_outputs);

    const int order = dpm_multistep_order(
        config, scheduler->num_timesteps, scheduler->num_timesteps - index, state->lower_order_nums);
    const real *m[MAX_ORDER] = {0};
    for (int i = 0; i < order; i++) {
        s[i] = dpm_level(config, scheduler->sigmas[index - (size_t)i]);
        m[i] = history_at(&state->model_outputs, (size_t)i);
    }
    const struct level t = dpm_level(config, scheduler->sigmas[index + 1]);
    update(order, t, s, m, input->sample, n, prev_sample);
    if (state->lower_order_nums < config->solver_order) state->lower_order_nums++;
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = order;
    return STATUS_OK;
}

const struct solver REAL_NAME(deis_multistep_solver) = {
    .class_name = "DEISMultistepScheduler",
    .equation = "x' = alpha' (x / alpha + integral of epsilon's polynomial in log rho over rho),  rho = "
                "sigma / alpha    (Zhang and Chen 2022, arXiv:2204.13902)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID),
        OPTION_TABLE_OF(inherited_sigma_options), OPTION_TABLE_OF(dpm_flow_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct dpm_config),
    .takes_mu = true,
    .state_size = sizeof(struct state),
    .shown_tables = dpm_shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .step = step,
    .add_noise = dpm_add_noise,
    .state_memory = state_memory,
};
