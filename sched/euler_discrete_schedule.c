/*
 * The constructor and the schedule of EulerDiscreteScheduler: which options, timesteps and sigmas.
 *
 * The grids have N points. Timesteps stay fractional where the spacing or the sigmas leave them so, and
 * diffusers keeps them as float32. The sigma kinds (Karras, exponential, beta) span the range of the spaced
 * sigmas, unlike DPM-Solver's, which span that of training; sigma_min and sigma_max override its ends.
 */
#include "euler_discrete.h"
#include "noise_schedule.h"
#include "real.h"
#include "sigma_kinds.h"
#include "sigmas.h"
#include "solver.h"
#include "timesteps.h"

#include <math.h>
#include <stdlib.h>

/* --- The constructor ---------------------------------------------------------------------- */

/* The model is told log(sigma) / 4 and not a timestep (Karras et al. 2022, Table 1, c_noise). */
static bool is_continuous(const struct euler_config *config)
{
    return option_is(config->timestep_type, "continuous") &&
           option_is(config->common.prediction_type, "v_prediction");
}

static const char *sigma_kind(const struct scheduler_config *config)
{
    if (config->use_karras_sigmas) return "use_karras_sigmas";
    if (config->use_exponential_sigmas) return "use_exponential_sigmas";
    if (config->use_beta_sigmas) return "use_beta_sigmas";
    return NULL;
}

static void warn_of_options(const struct euler_config *config, const char *name, struct warnings *warnings)
{
    const char *type = config->timestep_type;
    if (!option_is(type, "discrete") && !is_continuous(config))
        warnings_add(warnings, "option timestep_type \"%.100s\" is ignored by %s%s", type, name,
            option_is(type, "continuous") ? " unless prediction_type is \"v_prediction\"" : "");
    if ((config->sigma_min.given || config->sigma_max.given) && !sigma_kind(&config->common))
        warnings_add(warnings,
            "options sigma_min and sigma_max are ignored by %s without Karras, exponential or beta sigmas",
            name);
    if (option_is(config->interpolation_type, "log_linear"))
        warnings_add(warnings,
            "with interpolation_type \"log_linear\" the sigmas of %s ignore the timesteps: they go from the "
            "largest of training to the smallest",
            name);
}

/* The largest sigma, or with `leading` spacing, where the first sample is taken to have the data in it, the
 * size of that sample. */
static void set_init_noise_sigma(struct scheduler *scheduler)
{
    real max_sigma = scheduler->sigmas[0];
    for (size_t i = 1; i < scheduler->num_sigmas; i++)
        if (!(scheduler->sigmas[i] <= max_sigma) && !isnan(max_sigma)) max_sigma = scheduler->sigmas[i];
    const char *spacing = scheduler->config->timestep_spacing;
    bool plain = option_is(spacing, "linspace") || option_is(spacing, "trailing");
    scheduler->init_noise_sigma = (double)(plain ? max_sigma : real_sqrt(max_sigma * max_sigma + 1));
    scheduler->init_noise_sigma_is_f32 = true;
}

/* Takes `timesteps` [count] and `sigmas` [num_sigmas]; continuous timesteps come from the sigmas instead, all
 * but the final one. */
static enum status take_schedule(struct scheduler *scheduler, double *timesteps, size_t count, real *sigmas,
    size_t num_sigmas, struct error *error)
{
    if (is_continuous(euler_config_of(scheduler))) {
        count = num_sigmas - 1;
        double *continuous = realloc(timesteps, (count ? count : 1) * sizeof *timesteps);
        if (!continuous) {
            free(timesteps);
            free(sigmas);
            return error_memory(error, count * sizeof *timesteps);
        }
        timesteps = continuous;
        for (size_t i = 0; i < count; i++) timesteps[i] = (double)((real)0.25 * real_log(sigmas[i]));
    }
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, num_sigmas);
    set_init_noise_sigma(scheduler);
    return STATUS_OK;
}

enum status euler_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    if (config->use_karras_sigmas + config->use_exponential_sigmas + config->use_beta_sigmas > 1)
        return error_input(error,
            "use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas: only one of them may be true");
    enum status status = noise_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    if (config->rescale_betas_zero_snr) noise_schedule_avoid_zero(scheduler);
    warn_of_options(euler_config_of(scheduler), scheduler_name(scheduler), warnings);

    /* Before set_timesteps: every training timestep, from the last down. */
    size_t n = (size_t)scheduler->num_train_timesteps, num_sigmas = scheduler->num_betas + 1;
    double *timesteps = timesteps_of_training(n);
    real *sigmas = malloc(num_sigmas * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, n * sizeof *timesteps);
    }
    for (size_t i = 0; i + 1 < num_sigmas; i++)
        sigmas[i] = sigma_of(scheduler->alphas_cumprod[num_sigmas - 2 - i]);
    sigmas[num_sigmas - 1] = 0;
    return take_schedule(scheduler, timesteps, n, sigmas, num_sigmas, error);
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
    const char *kind = sigma_kind(&config->common);
    if (kind)
        return error_input(error,
            "timesteps: custom ones cannot be used with %s = true, which brings timesteps of its own", kind);
    if (is_continuous(config))
        return error_input(error,
            "timesteps: custom timesteps cannot be used with timestep_type \"continuous\" and "
            "prediction_type \"v_prediction\", which bring timesteps of their own");
    return STATUS_OK;
}

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
        };
        return timesteps_spaced(&spacing, timesteps, count, error);
    }
    *count = request->num_timesteps;
    *timesteps = malloc((*count ? *count : 1) * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, *count * sizeof **timesteps);
    for (size_t i = 0; i < *count; i++) (*timesteps)[i] = request->timesteps[i];
    return STATUS_OK;
}

/* The sigmas at the timesteps, or (log_linear) N + 1 from the largest of training to the smallest. `sigmas`
 * has room for both; `*count` becomes how many there are. `scratch` [N + 1]. */
static enum status interpolate_sigmas(const struct euler_config *config, const struct sigma_table *table,
    const double *timesteps, size_t num_timesteps, size_t num_inference_steps, real *scratch, double *sigmas,
    size_t *count, struct error *error)
{
    if (option_is(config->interpolation_type, "linear")) {
        *count = num_timesteps;
        for (size_t i = 0; i < num_timesteps; i++) sigmas[i] = sigma_table_interpolate(table, timesteps[i]);
        return STATUS_OK;
    }
    if (!option_is(config->interpolation_type, "log_linear"))
        return option_refuse(
            "interpolation_type", config->interpolation_type, "\"linear\" or \"log_linear\"", error);
    *count = num_inference_steps + 1;
    torch_linspace(
        (double)table->log_sigmas[table->count - 1], (double)table->log_sigmas[0], *count, scratch);
    for (size_t i = 0; i < *count; i++) sigmas[i] = (double)real_exp(scratch[i]);
    return STATUS_OK;
}

/* Replaces the spaced sigmas by N of the kind that the config asks for, over the same range or the configured
 * one. */
static enum status apply_sigma_kind(const struct euler_config *config, size_t num_inference_steps,
    double *sigmas, size_t *count, struct error *error)
{
    if (*count == 0 && !(config->sigma_min.given && config->sigma_max.given))
        return error_input(error, "num_inference_steps: expected at least 1 step with %s = true, got 0",
            sigma_kind(&config->common));
    double sigma_min = config->sigma_min.given ? config->sigma_min.value : sigmas[*count - 1];
    double sigma_max = config->sigma_max.given ? config->sigma_max.value : sigmas[0];
    *count = num_inference_steps;
    if (config->common.use_beta_sigmas) {
        sigmas_beta(sigma_min, sigma_max, *count, sigmas);
        return STATUS_OK;
    }
    bool exponential = config->common.use_exponential_sigmas;
    if (sigma_min < 0 || sigma_max < 0 || (exponential && (sigma_min == 0 || sigma_max == 0)))
        return error_input(error, "sigma_min, sigma_max: expected %s numbers with %s = true, got %g and %g",
            exponential ? "positive" : "no negative", sigma_kind(&config->common), sigma_min, sigma_max);
    if (exponential)
        sigmas_exponential(sigma_min, sigma_max, *count, sigmas);
    else
        sigmas_karras(sigma_min, sigma_max, *count, sigmas);
    return STATUS_OK;
}

/* num_inference_steps or custom timesteps. */
static enum status schedule_from_timesteps(struct scheduler *scheduler,
    const struct schedule_request *request, const struct sigma_table *table, struct error *error)
{
    const struct euler_config *config = euler_config_of(scheduler);
    size_t n = request->timesteps ? request->num_timesteps : (size_t)request->num_inference_steps;
    double *timesteps = NULL, *numbers = NULL;
    real *sigmas = NULL, last = 0;
    size_t num_timesteps = 0, count = 0;
    enum status status = spaced_or_custom(scheduler, request, &timesteps, &num_timesteps, error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < num_timesteps; i++) timesteps[i] = (double)(real)timesteps[i];

    size_t room = (num_timesteps > n ? num_timesteps : n) + 2;
    numbers = malloc(room * sizeof *numbers);
    sigmas = malloc(room * sizeof *sigmas);
    if (!numbers || !sigmas)
        status = error_memory(error, room * sizeof *numbers);
    else
        status =
            interpolate_sigmas(config, table, timesteps, num_timesteps, n, sigmas, numbers, &count, error);
    if (status == STATUS_OK && sigma_kind(&config->common)) {
        status = apply_sigma_kind(config, n, numbers, &count, error);
        num_timesteps = status == STATUS_OK ? count : 0; /* `trailing` made as many, or one more */
        for (size_t i = 0; i < num_timesteps; i++) timesteps[i] = (double)(real)sigma_to_t(table, numbers[i]);
    }
    if (status == STATUS_OK) status = sigma_final(scheduler, &last, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) sigmas[i] = (real)numbers[i];
    free(numbers);
    if (status != STATUS_OK) {
        free(timesteps);
        free(sigmas);
        return status;
    }
    sigmas[count] = last;
    scheduler->num_inference_steps = (int)n;
    return take_schedule(scheduler, timesteps, num_timesteps, sigmas, count + 1, error);
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
    scheduler->num_inference_steps = (int)count - 1;
    return take_schedule(scheduler, timesteps, count - 1, sigmas, count, error);
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
    if (status == STATUS_OK && request->sigmas && sigma_kind(&config->common))
        warnings_add(warnings, "option %s is ignored by %s where sigmas are given",
            sigma_kind(&config->common), scheduler_name(scheduler));
    sigma_table_free(&table);
    return status;
}
