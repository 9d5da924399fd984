/*
 * LCMScheduler: multistep sampling of a latent consistency model (Luo et al. 2023, arXiv:2310.04378,
 * Algorithm 3; Song et al. 2023, arXiv:2303.01469, Algorithm 1).
 *
 * The model says the end of the trajectory that goes through x_t,
 *
 *     f(x_t, t) = c_skip(t) x_t + c_out(t) x_0
 *     c_skip = sigma_data^2 / (s^2 + sigma_data^2),  c_out = s / sqrt(s^2 + sigma_data^2),  s =
 * timestep_scaling t
 *
 * with x_0 the predicted data, sigma_data = 1/2 (diffusers: denoised is f). Then noise takes it to the next
 * timestep's level:
 *
 *     x_t' = sqrt(alphas_cumprod[t']) f + sqrt(1 - alphas_cumprod[t']) noise
 *
 * and the last step gives f itself.
 */
#include "distilled.h"
#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"

#include <string.h>

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    return distilled_set_timesteps(scheduler, DISTILLED_ON_ORIGINAL_STEPS, request, warnings, error);
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    (void)options;
    size_t index = 0;
    double next = 0;
    return distilled_step_index(scheduler, timestep, timestep, &index, &next, NULL) == STATUS_OK &&
           !distilled_is_last(scheduler, index);
}

/* c_skip and c_out of Algorithm 3's f; torch divides a Python number by a tensor as the number times the
 * reciprocal. */
static void boundary_condition(const struct scheduler *scheduler, double timestep, real *c_skip, real *c_out)
{
    const double scaling = ((const struct distilled_config *)scheduler->config)->timestep_scaling;
    const real scaled_timestep = (real)timestep * (real)scaling, variance = (real)0.25; /* sigma_data^2 */
    const real sum = scaled_timestep * scaled_timestep + variance;
    *c_skip = 1 / sum * variance;
    *c_out = scaled_timestep / real_sqrt(sum);
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *denoised, struct error *error)
{
    struct step_alphas alphas;
    enum prediction prediction;
    size_t index = 0;
    double prev_timestep = 0;
    real c_skip, c_out;
    enum status status =
        distilled_step_index(scheduler, input->timestep, input->timestep, &index, &prev_timestep, error);
    if (status == STATUS_OK)
        status = integer_steps_alphas(scheduler, input->timestep, prev_timestep, &alphas, error);
    if (status != STATUS_OK) return status;

    /* x_0 lies where f will. */
    real *x0 = denoised ? denoised : prev_sample;
    const struct level level = level_of_alphas(alphas.alpha_prod_t, alphas.beta_prod_t);
    const struct level next = level_of_alphas(alphas.alpha_prod_t_prev, alphas.beta_prod_t_prev);
    status = integer_steps_original(scheduler, input, level, &prediction, x0, error);
    if (status != STATUS_OK) return status;
    boundary_condition(scheduler, input->timestep, &c_skip, &c_out);
    const bool last = distilled_is_last(scheduler, index);
    const size_t n = input->batch * input->sample_size;
    const real *sample = input->sample, *noise = input->noise;
    const real keep = c_skip, take = c_out;
    for (size_t i = 0; i < n; i++) prev_sample[i] = take * x0[i] + keep * sample[i];
    if (denoised) memcpy(denoised, prev_sample, n * sizeof *denoised);
    for (size_t i = 0; !last && i < n; i++)
        prev_sample[i] = next.alpha * prev_sample[i] + next.sigma * noise[i];
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(lcm_solver) = {
    .class_name = "LCMScheduler",
    .equation = "f = c_skip x + c_out x_0;  x' = sqrt(a') f + sqrt(1 - a') z,  a = alphas_cumprod    (Luo et "
                "al. 2023, arXiv:2310.04378, Algorithm 3)",
    .options = {OPTION_TABLE_OF(distilled_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(distilled_clipping_options), OPTION_TABLE_OF(distilled_scaling_options),
        OPTION_TABLE_IGNORED(integer_grid_options, GRID_ONLY)},
    .config_size = sizeof(struct distilled_config),
    .takes_timesteps = true,
    .takes_strength = true,
    .second_output = "denoised",
    .shown_tables = integer_steps_shown,
    .create = integer_steps_create_list,
    .set_timesteps = set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = noise_schedule_add_noise,
    .get_velocity = noise_schedule_get_velocity,
};
