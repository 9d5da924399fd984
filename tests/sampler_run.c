#include "sched/real.h"

#include "sched/solver.h"
#include "tests/sampler_run.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

#define run_sampler REAL_NAME(run_sampler)
#define noise_and_step REAL_NAME(noise_and_step)
#define noise_schedule_of REAL_NAME(noise_schedule_of)

/* alphas_cumprod of the i-th step's start, or of the end where i is the number of timesteps. */
static double level(const struct scheduler *scheduler, size_t i)
{
    if (scheduler->solver->level_at) {
        double alpha = 0, sigma = 0;
        scheduler->solver->level_at(scheduler, i, &alpha, &sigma);
        return alpha * alpha; /* with sigma^2 it is 1 */
    }
    if (scheduler->sigmas) return 1 / (1 + pow((double)scheduler->sigmas[i], 2));
    if (i == scheduler->num_timesteps) return (double)scheduler->final_alpha_cumprod;
    double timestep = scheduler->timesteps[i];
    if (timestep < 0) timestep += (double)scheduler->num_betas;
    return (double)scheduler->alphas_cumprod[(size_t)timestep];
}

static const char *text_of(const cJSON *config, const char *key, const char *absent)
{
    const cJSON *item = cJSON_GetObjectItem(config, key);
    return item ? item->valuestring : absent;
}

/* What a sample of this class is of the variance-preserving one. */
static double scale(const cJSON *config, double alpha_cumprod)
{
    const char *name = text_of(config, "_class_name", "");
    bool exploding = strncmp(name, "Euler", 5) == 0; /* of the classes that the tests run so */
    return exploding ? 1 / sqrt(alpha_cumprod) : 1;
}

/* What the class takes for the model's output. */
static real told(const cJSON *config, double alpha_cumprod, struct prediction prediction)
{
    const char *type = text_of(config, "prediction_type", "epsilon");
    if (strcmp(type, "sample") == 0) return (real)prediction.original;
    if (strcmp(type, "v_prediction") == 0)
        return (
            real)(sqrt(alpha_cumprod) * prediction.epsilon - sqrt(1 - alpha_cumprod) * prediction.original);
    return (real)prediction.epsilon;
}

static struct scheduler *need_scheduler(const cJSON *config, const struct schedule_request *request)
{
    struct error error = {""};
    struct scheduler *scheduler;
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    if (status == STATUS_OK && request) status = scheduler_set_timesteps(scheduler, request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return scheduler;
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
    enum status status = STATUS_OK;
    struct scheduler *scheduler = need_scheduler(run->config, &run->request);
    real *sample = need_reals(n), *prev_sample = need_reals(n), *noise = need_reals(n);
    real *model_input = need_reals(n), *model_output = need_reals(n);

    const double first = level(scheduler, 0);
    for (size_t j = 0; j < n; j++)
        sample[j] = (real)(run->solution(run->context, first, z[j]) * scale(run->config, first));
    for (size_t i = 0; status == STATUS_OK && i < scheduler->num_timesteps; i++) {
        const double t = scheduler->timesteps[i], here = level(scheduler, i);
        const bool draws = scheduler_needs_noise(scheduler, t, &run->options);
        ck_assert_msg(!draws || run->noise, "step %zu draws", i);
        for (size_t j = 0; draws && j < n; j++) noise[j] = (real)run->noise[i * n + j];
        status = scheduler_scale_model_input(scheduler, t, sample, n, model_input, &error);
        if (status != STATUS_OK) break;
        for (size_t j = 0; j < n; j++)
            model_output[j] = told(run->config, here, run->model(run->context, here, (double)model_input[j]));
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
    for (size_t j = 0; j < n; j++) out[j] = (double)sample[j] / scale(run->config, last);

    free(sample);
    free(prev_sample);
    free(noise);
    free(model_input);
    free(model_output);
    scheduler_free(scheduler);
    return last;
}

double noise_and_step(const cJSON *config, const struct schedule_request *request,
    const double *original_samples, const double *noise, size_t size, double *prev_sample)
{
    struct error error = {""};
    struct scheduler *scheduler = need_scheduler(config, request);
    real *original = need_reals(size), *drawn = need_reals(size), *sample = need_reals(size);
    real *model_output = need_reals(size), *stepped = need_reals(size);
    const double t = scheduler->timesteps[0], here = level(scheduler, 0);

    for (size_t j = 0; j < size; j++) {
        original[j] = (real)original_samples[j];
        drawn[j] = (real)noise[j];
        model_output[j] = told(config, here, (struct prediction){(double)drawn[j], (double)original[j]});
    }
    enum status status = scheduler_add_noise(scheduler, original, drawn, &t, 1, size, sample, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    const struct step_input input = {
        .timestep = t,
        .model_output = model_output,
        .model_output_size = size,
        .sample = sample,
        .batch = 1,
        .sample_size = size,
        .options = STEP_OPTIONS_DEFAULT,
    };
    status = scheduler_step(scheduler, &input, stepped, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    for (size_t j = 0; j < size; j++) prev_sample[j] = (double)stepped[j];

    free(original);
    free(drawn);
    free(sample);
    free(model_output);
    free(stepped);
    scheduler_free(scheduler);
    return here;
}

size_t noise_schedule_of(const cJSON *config, double *alphas_cumprod, size_t capacity)
{
    struct scheduler *scheduler = need_scheduler(config, NULL);
    const size_t count = scheduler->num_betas;
    for (size_t i = 0; i < count && i < capacity; i++)
        alphas_cumprod[i] = (double)scheduler->alphas_cumprod[i];
    scheduler_free(scheduler);
    return count;
}
