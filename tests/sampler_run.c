#include "sched/real.h"

#include "tests/sampler_run.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

#define run_sampler REAL_NAME(run_sampler)

/* alphas_cumprod of the i-th step's start, or of the end where i is the number of timesteps. */
static double level(const struct scheduler *scheduler, size_t i)
{
    if (scheduler->sigmas) return 1 / (1 + pow((double)scheduler->sigmas[i], 2));
    if (i == scheduler->num_timesteps) return (double)scheduler->final_alpha_cumprod;
    double timestep = scheduler->timesteps[i];
    if (timestep < 0) timestep += (double)scheduler->num_betas;
    return (double)scheduler->alphas_cumprod[(size_t)timestep];
}

/* What a sample of this class is of the variance-preserving one. */
static double scale(const struct sampler_run *run, double alpha_cumprod)
{
    const char *name = cJSON_GetObjectItem(run->config, "_class_name")->valuestring;
    return strcmp(name, "EulerDiscreteScheduler") == 0 ? 1 / sqrt(alpha_cumprod) : 1;
}

static real told(const struct sampler_run *run, double alpha_cumprod, double x)
{
    const cJSON *type = cJSON_GetObjectItem(run->config, "prediction_type");
    const char *name = type ? type->valuestring : "epsilon";
    struct prediction p = run->model(run->context, alpha_cumprod, x);
    if (strcmp(name, "sample") == 0) return (real)p.original;
    if (strcmp(name, "v_prediction") == 0)
        return (real)(sqrt(alpha_cumprod) * p.epsilon - sqrt(1 - alpha_cumprod) * p.original);
    return (real)p.epsilon;
}

static real *need_reals(size_t n)
{
    real *memory = calloc(n, sizeof *memory);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

double run_sampler(const struct sampler_run *run, const double *z, double *out)
{
    const size_t n = run->batch * run->size;
    struct error error = {""};
    struct scheduler *scheduler;
    enum status status = scheduler_create(run->config, &scheduler, NULL, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &run->request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);

    real *sample = need_reals(n), *prev_sample = need_reals(n), *noise = need_reals(n);
    real *model_input = need_reals(n), *model_output = need_reals(n);
    const double first = level(scheduler, 0);
    for (size_t j = 0; j < n; j++) {
        sample[j] = (real)(run->solution(run->context, first, z[j]) * scale(run, first));
        noise[j] = run->noise ? (real)run->noise[j] : 0;
    }
    for (size_t i = 0; status == STATUS_OK && i < scheduler->num_timesteps; i++) {
        const double t = scheduler->timesteps[i], here = level(scheduler, i);
        const bool draws = scheduler_needs_noise(scheduler, t, &run->options);
        ck_assert_msg(!draws || run->noise, "step %zu draws", i);
        status = scheduler_scale_model_input(scheduler, t, sample, n, model_input, &error);
        if (status != STATUS_OK) break;
        for (size_t j = 0; j < n; j++) model_output[j] = told(run, here, (double)model_input[j]);
        const struct step_input input = {
            .timestep = t,
            .model_output = model_output,
            .model_output_size = run->size,
            .sample = sample,
            .batch = run->batch,
            .sample_size = run->size,
            .noise = draws ? noise : NULL,
            .options = run->options,
        };
        status = scheduler_step(scheduler, &input, prev_sample, NULL, &error);
        memcpy(sample, prev_sample, n * sizeof *sample);
    }
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    const double last = level(scheduler, scheduler->num_timesteps);
    for (size_t j = 0; j < n; j++) out[j] = (double)sample[j] / scale(run, last);

    free(sample);
    free(prev_sample);
    free(noise);
    free(model_input);
    free(model_output);
    scheduler_free(scheduler);
    return last;
}
