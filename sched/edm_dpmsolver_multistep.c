/*
 * EDMDPMSolverMultistepScheduler: DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095), orders 1 to 3, and its
 * stochastic variant, in the formulation of Karras et al. 2022 (arXiv:2206.00364).
 *
 * The step is that of DPMSolverMultistepScheduler (dpmsolver_multistep.c) for samples x_0 + sigma noise, that
 * is with alpha = 1 and lambda = -log sigma. The sigmas are bent from a ramp in float32, unlike EDMEuler's.
 *
 * Known deviations: those of DPMSolverMultistepScheduler for order 3; sde-dpmsolver++ hands no noise to its
 * update of order 3, which fails (documented semantics: the update is taken); order 3 with the final sigma
 * sigma_min divides 0 by 0 in its last step, which has no length, unless lower_order_final lowers it.
 */
#include "edm_multistep.h"
#include "real.h"
#include "sigmas.h"

static const struct option options[] = {
    {OPTION_MEMBER(dpm_config, solver_order), .type = OPTION_INT, .number = 2, .minimum = 1, .maximum = 1000},
    {OPTION_MEMBER(dpm_config, algorithm_type), .type = OPTION_STRING, .string = "dpmsolver++"},
    {OPTION_MEMBER(dpm_config, solver_type), .type = OPTION_STRING, .string = "midpoint"},
    {OPTION_MEMBER(dpm_config, lower_order_final), .type = OPTION_BOOL, .number = true},
    {OPTION_MEMBER(dpm_config, euler_at_final), .type = OPTION_BOOL},
};

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    struct dpm_multistep_state *state = scheduler->state;
    enum status status = dpm_find_algorithm(&config->dpm, false, &state->algorithm, error);
    if (status == STATUS_OK && !dpm_predicts_data(state->algorithm))
        status = option_refuse(
            "algorithm_type", config->dpm.algorithm_type, "\"dpmsolver++\" or \"sde-dpmsolver++\"", error);
    if (status == STATUS_OK) status = dpm_check_final_sigma(&config->dpm, error);
    if (status == STATUS_OK) status = edm_check_options(config, false, error);
    if (status != STATUS_OK) return status;
    const bool has_third = state->algorithm == DPMSOLVER_PP || scheduler->semantics == SEMANTICS_DOCUMENTED;
    state->highest_order = has_third ? MAX_DPM_ORDER : 2;
    dpm_multistep_warn(scheduler, warnings);
    scheduler->init_noise_sigma = edm_init_noise_sigma(config);
    return edm_multistep_schedule(
        scheduler, (size_t)scheduler->num_train_timesteps, edm_noise_label, 0, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return edm_multistep_set_timesteps(scheduler, request, edm_noise_label, error);
}

const struct solver REAL_NAME(edm_dpmsolver_multistep_solver) = {
    .class_name = "EDMDPMSolverMultistepScheduler",
    .equation = "x' = (sigma'/sigma) x - (e^-h - 1) D0 + c1 D1 + c2 D2,  h = log(sigma/sigma'),  D = c_skip "
                "x + c_out F    (Lu et al. 2022, arXiv:2211.01095; Karras et al. 2022, arXiv:2206.00364)",
    .options = {OPTION_TABLE_OF(edm_options), OPTION_TABLE_OF(thresholding_options),
        OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct edm_config),
    .state_size = sizeof(struct dpm_multistep_state),
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = edm_multistep_scale_model_input,
    .needs_noise = dpm_multistep_needs_noise,
    .step = edm_multistep_step,
    .add_noise = sigmas_add_noise_or_last,
    .state_memory = dpm_multistep_memory,
};
