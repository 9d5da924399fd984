#include "k_dpm_2.h"
#include "noise_schedule.h"
#include "real.h"
#include "second_order.h"
#include "sigma_kinds.h"
#include "sigma_schedule.h"
#include "sigmas.h"

#include <math.h>
#include <stdlib.h>

/* exp of the mean of two logarithms, in the order in which torch.lerp takes it: nearest to `to`. */
static real half_way(real from, real to)
{
    const real log_from = real_log(from), log_to = real_log(to);
    return real_exp(log_to - (log_to - log_from) * (real)0.5);
}

struct k_dpm_2_step {
    real sigma_interpol, sigma_end, sigma_up;
};

/* The step that ends at sigmas[to], to > 0; the last, to 0, has its middle there. */
static struct k_dpm_2_step plain_step(const real *sigmas, size_t to)
{
    return (struct k_dpm_2_step){half_way(sigmas[to], sigmas[to - 1]), sigmas[to], 0};
}

/* The step that begins at sigmas[from], of `n` steps. */
static struct k_dpm_2_step ancestral_step_at(
    const struct scheduler *scheduler, const real *sigmas, size_t from, size_t n)
{
    const struct ancestral_step split =
        ancestral_split(scheduler, sigmas[from], from < n ? sigmas[from + 1] : 0);
    return (struct k_dpm_2_step){
        .sigma_interpol = from + 1 < n ? half_way(sigmas[from], split.sigma_down) : 0,
        .sigma_end = from < n ? split.sigma_down : 0,
        .sigma_up = split.sigma_up,
    };
}

/* The tables [places] for the schedule sigmas [n + 1], n > 0. A run that begins at the entry of a middle, and
 * so in the middle of a step, finds there what diffusers finds. */
static void fill_tables(const struct scheduler *scheduler, const real *sigmas, size_t n, bool ancestral,
    real *tables, size_t places)
{
    for (size_t i = 0; i < places; i++) {
        const struct k_dpm_2_step step =
            ancestral ? ancestral_step_at(scheduler, sigmas, second_order_place(i, n + 1), n)
                      : plain_step(sigmas, second_order_place(i + 1, n + 1));
        tables[i] = step.sigma_interpol;
        tables[places + i] = step.sigma_end;
        tables[2 * places + i] = step.sigma_up;
    }
}

/* The timesteps of the calls from those of the steps, those of the middles from their sigmas. Karras's are
 * rounded, those of the middles are not. */
static void fill_timesteps(const struct scheduler *scheduler, const struct sigma_schedule *schedule,
    const struct sigma_table *table, const real *interpol, double *timesteps)
{
    const bool rounds = scheduler->config->use_karras_sigmas && scheduler->semantics == SEMANTICS_DIFFUSERS;
    for (size_t i = 0; i < schedule->count; i++) {
        const double timestep = schedule->timesteps[i];
        timesteps[2 * i] = rounds ? nearbyint(timestep) : timestep;
        if (i + 1 < schedule->count)
            timesteps[2 * i + 1] = (double)sigma_to_t_rounded(table, interpol[2 * i]);
    }
}

static enum status take(struct scheduler *scheduler, bool ancestral, const struct sigma_schedule *schedule,
    const struct sigma_table *table, struct error *error)
{
    struct k_dpm_2_state *state = scheduler->state;
    const size_t n = schedule->count, places = 2 * n + 2, calls = n ? 2 * n - 1 : 0;
    real *once = sigma_schedule_rounded(schedule, 0);
    real *sigmas = once ? second_order_sigmas(once, n + 1, places) : NULL;
    real *tables = calloc(3 * places, sizeof *tables);
    double *timesteps = malloc((calls ? calls : 1) * sizeof *timesteps);
    if (!sigmas || !tables || !timesteps) {
        free(once);
        free(sigmas);
        free(tables);
        free(timesteps);
        return error_memory(error, 3 * places * sizeof *timesteps);
    }
    if (n) fill_tables(scheduler, once, n, ancestral, tables, places);
    fill_timesteps(scheduler, schedule, table, tables, timesteps);
    free(once);

    free(state->tables);
    state->tables = tables;
    state->count = places;
    history_clear(&state->began);
    scheduler_take_sigmas(scheduler, sigmas, places);
    scheduler_take_timesteps(
        scheduler, timesteps, calls, sigma_kind_of(scheduler->config) ? TIMESTEP_FLOAT64 : TIMESTEP_FLOAT32);
    scheduler->num_inference_steps = (int)schedule->num_inference_steps;
    sigmas_set_init_noise(scheduler);
    return STATUS_OK;
}

enum status k_dpm_2_set_timesteps(
    struct scheduler *scheduler, bool ancestral, const struct schedule_request *request, struct error *error)
{
    struct sigma_table table = {0};
    struct sigma_schedule schedule = {0};
    enum status status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = sigma_schedule_make(scheduler, request, &table, &schedule, error);
    if (status == STATUS_OK) status = take(scheduler, ancestral, &schedule, &table, error);
    sigma_schedule_free(&schedule);
    sigma_table_free(&table);
    return status;
}

enum status k_dpm_2_create(
    struct scheduler *scheduler, bool ancestral, struct warnings *warnings, struct error *error)
{
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    const struct schedule_request whole = {
        .has_num_inference_steps = true, .num_inference_steps = scheduler->num_train_timesteps};
    return k_dpm_2_set_timesteps(scheduler, ancestral, &whole, error); /* as diffusers leaves it */
}
