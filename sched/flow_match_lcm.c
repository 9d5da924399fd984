/*
 * FlowMatchLCMScheduler: sampling of a rectified flow (flow_match.h) whose model was distilled for few steps,
 * as latent consistency models are sampled (Luo et al. 2023, arXiv:2310.04378): a step goes to the predicted
 * data and back up with fresh noise,
 *
 *     x' = (1 - sigma') (x - sigma v) + sigma' z.
 *
 * The noise is drawn at the last step too, which multiplies it with 0.
 */
#include "flow_match.h"
#include "real.h"
#include "solver.h"
#include "step_index.h"

static const struct option options[] = {
    {OPTION_MEMBER(flow_match_config, scale_factors), .type = OPTION_NUMBERS},
    {OPTION_MEMBER(flow_match_config, upscale_mode), .type = OPTION_STRING, .string = "bicubic",
        .nullable = true},
};

/* Diffusers can enlarge the predicted data between the steps; samples keep their size here. An empty list or
 * no mode asks for nothing. */
static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct flow_match_config *config = flow_match_config_of(scheduler);
    if (config->scale_factors.count > 0 && config->upscale_mode && *config->upscale_mode)
        return error_input(error,
            "scale_factors: expected null, got %zu factors; samples cannot grow from step to step here",
            config->scale_factors.count);
    return flow_match_create(scheduler, warnings, error);
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)step_options;
    size_t index = 0;
    return step_index_with_next(scheduler, timestep, &index, NULL) == STATUS_OK;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    size_t index = 0;
    enum status status = step_index_with_next(scheduler, input->timestep, &index, error);
    if (status != STATUS_OK) return status;
    const real sigma = scheduler->sigmas[index], sigma_next = scheduler->sigmas[index + 1];
    const real rest = 1 - sigma_next;
    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        const real x0_pred = input->sample[i] - sigma * input->model_output[i];
        prev_sample[i] = rest * x0_pred + sigma_next * input->noise[i];
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(flow_match_lcm_solver) = {
    .class_name = "FlowMatchLCMScheduler",
    .equation =
        "x' = (1 - sigma') (x - sigma v) + sigma' z    (Luo et al. 2023, arXiv:2310.04378, on a flow)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, 1), OPTION_TABLE_OF(flow_shift_options),
        OPTION_TABLE_OF(flow_match_options), OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS),
        OPTION_TABLE_OF(inherited_sigma_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct flow_match_config),
    .float32_sample = true,
    .flow = true,
    .takes_timesteps = true,
    .takes_sigmas = true,
    .takes_mu = true,
    .steps_unset = true,
    .create = create,
    .set_timesteps = flow_match_set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = flow_match_add_noise,
};
