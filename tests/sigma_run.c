#include "sched/real.h"

#include "tests/sampler_support.h"
#include "tests/sigma_run.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define run_sigmas REAL_NAME(run_sigmas)

/* The level of what the model is given at a call. From x / sqrt(sigma^2 + 1) follows sigma; a flow's timestep
 * is sigma T. */
static struct sigma_end level_of_call(struct scheduler *scheduler, double timestep)
{
    struct error error = {""};
    const real one = 1;
    real scaled = 0;
    if (!scheduler->alphas_cumprod) {
        const double sigma = timestep / scheduler->num_train_timesteps;
        return (struct sigma_end){1 - sigma, sigma};
    }
    enum status status = scheduler_scale_model_input(scheduler, timestep, &one, 1, &scaled, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return (struct sigma_end){1, sqrt(1 / ((double)scaled * (double)scaled) - 1)};
}

static double deviation(const struct sigma_run *run, struct sigma_end level)
{
    return sqrt(level.alpha * level.alpha * run->s * run->s + level.sigma * level.sigma);
}

/* The model's output for the sample x: epsilon, or the flow's velocity. */
static double model(const struct sigma_run *run, struct sigma_end level, double x)
{
    const double size = deviation(run, level), z = (x - level.alpha * run->mu) / size;
    const double mean = run->mu + level.alpha * run->s * run->s * z / size;
    const double original = run->consistent ? run->mu + run->s * z : mean;
    const double epsilon = (x - level.alpha * original) / level.sigma;
    return level.alpha == 1 ? epsilon : epsilon - original;
}

struct sigma_end run_sigmas(const struct sigma_run *run, const double *z, double *out)
{
    struct error error = {""};
    struct scheduler *scheduler = NULL;
    enum status status = scheduler_create(run->config, &scheduler, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    status = scheduler_set_timesteps(scheduler, &run->request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    scheduler_set_begin_index(scheduler, 0);

    const size_t n = run->n;
    struct generator *generator = run->seed ? seeded(GENERATOR_NUMPY_PCG64, run->seed) : NULL;
    double *draw = calloc(n, sizeof *draw);
    real *memory = calloc(4 * n, sizeof *memory);
    ck_assert(draw != NULL && memory != NULL);
    real *sample = memory, *model_output = memory + n, *noise = memory + 2 * n, *prev_sample = memory + 3 * n;
    struct sigma_end level = level_of_call(scheduler, scheduler->timesteps[0]);
    for (size_t j = 0; j < n; j++) sample[j] = (real)(level.alpha * run->mu + deviation(run, level) * z[j]);

    const size_t calls = scheduler->num_timesteps - run->calls_left;
    for (size_t i = 0; i < calls; i++) {
        const double timestep = scheduler->timesteps[i];
        const bool draws = scheduler_needs_noise(scheduler, timestep, &run->options);
        ck_assert_msg(!draws || generator, "step %zu draws", i);
        if (draws) generator_normal_f64(generator, draw, n);
        level = level_of_call(scheduler, timestep);
        for (size_t j = 0; j < n; j++) {
            model_output[j] = (real)model(run, level, (double)sample[j]);
            noise[j] = (real)draw[j];
        }
        const struct step_input input = {
            .timestep = timestep,
            .model_output = model_output,
            .model_output_size = n,
            .sample = sample,
            .batch = 1,
            .sample_size = n,
            .noise = draws ? noise : NULL,
            .options = run->options,
        };
        status = scheduler_step(scheduler, &input, prev_sample, NULL, &error);
        ck_assert_msg(status == STATUS_OK, "step %zu: %s", i, error.message);
        memcpy(sample, prev_sample, n * sizeof *sample);
    }
    if (run->calls_left)
        level = level_of_call(scheduler, scheduler->timesteps[calls]);
    else
        level = (struct sigma_end){1, 0};
    for (size_t j = 0; j < n; j++) out[j] = (double)sample[j];

    free(draw);
    free(memory);
    generator_free(generator);
    scheduler_free(scheduler);
    return level;
}
