/*
 * DPMSolverMultistepInverseScheduler: DPM-Solver from data to noise, to find the noise that a picture comes
 * from (Mokady et al. 2022, arXiv:2211.09794, for DDIM; Wallace et al. 2022, arXiv:2211.12446).
 *
 * The ODE has no direction, so the steps are those of DPMSolverMultistepScheduler along a schedule that
 * rises: h = lambda_t - lambda_s is negative. The noise of an SDE does not reverse so: its variance
 * 1 - e^(-2h) is negative there, and diffusers' root of it is NaN.
 *
 * Known deviations of diffusers: of equal timesteps only the first is kept, but all sigmas are, so that a
 * schedule with more steps than timesteps stops before its last sigma; flow sigmas do not rise; the last of
 * the sigmas of any kind is repeated, and the last step does nothing (documented semantics: flow sigmas rise,
 * and the kinds have N + 1 sigmas over the same range).
 */
#include "dpmsolver_multistep.h"
#include "real.h"

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "dpmsolver++"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(dpm_config, euler_at_final), .type = OPTION_BOOL},
};

static const struct dpm_schedule_rules rules = {
    .inverse = true,
    .clips_lambda = true,
    .final_sigma = FINAL_REPEATED,
};

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    return dpm_multistep_create(scheduler, &rules, warnings, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    return dpm_multistep_set_timesteps(scheduler, &rules, request, warnings, error);
}

const struct solver REAL_NAME(dpmsolver_multistep_inverse_solver) = {
    .class_name = "DPMSolverMultistepInverseScheduler",
    .equation = "x' = (sigma'/sigma) x - alpha' (e^-h - 1) D0 + c1 D1 + c2 D2,  h = lambda' - lambda < 0    "
                "(Lu et al. 2022, arXiv:2211.01095, towards more noise)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID),
        OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(dpm_flow_options, FLOW_OPTIONS_WITHOUT_MU), OPTION_TABLE_OF(dpm_lambda_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct dpm_config),
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
