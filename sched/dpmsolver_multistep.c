/*
 * DPMSolverMultistepScheduler: DPM-Solver++(2M), its relatives of order 1 and 3, the noise-predicting
 * DPM-Solver, and the stochastic variants of both.
 *
 * Lu et al. 2022, DPM-Solver (arXiv:2206.00927), and Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095). With
 * lambda = log(alpha/sigma) as the time, h = lambda_t - lambda_s and Dn = h^n times the n-th derivative of
 * the model's prediction at s, the exact solution of the ODE from s to t is
 *
 *     x_t = sigma_t/sigma_s x_s - alpha_t (e^-h - 1) D0 + alpha_t ((e^-h - 1)/h + 1) D1
 *                               - alpha_t ((e^-h - 1 + h)/h^2 - 1/2) D2 + ...
 *
 * for a model that predicts the data (++), and
 *
 *     x_t = alpha_t/alpha_s x_s - sigma_t (e^h - 1) D0 - sigma_t ((e^h - 1)/h - 1) D1
 *                               - sigma_t ((e^h - 1 - h)/h^2 - 1/2) D2 - ...
 *
 * for one that predicts the noise. The derivatives are estimated from the steps before. `heun` takes the
 * coefficient of D1 as it stands, `midpoint` half of that of D0. The SDE variants have 2h in the place of h
 * and add noise.
 *
 * Names: lambda_t, alpha_t, sigma_t are those of the paper at the step's end; s0, s1, s2 are this timestep
 * and the ones before it. Diffusers keeps all of them as float32, and writes e^h - 1 so, not as expm1.
 *
 * Known deviations of diffusers: for D2 it takes the second divided difference, which tends to half of what
 * the formula needs, so that order 3 has a smaller error than order 2 but converges no faster; there is no
 * update of order 3 for `sde-dpmsolver`; a first timestep that is not on the schedule counts as the last one.
 */
#include "dpmsolver_multistep.h"
#include "real.h"
#include "solver.h"
#include "step_index.h"
#include "thresholding.h"

#include <stdlib.h>
#include <string.h>

/* --- Options ------------------------------------------------------------------------------ */

static const struct option dpm_options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "dpmsolver++"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(dpm_config, euler_at_final), .type = OPTION_BOOL},
    {OPTION_MEMBER(dpm_config, use_lu_lambdas), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(dpm_config, use_flow_sigmas), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(dpm_config, flow_shift), .type = OPTION_OPTIONAL_NUMBER, .number = 1.0},
    {OPTION_MEMBER(dpm_config, lambda_min_clipped), .type = OPTION_EXTENDED_NUMBER,
        .number = (double)-INFINITY},
    {OPTION_MEMBER(dpm_config, variance_type), .type = OPTION_STRING, .nullable = true},
    {OPTION_MEMBER(dpm_config, use_dynamic_shifting), .type = OPTION_BOOL},
    {OPTION_MEMBER(dpm_config, time_shift_type), .type = OPTION_STRING, .string = "exponential"},
};

static bool predicts_data(enum dpm_algorithm algorithm)
{
    return algorithm == DPMSOLVER_PP || algorithm == SDE_DPMSOLVER_PP;
}

static bool is_stochastic(enum dpm_algorithm algorithm)
{
    return algorithm == SDE_DPMSOLVER || algorithm == SDE_DPMSOLVER_PP;
}

static const struct dpm_state *dpm_state_of(const struct scheduler *scheduler)
{
    return scheduler->state;
}

static size_t dpm_state_memory(void *state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct history *outputs = &((struct dpm_state *)state)->model_outputs;
    memory[0] = history_memory(outputs);
    return 1;
}

/* --- The model's output as the algorithm needs it ----------------------------------------- */

/* A noisy sample is alpha data + sigma noise. */
struct level {
    real alpha, sigma, lambda;
};

static struct level level_of(const struct dpm_config *config, real sigma)
{
    struct level level;
    if (config->use_flow_sigmas) {
        level.alpha = 1 - sigma;
        level.sigma = sigma;
    } else {
        level.alpha = 1 / real_sqrt(sigma * sigma + 1);
        level.sigma = sigma * level.alpha;
    }
    level.lambda = real_log(level.alpha) - real_log(level.sigma);
    return level;
}

/* One picture's numbers: `model_output` [n], `sample` [n] -> predicted data `x0` [n]. */
static void predict_data(const char *prediction_type, struct level level, const real *model_output,
    const real *sample, size_t n, real *x0)
{
    real alpha_t = level.alpha, sigma_t = level.sigma;
    if (option_is(prediction_type, "epsilon"))
        for (size_t i = 0; i < n; i++) x0[i] = (sample[i] - sigma_t * model_output[i]) / alpha_t;
    else if (option_is(prediction_type, "v_prediction"))
        for (size_t i = 0; i < n; i++) x0[i] = alpha_t * sample[i] - sigma_t * model_output[i];
    else /* sample */
        memcpy(x0, model_output, n * sizeof *x0);
}

/* As predict_data(), to predicted noise. */
static void predict_noise(const char *prediction_type, struct level level, const real *model_output,
    const real *sample, size_t n, real *epsilon)
{
    real alpha_t = level.alpha, sigma_t = level.sigma;
    if (option_is(prediction_type, "sample"))
        for (size_t i = 0; i < n; i++) epsilon[i] = (sample[i] - alpha_t * model_output[i]) / sigma_t;
    else if (option_is(prediction_type, "v_prediction"))
        for (size_t i = 0; i < n; i++) epsilon[i] = alpha_t * model_output[i] + sigma_t * sample[i];
    else /* epsilon */
        memcpy(epsilon, model_output, n * sizeof *epsilon);
}

static enum status check_prediction(
    const struct dpm_config *config, bool data, const struct step_input *input, struct error *error)
{
    const char *type = config->common.prediction_type;
    bool epsilon = option_is(type, "epsilon");
    if (!epsilon && !option_is(type, "sample") && !option_is(type, "v_prediction") &&
        !(data && option_is(type, "flow_prediction")))
        return option_refuse("prediction_type", type,
            data ? "\"epsilon\", \"sample\", \"v_prediction\" or \"flow_prediction\""
                 : "\"epsilon\", \"sample\" or \"v_prediction\" (others need a ++ algorithm)",
            error);
    bool learned =
        option_is(config->variance_type, "learned") || option_is(config->variance_type, "learned_range");
    if (input->model_output_size != input->sample_size && !(learned && epsilon))
        return error_input(error,
            "model_output: expected %zu numbers a picture, got %zu; a predicted variance needs variance_type "
            "\"learned\" or \"learned_range\" and prediction_type \"epsilon\"",
            input->sample_size, input->model_output_size);
    return STATUS_OK;
}

/* The noise prediction, thresholded as the data that it means. */
static enum status threshold_noise(const struct dpm_config *config, struct level level,
    const struct step_input *input, real *epsilon, struct error *error)
{
    size_t total = input->batch * input->sample_size;
    real *x0 = malloc(total * sizeof *x0);
    if (!x0) return error_memory(error, total * sizeof *x0);
    predict_data("epsilon", level, epsilon, input->sample, total, x0);
    enum status status = threshold_sample(&config->common, x0, input->batch, input->sample_size, error);
    if (status == STATUS_OK) predict_noise("sample", level, x0, input->sample, total, epsilon);
    free(x0);
    return status;
}

/* The model's output at `sigma` as `data` (++) or as noise: [batch, sample_size]. A predicted variance behind
 * each picture's mean is left out. */
static enum status convert_model_output(const struct dpm_config *config, bool data, real sigma,
    const struct step_input *input, real *converted, struct error *error)
{
    const char *type = config->common.prediction_type;
    struct level level = level_of(config, sigma);
    if (option_is(type, "flow_prediction")) { /* x_0 = x - sigma v, whatever the levels are */
        type = "epsilon";
        level = (struct level){.alpha = 1, .sigma = sigma};
    }
    size_t n = input->sample_size;
    for (size_t b = 0; b < input->batch; b++) {
        const real *model_output = input->model_output + b * input->model_output_size;
        const real *sample = input->sample + b * n;
        if (data)
            predict_data(type, level, model_output, sample, n, converted + b * n);
        else
            predict_noise(type, level, model_output, sample, n, converted + b * n);
    }
    if (!config->common.thresholding) return STATUS_OK;
    if (data) return threshold_sample(&config->common, converted, input->batch, n, error);
    return threshold_noise(config, level, input, converted, error);
}

/* --- The update --------------------------------------------------------------------------- */

/* x_t = sample x_s + d0 D0 + d1 D1 + d2 D2 + noise z, the terms up to the order, summed from the left. */
struct coefficients {
    real sample, d0, d1, d2, noise;
};

static struct coefficients coefficients_of(
    enum dpm_algorithm algorithm, struct level t, struct level s, bool midpoint)
{
    real h = t.lambda - s.lambda;
    real two = 2, half = (real)0.5;
    struct coefficients c = {0};
    switch (algorithm) {
    case DPMSOLVER_PP: {
        real phi = real_exp(-h) - 1;
        c.sample = t.sigma / s.sigma;
        c.d0 = -(t.alpha * phi);
        c.d1 = midpoint ? -(half * (t.alpha * phi)) : t.alpha * (phi / h + 1);
        c.d2 = -(t.alpha * ((phi + h) / (h * h) - half));
        break;
    }
    case DPMSOLVER: {
        real phi = real_exp(h) - 1;
        c.sample = t.alpha / s.alpha;
        c.d0 = -(t.sigma * phi);
        c.d1 = midpoint ? -(half * (t.sigma * phi)) : -(t.sigma * (phi / h - 1));
        c.d2 = -(t.sigma * ((phi - h) / (h * h) - half));
        break;
    }
    case SDE_DPMSOLVER_PP: {
        real phi = 1 - real_exp(-two * h);
        c.sample = t.sigma / s.sigma * real_exp(-h);
        c.d0 = t.alpha * phi;
        c.d1 = midpoint ? half * (t.alpha * phi) : t.alpha * (phi / (-two * h) + 1);
        c.d2 = t.alpha * ((phi - two * h) / ((two * h) * (two * h)) - half);
        c.noise = t.sigma * real_sqrt(phi);
        break;
    }
    case SDE_DPMSOLVER: {
        real phi = real_exp(h) - 1;
        c.sample = t.alpha / s.alpha;
        c.d0 = -(two * (t.sigma * phi));
        c.d1 = midpoint ? -(t.sigma * phi) : -(two * (t.sigma * (phi / h - 1)));
        c.noise = t.sigma * real_sqrt(real_exp(two * h) - 1);
        break;
    }
    }
    return c;
}

/* The divided differences and the sum, for one step of `order` from x_s = `sample` [n] at level s[0]; m[0] is
 * the converted output there, m[1] and m[2] those of the steps before, at s[1] and s[2]. */
static void update(enum dpm_algorithm algorithm, int order, bool midpoint, struct level t,
    const struct level *s, const real *const *m, const real *sample, const real *noise, size_t n, real *x_t)
{
    struct coefficients c = coefficients_of(algorithm, t, s[0], midpoint && order < 3);
    real h = t.lambda - s[0].lambda;
    real r0 = order > 1 ? (s[0].lambda - s[1].lambda) / h : 0;
    real r1 = order > 2 ? (s[1].lambda - s[2].lambda) / h : 0;
    real by_r0 = 1 / r0, by_r1 = 1 / r1, by_sum = 1 / (r0 + r1), share = r0 / (r0 + r1);
    for (size_t i = 0; i < n; i++) {
        real x = c.sample * sample[i] + c.d0 * m[0][i];
        if (order == 2) x += c.d1 * (by_r0 * (m[0][i] - m[1][i]));
        if (order == 3) {
            real D1_0 = by_r0 * (m[0][i] - m[1][i]), D1_1 = by_r1 * (m[1][i] - m[2][i]);
            x += c.d1 * (D1_0 + share * (D1_0 - D1_1));
            x += c.d2 * (by_sum * (D1_0 - D1_1));
        }
        if (noise) x += c.noise * noise[i];
        x_t[i] = x;
    }
}

/* --- A step ------------------------------------------------------------------------------- */

static bool dpm_needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    (void)timestep, (void)options;
    return is_stochastic(dpm_state_of(scheduler)->algorithm);
}

/* The order of the step at `index`: the configured one, less where there is no history yet, and at the end
 * where that is steadier or the only thing possible (a step to sigma 0 has infinite h). */
static int order_of_step(const struct scheduler *scheduler, size_t index)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_state *state = dpm_state_of(scheduler);
    size_t left = scheduler->num_timesteps - index; /* 1 at the last step; unused where it wraps */
    bool few = config->lower_order_final && scheduler->num_timesteps < 15;
    bool first_order_final =
        left == 1 && (config->euler_at_final || few || option_is(config->common.final_sigmas_type, "zero"));
    bool second_order_final = left == 2 && few;
    if (config->solver_order == 1 || state->lower_order_nums < 1 || first_order_final) return 1;
    if (config->solver_order == 2 || state->lower_order_nums < 2 || second_order_final) return 2;
    return 3;
}

static enum status dpm_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct dpm_state *state = scheduler->state;
    enum dpm_algorithm algorithm = state->algorithm;
    bool data = predicts_data(algorithm);
    size_t n = input->batch * input->sample_size, index = 0;
    enum status status = check_prediction(config, data, input, error);
    if (status == STATUS_OK)
        status = step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_LAST, &index, error);
    int kept = config->solver_order < MAX_DPM_ORDER ? config->solver_order : MAX_DPM_ORDER;
    if (status == STATUS_OK) status = history_prepare(&state->model_outputs, (size_t)kept, n, error);
    if (status != STATUS_OK) return status;
    if (index + 1 >= scheduler->num_sigmas)
        return error_input(
            error, "step %zu: the schedule has only %zu steps", index, scheduler->num_sigmas - 1);
    int order = order_of_step(scheduler, index);
    if (order == 3 && algorithm == SDE_DPMSOLVER)
        return error_input(error,
            "solver_order: \"sde-dpmsolver\" has no update of order 3; expected 1 or 2, got %d",
            config->solver_order);

    status = convert_model_output(
        config, data, scheduler->sigmas[index], input, history_next(&state->model_outputs), error);
    if (status != STATUS_OK) return status;
    history_push(&state->model_outputs);

    struct level t = level_of(config, scheduler->sigmas[index + 1]), s[MAX_DPM_ORDER] = {0};
    const real *m[MAX_DPM_ORDER] = {0};
    for (int i = 0; i < order; i++) {
        s[i] = level_of(config, scheduler->sigmas[index - (size_t)i]);
        m[i] = history_at(&state->model_outputs, (size_t)i);
    }
    update(algorithm, order, !option_is(config->solver_type, "heun"), t, s, m, input->sample,
        is_stochastic(algorithm) ? input->noise : NULL, n, prev_sample);
    if (state->lower_order_nums < config->solver_order) state->lower_order_nums++;
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

static enum status dpm_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    for (size_t b = 0; b < batch; b++) {
        size_t index = 0;
        enum status status =
            step_index_for_noise(scheduler, timesteps[b], OFF_SCHEDULE_IS_LAST, &index, error);
        if (status != STATUS_OK) return status;
        struct level level = level_of(dpm_config_of(scheduler), scheduler->sigmas[index]);
        for (size_t i = b * sample_size; i < (b + 1) * sample_size; i++)
            noisy_samples[i] = level.alpha * original_samples[i] + level.sigma * noise[i];
    }
    return STATUS_OK;
}

const struct solver REAL_NAME(dpmsolver_multistep_solver) = {
    .class_name = "DPMSolverMultistepScheduler",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(sigma_options), OPTION_TABLE_OF(sigma_grid_options), OPTION_TABLE_OF(dpm_options)},
    .config_size = sizeof(struct dpm_config),
    .takes_timesteps = true,
    .takes_mu = true,
    .takes_variance = true,
    .state_size = sizeof(struct dpm_state),
    .create = dpm_create,
    .set_timesteps = dpm_set_timesteps,
    .needs_noise = dpm_needs_noise,
    .step = dpm_step,
    .add_noise = dpm_add_noise,
    .state_memory = dpm_state_memory,
};
