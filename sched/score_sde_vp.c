/*
 * ScoreSdeVpScheduler: the reverse of the variance-preserving SDE by Euler and Maruyama (Song et al. 2021,
 * arXiv:2011.13456, eqs. 6, 11 and 33). diffusers keeps it among its deprecated classes.
 *
 * A sample at time t in [0, 1] is alpha x_0 + std noise with
 *
 *     beta(t) = beta_min + t (beta_max - beta_min)
 *     log alpha = -t^2 (beta_max - beta_min) / 4 - t beta_min / 2,  std = sqrt(1 - alpha^2)
 *
 * and with the model's prediction of the noise, the score is -epsilon / std. A step goes back in time by 1 /
 * N from each of N times from 1 to sampling_eps:
 *
 *     x <- x + (beta / 2 x + beta score) / N + sqrt(beta / N) noise
 *
 * diffusers calls it step_pred(), and the sum without the noise x_mean. The class has no step(), so the
 * pipelines for text do not run it.
 */
#include "real.h"
#include "noise_schedule.h"
#include "solver.h"

#include <math.h>
#include <stdlib.h>

struct score_sde_vp_config {
    struct scheduler_config base;
    double beta_min, beta_max, sampling_eps;
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 2000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(score_sde_vp_config, beta_min), .type = OPTION_NUMBER, .number = 0.1},
    {OPTION_MEMBER(score_sde_vp_config, beta_max), .type = OPTION_NUMBER, .number = 20},
    {OPTION_MEMBER(score_sde_vp_config, sampling_eps), .type = OPTION_NUMBER, .number = 1e-3},
};

static const struct score_sde_vp_config *config_of(const struct scheduler *scheduler)
{
    return (const struct score_sde_vp_config *)scheduler->config;
}

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    (void)warnings, (void)error;
    scheduler->timestep_dtype = TIMESTEP_FLOAT32;
    return STATUS_OK;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const size_t n = (size_t)request->num_inference_steps;
    real *times = malloc((n + 1) * sizeof *times);
    double *timesteps = malloc((n + 1) * sizeof *timesteps);
    enum status status = times && timesteps ? STATUS_OK : error_memory(error, (n + 1) * sizeof *timesteps);
    if (status != STATUS_OK) {
        free(timesteps);
    } else {
        torch_linspace(1, config_of(scheduler)->sampling_eps, n, times);
        for (size_t i = 0; i < n; i++) timesteps[i] = (double)times[i];
        scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
        scheduler->num_inference_steps = request->num_inference_steps;
    }
    free(times);
    return status;
}

static real log_mean_coeff(const struct score_sde_vp_config *config, real t)
{
    const real range = (real)(config->beta_max - config->beta_min), low = (real)config->beta_min;
    return (real)-0.25 * (t * t) * range - (real)0.5 * t * low;
}

/* At the last step's end, for the reader of a table, stands time 0. */
static void level_at(const struct scheduler *scheduler, size_t index, double *alpha, double *sigma)
{
    const real t = index < scheduler->num_timesteps ? (real)scheduler->timesteps[index] : 0;
    const double log_alpha = (double)log_mean_coeff(config_of(scheduler), t);
    *alpha = exp(log_alpha);
    *sigma = sqrt(-expm1(2 * log_alpha));
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *step_options)
{
    (void)scheduler, (void)timestep, (void)step_options;
    return true;
}

static enum status predict(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *prev_sample_mean, struct error *error)
{
    const struct score_sde_vp_config *config = config_of(scheduler);
    if (scheduler->num_timesteps == 0)
        return error_input(error, "num_inference_steps: a schedule of 0 steps has no step to take");
    const real t = (real)input->timestep;
    const real std = real_sqrt(1 - real_exp(2 * log_mean_coeff(config, t)));
    const double dt = -1.0 / (double)scheduler->num_timesteps;
    const real beta_t = (real)config->beta_min + t * (real)(config->beta_max - config->beta_min);
    const real diffusion = real_sqrt(beta_t), spread = diffusion * (real)sqrt(-dt);
    for (size_t i = 0; i < input->batch * input->sample_size; i++) {
        const real x = input->sample[i], score = -input->model_output[i] / std;
        const real drift = (real)-0.5 * beta_t * x - diffusion * diffusion * score;
        const real mean = x + drift * (real)dt;
        if (prev_sample_mean) prev_sample_mean[i] = mean;
        prev_sample[i] = mean + spread * input->noise[i];
    }
    return STATUS_OK;
}

const struct solver REAL_NAME(score_sde_vp_solver) = {
    .class_name = "ScoreSdeVpScheduler",
    .equation = "x' = x + (f(x, t) - g(t)^2 score) dt + g(t) sqrt(-dt) z    (Song et al. 2021, "
                "arXiv:2011.13456, section 3.4)",
    .options = {OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct score_sde_vp_config),
    .lacks_step = true,
    .second_output = "prev_sample_mean",
    .create = create,
    .set_timesteps = set_timesteps,
    .level_at = level_at,
    .needs_noise = needs_noise,
    .step = predict,
};
