/*
 * The constructor and the schedule of DPMSolverMultistepScheduler: which options, timesteps and sigmas.
 *
 * The grids have N + 1 points, of which the least noisy is dropped. The sigma kinds that span a range
 * (Karras, exponential, beta, Lu) take the whole range of training, whatever the spacing says, and bring
 * timesteps of their own, found from the sigmas; so do flow sigmas. Timesteps are integers: those of Karras
 * and Lu are rounded (but not where beta_schedule is squaredcos_cap_v2), the others are cut.
 */
#include "dpmsolver_multistep.h"
#include "noise_schedule.h"
#include "real.h"
#include "rounded_math.h"
#include "sigma_kinds.h"
#include "sigmas.h"
#include "solver.h"
#include "timesteps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- The constructor ---------------------------------------------------------------------- */

/* algorithm_type, where `deis` is another name of dpmsolver++. False where it is none of them. */
static bool find_algorithm(const struct dpm_config *config, enum dpm_algorithm *algorithm)
{
    static const struct {
        const char *name;
        enum dpm_algorithm algorithm;
    } names[] = {{"dpmsolver", DPMSOLVER}, {"dpmsolver++", DPMSOLVER_PP}, {"sde-dpmsolver", SDE_DPMSOLVER},
        {"sde-dpmsolver++", SDE_DPMSOLVER_PP}, {"deis", DPMSOLVER_PP}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *algorithm = names[i].algorithm;
        if (option_is(config->algorithm_type, names[i].name)) return true;
    }
    return false;
}

static enum status check_options(
    const struct dpm_config *config, enum dpm_algorithm *algorithm, struct error *error)
{
    const struct scheduler_config *common = &config->common;
    if (common->use_karras_sigmas + common->use_exponential_sigmas + common->use_beta_sigmas > 1)
        return error_input(error,
            "use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas: only one of them may be true");
    if (!find_algorithm(config, algorithm))
        return option_refuse("algorithm_type", config->algorithm_type,
            "\"dpmsolver\", \"dpmsolver++\", \"sde-dpmsolver\" or \"sde-dpmsolver++\"", error);
    if (!option_is(config->solver_type, "midpoint") && !option_is(config->solver_type, "heun") &&
        !option_is(config->solver_type, "logrho") && !option_is(config->solver_type, "bh1") &&
        !option_is(config->solver_type, "bh2"))
        return option_refuse("solver_type", config->solver_type,
            "\"midpoint\" (or \"logrho\", \"bh1\", \"bh2\", which mean the same) or \"heun\"", error);
    /* Diffusers looks at the name as it is given, so `deis` is refused too. */
    bool named_pp = option_is(config->algorithm_type, "dpmsolver++") ||
                    option_is(config->algorithm_type, "sde-dpmsolver++");
    if (!named_pp && option_is(common->final_sigmas_type, "zero"))
        return error_input(error,
            "final_sigmas_type: algorithm_type \"%s\" cannot step to sigma 0; expected \"sigma_min\", got "
            "\"zero\"",
            config->algorithm_type);
    return STATUS_OK;
}

static void warn_of_options(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct dpm_state *state = scheduler->state;
    const char *name = scheduler_name(scheduler);
    if (config->solver_order > MAX_DPM_ORDER)
        warnings_add(warnings,
            "option solver_order is ignored by %s above %d: there is no update of order %d", name,
            MAX_DPM_ORDER, config->solver_order);
    if (config->solver_order >= 3 && state->algorithm == SDE_DPMSOLVER)
        warnings_add(warnings,
            "solver_order: \"sde-dpmsolver\" has no update of order 3; a run that comes to one ends there");
}

enum status dpm_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    struct dpm_state *state = scheduler->state;
    enum status status = check_options(config, &state->algorithm, error);
    if (status == STATUS_OK) status = noise_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    if (config->common.rescale_betas_zero_snr) noise_schedule_avoid_zero(scheduler);
    warn_of_options(scheduler, warnings);

    /* Before set_timesteps: the training timesteps from the last down, but the sigmas from the first up. */
    size_t n = (size_t)scheduler->num_train_timesteps;
    double *timesteps = timesteps_of_training(n);
    real *sigmas = malloc(scheduler->num_betas * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, n * sizeof *timesteps);
    }
    for (size_t i = 0; i < scheduler->num_betas; i++) sigmas[i] = sigma_of(scheduler->alphas_cumprod[i]);
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, scheduler->num_betas);
    return STATUS_OK;
}

/* --- set_timesteps ------------------------------------------------------------------------ */

static enum status check_request(
    const struct dpm_config *config, const struct schedule_request *request, struct error *error)
{
    const struct scheduler_config *common = &config->common;
    if (!request->has_num_inference_steps && !request->timesteps)
        return error_input(error, "num_inference_steps, timesteps: expected one of the two, got neither");
    if (request->has_num_inference_steps && request->timesteps)
        return error_input(error, "num_inference_steps, timesteps: expected one of the two, got both");
    if (!request->timesteps) return STATUS_OK;
    const struct {
        const char *name;
        bool used;
    } kinds[] = {
        {"use_karras_sigmas", common->use_karras_sigmas},
        {"use_lu_lambdas", config->use_lu_lambdas},
        {"use_exponential_sigmas", common->use_exponential_sigmas},
        {"use_beta_sigmas", common->use_beta_sigmas},
        {"use_flow_sigmas", config->use_flow_sigmas},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].used)
            return error_input(error,
                "timesteps: custom ones cannot be used with %s = true, which brings timesteps of its own",
                kinds[i].name);
    return STATUS_OK;
}

/* mu, the logarithm of the shift, stays in the config as flow_shift. */
static enum status take_mu(
    struct dpm_config *config, const struct schedule_request *request, struct error *error)
{
    if (!request->has_mu) return STATUS_OK;
    if (!config->use_dynamic_shifting || !option_is(config->time_shift_type, "exponential"))
        return error_input(error,
            "mu: needs use_dynamic_shifting = true and time_shift_type \"exponential\", got %s and "
            "\"%.100s\"",
            config->use_dynamic_shifting ? "true" : "false", config->time_shift_type);
    config->flow_shift = (struct optional_number){.given = true, .value = rounded_exp(request->mu)};
    return STATUS_OK;
}

/* lambda = log(alpha_t / sigma_t), half the logarithm of the signal-to-noise ratio. */
static real lambda_of(real alpha_cumprod)
{
    return real_log(real_sqrt(alpha_cumprod)) - real_log(real_sqrt(1 - alpha_cumprod));
}

/* The number of training timesteps that are left where those with lambda below lambda_min_clipped are not
 * used (the cosine schedule needs it): torch.searchsorted on lambda, which rises towards timestep 0. */
static int last_timestep(const struct scheduler *scheduler)
{
    real minimum = (real)dpm_config_of(scheduler)->lambda_min_clipped;
    size_t n = scheduler->num_betas, low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lambda_of(scheduler->alphas_cumprod[n - 1 - middle]) >= minimum)
            high = middle;
        else
            low = middle + 1;
    }
    return scheduler->num_train_timesteps - (int)low;
}

/* The timesteps from the spacing, or the custom ones: [count], allocated. */
static enum status spaced_or_custom(const struct scheduler *scheduler, const struct schedule_request *request,
    double **timesteps, size_t *count, struct error *error)
{
    if (!request->timesteps) {
        const struct spacing spacing = {
            .timestep_spacing = scheduler->config->timestep_spacing,
            .num_train_timesteps = scheduler->num_train_timesteps,
            .last_timestep = last_timestep(scheduler),
            .num_inference_steps = request->num_inference_steps,
            .steps_offset = scheduler->config->steps_offset,
            .extra_point = true,
        };
        return timesteps_spaced(&spacing, timesteps, count, error);
    }
    *count = request->num_timesteps;
    *timesteps = malloc((*count ? *count : 1) * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, *count * sizeof **timesteps);
    for (size_t i = 0; i < *count; i++) (*timesteps)[i] = timestep_truncated(request->timesteps[i]);
    return STATUS_OK;
}

/* Whether the config asks for sigmas of a kind that replaces the spacing's timesteps. Where it asks for two,
 * Karras goes before Lu, exponential, beta and flow. */
static bool has_sigma_kind(const struct dpm_config *config)
{
    return config->common.use_karras_sigmas || config->use_lu_lambdas ||
           config->common.use_exponential_sigmas || config->common.use_beta_sigmas || config->use_flow_sigmas;
}

/* What is left of a timestep between two of training. In double the logarithms' own rounding must not decide:
 * at the ends of the range, where the timestep is an integer but for that, it is that integer. In float32 it
 * does decide, as in diffusers. */
static double cut_to_integer(double t)
{
    double nearest = nearbyint(t);
    return PLUMB_REAL_IS_DOUBLE && fabs(t - nearest) < 1e-9 ? nearest : timestep_truncated(t);
}

/* Sigmas of the kind that the config asks for, and their timesteps: [n] each. */
static enum status fill_sigma_kind(const struct scheduler *scheduler, const struct sigma_table *table,
    size_t n, double *sigmas, double *timesteps, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct scheduler_config *common = &config->common;
    double sigma_min = (double)table->sigmas[0], sigma_max = (double)table->sigmas[table->count - 1];
    double log_min = (double)table->log_sigmas[0], log_max = (double)table->log_sigmas[table->count - 1];
    bool rounded = false;

    if (common->use_karras_sigmas) {
        sigmas_karras(sigma_min, sigma_max, n, sigmas);
        rounded = true;
    } else if (config->use_lu_lambdas) {
        sigmas_lu(log_min, log_max, n, sigmas);
        rounded = true;
    } else if (common->use_exponential_sigmas) {
        if (!(sigma_min > 0))
            return error_input(error,
                "use_exponential_sigmas: the smallest sigma of training is %g, and has no logarithm",
                sigma_min);
        sigmas_exponential(sigma_min, sigma_max, n, sigmas);
    } else if (common->use_beta_sigmas) {
        sigmas_beta(sigma_min, sigma_max, n, sigmas);
    } else {
        if (!config->flow_shift.given)
            return error_input(error, "flow_shift: expected a number with use_flow_sigmas = true, got null");
        sigmas_flow(scheduler->num_train_timesteps, config->flow_shift.value, n, sigmas);
        for (size_t i = 0; i < n; i++)
            timesteps[i] = timestep_truncated(sigmas[i] * scheduler->num_train_timesteps);
        return STATUS_OK;
    }

    rounded = rounded && !option_is(common->beta_schedule, "squaredcos_cap_v2");
    for (size_t i = 0; i < n; i++) {
        double t = sigma_to_t(table, sigmas[i]);
        timesteps[i] = rounded ? nearbyint(t) : cut_to_integer(t);
    }
    return STATUS_OK;
}

/* Replaces or completes *timesteps, and makes the sigmas of them and the final one: [count + 1], allocated.
 */
static enum status make_sigmas(const struct scheduler *scheduler, const struct schedule_request *request,
    double **timesteps, size_t *count, real **sigmas, struct error *error)
{
    struct sigma_table table = {0};
    double *numbers = NULL;
    real last = 0;
    bool kind = has_sigma_kind(dpm_config_of(scheduler));
    size_t n = kind ? (size_t)request->num_inference_steps : *count;
    size_t room = n > *count ? n : *count;
    enum status status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = sigma_final(scheduler, &last, error);
    if (status != STATUS_OK) goto done;

    numbers = malloc((n + 1) * sizeof *numbers);
    *sigmas = malloc((n + 1) * sizeof **sigmas);
    double *larger = realloc(*timesteps, (room ? room : 1) * sizeof *larger);
    if (larger) *timesteps = larger;
    if (!numbers || !*sigmas || !larger) {
        status = error_memory(error, (n + 1) * sizeof *numbers);
        goto done;
    }
    *count = n;
    if (kind) status = fill_sigma_kind(scheduler, &table, n, numbers, *timesteps, error);
    for (size_t i = 0; !kind && i < n; i++) numbers[i] = sigma_table_interpolate(&table, (*timesteps)[i]);
    for (size_t i = 0; status == STATUS_OK && i < n; i++) (*sigmas)[i] = (real)numbers[i];
    (*sigmas)[n] = last;

done:
    sigma_table_free(&table);
    free(numbers);
    return status;
}

static void warn_of_unused(const struct dpm_config *config, const char *name, struct warnings *warnings)
{
    const struct scheduler_config *common = &config->common;
    const char *winner = common->use_karras_sigmas        ? "use_karras_sigmas"
                         : config->use_lu_lambdas         ? "use_lu_lambdas"
                         : common->use_exponential_sigmas ? "use_exponential_sigmas"
                         : common->use_beta_sigmas        ? "use_beta_sigmas"
                                                          : NULL;
    if (!winner) return;
    if (config->use_lu_lambdas && strcmp(winner, "use_lu_lambdas") != 0)
        warnings_add(warnings, "option use_lu_lambdas is ignored by %s where %s is true", name, winner);
    if (config->use_lu_lambdas && common->use_exponential_sigmas && !common->use_karras_sigmas)
        warnings_add(
            warnings, "option use_exponential_sigmas is ignored by %s where %s is true", name, winner);
    if (config->use_lu_lambdas && common->use_beta_sigmas)
        warnings_add(warnings, "option use_beta_sigmas is ignored by %s where %s is true", name, winner);
    if (config->use_flow_sigmas)
        warnings_add(warnings,
            "the sigmas of use_flow_sigmas are ignored by %s where %s is true, but its steps are those of "
            "flow",
            name, winner);
}

enum status dpm_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    struct dpm_config *config = dpm_config_of(scheduler);
    double *timesteps = NULL;
    real *sigmas = NULL;
    size_t count = 0;
    enum status status = take_mu(config, request, error);
    if (status == STATUS_OK) status = check_request(config, request, error);
    if (status == STATUS_OK) status = spaced_or_custom(scheduler, request, &timesteps, &count, error);
    if (status == STATUS_OK) status = make_sigmas(scheduler, request, &timesteps, &count, &sigmas, error);
    if (status != STATUS_OK) {
        free(timesteps);
        free(sigmas);
        return status;
    }
    warn_of_unused(config, scheduler_name(scheduler), warnings);
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    scheduler_take_sigmas(scheduler, sigmas, count + 1);
    scheduler->num_inference_steps = (int)count;

    struct dpm_state *state = scheduler->state;
    history_clear(&state->model_outputs);
    state->lower_order_nums = 0;
    return STATUS_OK;
}
