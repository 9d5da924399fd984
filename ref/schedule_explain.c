/*
 * One schedule from the betas to the last coefficient, for a reader: each stage with its equation and its
 * numbers.
 */
#include "sched/real.h"
#include "schedule_table.h"

#include "cli.h"
#include "sched/config.h"
#include "sched/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define schedule_explain REAL_NAME(schedule_explain)

struct explanation {
    FILE *out;
    int stage; /* the number of the next heading */
    const struct scheduler *scheduler;
    const struct schedule_table *table;
    const struct schedule_request *request;
};

static void heading(struct explanation *e, const char *text)
{
    fprintf(e->out, "\n%d. %s\n\n", ++e->stage, text);
}

/* The value of an option of the class as it is typed, or `absent`. */
static const char *option_text(
    const struct explanation *e, const char *name, const char *value, const char *absent)
{
    return scheduler_class_has_option(scheduler_name(e->scheduler), name) && value ? value : absent;
}

/* --- The noise ---------------------------------------------------------------------------- */

static const char *betas_in_words(const char *beta_schedule)
{
    if (strcmp(beta_schedule, "linear") == 0) return "evenly from beta_start to beta_end";
    if (strcmp(beta_schedule, "scaled_linear") == 0)
        return "the squares of numbers evenly from sqrt(beta_start) to sqrt(beta_end)";
    if (strcmp(beta_schedule, "squaredcos_cap_v2") == 0)
        return "1 - f(t + 1) / f(t), at most 0.999, f(t) = cos^2((t / T + 0.008) / 1.008 * pi / 2) (Nichol "
               "and "
               "Dhariwal 2021, eq. 17)";
    return "as the option says";
}

static void explain_noise(struct explanation *e)
{
    const struct scheduler *s = e->scheduler;
    if (!s->betas || !s->alphas_cumprod) return;
    const struct scheduler_config *config = s->config;
    const size_t last = s->num_betas - 1, places[] = {0, last / 2, last};
    heading(e, "Noise in training");
    fprintf(e->out, "   T = %d timesteps.\n", s->num_train_timesteps);
    if (config->trained_betas.values)
        fprintf(e->out, "   beta_t: given as trained_betas.\n");
    else
        fprintf(e->out, "   beta_t, %s from %g to %g:\n   %s.\n", config->beta_schedule, config->beta_start,
            config->beta_end, betas_in_words(config->beta_schedule));
    fprintf(e->out,
        "   alphas_cumprod_t = (1 - beta_0) ... (1 - beta_t) is what is left of the data's variance (Ho et "
        "al. "
        "2020, eq. 4):\n"
        "   a noisy sample is sqrt(alphas_cumprod_t) data + sqrt(1 - alphas_cumprod_t) noise.\n"
        "   sigma_t = sqrt((1 - alphas_cumprod_t) / alphas_cumprod_t) is its noise over its data.\n");
    if (config->rescale_betas_zero_snr)
        fprintf(e->out,
            "   rescale_betas_zero_snr: shifted and scaled so that nothing is left of the data at "
            "T - 1 (Lin et al. 2023, Algorithm 1).\n");
    fprintf(e->out, "\n   %8s  %-12s  %-16s  %s\n", "t", "beta_t", "alphas_cumprod_t", "sigma_t");
    for (size_t i = 0; i < 3; i++) {
        const double a = (double)s->alphas_cumprod[places[i]];
        fprintf(e->out, "   %8zu  %-12.7g  %-16.9g  %.7g\n", places[i], (double)s->betas[places[i]], a,
            sqrt((1 - a) / a));
    }
}

/* --- The timesteps ------------------------------------------------------------------------ */

/* Whether any two entries differ by another stride than the first two. */
static bool is_even(const double *values, size_t count)
{
    for (size_t i = 2; i < count; i++)
        if (values[i] - values[i - 1] != values[1] - values[0]) return false;
    return true;
}

static void write_numbers(FILE *out, const double *values, size_t count)
{
    char number[32];
    fputs("  ", out);
    for (size_t i = 0; i < count; i++) {
        if (count > 12 && i == 5) {
            fputs(" ...", out);
            i = count - 5;
        }
        fprintf(out, " %s",
            show_double(values[i] == 0 ? 0 : strtod(show_float((float)values[i], number), NULL), number));
    }
    fputc('\n', out);
}

static void explain_spacing(struct explanation *e, int steps)
{
    const struct scheduler *s = e->scheduler;
    const int T = s->num_train_timesteps;
    const char *spacing = option_text(e, "timestep_spacing", s->config->timestep_spacing, "");
    if (s->config->use_karras_sigmas || s->config->use_exponential_sigmas || s->config->use_beta_sigmas)
        fprintf(e->out,
            "   Those at which training has the sigmas below, which start and end as the spacing does.\n");
    if (!*spacing) return;
    if (strcmp(spacing, "leading") == 0)
        fprintf(e->out,
            "   timestep_spacing leading: every (T // n)-th timestep from 0 on, and steps_offset %d added; n "
            "is "
            "N = %d\n   (or N + 1, of which the noisiest is dropped): the last, noisiest timesteps of "
            "training "
            "are never reached.\n",
            s->config->steps_offset, steps);
    else if (strcmp(spacing, "linspace") == 0)
        fprintf(e->out,
            "   timestep_spacing linspace: evenly from T - 1 = %d down to 0, both ends included (N = %d "
            "points, "
            "or N + 1 of\n   which the last, 0, is dropped).\n",
            T - 1, steps);
    else
        fprintf(e->out,
            "   timestep_spacing trailing: T, T - T / N, T - 2 T / N ... rounded, less 1 (Lin et al. 2023, "
            "section 3.3): starts at\n   the noisiest timestep T - 1 = %d.\n",
            T - 1);
}

static void explain_timesteps(struct explanation *e)
{
    const struct schedule_table *table = e->table;
    heading(e, "Timesteps");
    if (e->request->timesteps)
        fprintf(e->out, "   Given as custom timesteps.\n");
    else if (e->request->sigmas)
        fprintf(e->out, "   Those at which training has the given sigmas, by interpolation in log sigma.\n");
    else
        explain_spacing(e, e->request->num_inference_steps);
    write_numbers(e->out, table->timesteps, table->count);
    if (table->count > 2 && is_even(table->timesteps, table->count))
        fprintf(e->out, "   Each is %g below the one before.\n", table->timesteps[0] - table->timesteps[1]);
}

/* --- The sigmas --------------------------------------------------------------------------- */

static void explain_sigmas(struct explanation *e)
{
    const struct scheduler *s = e->scheduler;
    const struct schedule_table *table = e->table;
    if (!table->has_sigmas) return;
    heading(e, "Sigmas");
    const struct scheduler_config *config = s->config;
    if (e->request->sigmas)
        fprintf(e->out, "   Given as custom sigmas.\n");
    else if (config->use_karras_sigmas)
        fprintf(e->out,
            "   use_karras_sigmas: (max^(1/7) + i/(N - 1) (min^(1/7) - max^(1/7)))^7 (Karras et al. "
            "2022, eq. 5); the timesteps follow.\n");
    else if (config->use_exponential_sigmas)
        fprintf(e->out, "   use_exponential_sigmas: evenly in log sigma; the timesteps follow.\n");
    else if (config->use_beta_sigmas)
        fprintf(e->out,
            "   use_beta_sigmas: at the quantiles of the beta distribution (0.6, 0.6) (Lee et al. "
            "2024); the timesteps follow.\n");
    else if (table->flow)
        fprintf(e->out,
            "   A flow's sigma is the share of the noise: sample = (1 - sigma) data + sigma noise.\n");
    else if (scheduler_class_has_option(scheduler_name(s), "sigma_schedule"))
        fprintf(e->out,
            "   sigma_schedule bends a ramp from sigma_max to sigma_min; the timesteps follow (c_noise of "
            "Karras et al. 2022, table 1).\n");
    else if (s->alphas_cumprod)
        fprintf(e->out, "   sigma_t at each timestep, between two of training by linear interpolation.\n");
    const bool has_last = !isnan(table->sigmas[table->count]);
    write_numbers(e->out, table->sigmas, table->count + has_last);
    if (has_last)
        fprintf(e->out, "   The last, %g, is where the last step ends%s%s.\n", table->sigmas[table->count],
            option_text(e, "final_sigmas_type", config->final_sigmas_type, NULL) ? ": final_sigmas_type "
                                                                                 : "",
            option_text(e, "final_sigmas_type", config->final_sigmas_type, ""));
}

/* --- The steps ---------------------------------------------------------------------------- */

static void write_term(FILE *out, double coefficient, const char *name, size_t lag, bool *first)
{
    if (coefficient == 0) return;
    fprintf(out, "%s%.7g %s",
        *first            ? (coefficient < 0 ? "-" : "")
        : coefficient < 0 ? " - "
                          : " + ",
        fabs(coefficient), name);
    if (lag) fprintf(out, "[-%zu]", lag);
    *first = false;
}

static void explain_step(struct explanation *e, size_t i)
{
    const struct step_coefficients *c = &e->table->coefficients[i];
    bool first = true;
    size_t outputs = 0;
    fprintf(e->out, "   step %zu, t = %g:  x' = ", i, e->table->timesteps[i]);
    for (size_t lag = 0; lag < SCHEDULE_HISTORY; lag++) write_term(e->out, c->sample[lag], "x", lag, &first);
    for (size_t lag = 0; lag < SCHEDULE_HISTORY; lag++) {
        write_term(e->out, c->model_output[lag], "m", lag, &first);
        outputs += c->model_output[lag] != 0;
    }
    write_term(e->out, c->noise, "z", 0, &first);
    fprintf(e->out, "%s   (from %zu output%s of the model)\n", first ? "0" : "", outputs,
        outputs == 1 ? "" : "s");
}

static void explain_steps(struct explanation *e, const char *why_no_coefficients)
{
    const size_t count = e->table->count;
    char number[32];
    heading(e, "Steps");
    fprintf(e->out, "   The first sample is noise times init_noise_sigma = %s.\n",
        show_double(e->scheduler->init_noise_sigma, number));
    const char *equation = e->scheduler->solver->equation, *source = strstr(equation, "    (");
    fprintf(e->out, "   %.*s\n   %s\n", source ? (int)(source - equation) : (int)strlen(equation), equation,
        source ? source + 4 : "");
    if (!e->table->coefficients) {
        fprintf(e->out, "   No coefficients: %s\n", why_no_coefficients);
        return;
    }
    fprintf(e->out, "   In numbers, with m the model's output as it stands and [-1] what was given one step "
                    "earlier:\n\n");
    for (size_t i = 0; i < count; i++) {
        if (count > 12 && i == 5) {
            fprintf(e->out, "   ...\n");
            i = count - 5;
        }
        explain_step(e, i);
    }
}

enum status schedule_explain(const cJSON *config, const struct schedule_request *request, FILE *out,
    struct warnings *warnings, struct error *error)
{
    struct schedule_table table = {0};
    struct scheduler *scheduler = NULL;
    struct error not_linear = {""};
    enum status status = scheduler_create(config, &scheduler, warnings, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, NULL, error);
    if (status == STATUS_OK) {
        status = REAL_NAME(schedule_table_make)(config, request, true, &table, NULL, &not_linear);
        if (status == STATUS_BAD_INPUT)
            status = REAL_NAME(schedule_table_make)(config, request, false, &table, NULL, error);
        else if (status != STATUS_OK)
            error_machine(error, "%s", not_linear.message);
    }
    if (status == STATUS_OK) {
        struct explanation e = {out, 0, scheduler, &table, request};
        fprintf(out, "%s, %zu steps, %s arithmetic\n", scheduler_name(scheduler), table.count,
            table.is_f32 ? "diffusers" : "f64");
        explain_noise(&e);
        explain_timesteps(&e);
        explain_sigmas(&e);
        explain_steps(&e, not_linear.message);
    }
    schedule_table_free(&table);
    scheduler_free(scheduler);
    return status;
}
