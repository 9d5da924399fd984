/*
 * UniPCMultistepScheduler: a predictor and a corrector of any order for diffusion ODEs (Zhao et al. 2023,
 * arXiv:2302.04867).
 *
 * With lambda as the time, h = lambda_t - lambda_s and hh = -h (a model that predicts the data) or h (the
 * noise), the step from s to t of order p is (their eq. 3 and 9)
 *
 *     x_t = sigma_t/sigma_s x_s - alpha_t (e^hh - 1) m_s - alpha_t B(h) sum over i of rho_i D_i     data
 *     x_t = alpha_t/alpha_s x_s - sigma_t (e^hh - 1) m_s - sigma_t B(h) sum over i of rho_i D_i     noise
 *     D_i = (m_i - m_s) / r_i,  r_i = (lambda_i - lambda_s) / h
 *
 * over p - 1 earlier predictions m_i; the corrector, once the model has been asked at t, takes D = m_t - m_s
 * with r = 1 as the p-th and makes the step again, of order p + 1. The weights rho solve a Vandermonde
 * system: sum over i of rho_i r_i^(k-1) = k! hh phi_(k+1)(hh) / B(h) for k = 1 .. p, with phi_1(z) =
 * (e^z - 1)/z and phi_(k+1)(z) = (phi_k(z) - 1/k!) / z. B(h) is hh (`bh1`) or e^hh - 1 (`bh2`).
 *
 *     paper          diffusers
 *     h phi_1(h)     h_phi_1
 *     h phi_k(h)     h_phi_k, which begins with k = 2
 *     UniP, UniC     multistep_uni_p_bh_update, multistep_uni_c_bh_update
 *
 * As the paper proposes, the predictor of order 2 and the corrector of order 1 take 1/2 for their one weight.
 * The corrector works at the beginning of a step, on the step before: it needs this step's model output, and
 * asks the model no second time.
 *
 * Known deviation of diffusers: with a kind of sigmas and final_sigmas_type "sigma_min" the last sigma is
 * repeated and the last step does nothing (documented semantics: N + 1 sigmas over the same range). `bh1`,
 * predicted noise and orders above 1 cannot step to sigma 0: they end in NaN.
 */
#include "dpmsolver_schedule.h"
#include "real.h"
#include "linear_system.h"
#include "weighted_sum.h"

#include <string.h>

/* Weights need k! up to the order, which diffusers hands on as a 64-bit integer. */
enum { MAX_ORDER = 20 };

struct unipc_config {
    struct dpm_config base;
    bool predict_x0;
    struct number_list disable_corrector;
    char *solver_p;
};

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "bh2"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(unipc_config, predict_x0), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(unipc_config, disable_corrector), .type = OPTION_NUMBERS},
    {OPTION_MEMBER(unipc_config, solver_p), .type = OPTION_STRING, .nullable = true},
};

static const struct dpm_schedule_rules rules = {.final_sigma = FINAL_OF_SCHEDULE};

struct state {
    struct history model_outputs; /* converted: data or noise */
    struct history last_sample;   /* x_s of the step before, corrected; and room for this one's */
    int lower_order_nums;         /* steps taken since set_timesteps, counted up to solver_order */
    int last_order;               /* of the step before */
};

static size_t state_memory(void *memory_of, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct state *state = memory_of;
    memory[0] = history_memory(&state->model_outputs);
    memory[1] = history_memory(&state->last_sample);
    return 2;
}

static const struct unipc_config *config_of(const struct scheduler *scheduler)
{
    return (const struct unipc_config *)scheduler->config;
}

/* --- Constructor and schedule ------------------------------------------------------------- */

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    static const char *const types[] = {"bh1", "bh2", "midpoint", "heun", "logrho"};
    const struct unipc_config *config = config_of(scheduler);
    enum status status = dpm_create_schedule(scheduler, &rules, warnings, error);
    if (status != STATUS_OK) return status;
    bool known = false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        known |= option_is(config->base.solver_type, types[i]);
    if (!known)
        return option_refuse("solver_type", config->base.solver_type,
            "\"bh1\" or \"bh2\" (or \"midpoint\", \"heun\", \"logrho\", which mean the same as \"bh2\")",
            error);
    if (config->solver_p)
        return error_input(error, "solver_p: expected null (another predictor is an object), got \"%.100s\"",
            config->solver_p);
    if (config->base.solver_order > MAX_ORDER)
        warnings_add(warnings, "solver_order: a run of %s that comes to an order above %d ends there",
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
    state->lower_order_nums = state->last_order = 0;
    return STATUS_OK;
}

/* --- The weights -------------------------------------------------------------------------- */

/* What an update of `order` takes: x_t = sample x_s - first m_s - rest sum over i of rho_i D_i. */
struct update {
    int order;
    real sample, first, rest;
    real r[MAX_ORDER];   /* r_1 .. r_(order - 1), and 1 */
    real rho[MAX_ORDER]; /* the predictor leaves the last one out */
};

/* x^n, n >= 0, as torch.pow takes it: small powers as products. */
static real power(real x, int n)
{
    switch (n) {
    case 0: return 1;
    case 1: return x;
    case 2: return x * x;
    case 3: return x * x * x;
    default: return (real)rounded_pow((double)x, n);
    }
}

/* B(h) and the weights: the Vandermonde system above (eq. 3 and eq. 9) for the first `unknowns` of r from as
 * many equations: all of r, or all but the last, which makes the matrix a part of a larger one. */
static enum status solve_weights(struct update *u, real hh, real B_h, int unknowns, struct error *error)
{
    real R[MAX_ORDER * MAX_ORDER];
    real h_phi_k = real_expm1(hh) / hh - 1;
    double factorial = 1;
    for (int k = 1; k <= unknowns; k++) {
        for (int i = 0; i < unknowns; i++) R[(k - 1) * unknowns + i] = power(u->r[i], k - 1);
        u->rho[k - 1] = h_phi_k * (real)factorial / B_h;
        factorial *= k + 1;
        h_phi_k = h_phi_k / hh - (real)(1 / factorial);
    }
    return solve_linear_system(R, u->rho, (size_t)unknowns, unknowns == u->order, error);
}

/* The update of `order` from s[0] to t; s[1] .. s[order - 1] are the levels of the steps before. `corrects`:
 * the corrector, which has a last prediction at t itself. */
static enum status prepare_update(const struct unipc_config *config, int order, bool corrects, struct level t,
    const struct level *s, struct update *u, struct error *error)
{
    const bool data = config->predict_x0;
    const real h = t.lambda - s[0].lambda, hh = data ? -h : h, h_phi_1 = real_expm1(hh);
    const real B_h = option_is(config->base.solver_type, "bh1") ? hh : h_phi_1;
    u->order = order;
    u->sample = data ? t.sigma / s[0].sigma : t.alpha / s[0].alpha;
    u->first = (data ? t.alpha : t.sigma) * h_phi_1;
    u->rest = (data ? t.alpha : t.sigma) * B_h;
    for (int i = 1; i < order; i++) u->r[i - 1] = (s[i].lambda - s[0].lambda) / h;
    u->r[order - 1] = 1;
    const int simple = corrects ? 1 : 2;
    if (order == simple) u->rho[0] = (real)0.5;
    return order > simple ? solve_weights(u, hh, B_h, corrects ? order : order - 1, error) : STATUS_OK;
}

/* --- The updates -------------------------------------------------------------------------- */

/* rho_1 D_1 + rho_2 D_2 + ... of a block so far, and rho_k D_k more, D_k = (m_k - m_0) / r_k: torch.einsum
 * hands more than 400 products to the BLAS, which fuses them. A first product added to 0 is the same either
 * way. */
static void add_term(
    const struct update *u, int k, const real *m_k, const real *m_0, bool fused, size_t size, real *sums)
{
    const real r = u->r[k - 1], rho = u->rho[k - 1];
    if (fused && k > 1)
        for (size_t i = 0; i < size; i++) sums[i] = real_fma(rho, (m_k[i] - m_0[i]) / r, sums[i]);
    else
        for (size_t i = 0; i < size; i++) sums[i] += rho * ((m_k[i] - m_0[i]) / r);
}

/* The sum of an update, UniP or UniC (eq. 3 and eq. 9), from x_s = `sample` [n]. m[0] [n] is the prediction
 * at s, m[1] .. m[order - 1] are those before; model_t [n] is the corrector's prediction at t, NULL for the
 * predictor. */
static void unipc_update(const struct update *u, const real *const *m, const real *model_t,
    const real *sample, size_t n, real *x_t)
{
    const bool fused = !PLUMB_REAL_IS_DOUBLE && (size_t)(u->order - 1) * n >= 400;
    const real last_rho = u->rho[u->order - 1], keep = u->sample, first = u->first, rest = u->rest;
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        const size_t size = sum_block(from, n);
        const real *m0 = m[0] + from;
        real sums[SUM_BLOCK] = {0};
        for (int k = 1; k < u->order; k++) add_term(u, k, m[k] + from, m0, fused, size, sums);
        for (size_t i = 0; model_t && i < size; i++) sums[i] += last_rho * (model_t[from + i] - m0[i]);
        for (size_t i = 0; i < size; i++)
            x_t[from + i] = keep * sample[from + i] - first * m0[i] - rest * sums[i];
    }
}

/* The levels and predictions of `order` steps, the newest being that of `index`; its prediction is `newest`
 * [n], or where that is NULL the newest that is kept. */
static void gather(const struct scheduler *scheduler, size_t index, int order, const real *newest,
    struct level *s, const real **m)
{
    const struct state *state = scheduler->state;
    for (int i = 0; i < order; i++) {
        s[i] = dpm_level(dpm_config_of(scheduler), scheduler->sigmas[index - (size_t)i]);
        m[i] = newest && i == 0 ? newest : history_at(&state->model_outputs, (size_t)(newest ? i - 1 : i));
    }
}

static bool corrects_step(const struct scheduler *scheduler, size_t index)
{
    const struct number_list *disabled = &config_of(scheduler)->disable_corrector;
    const struct state *state = scheduler->state;
    if (index == 0 || state->last_sample.count == 0) return false;
    for (size_t i = 0; i < disabled->count; i++)
        if (disabled->values[i] == (double)index - 1) return false;
    return true;
}

/* The sample [n] at this step's start: as it came, or by the corrector. `converted` [n] is the model's output
 * there. */
static enum status correct(const struct scheduler *scheduler, size_t index, const real *converted,
    const real *sample, size_t n, real *corrected, struct error *error)
{
    const struct state *state = scheduler->state;
    if (!corrects_step(scheduler, index)) {
        memcpy(corrected, sample, n * sizeof *sample);
        return STATUS_OK;
    }
    struct level s[MAX_ORDER];
    const real *m[MAX_ORDER];
    struct update u;
    gather(scheduler, index - 1, state->last_order, NULL, s, m);
    const struct level t = dpm_level(dpm_config_of(scheduler), scheduler->sigmas[index]);
    enum status status = prepare_update(config_of(scheduler), state->last_order, true, t, s, &u, error);
    if (status == STATUS_OK) unipc_update(&u, m, converted, history_at(&state->last_sample, 0), n, corrected);
    return status;
}

/* The order of the step at `index`: as configured, less where there is no history yet, or near the end. */
static enum status order_of_step(
    const struct scheduler *scheduler, size_t index, int *order, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct state *state = scheduler->state;
    const size_t left = scheduler->num_timesteps - index;
    *order = config->solver_order;
    if (config->lower_order_final && left < (size_t)*order) *order = (int)left;
    if (*order > state->lower_order_nums + 1) *order = state->lower_order_nums + 1;
    if (*order <= MAX_ORDER) return STATUS_OK;
    return error_input(error, "solver_order: the weights of order %d cannot be computed; expected %d at most",
        *order, MAX_ORDER);
}

/* The predictor, from `sample` [n] at this step's start, where the model's output is `converted` [n]. */
static enum status predict(const struct scheduler *scheduler, size_t index, int order, const real *converted,
    const real *sample, size_t n, real *prev_sample, struct error *error)
{
    struct level s[MAX_ORDER];
    const real *m[MAX_ORDER];
    struct update u;
    gather(scheduler, index, order, converted, s, m);
    const struct level t = dpm_level(dpm_config_of(scheduler), scheduler->sigmas[index + 1]);
    enum status status = prepare_update(config_of(scheduler), order, false, t, s, &u, error);
    if (status == STATUS_OK) unipc_update(&u, m, NULL, sample, n, prev_sample);
    return status;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    const struct unipc_config *config = config_of(scheduler);
    struct state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    const int highest = config->base.solver_order < MAX_ORDER ? config->base.solver_order : MAX_ORDER;
    size_t index = 0;
    int order = 0;
    enum status status = dpm_step_index(scheduler, input->timestep, &index, error);
    /* One more than the corrector needs, since it works before this step's output takes its place. */
    if (status == STATUS_OK) status = history_prepare(&state->model_outputs, (size_t)highest + 1, n, error);
    if (status == STATUS_OK) status = history_prepare(&state->last_sample, 2, n, error);
    if (status == STATUS_OK) status = order_of_step(scheduler, index, &order, error);
    if (status != STATUS_OK) return status;

    real *converted = history_next(&state->model_outputs), *sample = history_next(&state->last_sample);
    status = dpm_convert_output(
        &config->base, config->predict_x0, scheduler->sigmas[index], input, converted, error);
    if (status == STATUS_OK) status = correct(scheduler, index, converted, input->sample, n, sample, error);
    if (status == STATUS_OK)
        status = predict(scheduler, index, order, converted, sample, n, prev_sample, error);
    if (status != STATUS_OK) return status;

    history_push(&state->model_outputs);
    history_push(&state->last_sample);
    state->last_order = order;
    if (state->lower_order_nums < config->base.solver_order) state->lower_order_nums++;
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = order;
    return STATUS_OK;
}

static const real *corrected_sample(const struct scheduler *scheduler)
{
    return history_newest(&((const struct state *)scheduler->state)->last_sample);
}

const struct solver REAL_NAME(unipc_multistep_solver) = {
    .class_name = "UniPCMultistepScheduler",
    .equation = "corrector on the last step, then predictor: x' = (sigma'/sigma) x - alpha' (e^-h - 1) (D0 + "
                "sum of rho_k D_k / r_k),  h = lambda' - lambda    (Zhao et al. 2023, arXiv:2302.04867)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(sigma_options), OPTION_TABLE_OF(sigma_grid_options),
        OPTION_TABLE_OF(inherited_sigma_options), OPTION_TABLE_OF(dpm_flow_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct unipc_config),
    .takes_mu = true,
    .state_size = sizeof(struct state),
    .shown_tables = dpm_shown_tables,
    .corrected_sample = corrected_sample,
    .create = create,
    .set_timesteps = set_timesteps,
    .step = step,
    .add_noise = dpm_add_noise,
    .state_memory = state_memory,
};
