/*
 * The constructor and the schedule of EulerDiscreteScheduler: which options, timesteps and sigmas.
 *
 * It is the schedule of sigma_schedule.h, with three things more: log_linear sigmas, custom sigmas, and
 * continuous timesteps, which are log(sigma) / 4.
 */
#include "euler_discrete.h"
#include "noise_schedule.h"
#include "real.h"
#include "sigma_kinds.h"
#include "sigma_schedule.h"
#include "solver.h"

#include <stdlib.h>

/* --- The constructor ---------------------------------------------------------------------- */

/* The model is told log(sigma) / 4 and not a timestep (Karras et al. 2022, Table 1, c_noise). */
static bool is_continuous(const struct euler_config *config)
{
    return option_is(config->timestep_type, "continuous") &&
           option_is(config->common.prediction_type, "v_prediction");
}

static void warn_of_options(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct euler_config *config = euler_config_of(scheduler);
    const char *name = scheduler_name(scheduler), *type = config->timestep_type;
    if (!option_is(type, "discrete") && !is_continuous(config))
        warnings_add(warnings, "option timestep_type \"%.100s\" is ignored by %s%s", type, name,
            option_is(type, "continuous") ? " unless prediction_type is \"v_prediction\"" : "");
    if (option_is(config->interpolation_type, "log_linear") && scheduler->semantics == SEMANTICS_DIFFUSERS)
        warnings_add(warnings,
            "with interpolation_type \"log_linear\" the sigmas of %s ignore the timesteps: they go from the "
            "largest of training to the smallest",
            name);
}

/* The scheduler's timesteps become those of its sigmas, all but the final one, where they are continuous. */
static enum status make_continuous(struct scheduler *scheduler, struct error *error)
{
    if (!is_continuous(euler_config_of(scheduler))) return STATUS_OK;
    size_t count = scheduler->num_sigmas - 1;
    double *timesteps = malloc((count ? count : 1) * sizeof *timesteps);
    if (!timesteps) return error_memory(error, count * sizeof *timesteps);
    for (size_t i = 0; i < count; i++) timesteps[i] = (double)((real)0.25 * real_log(scheduler->sigmas[i]));
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_FLOAT32);
    return STATUS_OK;
}

enum status euler_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    warn_of_options(scheduler, warnings);
    status = sigma_schedule_of_training(scheduler, TIMESTEP_FLOAT32, error);
    return status == STATUS_OK ? make_continuous(scheduler, error) : status;
}

/* --- set_timesteps ------------------------------------------------------------------------ */

static enum status check_request(
    const struct euler_config *config, const struct schedule_request *request, struct error *error)
{
    int given = request->has_num_inference_steps + (request->timesteps != NULL) + (request->sigmas != NULL);
    if (given != 1)
        return error_input(error, "num_inference_steps, timesteps, sigmas: expected one of the three, got %s",
            given ? given == 2 ? "two" : "all" : "none");
    if (request->sigmas && request->num_sigmas == 0)
        return error_input(error, "sigmas: expected at least the final sigma, got []");
    if (!request->timesteps) return STATUS_OK;
    enum status status = sigma_schedule_check_timesteps(&config->common, error);
    if (status == STATUS_OK && is_continuous(config))
        return error_input(error,
            "timesteps: custom timesteps cannot be used with timestep_type \"continuous\" and "
            "prediction_type \"v_prediction\", which bring timesteps of their own");
    return status;
}

/* The documented semantics interpolate the logarithms at the timesteps. Diffusers makes N + 1 sigmas from the
 * largest of training to the smallest, whatever the timesteps are. */
static enum status log_linear_sigmas(const struct scheduler *scheduler, const struct sigma_table *table,
    struct sigma_schedule *schedule, struct error *error)
{
    if (scheduler->semantics == SEMANTICS_DOCUMENTED) {
        schedule->num_sigmas = schedule->count;
        for (size_t i = 0; i < schedule->count; i++)
            schedule->sigmas[i] = sigma_table_interpolate_log(table, schedule->timesteps[i]);
        return STATUS_OK;
    }
    size_t count = schedule->num_inference_steps + 1;
    real *log_sigmas = malloc(count * sizeof *log_sigmas);
    if (!log_sigmas) return error_memory(error, count * sizeof *log_sigmas);
    torch_linspace(
        (double)table->log_sigmas[table->count - 1], (double)table->log_sigmas[0], count, log_sigmas);
    for (size_t i = 0; i < count; i++) schedule->sigmas[i] = (double)real_exp(log_sigmas[i]);
    schedule->num_sigmas = count;
    free(log_sigmas);
    return STATUS_OK;
}

/* num_inference_steps or custom timesteps. */
static enum status schedule_from_timesteps(struct scheduler *scheduler,
    const struct schedule_request *request, const struct sigma_table *table, struct error *error)
{
    const char *interpolation = euler_config_of(scheduler)->interpolation_type;
    struct sigma_schedule schedule = {0};
    real final = 0;
    enum status status = sigma_schedule_space(scheduler, request, &schedule, error);
    if (status != STATUS_OK) return status;
    if (option_is(interpolation, "linear"))
        sigma_schedule_interpolate(table, &schedule);
    else if (option_is(interpolation, "log_linear"))
        status = log_linear_sigmas(scheduler, table, &schedule, error);
    else
        status = option_refuse("interpolation_type", interpolation, "\"linear\" or \"log_linear\"", error);
    if (status == STATUS_OK) status = sigma_schedule_apply_kind(scheduler, table, &schedule, error);
    if (status == STATUS_OK) status = sigma_final(scheduler, &final, error);
    if (status == STATUS_OK) status = sigma_schedule_take(scheduler, &schedule, final, error);
    sigma_schedule_free(&schedule);
    return status;
}

/* Custom sigmas: the list as it is, its last entry being where the last step ends. */
static enum status schedule_from_sigmas(struct scheduler *scheduler, const struct schedule_request *request,
    const struct sigma_table *table, struct error *error)
{
    size_t count = request->num_sigmas;
    double *timesteps = malloc(count * sizeof *timesteps);
    real *sigmas = malloc(count * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, count * sizeof *timesteps);
    }
    for (size_t i = 0; i < count; i++) sigmas[i] = (real)request->sigmas[i];
    for (size_t i = 0; i + 1 < count; i++) timesteps[i] = (double)(real)sigma_to_t(table, (double)sigmas[i]);
    scheduler_take_timesteps(scheduler, timesteps, count - 1, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, count);
    scheduler->num_inference_steps = (int)count - 1;
    sigmas_set_init_noise(scheduler);
    return STATUS_OK;
}

enum status euler_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    const struct euler_config *config = euler_config_of(scheduler);
    struct sigma_table table = {0};
    enum status status = check_request(config, request, error);
    if (status == STATUS_OK) status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK)
        status = request->sigmas ? schedule_from_sigmas(scheduler, request, &table, error)
                                 : schedule_from_timesteps(scheduler, request, &table, error);
    if (status == STATUS_OK) status = make_continuous(scheduler, error);
    if (status == STATUS_OK && request->sigmas && sigma_kind_of(&config->common))
        warnings_add(warnings, "option %s is ignored by %s where sigmas are given",
            sigma_kind_of(&config->common), scheduler_name(scheduler));
    sigma_table_free(&table);
    return status;
}
