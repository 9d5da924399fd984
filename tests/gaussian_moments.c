#include "sched/real.h"
#include "tests/gaussian_moments.h"

#include "ref/perfect_model.h"
#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct scheduler *scheduler;
    const cJSON *config;
    size_t begin, n; /* elements: the mean, the first sample's deviation, and one a draw */
    double mu, s;
    real *sample, *input, *output, *noise, *stepped;
};

/* E[x_0 | x] for x = signal x_0 + noise epsilon. */
static double denoised(const struct run *run, const struct model_level *level, double x)
{
    const double spread = level->signal * run->s, variance = spread * spread + level->noise * level->noise;
    return run->mu + spread * run->s / variance * (x - level->signal * run->mu);
}

/* The first samples: on the mean at the first level, but for element 1, one deviation above. */
static enum status start(struct run *run, struct error *error)
{
    struct model_level level;
    const double timestep = run->scheduler->timesteps[run->begin];
    enum status status = model_level_at(run->scheduler, run->config, run->begin, &level, error);
    const real one = 1;
    real scaled = 1;
    if (status == STATUS_OK)
        status = scheduler_scale_model_input(run->scheduler, timestep, &one, 1, &scaled, error);
    if (status != STATUS_OK) return status;
    if (level.family == MODEL_PRECONDITIONED) scaled = 1;
    for (size_t e = 0; e < run->n; e++) {
        const double x = level.signal * run->mu + (e == 1) * hypot(level.signal * run->s, level.noise);
        run->sample[e] = (real)(x / (double)scaled);
    }
    return STATUS_OK;
}

static enum status take_step(struct run *run, size_t step, struct error *error)
{
    struct scheduler *scheduler = run->scheduler;
    const double timestep = scheduler->timesteps[step];
    const char *prediction_type = model_prediction_type(run->config);
    struct model_level level;
    enum status status = model_level_at(scheduler, run->config, step, &level, error);
    if (status == STATUS_OK)
        status = scheduler_scale_model_input(scheduler, timestep, run->sample, run->n, run->input, error);
    if (status != STATUS_OK) return status;
    for (size_t e = 0; e < run->n; e++) {
        const double x = (double)(level.family == MODEL_PRECONDITIONED ? run->sample : run->input)[e];
        run->output[e] = (real)model_answer(&level, prediction_type, x, denoised(run, &level, x));
        run->noise[e] = e == 2 + step - run->begin ? 1 : 0;
    }
    struct step_input input = {
        .timestep = timestep,
        .model_output = run->output,
        .model_output_size = 1,
        .sample = run->sample,
        .batch = run->n,
        .sample_size = 1,
        .options = STEP_OPTIONS_DEFAULT,
    };
    /* A class that makes its noise is asked for its own in the last step, where diffusers' can fail. */
    const bool own = scheduler_makes_noise(scheduler) && step + 1 == scheduler->num_timesteps;
    if (!own && scheduler_needs_noise(scheduler, timestep, &input.options)) input.noise = run->noise;
    status = scheduler_step(scheduler, &input, run->stepped, NULL, error);
    memcpy(run->sample, run->stepped, run->n * sizeof *run->sample);
    return status;
}

static struct gaussian_moments moments_of(const struct run *run)
{
    const struct scheduler *scheduler = run->scheduler;
    struct gaussian_moments moments = {.mean = (double)run->sample[0], .alpha = 1};
    double variance = 0;
    for (size_t e = 1; e < run->n; e++) {
        const double moved = (double)run->sample[e] - moments.mean;
        variance += moved * moved;
    }
    moments.deviation = sqrt(variance);
    if (scheduler->sigmas) {
        moments.sigma = (double)scheduler->sigmas[scheduler->num_sigmas - 1];
        if (scheduler->solver->flow) moments.alpha = 1 - moments.sigma;
    } else {
        const double a = (double)scheduler->final_alpha_cumprod;
        moments.alpha = sqrt(a);
        moments.sigma = sqrt(1 - a);
    }
    return moments;
}

enum status REAL_NAME(gaussian_moments)(const cJSON *config, const struct schedule_request *request,
    size_t begin, double mu, double s, struct gaussian_moments *moments, struct error *error)
{
    struct run run = {.config = config, .begin = begin, .mu = mu, .s = s};
    real *memory = NULL;
    const uint64_t seed = 0;
    enum status status = scheduler_create(config, &run.scheduler, NULL, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(run.scheduler, request, NULL, error);
    if (status == STATUS_OK) status = scheduler_seed_noise(run.scheduler, &seed, 1, error);
    if (status == STATUS_OK) {
        scheduler_set_begin_index(run.scheduler, (int)begin);
        run.n = 2 + run.scheduler->num_timesteps - begin;
        memory = calloc(5 * run.n, sizeof *memory);
        if (!memory) status = error_memory(error, 5 * run.n * sizeof *memory);
    }
    if (status == STATUS_OK) {
        run.sample = memory;
        run.input = memory + run.n;
        run.output = memory + 2 * run.n;
        run.noise = memory + 3 * run.n;
        run.stepped = memory + 4 * run.n;
        status = start(&run, error);
    }
    for (size_t i = begin; status == STATUS_OK && i < run.scheduler->num_timesteps; i++)
        status = take_step(&run, i, error);
    if (status == STATUS_OK) *moments = moments_of(&run);
    scheduler_free(run.scheduler);
    free(memory);
    return status;
}
