/*
 * CosineDPMSolverMultistepScheduler: the sampler of Stable Audio Open (Evans et al. 2024, arXiv:2407.14358):
 * stochastic DPM-Solver++ (arXiv:2211.01095), order 1 or 2, in the formulation of Karras et al. 2022
 * (arXiv:2206.00364), for a network that is told the angle of its level, 2/pi arctan sigma, which runs from
 * 0 to 1 as a cosine schedule's time does (Nichol and Dhariwal 2021, arXiv:2102.09672).
 *
 * Its noise is no draw: it is the increment of a Brownian path over [sigma_min, sigma_max] between the step's
 * two sigmas, divided by the root of their distance (brownian_interval.h). The seed of the run's generator
 * decides the path.
 *
 * Known deviations: to the final sigma sigma_min the last step has no length, and its noise is 0/0
 * (documented semantics: none); from the smallest sigma down to 0 the noise is asked of a part of the path
 * that there is not, and torchsde recurses without end for some sigma_min, the default one included
 * (documented semantics: none there either). The coefficient of that noise is 0.
 */
#include "brownian_interval.h"
#include "edm_multistep.h"
#include "real.h"
#include "sigmas.h"

static const struct option options[] = {
    {OPTION_MEMBER(edm_config, sigma_min), .type = OPTION_NUMBER, .number = 0.3},
    {OPTION_MEMBER(edm_config, sigma_max), .type = OPTION_NUMBER, .number = 500},
    {OPTION_MEMBER(edm_config, sigma_data), .type = OPTION_NUMBER, .number = 1},
    {OPTION_MEMBER(edm_config, sigma_schedule), .type = OPTION_STRING, .string = "exponential"},
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 1000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "v_prediction"},
    {OPTION_MEMBER(edm_config, rho), .type = OPTION_NUMBER, .number = 7},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(dpm_config, euler_at_final), .type = OPTION_BOOL},
    {OPTION_MEMBER(scheduler_config, final_sigmas_type), .type = OPTION_STRING, .string = "zero"},
};

/* 2/pi arctan sigma; torch divides by pi and doubles. */
static real angle(real sigma)
{
    return real_atan(sigma) / (real)M_PI * 2;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    struct dpm_multistep_state *state = scheduler->state;
    enum status status = dpm_check_solver_type(&config->dpm, error);
    if (status == STATUS_OK) status = edm_check_options(config, true, error);
    if (status != STATUS_OK) return status;
    state->algorithm = SDE_DPMSOLVER_PP;
    state->highest_order = 2;
    dpm_multistep_warn(scheduler, warnings);
    scheduler->init_noise_sigma = edm_init_noise_sigma(config);
    return edm_multistep_schedule(scheduler, (size_t)scheduler->num_train_timesteps, angle, 0, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return edm_multistep_set_timesteps(scheduler, request, angle, error);
}

static enum status make_noise(struct scheduler *scheduler, double timestep, size_t batch, size_t sample_size,
    real *noise, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    size_t index = 0;
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_LAST, &index, error);
    if (status != STATUS_OK) return status;
    if (index + 1 >= scheduler->num_sigmas)
        return error_input(
            error, "step %zu: the schedule has only %zu steps", index, scheduler->num_sigmas - 1);
    if (scheduler->semantics == SEMANTICS_DOCUMENTED && index + 1 == scheduler->num_timesteps) {
        for (size_t i = 0; i < batch * sample_size; i++) noise[i] = 0;
        return STATUS_OK;
    }
    const struct brownian_noise paths = {.seeds = scheduler->noise_seeds,
        .count = scheduler->num_noise_seeds,
        .sigma_min = (real)config->sigma_min,
        .sigma_max = (real)config->sigma_max};
    return brownian_noise_between(
        &paths, scheduler->sigmas[index], scheduler->sigmas[index + 1], batch, sample_size, noise, error);
}

const struct solver REAL_NAME(cosine_dpmsolver_multistep_solver) = {
    .class_name = "CosineDPMSolverMultistepScheduler",
    .equation =
        "x' = (sigma'/sigma) e^-h x + (1 - e^-2h) (D + half its divided difference) + sigma' sqrt(1 - e^-2h) "
        "z,  h = log(sigma/sigma')    (Lu et al. 2022, arXiv:2211.01095; z from a Brownian path)",
    .options = {OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct edm_config),
    .state_size = sizeof(struct dpm_multistep_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = edm_multistep_scale_model_input,
    .needs_noise = dpm_multistep_needs_noise,
    .make_noise = make_noise,
    .step = edm_multistep_step,
    .add_noise = sigmas_add_noise_or_last,
    .state_memory = dpm_multistep_memory,
};
