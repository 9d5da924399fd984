/*
 * FlowMatchEulerDiscreteScheduler: Euler's method on a rectified flow (flow_match.h; Esser et al. 2024,
 * arXiv:2403.03206), along the velocity v that the model predicts:
 *
 *     x' = x + (sigma' - sigma) v.
 *
 * With stochastic_sampling a step goes to the predicted data and back up with fresh noise, as consistency
 * models are sampled (Song et al. 2023, arXiv:2303.01469, Algorithm 1):
 *
 *     x' = (1 - sigma') (x - sigma v) + sigma' z.
 */
#include "flow_match.h"
#include "real.h"
#include "solver.h"
#include "step_index.h"

static const struct option options[] = {
    {OPTION_MEMBER(flow_match_config, stochastic_sampling), .type = OPTION_BOOL},
};

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)step_options;
    size_t index = 0;
    return flow_match_config_of(scheduler)->stochastic_sampling &&
           step_index_with_next(scheduler, timestep, &index, NULL) == STATUS_OK;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    (void)pred_original_sample; /* this class returns none */
    size_t index = 0;
    enum status status = step_index_with_next(scheduler, input->timestep, &index, error);
    if (status != STATUS_OK) return status;
    const bool stochastic = flow_match_config_of(scheduler)->stochastic_sampling;
    const real sigma = scheduler->sigmas[index], sigma_next = scheduler->sigmas[index + 1];
    const real dt = sigma_next - sigma, rest = 1 - sigma_next;
    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        const real sample = input->sample[i], model_output = input->model_output[i];
        if (stochastic)
            prev_sample[i] = rest * (sample - sigma * model_output) + sigma_next * input->noise[i];
        else
            prev_sample[i] = sample + dt * model_output;
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(flow_match_euler_discrete_solver) = {
    .class_name = "FlowMatchEulerDiscreteScheduler",
    .equation = "x' = x + (sigma' - sigma) v    (Lipman et al. 2022, arXiv:2210.02747; Esser et al. 2024, "
                "arXiv:2403.03206)",
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
    .create = flow_match_create,
    .set_timesteps = flow_match_set_timesteps,
    .needs_noise = needs_noise,
    .step = step,
    .add_noise = flow_match_add_noise,
};
