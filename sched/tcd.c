/*
 * TCDScheduler: strategic stochastic sampling of a trajectory consistency model (Zheng et al. 2024,
 * arXiv:2402.19159, Algorithm 4; section 4.2).
 *
 * The model jumps from t along the trajectory to a point s = floor((1 - gamma) t'), cleaner than the next
 * timestep t' of the list, by one step of DDIM, which noise takes back up to t':
 *
 *     x_s  = sqrt(a_s) x_0 + sqrt(1 - a_s) epsilon                        a = alphas_cumprod
 *     x_t' = sqrt(a_t' / a_s) x_s + sqrt(1 - a_t' / a_s) noise
 *
 *     paper          diffusers
 *     gamma          eta, from 0 (deterministic) to 1 (as LCM)
 *     x_s            pred_noised_sample
 *
 * The last step leads to s = 0 and adds no noise.
 */
#include "distilled.h"
#include "real.h"
#include "weighted_sum.h"
#include "integer_steps.h"
#include "noise_schedule.h"

#include <string.h>

#include <math.h>

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    return distilled_set_timesteps(scheduler, DISTILLED_ON_EVERY_TIMESTEP, request, warnings, error);
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    size_t index = 0;
    double next = 0;
    return options->eta > 0 &&
           distilled_step_index(scheduler, timestep, 0, &index, &next, NULL) == STATUS_OK &&
           !distilled_is_last(scheduler, index);
}

/* What a step goes through: alphas_cumprod and what it leaves of 1 at t, t' and s. */
static enum status alphas_of_step(const struct scheduler *scheduler, const struct step_input *input,
    double prev_timestep, struct step_alphas *alphas, struct step_alphas *jump, struct error *error)
{
    const double eta = input->options.eta;
    if (!(eta >= 0 && eta <= 1)) return error_input(error, "eta: expected 0 to 1, got %g", eta);
    const double timestep_s = floor((double)((real)(1 - eta) * (real)prev_timestep));
    enum status status = integer_steps_alphas(scheduler, input->timestep, prev_timestep, alphas, error);
    if (status != STATUS_OK) return status;
    return integer_steps_alphas(scheduler, timestep_s, prev_timestep, jump, error);
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_noised_sample, struct error *error)
{
    struct step_alphas alphas, jump; /* from t to t', from s to t' */
    enum prediction prediction;
    size_t index = 0;
    double prev_timestep = 0;
    enum status status = prediction_of(scheduler->config->prediction_type, false, &prediction, error);
    if (status == STATUS_OK)
        status = distilled_step_index(scheduler, input->timestep, 0, &index, &prev_timestep, error);
    if (status == STATUS_OK) status = alphas_of_step(scheduler, input, prev_timestep, &alphas, &jump, error);
    if (status != STATUS_OK) return status;

    const struct level level = level_of_alphas(alphas.alpha_prod_t, alphas.beta_prod_t);
    const struct level s = level_of_alphas(jump.alpha_prod_t, jump.beta_prod_t);
    const real ratio = jump.alpha_prod_t_prev / jump.alpha_prod_t;
    const struct level up = level_of_alphas(ratio, 1 - ratio);
    const bool noised = input->options.eta > 0 && !distilled_is_last(scheduler, index);
    const size_t n = input->batch * input->sample_size;
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        const size_t size = sum_block(from, n);
        const real *sample = input->sample + from, *model_output = input->model_output + from;
        real x0[SUM_BLOCK], epsilon[SUM_BLOCK], *x_s = prev_sample + from;
        predict_data(prediction, level, model_output, sample, size, x0);
        predict_noise(prediction, level, model_output, sample, size, epsilon);
        for (size_t i = 0; i < size; i++) x_s[i] = s.alpha * x0[i] + s.sigma * epsilon[i];
        if (pred_noised_sample) memcpy(pred_noised_sample + from, x_s, size * sizeof *x_s);
        for (size_t i = 0; noised && i < size; i++)
            x_s[i] = up.alpha * x_s[i] + up.sigma * input->noise[from + i];
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

/* The options that the class has from LCM's and never reads. */
const struct solver REAL_NAME(tcd_solver) = {
    .class_name = "TCDScheduler",
    .equation = "x_s = sqrt(a_s) x_0 + sqrt(1 - a_s) epsilon,  s = (1 - eta) t';  x' = sqrt(a'/a_s) x_s + "
                "sqrt(1 - a'/a_s) z,  a = alphas_cumprod    (Zheng et al. 2024, arXiv:2402.19159)",
    .options = {OPTION_TABLE_OF(distilled_options), OPTION_TABLE_IGNORED(thresholding_options, 3),
        OPTION_TABLE_IGNORED(distilled_clipping_options, 2),
        OPTION_TABLE_IGNORED(distilled_scaling_options, 1),
        OPTION_TABLE_IGNORED(integer_grid_options, GRID_ONLY)},
    .config_size = sizeof(struct distilled_config),
    .takes_timesteps = true,
    .takes_strength = true,
    .takes_eta = true,
    .default_eta = 0.3,
    .second_output = "pred_noised_sample",
    .shown_tables = integer_steps_shown,
    .create = integer_steps_create_list,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .get_velocity = noise_schedule_get_velocity,
};
