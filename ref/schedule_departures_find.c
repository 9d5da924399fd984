/*
 * The two semantics side by side: their timesteps and sigmas, and what their steps make of the same sample,
 * model output and noise, which are drawn anew for each step. So a step that is not linear (clip_sample,
 * thresholding) is compared like any other.
 */
#include "sched/real.h"
#include "schedule_departures.h"

#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of one schedule that differ by less than rounding moves them are the same. */
#define TOLERANCE 1e-5

enum { PROBES = 32 };

static bool differ(double a, double b, double scale)
{
    if (isnan(a) || isnan(b)) return isnan(a) != isnan(b);
    if (isinf(a) || isinf(b)) return a != b;
    return fabs(a - b) > TOLERANCE * scale;
}

static bool entries_differ(double a, double b)
{
    return differ(a, b, fmax(fabs(a), fabs(b)));
}

/* The schedule of `config` in the semantics. */
static enum status make(const cJSON *config, const struct schedule_request *request, const char *semantics,
    struct scheduler **scheduler, struct error *error)
{
    *scheduler = NULL;
    cJSON *copy = cJSON_Duplicate(config, true);
    if (!copy) return error_memory(error, sizeof *copy);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "_semantics");
    enum status status = STATUS_OK;
    if (!cJSON_AddStringToObject(copy, "_semantics", semantics)) status = error_memory(error, sizeof *copy);
    if (status == STATUS_OK) status = scheduler_create(copy, scheduler, NULL, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(*scheduler, request, NULL, error);
    const uint64_t seed = 0; /* of the classes that make their noise */
    if (status == STATUS_OK) status = scheduler_seed_noise(*scheduler, &seed, 1, error);
    cJSON_Delete(copy);
    if (status == STATUS_OK) scheduler_set_begin_index(*scheduler, 0);
    return status;
}

/* --- Tables ------------------------------------------------------------------------------- */

static bool sigma_differs(const struct scheduler *a, const struct scheduler *b, size_t i)
{
    if (!a->sigmas || !b->sigmas) return false;
    const bool in_a = i < a->num_sigmas, in_b = i < b->num_sigmas;
    if (!in_a || !in_b) return in_a != in_b;
    return entries_differ((double)a->sigmas[i], (double)b->sigmas[i]);
}

static unsigned signs_of_tables(const struct scheduler *a, const struct scheduler *b, size_t row)
{
    unsigned signs = 0;
    if (row >= a->num_timesteps || row >= b->num_timesteps) return DEPARTS_IN_COUNT;
    if (entries_differ(a->timesteps[row], b->timesteps[row])) signs |= DEPARTS_IN_TIMESTEP;
    if (sigma_differs(a, b, row) || sigma_differs(a, b, row + 1)) signs |= DEPARTS_IN_SIGMA;
    const bool last_of_one = row + 1 >= a->num_timesteps || row + 1 >= b->num_timesteps;
    if (a->num_timesteps != b->num_timesteps && last_of_one) signs |= DEPARTS_IN_COUNT;
    return signs;
}

/* --- Steps -------------------------------------------------------------------------------- */

struct probe {
    real sample[PROBES], model_output[PROBES], noise[PROBES], prev_sample[PROBES];
};

/* Numbers between -2 and 2, spread by the golden ratio, others for each step and each of the three. */
static void fill_probe(struct probe *probe, size_t row)
{
    for (size_t i = 0; i < PROBES; i++) {
        const double place = (double)(3 * PROBES * row + 3 * i), ratio = 0.6180339887498949;
        probe->sample[i] = (real)(4 * fmod((place + 1) * ratio, 1) - 2);
        probe->model_output[i] = (real)(4 * fmod((place + 2) * ratio, 1) - 2);
        probe->noise[i] = (real)(4 * fmod((place + 3) * ratio, 1) - 2);
    }
}

static enum status probe_step(
    struct scheduler *scheduler, size_t row, struct probe *probe, struct error *error)
{
    struct step_input input = {
        .timestep = scheduler->timesteps[row],
        .model_output = probe->model_output,
        .model_output_size = PROBES,
        .sample = probe->sample,
        .batch = 1,
        .sample_size = PROBES,
        .options = STEP_OPTIONS_DEFAULT,
    };
    fill_probe(probe, row);
    /* Of a Brownian path only the last step is asked for, where it can fail: the rest of it is another one
     * for other sigmas. */
    const bool own = scheduler_makes_noise(scheduler) && row + 1 == scheduler->num_timesteps;
    if (!own && scheduler_needs_noise(scheduler, input.timestep, &input.options)) input.noise = probe->noise;
    return scheduler_step(scheduler, &input, probe->prev_sample, NULL, error);
}

static bool steps_differ(const struct probe *a, const struct probe *b)
{
    double scale = 0;
    for (size_t i = 0; i < PROBES; i++) {
        if (isfinite((double)a->prev_sample[i])) scale = fmax(scale, fabs((double)a->prev_sample[i]));
        if (isfinite((double)b->prev_sample[i])) scale = fmax(scale, fabs((double)b->prev_sample[i]));
    }
    for (size_t i = 0; i < PROBES; i++)
        if (differ((double)a->prev_sample[i], (double)b->prev_sample[i], scale)) return true;
    return false;
}

/* Steps both as far as both can; a step that only one of them refuses differs, and ends the comparison. */
static enum status compare_steps(
    struct scheduler *a, struct scheduler *b, struct schedule_table *table, int *orders, struct error *error)
{
    struct probe of_a, of_b;
    for (size_t i = 0; i < table->count && i < a->num_timesteps && i < b->num_timesteps; i++) {
        const enum status status_a = probe_step(a, i, &of_a, error);
        if (status_a == STATUS_MACHINE) return status_a;
        const enum status status_b = probe_step(b, i, &of_b, error);
        if (status_b == STATUS_MACHINE) return status_b;
        orders[i] = a->step_order > b->step_order ? a->step_order : b->step_order;
        if ((status_a == STATUS_OK) != (status_b == STATUS_OK)) table->signs[i] |= DEPARTS_IN_STEP;
        if (status_a != STATUS_OK || status_b != STATUS_OK) return STATUS_OK;
        if (steps_differ(&of_a, &of_b)) table->signs[i] |= DEPARTS_IN_STEP;
    }
    return STATUS_OK;
}

/* Every option of the class, given or default. */
static enum status whole_config(const struct scheduler *scheduler, cJSON **options, struct error *error)
{
    char *text = NULL;
    const struct solver *solver = scheduler->solver;
    enum status status = config_write(scheduler->config, solver->class_name, solver->options, &text, error);
    if (status != STATUS_OK) return status;
    status = json_parse(text, strlen(text), "config", options, error);
    free(text);
    return status;
}

enum status REAL_NAME(schedule_departures_find)(const cJSON *config, const struct schedule_request *request,
    struct schedule_table *table, struct error *error)
{
    struct scheduler *actual = NULL, *documented = NULL;
    cJSON *options = NULL;
    const size_t count = table->count ? table->count : 1;
    table->signs = calloc(count, sizeof *table->signs);
    table->departures = calloc(count, sizeof *table->departures);
    int *orders = calloc(count, sizeof *orders);
    enum status status =
        table->signs && table->departures && orders ? STATUS_OK : error_memory(error, count * sizeof *orders);
    if (status == STATUS_OK) status = make(config, request, "diffusers", &actual, error);
    if (status == STATUS_OK) status = make(config, request, "documented", &documented, error);
    const bool refused = status == STATUS_BAD_INPUT; /* by one of the two */
    if (refused) status = STATUS_OK;
    if (status == STATUS_OK && !refused) {
        for (size_t i = 0; i < table->count; i++)
            table->signs[i] = (unsigned char)signs_of_tables(actual, documented, i);
        status = compare_steps(actual, documented, table, orders, error);
        if (status == STATUS_OK) status = whole_config(actual, &options, error);
        for (size_t i = 0; status == STATUS_OK && i < table->count; i++)
            table->departures[i] = departures_that_explain(options, request, table->signs[i], orders[i]);
    }
    cJSON_Delete(options);
    scheduler_free(actual);
    scheduler_free(documented);
    free(orders);
    return status;
}
