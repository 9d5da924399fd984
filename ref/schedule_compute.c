#include "sched/real.h"
#include "schedule_departures.h"
#include "schedule_table.h"

#include "sched/integer_steps.h"
#include "sched/noise_schedule.h"
#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Columns ------------------------------------------------------------------------------ */

/* The classes with sigmas: the list itself, and what follows from each. */
static void fill_from_sigmas(const struct scheduler *scheduler, struct schedule_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        double sigma = (double)scheduler->sigmas[i];
        double signal = table->flow ? 1 - sigma : 1;
        table->sigmas[i] = sigma;
        table->alphas_cumprod[i] = table->flow ? signal * signal : 1 / (1 + sigma * sigma);
        table->log_snrs[i] = 2 * log(signal / sigma);
    }
    table->sigmas[table->count] =
        table->count < scheduler->num_sigmas ? (double)scheduler->sigmas[table->count] : (double)NAN;
}

/* alphas_cumprod as DDIM looks it up: past the last timestep it is the final one. */
static double alpha_cumprod_after(const struct scheduler *scheduler, double timestep)
{
    if (timestep < 0) return (double)scheduler->final_alpha_cumprod;
    size_t last = scheduler->num_betas - 1;
    return (double)scheduler->alphas_cumprod[timestep > (double)last ? last : (size_t)timestep];
}

static double sigma_of(double alpha_cumprod)
{
    return sqrt((1 - alpha_cumprod) / alpha_cumprod);
}

static enum status fill_from_alphas(
    const struct scheduler *scheduler, struct schedule_table *table, struct error *error)
{
    for (size_t i = 0; i < table->count; i++) {
        real alpha_cumprod;
        enum status status = alphas_cumprod_at(scheduler, table->timesteps[i], &alpha_cumprod, error);
        if (status != STATUS_OK) return status;
        double alpha = (double)alpha_cumprod;
        table->alphas_cumprod[i] = alpha;
        table->sigmas[i] = sigma_of(alpha);
        table->log_snrs[i] = log(alpha / (1 - alpha));
    }
    table->sigmas[table->count] = sigma_of((double)scheduler->final_alpha_cumprod);
    if (!table->previous_timesteps) return STATUS_OK;
    for (size_t i = 0; i < table->count; i++) {
        double *previous = &table->previous_timesteps[i];
        enum status status = integer_steps_next(scheduler, table->timesteps[i], previous, error);
        if (status != STATUS_OK) return status;
        table->previous_alphas_cumprod[i] = alpha_cumprod_after(scheduler, *previous);
    }
    return STATUS_OK;
}

/* The classes that have neither: as the solver says. */
static void fill_from_levels(const struct scheduler *scheduler, struct schedule_table *table)
{
    for (size_t i = 0; i <= table->count; i++) {
        double alpha = 0, sigma = 0;
        scheduler->solver->level_at(scheduler, i, &alpha, &sigma);
        table->sigmas[i] = sigma / alpha;
        if (i == table->count) break;
        table->alphas_cumprod[i] = alpha * alpha;
        table->log_snrs[i] = 2 * log(alpha / sigma);
    }
}

static enum status fill_columns(
    const struct scheduler *scheduler, bool flow, struct schedule_table *table, struct error *error)
{
    bool is_ddim =
        strcmp(scheduler_name(scheduler), "DDIMScheduler") == 0 && scheduler->num_inference_steps > 0;
    table->is_f32 = sizeof(real) == sizeof(float);
    table->count = scheduler->num_timesteps;
    table->has_sigmas = scheduler->sigmas != NULL;
    table->flow = flow;
    table->init_noise_sigma = scheduler->init_noise_sigma;
    table->init_noise_sigma_is_f32 = scheduler->init_noise_sigma_is_f32;
    double **columns[] = {&table->timesteps, &table->sigmas, &table->alphas_cumprod, &table->log_snrs,
        &table->previous_timesteps, &table->previous_alphas_cumprod};
    for (size_t i = 0; i < (is_ddim ? 6 : 4); i++) {
        *columns[i] = calloc(table->count + 1, sizeof(double));
        if (!*columns[i]) return error_memory(error, (table->count + 1) * sizeof(double));
    }
    for (size_t i = 0; i < table->count; i++) table->timesteps[i] = scheduler->timesteps[i];
    if (scheduler->solver->level_at) {
        fill_from_levels(scheduler, table);
        return STATUS_OK;
    }
    if (!table->has_sigmas) return fill_from_alphas(scheduler, table, error);
    if (scheduler->num_sigmas < table->count)
        return error_input(error, "%zu timesteps but %zu sigmas", table->count, scheduler->num_sigmas);
    fill_from_sigmas(scheduler, table);
    return STATUS_OK;
}

/* --- Coefficients ------------------------------------------------------------------------- */

/* Every element of a sample goes its own way through a linear solver. So one pass through the schedule, over
 * a sample with 3 elements a step, finds all coefficients: element 3j has a 1 as step j's sample, 3j+1 as its
 * model output, 3j+2 as its noise, and zeros everywhere else. What step i makes of element 3j is its
 * coefficient for the sample i-j steps ago. One element more has a large number everywhere, and shows whether
 * the step is linear. */

#define PROBE 512.0

struct impulses {
    size_t count; /* elements */
    real *sample, *model_output, *noise, *prev_sample;
};

static void set_impulses(struct impulses *v, size_t step)
{
    for (size_t e = 0; e < v->count; e++) {
        v->sample[e] = e == 3 * step ? 1 : 0;
        v->model_output[e] = e == 3 * step + 1 ? 1 : 0;
        v->noise[e] = e == 3 * step + 2 ? 1 : 0;
    }
    v->sample[v->count - 1] = v->model_output[v->count - 1] = v->noise[v->count - 1] = (real)PROBE;
}

static enum status take_coefficients(
    const struct impulses *v, size_t step, struct step_coefficients *coefficients, struct error *error)
{
    const double tolerance = sizeof(real) == sizeof(float) ? 1e-4 : 1e-10;
    double sum = 0, size = 0;
    for (size_t j = 0; j <= step; j++) {
        size_t lag = step - j;
        double of_sample = (double)v->prev_sample[3 * j], of_output = (double)v->prev_sample[3 * j + 1];
        if (lag < SCHEDULE_HISTORY) {
            coefficients->sample[lag] = of_sample;
            coefficients->model_output[lag] = of_output;
        }
        sum += of_sample + of_output;
        size += fabs(of_sample) + fabs(of_output);
        if (lag >= SCHEDULE_HISTORY && (of_sample != 0 || of_output != 0))
            return error_input(error, "coefficients: step %zu looks back %zu steps", step, lag);
    }
    coefficients->noise = (double)v->prev_sample[3 * step + 2];
    sum += coefficients->noise;
    size += fabs(coefficients->noise);
    double probe = (double)v->prev_sample[v->count - 1] / PROBE;
    if (!(fabs(probe - sum) <= tolerance * size))
        return error_input(error,
            "coefficients: step %zu is no linear combination (clip_sample, thresholding, or a division by "
            "zero)",
            step);
    return STATUS_OK;
}

static enum status fill_coefficients(
    struct scheduler *scheduler, struct schedule_table *table, struct error *error)
{
    enum { MOST_STEPS = 2000 }; /* the work grows with the square of the steps */
    size_t steps = table->count;
    if (steps == 0 || steps > MOST_STEPS)
        return error_input(error, "coefficients: for 1 to %d steps, not %zu", MOST_STEPS, steps);
    struct impulses v = {.count = 3 * steps + 1};
    size_t bytes = 4 * v.count * sizeof(real);
    v.sample = calloc(4 * v.count, sizeof(real));
    table->coefficients = calloc(steps, sizeof *table->coefficients);
    enum status status = v.sample && table->coefficients ? STATUS_OK : error_memory(error, bytes);
    v.model_output = v.sample + v.count;
    v.noise = v.model_output + v.count;
    v.prev_sample = v.noise + v.count;
    int evaluations = 0;
    for (size_t i = 0; status == STATUS_OK && i < steps; i++) {
        struct step_input input = {
            .timestep = scheduler->timesteps[i],
            .model_output = v.model_output,
            .model_output_size = v.count,
            .sample = v.sample,
            .batch = 1,
            .sample_size = v.count,
            .options = STEP_OPTIONS_DEFAULT,
        };
        set_impulses(&v, i);
        if (scheduler_needs_noise(scheduler, input.timestep, &input.options)) input.noise = v.noise;
        status = scheduler_step(scheduler, &input, v.prev_sample, NULL, error);
        if (status == STATUS_OK) status = take_coefficients(&v, i, &table->coefficients[i], error);
        evaluations += scheduler_correct_steps(scheduler) + 1;
        table->coefficients[i].order = scheduler->step_order;
        table->coefficients[i].evaluations = evaluations;
    }
    free(v.sample);
    return status;
}

enum status REAL_NAME(schedule_table_make)(const cJSON *config, const struct schedule_request *request,
    bool with_coefficients, struct schedule_table *table, struct warnings *warnings, struct error *error)
{
    *table = (struct schedule_table){0};
    struct scheduler *scheduler = NULL;
    bool flow = false;
    enum status status = json_get_bool(config, "use_flow_sigmas", &flow, NULL, error);
    if (status == STATUS_OK) status = scheduler_create(config, &scheduler, warnings, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, warnings, error);
    if (status == STATUS_OK) status = fill_columns(scheduler, flow || scheduler->solver->flow, table, error);
    if (status == STATUS_OK && with_coefficients) {
        scheduler_set_begin_index(scheduler, 0);
        status = fill_coefficients(scheduler, table, error);
    }
    scheduler_free(scheduler);
    if (status == STATUS_OK) status = REAL_NAME(schedule_departures_find)(config, request, table, error);
    if (status != STATUS_OK) schedule_table_free(table);
    return status;
}
