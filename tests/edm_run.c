#include "sched/real.h"

#include "tests/edm_run.h"

#include "sched/generator.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if PLUMB_REAL_IS_DOUBLE
static struct scheduler *need_scheduler(const char *text, const struct schedule_request *request)
{
    struct error error = {""};
    struct scheduler *scheduler = NULL;
    cJSON *config = config_from("%s", text);
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", text, error.message);
    cJSON_Delete(config);
    return scheduler;
}

static double number_of(const char *text, const char *key, double absent)
{
    cJSON *config = config_from("%s", text);
    const cJSON *item = cJSON_GetObjectItem(config, key);
    const double number = item ? item->valuedouble : absent;
    cJSON_Delete(config);
    return number;
}

/* What the network must say for the denoiser to be exact. The level is read off the scaling of its input,
 * x / sqrt(sigma^2 + d^2), with d = sigma_data, or 1 where the class has no such option. */
static void answer(const struct gaussian_run *run, double sigma_data, const double *x, const double *input,
    size_t n, double *output)
{
    size_t largest = 0;
    for (size_t i = 1; i < n; i++)
        if (fabs(x[i]) > fabs(x[largest])) largest = i;
    const bool has_option = isfinite(sigma_data), says_data = strstr(run->config, "\"sample\"") != NULL;
    const double d = has_option ? sigma_data : 1, s2 = run->s * run->s;
    const double variance = pow(x[largest] / input[largest], 2), sigma = sqrt(variance - d * d);
    for (size_t i = 0; i < n; i++) {
        const double data = run->mu + s2 / (s2 + sigma * sigma) * (x[i] - run->mu);
        output[i] = says_data    ? data
                    : has_option ? (data - d * d / variance * x[i]) / (sigma * d / sqrt(variance))
                                 : (x[i] - data) / sigma;
    }
}

double run_gaussian(const struct gaussian_run *run, const double *z, size_t n, double *out)
{
    const struct schedule_request request = {
        .has_num_inference_steps = true, .num_inference_steps = run->steps};
    struct scheduler *scheduler = need_scheduler(run->config, &request);
    const double sigma_data = number_of(run->config, "sigma_data", (double)NAN);
    struct generator *generator = NULL;
    struct error error = {""};
    enum status status = STATUS_OK;
    double *memory = calloc(4 * n, sizeof *memory);
    ck_assert_ptr_nonnull(memory);
    double *input = memory, *output = memory + n, *noise = memory + 2 * n, *next = memory + 3 * n;
    if (run->seed) {
        const uint64_t seed = strtoull(run->seed, NULL, 10);
        status = generator_create(GENERATOR_NUMPY_PCG64, run->seed, &generator, &error);
        if (status == STATUS_OK) status = scheduler_seed_noise(scheduler, &seed, 1, &error);
    }
    const double first = scheduler->sigmas[0];
    for (size_t i = 0; i < n; i++) out[i] = run->mu + sqrt(run->s * run->s + first * first) * z[i];
    for (size_t k = 0; status == STATUS_OK && k < scheduler->num_timesteps; k++) {
        const double timestep = scheduler->timesteps[k];
        status = scheduler_scale_model_input(scheduler, timestep, out, n, input, &error);
        if (status != STATUS_OK) break;
        answer(run, sigma_data, out, input, n, output);
        const bool draws =
            !scheduler_makes_noise(scheduler) && scheduler_needs_noise(scheduler, timestep, &run->options);
        if (draws) generator_normal_f64(generator, noise, n);
        const struct step_input step = {
            .timestep = timestep,
            .model_output = output,
            .model_output_size = n,
            .sample = out,
            .batch = 1,
            .sample_size = n,
            .noise = draws ? noise : NULL,
            .options = run->options,
        };
        status = scheduler_step(scheduler, &step, next, NULL, &error);
        if (status == STATUS_OK) memcpy(out, next, n * sizeof *out);
    }
    ck_assert_msg(status == STATUS_OK, "%s: %s", run->config, error.message);
    const double last = scheduler->sigmas[scheduler->num_sigmas - 1];
    generator_free(generator);
    scheduler_free(scheduler);
    free(memory);
    return last;
}

void sigmas_made_of(const char *config, const double *given, size_t count, double *sigmas)
{
    const struct schedule_request request = {.sigmas = given, .num_sigmas = count};
    struct scheduler *scheduler = need_scheduler(config, &request);
    ck_assert_uint_eq(scheduler->num_sigmas, count + 1);
    memcpy(sigmas, scheduler->sigmas, (count + 1) * sizeof *sigmas);
    scheduler_free(scheduler);
}
#endif
