/*
 * LMSDiscreteScheduler: linear multistep methods on the probability-flow ODE in the sigma of Karras et al.
 * 2022 (arXiv:2206.00364), as k-diffusion has them.
 *
 * With D the predicted data, here pred_original_sample, the derivative is d = (x - D) / sigma. A step of
 * order p from sigma to sigma' puts the polynomial through the last p derivatives in its place and integrates
 * it:
 *
 *     x' = x + sum over k < p of c_k d_k,
 *
 * d_k being that of k steps ago; lms_coefficients.c has c_k. The first steps have lower orders: step i has at
 * most order i + 1.
 *
 * Known deviations of diffusers: it integrates with scipy.integrate.quad an integrand that is computed in
 * float32. quad's rule is exact for a polynomial, so what is left is rounding: up to some
 * 2^-24 sigma / (sigma - sigma') of a coefficient, which is below 4e-7 of the step's largest term (orders up
 * to 4); here the integral is exact. And a run that begins in the middle of a schedule (image to image) takes
 * the order from the step's index, but uses only as many terms as there are derivatives, so that its first
 * steps are too long or too short; SEMANTICS_DOCUMENTED takes the order that the derivatives allow.
 */
#include "config.h"
#include "denoiser.h"
#include "history.h"
#include "lms_coefficients.h"
#include "real.h"
#include "sigma_schedule.h"
#include "sigmas.h"
#include "solver.h"
#include "step_index.h"
#include "weighted_sum.h"

struct lms_state {
    struct history derivatives;
    size_t kept; /* how many of them diffusers has kept: at most the largest order so far */
};

static size_t state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct lms_state *state = whole_state;
    memory[0] = history_memory(&state->derivatives);
    return 1;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    struct lms_state *state = scheduler->state;
    enum status status = sigma_schedule_set_timesteps(scheduler, request, error);
    if (status != STATUS_OK) return status;
    history_clear(&state->derivatives);
    state->kept = 0;
    return STATUS_OK;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    const struct schedule_request whole = {
        .has_num_inference_steps = true, .num_inference_steps = scheduler->num_train_timesteps};
    return set_timesteps(scheduler, &whole, NULL, error); /* as diffusers leaves it */
}

/* The coefficients of the step at `index`, as many as there are terms; returns that number. `kept`
 * derivatives are there, this step's among them. */
static size_t coefficients_of(
    const struct scheduler *scheduler, size_t index, size_t order, size_t kept, real *coefficients)
{
    const real *sigmas = scheduler->sigmas;
    double nodes[MAX_LMS_ORDER];
    if (order > index + 1) order = index + 1;
    if (order > kept && scheduler->semantics == SEMANTICS_DOCUMENTED) order = kept;
    for (size_t k = 0; k < order; k++) nodes[k] = (double)sigmas[index - k];
    const size_t terms = order < kept ? order : kept;
    for (size_t k = 0; k < terms; k++)
        coefficients[k] = (real)lms_coefficient(nodes, order, k, (double)sigmas[index + 1]);
    return terms;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct lms_state *state = scheduler->state;
    const size_t n = input->batch * input->sample_size;
    const int order = input->options.order;
    struct denoiser denoiser;
    size_t index = 0;
    if (order < 0 || order > MAX_LMS_ORDER)
        return error_input(error, "order: expected 0 to %d, got %d", MAX_LMS_ORDER, order);
    enum status status =
        denoiser_choose(scheduler->config->prediction_type, SAMPLE_PREDICTION, &denoiser, error);
    if (status == STATUS_OK) status = step_index_with_next(scheduler, input->timestep, &index, error);
    if (status == STATUS_OK) status = history_reserve(&state->derivatives, (size_t)order, n, error);
    if (status != STATUS_OK) return status;

    const real sigma = scheduler->sigmas[index];
    denoiser_at(&denoiser, sigma);
    real *derivative = history_next(&state->derivatives);
    for (size_t i = 0; i < n; i++) {
        const real pred_original = denoise(&denoiser, input->sample[i], input->model_output[i]);
        derivative[i] = (input->sample[i] - pred_original) / sigma;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    history_push(&state->derivatives);
    if (state->kept < (size_t)order) state->kept++;

    real coefficients[MAX_LMS_ORDER];
    const real *derivatives[MAX_LMS_ORDER];
    const size_t terms = coefficients_of(scheduler, index, (size_t)order, state->kept, coefficients);
    for (size_t k = 0; k < terms; k++) derivatives[k] = history_at(&state->derivatives, k);
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        const size_t size = sum_block(from, n);
        real sums[SUM_BLOCK] = {0};
        add_weighted(coefficients, derivatives, terms, from, size, sums);
        for (size_t i = 0; i < size; i++) prev_sample[from + i] = input->sample[from + i] + sums[i];
    }
    scheduler->step_index = (int)index + 1;
    scheduler->step_order = (int)terms;
    return STATUS_OK;
}

const struct solver REAL_NAME(lms_discrete_solver) = {
    .class_name = "LMSDiscreteScheduler",
    .karras_is_as_spaced = true,
    .equation = "x' = x + sum of c_k d_k,  d_k = (x - x_0) / sigma of k steps ago,  c_k the integral of its "
                "Lagrange polynomial from sigma to sigma'    (k-diffusion)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS),
        OPTION_TABLE_OF(inherited_sigma_options), OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID)},
    .config_size = sizeof(struct scheduler_config),
    .steps_unset = true,
    .state_size = sizeof(struct lms_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = sigmas_scale_model_input,
    .step = step,
    .add_noise = sigmas_add_noise,
    .state_memory = state_memory,
};
