#include "sched/real.h"
#include "mixture.h"

#include "sched/edm.h"
#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define mixture_sample REAL_NAME(mixture_sample)

/* What a model of the class's family is given at a step, and how it answers. */
struct model_level {
    enum { VARIANCE_PRESERVING, FLOW_MATCHING, PRECONDITIONED } family;
    double signal, noise; /* the model's input is signal x_0 + noise epsilon; PRECONDITIONED: the sample is */
    double c_skip, c_out; /* PRECONDITIONED: x_0 = c_skip sample + c_out model_output */
    double input_scale;   /* from the model's input to the scale of the picture */
};

static const char *text_of(const cJSON *config, const char *key, const char *absent)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, key));
    return text ? text : absent;
}

/* sigma of training at a timestep that may lie between two, by linear interpolation, as the classes with
 * sigmas do it; a negative one counts from the end, as in Python. */
static double training_sigma(const struct scheduler *scheduler, double timestep)
{
    const double last = (double)(scheduler->num_betas - 1);
    if (timestep < 0) timestep += last + 1;
    timestep = fmin(fmax(timestep, 0), last);
    const size_t below = (size_t)floor(timestep), above = (size_t)ceil(timestep);
    const double a = (double)scheduler->alphas_cumprod[below], b = (double)scheduler->alphas_cumprod[above];
    const double sigma_below = sqrt((1 - a) / a), sigma_above = sqrt((1 - b) / b);
    if (below == above) return sigma_below;
    return sigma_below + (timestep - (double)below) * (sigma_above - sigma_below);
}

/* The models of EDM (Karras et al. 2022, table 1) see sample / sqrt(sigma^2 + sigma_data^2). */
static struct model_level preconditioned(const struct scheduler *scheduler, double sigma)
{
    const double sigma_data = edm_config_of(scheduler)->sigma_data;
    const double total = sigma * sigma + sigma_data * sigma_data;
    const bool predicts_v = option_is(scheduler->config->prediction_type, "v_prediction");
    return (struct model_level){
        .family = PRECONDITIONED,
        .signal = 1,
        .noise = sigma,
        .c_skip = sigma_data * sigma_data / total,
        .c_out = (predicts_v ? -1 : 1) * sigma * sigma_data / sqrt(total),
        .input_scale = sigma_data,
    };
}

static enum status level_at(const struct scheduler *scheduler, const cJSON *config, size_t step,
    struct model_level *level, struct error *error)
{
    const double timestep = scheduler->timesteps[step];
    const char *name = scheduler_name(scheduler);
    const bool flow =
        scheduler->solver->flow || strcmp(text_of(config, "prediction_type", ""), "flow_prediction") == 0;
    *level = (struct model_level){.family = VARIANCE_PRESERVING, .input_scale = 1};
    if (flow) {
        level->family = FLOW_MATCHING;
        level->noise = timestep / scheduler->num_train_timesteps;
        level->signal = 1 - level->noise;
    } else if (scheduler->alphas_cumprod) {
        const double sigma = training_sigma(scheduler, timestep);
        level->signal = 1 / sqrt(1 + sigma * sigma);
        level->noise = isinf(sigma) ? 1 : sigma * level->signal;
    } else if (strncmp(name, "EDM", 3) == 0 || strncmp(name, "Cosine", strlen("Cosine")) == 0) {
        *level = preconditioned(scheduler, (double)scheduler->sigmas[step]);
    } else {
        return error_input(
            error, "%s: no picture of it can be drawn, since its model is not a denoiser", name);
    }
    return STATUS_OK;
}

/* The perfect model's answer to `model_input` [2] in the class's own terms. */
static void answer(const struct model_level *level, const char *prediction_type, const real *sample,
    const real *model_input, real *model_output)
{
    const bool edm = level->family == PRECONDITIONED;
    const double x[2] = {(double)(edm ? sample : model_input)[0], (double)(edm ? sample : model_input)[1]};
    double x0[2];
    mixture_denoise(level->signal, level->noise, x, x0);
    for (size_t i = 0; i < 2; i++) {
        const double epsilon = (x[i] - level->signal * x0[i]) / level->noise;
        double output = epsilon;
        if (edm)
            output = (x0[i] - level->c_skip * x[i]) / level->c_out;
        else if (level->family == FLOW_MATCHING)
            output = epsilon - x0[i];
        else if (strcmp(prediction_type, "sample") == 0)
            output = x0[i];
        else if (strcmp(prediction_type, "v_prediction") == 0)
            output = level->signal * epsilon - level->noise * x0[i];
        model_output[i] = (real)output;
    }
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
    const char *prediction_type = text_of(config, "prediction_type", "epsilon");
    const size_t n = 2 * points;
    struct model_level level;
    enum status status = level_at(scheduler, config, step, &level, error);
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
