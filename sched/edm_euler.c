/*
 * EDMEulerScheduler: Euler's method on the probability-flow ODE of Karras et al. 2022 (arXiv:2206.00364),
 * Algorithm 2 without its second-order correction, for a network that is preconditioned as in the paper
 * (edm.h).
 *
 *     D    = c_skip x_hat + c_out F                  pred_original_sample
 *     x'   = x_hat + (sigma' - sigma_hat) (x_hat - D) / sigma_hat
 *
 * with x_hat = x, sigma_hat = sigma where there is no churn (churn.h). Unlike in EulerDiscreteScheduler, F is
 * preconditioned at sigma_hat; the input of the network, though, is scaled at sigma, before the churn.
 *
 * Known deviation: the argument `sigmas` of set_timesteps is no list of sigmas but the ramp from 0
 * (sigma_max) to 1 (sigma_min) that sigma_schedule bends; an exponential schedule takes only its length from
 * it.
 */
#include "churn.h"
#include "edm.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"
#include "timesteps.h"

#include <stdlib.h>

/* --- The schedule ------------------------------------------------------------------------- */

/* Takes the schedule whose sigmas are bent from `ramp` [n], or are `ramp` itself; the final one follows. */
static enum status take_schedule(
    struct scheduler *scheduler, const double *ramp, size_t n, bool as_it_is, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    const bool ends_at_zero = option_is(config->dpm.common.final_sigmas_type, "zero");
    if (n == 0 && !ends_at_zero)
        return error_input(error, "num_inference_steps: expected at least 1 step with final_sigmas_type "
                                  "\"sigma_min\", got 0");
    const struct edm_karras karras = edm_karras_of(config);
    double *timesteps = malloc((n + 1) * sizeof *timesteps);
    real *sigmas = malloc((n + 1) * sizeof *sigmas);
    enum status status = timesteps && sigmas ? STATUS_OK : error_memory(error, (n + 1) * sizeof *timesteps);
    if (status == STATUS_OK && !as_it_is && option_is(config->sigma_schedule, "exponential"))
        edm_sigmas_exponential(config, n, sigmas);
    else
        for (size_t i = 0; status == STATUS_OK && i < n; i++)
            sigmas[i] = (real)(as_it_is ? ramp[i] : edm_karras_sigma(&karras, ramp[i]));
    for (size_t i = 0; status == STATUS_OK && i < n; i++) {
        if (!(sigmas[i] > 0))
            status = error_input(error, "sigmas[%zu]: %g leads to the sigma %g, not to one above 0", i,
                ramp[i], (double)sigmas[i]);
        timesteps[i] = (double)edm_noise_label(sigmas[i]);
    }
    if (status != STATUS_OK) {
        free(timesteps);
        free(sigmas);
        return status;
    }
    sigmas[n] = ends_at_zero ? 0 : sigmas[n - 1];
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, n + 1);
    return STATUS_OK;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const struct edm_config *config = edm_config_of(scheduler);
    enum status status = edm_check_options(config, false, error);
    if (status == STATUS_OK) status = edm_check_final_sigma(config, error);
    if (status != STATUS_OK) return status;
    scheduler->init_noise_sigma = edm_init_noise_sigma(config);

    /* Before set_timesteps: num_train_timesteps + 1 points. */
    const size_t count = (size_t)scheduler->num_train_timesteps + 1;
    double *ramp = malloc(count * sizeof *ramp);
    if (!ramp) return error_memory(error, count * sizeof *ramp);
    for (size_t i = 0; i < count; i++) ramp[i] = (double)i / (double)(count - 1);
    status = take_schedule(scheduler, ramp, count, false, error);
    free(ramp);
    return status;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    const bool documented = scheduler->semantics == SEMANTICS_DOCUMENTED;
    if (!request->sigmas && !request->has_num_inference_steps)
        return error_input(error, "num_inference_steps: missing; expected it, or sigmas");
    const size_t count = request->sigmas ? request->num_sigmas : (size_t)request->num_inference_steps;
    scheduler->num_inference_steps = request->num_inference_steps;
    if (request->sigmas) {
        if (!documented)
            warnings_add(warnings,
                "sigmas: %s takes them for a ramp from 0 (sigma_max) to 1 (sigma_min), as diffusers does",
                scheduler_name(scheduler));
        return take_schedule(scheduler, request->sigmas, count, documented, error);
    }
    double *ramp = malloc((count ? count : 1) * sizeof *ramp);
    if (!ramp) return error_memory(error, count * sizeof *ramp);
    numpy_linspace(0, 1, count, ramp);
    enum status status = take_schedule(scheduler, ramp, count, false, error);
    free(ramp);
    return status;
}

/* --- Steps -------------------------------------------------------------------------------- */

static enum status scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    return edm_scale_model_input(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, sample, n, model_input, error);
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    size_t index = 0;
    enum status status = step_index_now(scheduler, input->timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    if (index + 1 >= scheduler->num_sigmas)
        return error_input(
            error, "step %zu: the schedule has only %zu steps", index, scheduler->num_sigmas - 1);

    const struct churn churn = churn_at(scheduler, scheduler->sigmas[index], &input->options);
    const real sigma_hat = churn.sigma_hat, s_noise = (real)input->options.s_noise;
    const real dt = scheduler->sigmas[index + 1] - sigma_hat;
    struct edm_skip skip;
    status = edm_skip_at(scheduler, sigma_hat, &skip, error);
    if (status != STATUS_OK) return status;

    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        real sample = input->sample[i];
        if (churn.gamma > 0) sample += input->noise[i] * s_noise * churn.noise_scale;
        const real denoised = skip.c_skip * sample + skip.c_out * input->model_output[i];
        const real derivative = (sample - denoised) / sigma_hat;
        prev_sample[i] = sample + derivative * dt;
        if (pred_original_sample) pred_original_sample[i] = denoised;
    }
    scheduler->step_index = (int)index + 1;
    return STATUS_OK;
}

const struct solver REAL_NAME(edm_euler_solver) = {
    .class_name = "EDMEulerScheduler",
    .equation = "x' = x + (sigma' - sigma) (x - D) / sigma,  D = c_skip x + c_out F    (Karras et al. 2022, "
                "arXiv:2206.00364, Algorithm 2 without its correction)",
    .options = {OPTION_TABLE_OF(edm_options)},
    .config_size = sizeof(struct edm_config),
    .float32_sample = true,
    .takes_sigmas = true,
    .steps_unset = true,
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = scale_model_input,
    .needs_noise = churn_needs_noise,
    .step = step,
    .add_noise = sigmas_add_noise,
};
