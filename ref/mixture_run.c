#include "sched/real.h"
#include "mixture.h"
#include "perfect_model.h"

#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define mixture_sample REAL_NAME(mixture_sample)

/* The perfect model's answer to `model_input` [2] in the class's own terms. */
static void answer(const struct model_level *level, const char *prediction_type, const real *sample,
    const real *model_input, real *model_output)
{
    const real *seen = level->family == MODEL_PRECONDITIONED ? sample : model_input;
    const double x[2] = {(double)seen[0], (double)seen[1]};
    double x0[2];
    mixture_denoise(level->signal, level->noise, x, x0);
    for (size_t i = 0; i < 2; i++) model_output[i] = (real)model_answer(level, prediction_type, x[i], x0[i]);
}

/* One run's memory: [points, 2] each. */
struct buffers {
    real *sample, *model_input, *model_output, *noise, *prev_sample;
    double *draw;
};

static enum status take_step(struct scheduler *scheduler, const cJSON *config, size_t step,
    const struct step_options *options, struct generator *generator, size_t points, struct buffers *b,
    double *positions, struct error *error)
{
    const double timestep = scheduler->timesteps[step];
    const char *prediction_type = model_prediction_type(config);
    const size_t n = 2 * points;
    struct model_level level;
    enum status status = model_level_at(scheduler, config, step, &level, error);
    if (status == STATUS_OK)
        status = scheduler_scale_model_input(scheduler, timestep, b->sample, n, b->model_input, error);
    if (status != STATUS_OK) return status;
    for (size_t p = 0; p < points; p++)
        answer(&level, prediction_type, b->sample + 2 * p, b->model_input + 2 * p, b->model_output + 2 * p);
    for (size_t i = 0; i < n; i++) positions[i] = (double)b->model_input[i] * level.input_scale;

    struct step_input input = {
        .timestep = timestep,
        .model_output = b->model_output,
        .model_output_size = 2,
        .sample = b->sample,
        .batch = points,
        .sample_size = 2,
        .options = *options,
    };
    if (!scheduler_makes_noise(scheduler) && scheduler_needs_noise(scheduler, timestep, options)) {
        generator_normal_f64(generator, b->draw, n);
        for (size_t i = 0; i < n; i++) b->noise[i] = (real)b->draw[i];
        input.noise = b->noise;
    }
    status = scheduler_step(scheduler, &input, b->prev_sample, NULL, error);
    real *stepped = b->prev_sample;
    b->prev_sample = b->sample;
    b->sample = stepped;
    return status;
}

/* The mixture reaches beyond what latents of pictures between -1 and 1 do. */
static void warn_of_clipping(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct scheduler_config *config = scheduler->config;
    if (config->clip_sample && config->clip_sample_range < 2)
        warnings_add(warnings,
            "clip_sample: true, so %s cuts the data that it predicts at %g, and the mixture lies beyond; "
            "--set clip_sample=false, as Stable Diffusion has it",
            scheduler_name(scheduler), config->clip_sample_range);
}

enum status mixture_sample(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, struct generator *generator, size_t points,
    struct mixture_paths *paths, struct warnings *warnings, struct error *error)
{
    const size_t n = 2 * points;
    struct scheduler *scheduler = NULL;
    real *memory = calloc(5 * n, sizeof *memory);
    double *draw = calloc(n, sizeof *draw);
    *paths = (struct mixture_paths){.points = points};
    enum status status = memory && draw ? STATUS_OK : error_memory(error, 5 * n * sizeof *memory);
    if (status == STATUS_OK) status = scheduler_create(config, &scheduler, warnings, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, warnings, error);
    if (status != STATUS_OK) goto done;
    warn_of_clipping(scheduler, warnings);
    scheduler_set_begin_index(scheduler, 0);

    paths->steps = scheduler->num_timesteps;
    paths->positions = calloc((paths->steps + 1) * n, sizeof *paths->positions);
    if (!paths->positions) {
        status = error_memory(error, (paths->steps + 1) * n * sizeof *paths->positions);
        goto done;
    }
    struct buffers b = {memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n, draw};
    generator_normal_f64(generator, draw, n);
    const uint64_t seed = (uint64_t)(fabs(draw[0]) * 0x1p40); /* of a noise that the class makes */
    status = scheduler_seed_noise(scheduler, &seed, 1, error);
    for (size_t i = 0; i < n; i++) b.sample[i] = (real)(draw[i] * scheduler->init_noise_sigma);
    for (size_t step = 0; status == STATUS_OK && step < paths->steps; step++)
        status = take_step(
            scheduler, config, step, options, generator, points, &b, paths->positions + step * n, error);
    for (size_t i = 0; i < n; i++) paths->positions[paths->steps * n + i] = (double)b.sample[i];
done:
    scheduler_free(scheduler);
    free(memory);
    free(draw);
    if (status != STATUS_OK) mixture_paths_free(paths);
    return status;
}
