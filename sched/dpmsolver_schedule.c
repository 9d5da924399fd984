/*
 * The grids have N + 1 points, of which the least noisy is dropped (the inverse drops the noisiest). The
 * sigma kinds that span a range (Karras, exponential, beta, Lu) take the whole range of training, whatever
 * the spacing says, and bring timesteps of their own, found from the sigmas; so do flow sigmas. Timesteps are
 * integers: those of Karras and Lu are rounded, the others are cut.
 *
 * Documented semantics differ in two things: timesteps found from sigmas are the nearest of training; and
 * where the kind's last sigma is also the final one, the kind has N + 1 sigmas over the same range, or flow's
 * N go on to its smallest of training, so that every step has a length, where diffusers repeats the last and
 * its last step does nothing.
 */
#include "dpmsolver_schedule.h"
#include "real.h"
#include "noise_schedule.h"
#include "rounded_math.h"
#include "sigma_kinds.h"
#include "sigma_schedule.h"
#include "sigmas.h"
#include "timesteps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- The constructor ---------------------------------------------------------------------- */

enum status dpm_create_schedule(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    struct warnings *warnings, struct error *error)
{
    enum status status = sigma_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;

    /* Before set_timesteps: the training timesteps in the order of the run, but the sigmas from the first
     * up. */
    const size_t n = (size_t)scheduler->num_train_timesteps;
    double *timesteps = timesteps_of_training(n);
    real *sigmas = malloc(scheduler->num_betas * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, n * sizeof *timesteps);
    }
    for (size_t i = 0; rules->inverse && i < n; i++) timesteps[i] = (double)i;
    for (size_t i = 0; i < scheduler->num_betas; i++) sigmas[i] = sigma_of(scheduler->alphas_cumprod[i]);
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, scheduler->num_betas);
    return STATUS_OK;
}

/* --- set_timesteps ------------------------------------------------------------------------ */

/* Custom timesteps cannot be given with sigmas that bring their own. */
static enum status check_request(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct schedule_request *request, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct scheduler_config *common = &config->common;
    enum status status =
        timesteps_check_one_given(request->has_num_inference_steps, request->timesteps, error);
    if (status != STATUS_OK || !request->timesteps) return status;
    const struct {
        const char *name;
        bool used;
    } kinds[] = {
        {"use_karras_sigmas", common->use_karras_sigmas},
        {"use_lu_lambdas", config->use_lu_lambdas},
        {"use_exponential_sigmas", common->use_exponential_sigmas},
        {"use_beta_sigmas", common->use_beta_sigmas},
        {"use_flow_sigmas", config->use_flow_sigmas && rules->refuses_flow_timesteps},
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

static double lambda_of_training(const struct scheduler *scheduler, size_t index)
{
    return (double)lambda_of(scheduler->alphas_cumprod[index]);
}

size_t dpm_shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    tables[0] = (struct shown_table){"lambda_t", SHOWN_LIST, scheduler->num_betas, lambda_of_training};
    return 1;
}

/* The number of training timesteps that are left where those with lambda below lambda_min_clipped are not
 * used (the cosine schedule needs it): torch.searchsorted on lambda, which rises towards timestep 0. */
static int last_timestep(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules)
{
    if (!rules->clips_lambda) return scheduler->num_train_timesteps;
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

/* The timesteps from the spacing (a class without the option has linspace), or the custom ones: [count],
 * allocated. */
static enum status spaced_or_custom(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct schedule_request *request, double **timesteps, size_t *count, struct error *error)
{
    if (!request->timesteps) {
        const char *name = scheduler->config->timestep_spacing;
        const int last = last_timestep(scheduler, rules);
        if (last < 1)
            return error_input(error,
                "lambda_min_clipped: expected a bound that leaves some of the %d training timesteps, got %g",
                scheduler->num_train_timesteps, dpm_config_of(scheduler)->lambda_min_clipped);
        const struct spacing spacing = {
            .timestep_spacing = name ? name : "linspace",
            .num_train_timesteps = scheduler->num_train_timesteps,
            .last_timestep = last,
            .num_inference_steps = request->num_inference_steps,
            .steps_offset = scheduler->config->steps_offset,
            .extra_point = true,
            .ascending = rules->inverse,
            .no_extra_step = scheduler->semantics == SEMANTICS_DOCUMENTED,
        };
        return timesteps_spaced(&spacing, timesteps, count, error);
    }
    *count = request->num_timesteps;
    *timesteps = malloc((*count ? *count : 1) * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, *count * sizeof **timesteps);
    for (size_t i = 0; i < *count; i++) (*timesteps)[i] = timestep_truncated(request->timesteps[i]);
    return STATUS_OK;
}

/* The kind of sigmas that replaces the spacing's timesteps; NULL where the config asks for none. Where it
 * asks for two, Karras goes before Lu, exponential, beta and flow. */
static const char *sigma_kind(const struct dpm_config *config)
{
    const char *common = sigma_kind_of(&config->common);
    if (config->use_lu_lambdas && !config->common.use_karras_sigmas) return "use_lu_lambdas";
    return common ? common : config->use_flow_sigmas ? "use_flow_sigmas" : NULL;
}

/* What is left of a timestep between two of training. In double the logarithms' own rounding must not decide:
 * at the ends of the range, where the timestep is an integer but for that, it is that integer. In float32 it
 * does decide, as in diffusers. */
static double cut_to_integer(double t)
{
    const bool is_nearly_one = PLUMB_REAL_IS_DOUBLE && fabs(t - nearbyint(t)) < 1e-9;
    return is_nearly_one ? nearbyint(t) : timestep_truncated(t);
}

/* Whether a kind of sigmas has one more, where the last step ends: documented semantics, unless that is 0. */
static bool goes_on_to_last(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules)
{
    return scheduler->semantics == SEMANTICS_DOCUMENTED &&
           (rules->final_sigma == FINAL_REPEATED ||
               option_is(scheduler->config->final_sigmas_type, "sigma_min"));
}

/* N flow sigmas; where they go on to a last one (points = N + 1), that is the smallest of training, 1/T
 * shifted, and for the inverse they rise. */
static void fill_flow(
    const struct scheduler *scheduler, const struct dpm_schedule_rules *rules, size_t points, double *sigmas)
{
    const int T = scheduler->num_train_timesteps;
    const double shift = dpm_config_of(scheduler)->flow_shift.value;
    const bool goes_on = goes_on_to_last(scheduler, rules);
    sigmas_flow(T, shift, goes_on ? points - 1 : points, sigmas);
    if (goes_on) sigmas[points - 1] = sigma_shifted(shift, 1.0 / T);
    if (goes_on && rules->inverse) reverse_numbers(sigmas, points);
}

/* `points` sigmas of the `kind`, in the order of the run. */
static enum status fill_sigma_kind(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct sigma_table *table, const char *kind, size_t points, double *sigmas, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const struct scheduler_config *common = &config->common;
    const size_t last = table->count - 1, to = rules->inverse ? last : 0, from = last - to;
    if (strcmp(kind, "use_lu_lambdas") == 0) {
        sigmas_lu((double)table->log_sigmas[to], (double)table->log_sigmas[from], points, sigmas);
    } else if (strcmp(kind, "use_flow_sigmas") == 0) {
        if (!config->flow_shift.given)
            return error_input(error, "flow_shift: expected a number with use_flow_sigmas = true, got null");
        fill_flow(scheduler, rules, points, sigmas);
    } else {
        const double end = sigma_range_end(
            scheduler, &common->sigma_min, &common->inherited_sigma_min, (double)table->sigmas[to]);
        const double start = sigma_range_end(
            scheduler, &common->sigma_max, &common->inherited_sigma_max, (double)table->sigmas[from]);
        return sigmas_of_kind(common, end, start, points, sigmas, error);
    }
    return STATUS_OK;
}

/* The timestep of a kind's sigma, before it becomes an integer. */
static double kind_timestep(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct sigma_table *table, const char *kind, double sigma)
{
    const bool flow = strcmp(kind, "use_flow_sigmas") == 0;
    const bool karras = strcmp(kind, "use_karras_sigmas") == 0 || strcmp(kind, "use_lu_lambdas") == 0;
    const bool cosine = option_is(scheduler->config->beta_schedule, "squaredcos_cap_v2");
    const double t = flow ? sigma * scheduler->num_train_timesteps : sigma_to_t(table, sigma);
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        return fmin(nearbyint(t), scheduler->num_train_timesteps - 1);
    return karras && !(cosine && rules->cuts_cosine) ? nearbyint(t) : t;
}

/* Of equal timesteps the first stays: np.unique, in the order of the list. Those beyond all that were seen
 * are new, so an orderly list is not searched. */
static void drop_repeated(double *timesteps, size_t *count)
{
    size_t kept = 0;
    double lowest = INFINITY, highest = -INFINITY;
    for (size_t i = 0; i < *count; i++) {
        const double t = timesteps[i];
        bool seen = false;
        for (size_t j = kept; t >= lowest && t <= highest && j > 0 && !seen; j--)
            seen = timesteps[j - 1] == t;
        if (seen) continue;
        lowest = fmin(lowest, t);
        highest = fmax(highest, t);
        timesteps[kept++] = t;
    }
    *count = kept;
}

/* What stands behind the `count` sigmas; `numbers` holds one more where the kind goes on to the final one. */
static enum status find_final_sigma(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const char *kind, bool goes_on, const double *numbers, size_t count, real *last, struct error *error)
{
    const char *type = scheduler->config->final_sigmas_type;
    const bool repeats = rules->final_sigma == FINAL_REPEATED ||
                         (rules->final_sigma == FINAL_OF_SCHEDULE && option_is(type, "sigma_min"));
    if (goes_on || (kind && repeats)) {
        *last = (real)numbers[goes_on ? count : count - 1];
        return STATUS_OK;
    }
    if (rules->final_sigma != FINAL_REPEATED) return sigma_final(scheduler, last, error);
    const int end = rules->inverse ? last_timestep(scheduler, rules) - 1 : 0;
    real alpha_cumprod = 0;
    enum status status = alphas_cumprod_at(scheduler, end, &alpha_cumprod, error);
    *last = sigma_of(alpha_cumprod);
    return status;
}

/* A schedule while it is made. */
struct schedule {
    double *timesteps;
    real *sigmas;
    size_t count, num_sigmas;
};

/* Room for n timesteps and the sigmas behind them. */
static enum status make_room(struct schedule *schedule, size_t n, double **numbers, struct error *error)
{
    const size_t room = (n > schedule->count ? n : schedule->count) + 1;
    double *larger = realloc(schedule->timesteps, room * sizeof *larger);
    if (larger) schedule->timesteps = larger;
    *numbers = malloc(room * sizeof **numbers);
    schedule->sigmas = malloc(room * sizeof *schedule->sigmas);
    if (larger && *numbers && schedule->sigmas) return STATUS_OK;
    return error_memory(error, room * sizeof *larger);
}

/* Replaces or completes the timesteps of `schedule`, and makes the sigmas of them and the final one. */
static enum status make_sigmas(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    size_t num_inference_steps, struct schedule *schedule, struct error *error)
{
    const char *kind = sigma_kind(dpm_config_of(scheduler));
    const size_t n = kind ? num_inference_steps : schedule->count;
    const bool goes_on = kind && goes_on_to_last(scheduler, rules);
    /* There is no last sigma of none to repeat. */
    const bool has_final = n > 0 || !kind || option_is(scheduler->config->final_sigmas_type, "zero");
    struct sigma_table table = {0};
    double *numbers = NULL;
    real last = 0;
    enum status status = sigma_table_create(scheduler, &table, error);
    if (status == STATUS_OK) status = make_room(schedule, n, &numbers, error);
    if (status == STATUS_OK && kind)
        status = fill_sigma_kind(scheduler, rules, &table, kind, goes_on ? n + 1 : n, numbers, error);
    for (size_t i = 0; status == STATUS_OK && !kind && i < n; i++)
        numbers[i] = sigma_table_interpolate(&table, schedule->timesteps[i]);
    if (status == STATUS_OK && has_final)
        status = find_final_sigma(scheduler, rules, kind, goes_on, numbers, n, &last, error);
    if (status != STATUS_OK) goto done;

    for (size_t i = 0; i < n; i++) schedule->sigmas[i] = (real)numbers[i];
    schedule->sigmas[n] = last;
    schedule->num_sigmas = n + has_final;
    schedule->count = n;
    for (size_t i = 0; kind && i < n; i++)
        schedule->timesteps[i] = kind_timestep(scheduler, rules, &table, kind, numbers[i]);

done:
    sigma_table_free(&table);
    free(numbers);
    return status;
}

static void warn_of_unused(const struct dpm_config *config, const char *name, struct warnings *warnings)
{
    const struct scheduler_config *common = &config->common;
    const char *winner = sigma_kind(config);
    if (!winner || strcmp(winner, "use_flow_sigmas") == 0) return;
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

/* The kinds' timesteps become integers last: the inverse looks for equal ones among the fractions. */
static void finish_timesteps(const struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    double *timesteps, size_t *count)
{
    const char *kind = sigma_kind(dpm_config_of(scheduler));
    const bool flow = kind && strcmp(kind, "use_flow_sigmas") == 0;
    if (rules->inverse) drop_repeated(timesteps, count);
    for (size_t i = 0; i < *count; i++)
        timesteps[i] = flow ? timestep_truncated(timesteps[i]) : cut_to_integer(timesteps[i]);
}

enum status dpm_make_schedule(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct schedule_request *request, struct warnings *warnings, struct error *error)
{
    struct dpm_config *config = dpm_config_of(scheduler);
    struct schedule schedule = {0};
    enum status status = take_mu(config, request, error);
    if (status == STATUS_OK) status = check_request(scheduler, rules, request, error);
    if (status == STATUS_OK)
        status = spaced_or_custom(scheduler, rules, request, &schedule.timesteps, &schedule.count, error);
    const size_t steps = request->timesteps ? schedule.count : (size_t)request->num_inference_steps;
    if (status == STATUS_OK) status = make_sigmas(scheduler, rules, steps, &schedule, error);
    if (status != STATUS_OK) {
        free(schedule.timesteps);
        free(schedule.sigmas);
        return status;
    }
    warn_of_unused(config, scheduler_name(scheduler), warnings);
    if (request->timesteps && sigma_kind(config))
        warnings_add(warnings, "the numbers in timesteps are ignored by %s where %s is true, only counted",
            scheduler_name(scheduler), sigma_kind(config));
    finish_timesteps(scheduler, rules, schedule.timesteps, &schedule.count);
    scheduler_take_timesteps(scheduler, schedule.timesteps, schedule.count, TIMESTEP_INT64);
    scheduler_take_sigmas(scheduler, schedule.sigmas, schedule.num_sigmas);
    scheduler->num_inference_steps = (int)schedule.count;
    return STATUS_OK;
}
