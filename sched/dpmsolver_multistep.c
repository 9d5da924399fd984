/*
 * DPMSolverMultistepScheduler: DPM-Solver++(2M), its relatives of order 1 and 3, the noise-predicting
 * DPM-Solver, and the stochastic variants of both.
 *
 * Lu et al. 2022, DPM-Solver (arXiv:2206.00927), and Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095). The
 * exact solution of the ODE in lambda = log(alpha/sigma), and its coefficients, are in dpmsolver.h. The
 * derivatives D1, D2 of the model's prediction are estimated from the steps before. `heun` takes the
 * coefficient of D1 as it stands, `midpoint` half of that of D0. The SDE variants have 2h in the place of h
 * and add noise.
 *
 * Names: lambda_t, alpha_t, sigma_t are those of the paper at the step's end; s0, s1, s2 are this timestep
 * and the ones before it.
 *
 * Known deviations of diffusers: for D2 it takes the second divided difference, which tends to half of what
 * the formula needs, so that order 3 has a smaller error than order 2 but converges no faster; the update of
 * order 3 of `sde-dpmsolver++` has a wrong sign (dpmsolver.h), that of `sde-dpmsolver` is missing (documented
 * semantics: the exact solution's terms for all). A first timestep that is not on the schedule counts as the
 * last one.
 */
#include "dpmsolver_multistep.h"
#include "real.h"

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "dpmsolver++"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(dpm_config, euler_at_final), .type = OPTION_BOOL},
    {OPTION_MEMBER(dpm_config, use_lu_lambdas), .type = OPTION_BOOL, .nullable = true},
};

static const struct dpm_schedule_rules rules = {
    .clips_lambda = true,
    .cuts_cosine = true,
    .refuses_flow_timesteps = true,
    .final_sigma = FINAL_OF_TRAINING,
};

/* --- Constructor and schedule ------------------------------------------------------------- */

static const char *algorithm_name(enum dpm_algorithm algorithm)
{
    static const char *const names[] = {[DPMSOLVER] = "dpmsolver",
        [DPMSOLVER_PP] = "dpmsolver++",
        [SDE_DPMSOLVER] = "sde-dpmsolver",
        [SDE_DPMSOLVER_PP] = "sde-dpmsolver++"};
    return names[algorithm];
}

void dpm_multistep_warn(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_multistep_state *state = scheduler->state;
    const char *name = scheduler_name(scheduler);
    if (config->solver_order > MAX_DPM_ORDER)
        warnings_add(warnings,
            "option solver_order is ignored by %s above %d: there is no update of order %d", name,
            MAX_DPM_ORDER, config->solver_order);
    if (config->solver_order > state->highest_order && state->highest_order < MAX_DPM_ORDER)
        warnings_add(warnings,
            "solver_order: %s has no update of order 3 for \"%s\"; a run that comes to one ends there", name,
            algorithm_name(state->algorithm));
}

/* Diffusers has no update of order 3 for sde-dpmsolver, and the inverse hands its own of sde-dpmsolver++ no
 * noise. */
static int highest_order(const struct scheduler *scheduler, const struct dpm_schedule_rules *schedule_rules)
{
    const struct dpm_multistep_state *state = scheduler->state;
    const bool lacks_third =
        state->algorithm == SDE_DPMSOLVER || (schedule_rules->inverse && dpm_is_stochastic(state->algorithm));
    return lacks_third && scheduler->semantics == SEMANTICS_DIFFUSERS ? 2 : MAX_DPM_ORDER;
}

enum status dpm_multistep_create(struct scheduler *scheduler, const struct dpm_schedule_rules *schedule_rules,
    struct warnings *warnings, struct error *error)
{
    struct dpm_multistep_state *state = scheduler->state;
    enum status status = dpm_find_algorithm(dpm_config_of(scheduler), true, &state->algorithm, error);
    state->highest_order = highest_order(scheduler, schedule_rules);
    if (status == STATUS_OK) status = dpm_create_schedule(scheduler, schedule_rules, warnings, error);
    if (status == STATUS_OK) dpm_multistep_warn(scheduler, warnings);
    return status;
}

enum status dpm_multistep_set_timesteps(struct scheduler *scheduler,
    const struct dpm_schedule_rules *schedule_rules, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status = dpm_make_schedule(scheduler, schedule_rules, request, warnings, error);
    if (status != STATUS_OK) return status;
    struct dpm_multistep_state *state = scheduler->state;
    state->highest_order = highest_order(scheduler, schedule_rules);
    dpm_multistep_reset(scheduler);
    return STATUS_OK;
}

void dpm_multistep_reset(struct scheduler *scheduler)
{
    struct dpm_multistep_state *state = scheduler->state;
    history_clear(&state->model_outputs);
    state->lower_order_nums = 0;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = dpm_multistep_create(scheduler, &rules, warnings, error);
    return status == STATUS_OK ? dpm_check_final_sigma(dpm_config_of(scheduler), error) : status;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    return dpm_multistep_set_timesteps(scheduler, &rules, request, warnings, error);
}

size_t dpm_multistep_memory(void *state, struct state_memory memory[MAX_STATE_MEMORY])
{
    memory[0] = history_memory(&((struct dpm_multistep_state *)state)->model_outputs);
    return 1;
}

/* --- The update --------------------------------------------------------------------------- */

/* What the sum of an update takes, and where it puts it. */
struct update {
    enum dpm_algorithm algorithm;
    int order;
    bool midpoint;   /* of order 2 */
    bool documented; /* D2 is the second derivative, not half of it, and has its exact coefficient */
    struct level t, s[MAX_DPM_ORDER];
    const real *m[MAX_DPM_ORDER]; /* [n] each: the converted output at s[0], and of the steps before */
    const real *sample, *noise;   /* [n]; noise may be NULL */
    size_t n;
};

/* One step from x_s = `sample`: the divided differences D1, D2 of this prediction and the ones before, and
 * the sum. Order 2 with dpmsolver++ is Algorithm 2 of arXiv:2211.01095, "2M". In diffusers these are
 * dpm_solver_first_order_update, multistep_dpm_solver_second_order_update and ..._third_order_update. */
static void multistep_update(const struct update *u, real *x_t)
{
    const struct dpm_coefficients c =
        dpm_coefficients_of(u->algorithm, u->t, u->s[0], u->midpoint && u->order < 3, u->documented);
    const real *const *m = u->m;
    const real h = u->t.lambda - u->s[0].lambda;
    const real r0 = u->order > 1 ? (u->s[0].lambda - u->s[1].lambda) / h : 0;
    const real r1 = u->order > 2 ? (u->s[1].lambda - u->s[2].lambda) / h : 0;
    const real by_r0 = 1 / r0, by_r1 = 1 / r1, share = r0 / (r0 + r1);
    const real twice = u->documented ? 2 : 1, by_sum = twice * (1 / (r0 + r1));
    const real *sample = u->sample, *m0 = m[0], *m1 = m[1], *m2 = m[2];
    /* A loop for each order, since compilers make vectors of loops without branches. */
    switch (u->order) {
    case 1:
        for (size_t i = 0; i < u->n; i++) x_t[i] = c.sample * sample[i] + c.d0 * m0[i];
        break;
    case 2:
        for (size_t i = 0; i < u->n; i++)
            x_t[i] = c.sample * sample[i] + c.d0 * m0[i] + c.d1 * (by_r0 * (m0[i] - m1[i]));
        break;
    default:
        for (size_t i = 0; i < u->n; i++) {
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an order is 1, 2 or 3 */
            const real D1_0 = by_r0 * (m0[i] - m1[i]), D1_1 = by_r1 * (m1[i] - m2[i]);
            x_t[i] = c.sample * sample[i] + c.d0 * m0[i] + c.d1 * (D1_0 + share * (D1_0 - D1_1)) +
                     c.d2 * (by_sum * (D1_0 - D1_1));
        }
    }
    for (size_t i = 0; u->noise && i < u->n; i++) x_t[i] += c.noise * u->noise[i];
}

/* --- A step ------------------------------------------------------------------------------- */

bool dpm_multistep_needs_noise(
    struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)timestep, (void)step_options;
    const struct dpm_multistep_state *state = scheduler->state;
    return dpm_is_stochastic(state->algorithm);
}

/* As dpm_multistep_order(), and 1 where nothing else is possible (a step to sigma 0 has infinite h) or asked
 * for. */
static int order_of_step(const struct scheduler *scheduler, size_t index)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_multistep_state *state = scheduler->state;
    const size_t left = scheduler->num_timesteps - index; /* 1 at the last step; unused where it wraps */
    if (left == 1 && (config->euler_at_final || option_is(config->common.final_sigmas_type, "zero")))
        return 1;
    return dpm_multistep_order(config, scheduler->num_timesteps, left, state->lower_order_nums);
}

static struct update update_of(const struct dpm_multistep_terms *terms, const struct scheduler *scheduler,
    const struct step_input *input, size_t index, int order)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_multistep_state *state = scheduler->state;
    struct update u = {
        .algorithm = state->algorithm,
        .order = order,
        .midpoint = !option_is(config->solver_type, "heun"),
        .documented = scheduler->semantics == SEMANTICS_DOCUMENTED,
        .t = terms->level(scheduler, scheduler->sigmas[index + 1]),
        .sample = input->sample,
        .noise = dpm_is_stochastic(state->algorithm) ? input->noise : NULL,
        .n = input->batch * input->sample_size,
    };
    for (int i = 0; i < order; i++) {
        u.s[i] = terms->level(scheduler, scheduler->sigmas[index - (size_t)i]);
        u.m[i] = history_at(&state->model_outputs, (size_t)i);
    }
    return u;
}

enum status dpm_multistep_step_of(const struct dpm_multistep_terms *terms, struct scheduler *scheduler,
    const struct step_input *input, real *prev_sample, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct dpm_multistep_state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    const int kept = config->solver_order < MAX_DPM_ORDER ? config->solver_order : MAX_DPM_ORDER;
    size_t index = 0;
    enum status status = dpm_step_index(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK) status = history_prepare(&state->model_outputs, (size_t)kept, n, error);
    if (status != STATUS_OK) return status;
    const int order = order_of_step(scheduler, index);
    if (order > state->highest_order)
        return error_input(error,
            "solver_order: %s has no update of order 3 for \"%s\"; expected 1 or 2, got %d",
            scheduler_name(scheduler), algorithm_name(state->algorithm), config->solver_order);

    status = terms->convert(
        scheduler, scheduler->sigmas[index], input, history_next(&state->model_outputs), error);
    if (status != STATUS_OK) return status;
    history_push(&state->model_outputs);

    const struct update u = update_of(terms, scheduler, input, index, order);
    multistep_update(&u, prev_sample);
    if (state->lower_order_nums < config->solver_order) state->lower_order_nums++;
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = order;
    return STATUS_OK;
}

static struct level level_of(const struct scheduler *scheduler, real sigma)
{
    return dpm_level(dpm_config_of(scheduler), sigma);
}

static enum status convert(const struct scheduler *scheduler, real sigma, const struct step_input *input,
    real *converted, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_multistep_state *state = scheduler->state;
    const bool data = dpm_predicts_data(state->algorithm);
    enum status status = dpm_convert_output(config, data, sigma, input, converted, error);
    if (status == STATUS_OK && !data && config->common.thresholding)
        status = dpm_threshold_noise(config, sigma, input, converted, error);
    return status;
}

enum status dpm_multistep_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* these classes return none */
    static const struct dpm_multistep_terms terms = {level_of, convert};
    return dpm_multistep_step_of(&terms, scheduler, input, prev_sample, error);
}

const struct solver REAL_NAME(dpmsolver_multistep_solver) = {
    .class_name = "DPMSolverMultistepScheduler",
    .equation = "x' = (sigma'/sigma) x - alpha' (e^-h - 1) D0 + c1 D1 + c2 D2,  h = lambda' - lambda, the D "
                "from this output and the ones before    (Lu et al. 2022, arXiv:2211.01095; its "
                "noise-predicting and stochastic relatives by algorithm_type)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(sigma_options), OPTION_TABLE_OF(sigma_grid_options),
        OPTION_TABLE_OF(inherited_sigma_options), OPTION_TABLE_OF(dpm_flow_options),
        OPTION_TABLE_OF(dpm_lambda_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct dpm_config),
    .float32_sample = true,
    .float32_noise = true,
    .takes_timesteps = true,
    .takes_mu = true,
    .takes_variance = true,
    .state_size = sizeof(struct dpm_multistep_state),
    .shown_tables = dpm_shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .needs_noise = dpm_multistep_needs_noise,
    .step = dpm_multistep_step,
    .add_noise = dpm_add_noise,
    .state_memory = dpm_multistep_memory,
};
