#include "sigma_schedule.h"
#include "noise_schedule.h"
#include "real.h"
#include "sigma_kinds.h"
#include "solver.h"
#include "timesteps.h"

#include <math.h>
#include <stdlib.h>

/* --- The constructor ---------------------------------------------------------------------- */

enum status sigma_schedule_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    enum status status = sigma_kinds_check(config, error);
    if (status == STATUS_OK) status = noise_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    if (config->rescale_betas_zero_snr) noise_schedule_avoid_zero(scheduler);
    warn_of_sigma_range(scheduler, warnings);
    return STATUS_OK;
}

void warn_of_sigma_range(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct scheduler_config *config = scheduler->config;
    const char *name = scheduler_name(scheduler);
    bool own = config->sigma_min.given || config->sigma_max.given;
    bool inherited = config->inherited_sigma_min.given || config->inherited_sigma_max.given;
    if ((own || inherited) && !sigma_kind_of(config))
        warnings_add(warnings,
            "options sigma_min and sigma_max are ignored by %s without Karras, exponential or beta sigmas",
            name);
    else if (inherited && (scheduler->semantics == SEMANTICS_DOCUMENTED ||
                              (config->use_karras_sigmas && scheduler->solver->karras_is_as_spaced)))
        warnings_add(warnings, "options sigma_min and sigma_max are ignored by %s", name);
    else if (inherited)
        warnings_add(warnings,
            "options sigma_min and sigma_max are not those of %s, but a config that has them sets the range "
            "of its sigmas in diffusers",
            name);
}

enum status sigma_schedule_of_training(
    struct scheduler *scheduler, enum timestep_dtype dtype, struct error *error)
{
    size_t n = (size_t)scheduler->num_train_timesteps, num_betas = scheduler->num_betas;
    double *timesteps = timesteps_of_training(n);
    real *sigmas = malloc((num_betas + 1) * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, n * sizeof *timesteps);
    }
    for (size_t i = 0; i < num_betas; i++) sigmas[i] = sigma_of(scheduler->alphas_cumprod[num_betas - 1 - i]);
    sigmas[num_betas] = 0;
    scheduler_take_timesteps(scheduler, timesteps, n, dtype);
    scheduler_take_sigmas(scheduler, sigmas, num_betas + 1);
    sigmas_set_init_noise(scheduler);
    return STATUS_OK;
}

enum status sigma_schedule_check_timesteps(const struct scheduler_config *config, struct error *error)
{
    const char *kind = sigma_kind_of(config);
    if (!kind) return STATUS_OK;
    return error_input(error,
        "timesteps: custom ones cannot be used with %s = true, which brings timesteps of its own", kind);
}

/* --- The stages --------------------------------------------------------------------------- */

/* The timesteps from the spacing, or the custom ones: [count], allocated. */
static enum status spaced_or_custom(const struct scheduler *scheduler, const struct schedule_request *request,
    double **timesteps, size_t *count, struct error *error)
{
    if (!request->timesteps) {
        const struct spacing spacing = {
            .timestep_spacing = scheduler->config->timestep_spacing,
            .num_train_timesteps = scheduler->num_train_timesteps,
            .last_timestep = scheduler->num_train_timesteps,
            .num_inference_steps = request->num_inference_steps,
            .steps_offset = scheduler->config->steps_offset,
            .fractional = true,
            .no_extra_step = scheduler->semantics == SEMANTICS_DOCUMENTED,
        };
        return timesteps_spaced(&spacing, timesteps, count, error);
    }
    *count = request->num_timesteps;
    *timesteps = malloc((*count ? *count : 1) * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, *count * sizeof **timesteps);
    for (size_t i = 0; i < *count; i++) (*timesteps)[i] = request->timesteps[i];
    return STATUS_OK;
}

enum status sigma_schedule_space(const struct scheduler *scheduler, const struct schedule_request *request,
    struct sigma_schedule *schedule, struct error *error)
{
    double *timesteps = NULL;
    size_t count = 0;
    size_t n = request->timesteps ? request->num_timesteps : (size_t)request->num_inference_steps;
    enum status status = spaced_or_custom(scheduler, request, &timesteps, &count, error);
    if (status != STATUS_OK) return status;

    const size_t bytes = ((count > n ? count : n) + 1) * sizeof *timesteps;
    schedule->num_inference_steps = n;
    schedule->count = count;
    schedule->sigmas = malloc(bytes);
    schedule->timesteps = realloc(timesteps, bytes);
    if (!schedule->timesteps) free(timesteps);
    if (!schedule->timesteps || !schedule->sigmas) {
        sigma_schedule_free(schedule);
        return error_memory(error, bytes);
    }
    for (size_t i = 0; i < count && !schedule->in_double; i++)
        schedule->timesteps[i] = (double)(real)schedule->timesteps[i];
    return STATUS_OK;
}

void sigma_schedule_interpolate(const struct sigma_table *table, struct sigma_schedule *schedule)
{
    schedule->num_sigmas = schedule->count;
    for (size_t i = 0; i < schedule->count; i++)
        schedule->sigmas[i] = sigma_table_interpolate(table, schedule->timesteps[i]);
}

double sigma_range_end(const struct scheduler *scheduler, const struct optional_number *own,
    const struct optional_number *inherited, double spaced)
{
    if (own->given) return own->value;
    if (inherited->given && scheduler->semantics == SEMANTICS_DIFFUSERS) return inherited->value;
    return spaced;
}

enum status sigma_schedule_apply_kind(const struct scheduler *scheduler, const struct sigma_table *table,
    struct sigma_schedule *schedule, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    const char *kind = sigma_kind_of(config);
    if (!kind) return STATUS_OK;
    const size_t n = schedule->num_inference_steps, spaced = schedule->num_sigmas;
    double sigma_min = spaced ? schedule->sigmas[spaced - 1] : (double)NAN;
    double sigma_max = spaced ? schedule->sigmas[0] : (double)NAN;
    if (!(config->use_karras_sigmas && scheduler->solver->karras_is_as_spaced)) {
        sigma_min = sigma_range_end(scheduler, &config->sigma_min, &config->inherited_sigma_min, sigma_min);
        sigma_max = sigma_range_end(scheduler, &config->sigma_max, &config->inherited_sigma_max, sigma_max);
    }
    if (spaced == 0 && (isnan(sigma_min) || isnan(sigma_max)))
        return error_input(
            error, "num_inference_steps: expected at least 1 step with %s = true, got 0", kind);
    enum status status = sigmas_of_kind(config, sigma_min, sigma_max, n, schedule->sigmas, error);
    if (status != STATUS_OK) return status;
    schedule->num_sigmas = schedule->count = n; /* `trailing` made as many, or one more */
    for (size_t i = 0; i < n; i++) schedule->timesteps[i] = sigma_to_t(table, schedule->sigmas[i]);
    return STATUS_OK;
}

enum status sigma_schedule_make(const struct scheduler *scheduler, const struct schedule_request *request,
    const struct sigma_table *table, struct sigma_schedule *schedule, struct error *error)
{
    enum status status = sigma_schedule_space(scheduler, request, schedule, error);
    if (status != STATUS_OK) return status;
    sigma_schedule_interpolate(table, schedule);
    return sigma_schedule_apply_kind(scheduler, table, schedule, error);
}

void sigma_schedule_free(struct sigma_schedule *schedule)
{
    free(schedule->timesteps);
    free(schedule->sigmas);
    *schedule = (struct sigma_schedule){0};
}

/* --- As the scheduler keeps it ------------------------------------------------------------ */

real *sigma_schedule_rounded(const struct sigma_schedule *schedule, real final)
{
    real *sigmas = malloc((schedule->num_sigmas + 1) * sizeof *sigmas);
    if (!sigmas) return NULL;
    for (size_t i = 0; i < schedule->num_sigmas; i++) sigmas[i] = (real)schedule->sigmas[i];
    sigmas[schedule->num_sigmas] = final;
    return sigmas;
}

enum status sigma_schedule_take(
    struct scheduler *scheduler, struct sigma_schedule *schedule, real final, struct error *error)
{
    real *sigmas = sigma_schedule_rounded(schedule, final);
    if (!sigmas) return error_memory(error, (schedule->num_sigmas + 1) * sizeof *sigmas);
    for (size_t i = 0; i < schedule->count; i++)
        schedule->timesteps[i] = (double)(real)schedule->timesteps[i];
    scheduler_take_sigmas(scheduler, sigmas, schedule->num_sigmas + 1);
    scheduler_take_timesteps(scheduler, schedule->timesteps, schedule->count, TIMESTEP_FLOAT32);
    scheduler->num_inference_steps = (int)schedule->num_inference_steps;
    sigmas_set_init_noise(scheduler);
    schedule->timesteps = NULL;
    sigma_schedule_free(schedule);
    return STATUS_OK;
}

enum status sigma_schedule_set_timesteps(
    struct scheduler *scheduler, const struct schedule_request *request, struct error *error)
{
    struct sigma_table table = {0};
    struct sigma_schedule schedule = {0};
    enum status status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = sigma_schedule_make(scheduler, request, &table, &schedule, error);
    if (status == STATUS_OK) status = sigma_schedule_take(scheduler, &schedule, 0, error);
    sigma_schedule_free(&schedule);
    sigma_table_free(&table);
    return status;
}

void sigmas_set_init_noise(struct scheduler *scheduler)
{
    real max_sigma = scheduler->sigmas[0];
    for (size_t i = 1; i < scheduler->num_sigmas; i++)
        if (!(scheduler->sigmas[i] <= max_sigma) && !isnan(max_sigma)) max_sigma = scheduler->sigmas[i];
    const char *spacing = scheduler->config->timestep_spacing;
    bool plain = option_is(spacing, "linspace") || option_is(spacing, "trailing");
    scheduler->init_noise_sigma = (double)(plain ? max_sigma : real_sqrt(max_sigma * max_sigma + 1));
    scheduler->init_noise_sigma_is_f32 = !PLUMB_REAL_IS_DOUBLE;
}
