#include "flow_match.h"
#include "real.h"
#include "rounded_math.h"
#include "sigma_kinds.h"
#include "sigma_schedule.h"
#include "solver.h"
#include "step_index.h"
#include "timesteps.h"

#include <stdlib.h>

const struct option flow_shift_options[1] = {
    {OPTION_MEMBER(flow_match_config, shift), .type = OPTION_NUMBER, .number = 1},
};

const struct option flow_match_options[8] = {
    {OPTION_MEMBER(flow_match_config, use_dynamic_shifting), .type = OPTION_BOOL},
    {OPTION_MEMBER(flow_match_config, base_shift), .type = OPTION_OPTIONAL_NUMBER, .number = 0.5},
    {OPTION_MEMBER(flow_match_config, max_shift), .type = OPTION_OPTIONAL_NUMBER, .number = 1.15},
    {OPTION_MEMBER(flow_match_config, base_image_seq_len), .type = OPTION_OPTIONAL_NUMBER, .number = 256},
    {OPTION_MEMBER(flow_match_config, max_image_seq_len), .type = OPTION_OPTIONAL_NUMBER, .number = 4096},
    {OPTION_MEMBER(flow_match_config, invert_sigmas), .type = OPTION_BOOL},
    {OPTION_MEMBER(flow_match_config, shift_terminal), .type = OPTION_OPTIONAL_NUMBER},
    {OPTION_MEMBER(flow_match_config, time_shift_type), .type = OPTION_STRING, .string = "exponential"},
};

/* --- The constructor ---------------------------------------------------------------------- */

/* As NumPy keeps a number in an array: of float32 (`narrow`), or of double. */
static double kept(double number, bool narrow)
{
    return narrow ? (double)(real)number : number;
}

double flow_match_shift(double shift, double sigma, bool narrow)
{
    if (!narrow) return sigma_shifted(shift, sigma);
    const real above = (real)shift * (real)sigma, below = 1 + (real)(shift - 1) * (real)sigma;
    return (double)(above / below);
}

/* The sigma of training timestep `t` counted from 1, before the shift or after it. */
static real sigma_of_training(const struct scheduler *scheduler, size_t t, bool shifted)
{
    const real sigma = (real)t / (real)scheduler->num_train_timesteps;
    return shifted ? (real)flow_match_shift(flow_match_config_of(scheduler)->shift, (double)sigma, true)
                   : sigma;
}

static void warn_of_options(
    const struct flow_match_config *config, const char *name, struct warnings *warnings)
{
    const struct {
        const char *name;
        const struct optional_number *option;
        double value;
    } of_mu[] = {
        {"base_shift", &config->base_shift, 0.5},
        {"max_shift", &config->max_shift, 1.15},
        {"base_image_seq_len", &config->base_image_seq_len, 256},
        {"max_image_seq_len", &config->max_image_seq_len, 4096},
    };
    for (size_t i = 0; i < sizeof of_mu / sizeof of_mu[0]; i++)
        if (of_mu[i].option->given && of_mu[i].option->value != of_mu[i].value)
            warnings_add(warnings,
                "option %s is ignored by %s: mu, which a pipeline makes of it, is an argument of "
                "set_timesteps",
                of_mu[i].name, name);
    if (config->use_dynamic_shifting && config->shift != 1)
        warnings_add(warnings, "option shift is ignored by %s where use_dynamic_shifting is true", name);
    if (!config->use_dynamic_shifting && option_is(config->time_shift_type, "linear"))
        warnings_add(
            warnings, "option time_shift_type is ignored by %s unless use_dynamic_shifting is true", name);
}

enum status flow_match_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct flow_match_config *config = flow_match_config_of(scheduler);
    enum status status = sigma_kinds_check(&config->common, error);
    if (status != STATUS_OK) return status;
    const char *type = config->time_shift_type; /* none in a class without the option */
    if (type && !option_is(type, "exponential") && !option_is(type, "linear"))
        return option_refuse("time_shift_type", type, "\"exponential\" or \"linear\"", error);
    warn_of_options(config, scheduler_name(scheduler), warnings);
    warn_of_sigma_range(scheduler, warnings);

    const size_t n = (size_t)scheduler->num_train_timesteps;
    double *timesteps = malloc(n * sizeof *timesteps);
    real *sigmas = malloc(n * sizeof *sigmas);
    if (!timesteps || !sigmas) {
        free(timesteps);
        free(sigmas);
        return error_memory(error, n * sizeof *timesteps);
    }
    for (size_t i = 0; i < n; i++) {
        sigmas[i] = sigma_of_training(scheduler, n - i, !config->use_dynamic_shifting);
        timesteps[i] = (double)(sigmas[i] * (real)n);
    }
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, n);
    return STATUS_OK;
}

/* --- set_timesteps ------------------------------------------------------------------------ */

void flow_match_grid(const struct scheduler *scheduler, size_t n, double *timesteps)
{
    const bool shifted =
        !flow_match_config_of(scheduler)->use_dynamic_shifting && scheduler->semantics == SEMANTICS_DIFFUSERS;
    const double trained = scheduler->num_train_timesteps;
    const size_t last = (size_t)scheduler->num_train_timesteps;
    numpy_linspace((double)sigma_of_training(scheduler, last, shifted) * trained,
        (double)sigma_of_training(scheduler, 1, shifted) * trained, n, timesteps);
}

static enum status check_request(
    const struct flow_match_config *config, const struct schedule_request *request, struct error *error)
{
    if (config->use_dynamic_shifting && !request->has_mu)
        return error_input(error, "mu: missing; it is needed where use_dynamic_shifting is true");
    if (!request->has_num_inference_steps && !request->timesteps && !request->sigmas)
        return error_input(
            error, "num_inference_steps, timesteps, sigmas: expected at least one of the three, got none");
    if (request->sigmas && request->timesteps && request->num_sigmas != request->num_timesteps)
        return error_input(error,
            "sigmas, timesteps: expected as many of one as of the other, got %zu and %zu",
            request->num_sigmas, request->num_timesteps);
    const size_t given = request->sigmas ? request->num_sigmas : request->num_timesteps;
    if (request->has_num_inference_steps && (request->sigmas || request->timesteps) &&
        (size_t)request->num_inference_steps != given)
        return error_input(error, "%s: expected num_inference_steps = %d of them, got %zu",
            request->sigmas ? "sigmas" : "timesteps", request->num_inference_steps, given);
    return STATUS_OK;
}

/* A sigma moved towards the noisy end by mu: s / (s + 1/sigma - 1), s = e^mu or mu: eq. 23 of Esser et al.
 * 2024 (section 5.3.2) with s = sqrt(m/n) by the picture's size. */
static double dynamic_shift(const struct flow_match_config *config, double mu, double sigma, bool narrow)
{
    const double weight = option_is(config->time_shift_type, "linear") ? mu : rounded_exp(mu);
    const double odds = kept(kept(1 / sigma, narrow) - 1, narrow);
    return kept(kept(weight, narrow) / kept(kept(weight, narrow) + odds, narrow), narrow);
}

/* Stretches 1 - sigma so that the last sigma becomes shift_terminal. */
static void stretch_to_terminal(double shift_terminal, double *sigmas, size_t n, bool narrow)
{
    const double scale_factor = kept(1 - sigmas[n - 1], narrow) / (1 - shift_terminal);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = kept(1 - kept(kept(1 - sigmas[i], narrow) / kept(scale_factor, narrow), narrow), narrow);
}

/* The sigmas of a request: [n], shifted, stretched, replaced by those of a kind. Given lists are float32
 * arrays and stay so; the grid is in double. */
static enum status make_sigmas(const struct scheduler *scheduler, const struct schedule_request *request,
    size_t n, double *sigmas, struct error *error)
{
    const struct flow_match_config *config = flow_match_config_of(scheduler);
    const bool narrow = request->sigmas || request->timesteps;
    const double trained = scheduler->num_train_timesteps;
    if (!narrow) flow_match_grid(scheduler, n, sigmas);
    for (size_t i = 0; i < n; i++) {
        if (request->sigmas)
            sigmas[i] = kept(request->sigmas[i], true);
        else
            sigmas[i] = kept((narrow ? kept(request->timesteps[i], true) : sigmas[i]) / trained, narrow);
        sigmas[i] = config->use_dynamic_shifting ? dynamic_shift(config, request->mu, sigmas[i], narrow)
                                                 : flow_match_shift(config->shift, sigmas[i], narrow);
    }
    const bool stretches = config->shift_terminal.given && config->shift_terminal.value != 0;
    const char *kind = sigma_kind_of(&config->common);
    if (n == 0 && (stretches || kind))
        return error_input(error, "num_inference_steps: expected at least 1 step with %s, got 0",
            kind ? kind : "shift_terminal");
    if (stretches && sigmas[n - 1] == 1) /* 0 / 0 in diffusers: one step, from pure noise */
        return error_input(error,
            "shift_terminal: the last sigma of %zu is 1, which nothing stretches to %g; expected more steps",
            n, config->shift_terminal.value);
    if (stretches) stretch_to_terminal(config->shift_terminal.value, sigmas, n, narrow);
    if (!kind) return STATUS_OK;
    const struct scheduler_config *common = &config->common;
    const double sigma_min =
        sigma_range_end(scheduler, &common->sigma_min, &common->inherited_sigma_min, sigmas[n - 1]);
    const double sigma_max =
        sigma_range_end(scheduler, &common->sigma_max, &common->inherited_sigma_max, sigmas[0]);
    return sigmas_of_kind(common, sigma_min, sigma_max, n, sigmas, error);
}

enum status flow_match_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    const struct flow_match_config *config = flow_match_config_of(scheduler);
    enum status status = check_request(config, request, error);
    if (status != STATUS_OK) return status;
    const size_t n = request->sigmas      ? request->num_sigmas
                     : request->timesteps ? request->num_timesteps
                                          : (size_t)request->num_inference_steps;
    double *timesteps = malloc((n + 1) * sizeof *timesteps);
    real *sigmas = malloc((n + 1) * sizeof *sigmas);
    status = timesteps && sigmas ? make_sigmas(scheduler, request, n, timesteps, error)
                                 : error_memory(error, (n + 1) * sizeof *timesteps);
    if (status != STATUS_OK) {
        free(timesteps);
        free(sigmas);
        return status;
    }
    /* Known deviation of diffusers: given timesteps stay, though the sigmas they mean have been shifted. */
    const bool keeps =
        request->timesteps && !config->invert_sigmas && scheduler->semantics == SEMANTICS_DIFFUSERS;
    for (size_t i = 0; i < n; i++) {
        sigmas[i] = config->invert_sigmas ? 1 - (real)timesteps[i] : (real)timesteps[i];
        const real timestep =
            keeps ? (real)request->timesteps[i] : sigmas[i] * (real)scheduler->num_train_timesteps;
        timesteps[i] = (double)timestep;
    }
    sigmas[n] = config->invert_sigmas ? 1 : 0;
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_FLOAT32);
    scheduler_take_sigmas(scheduler, sigmas, n + 1);
    scheduler->num_inference_steps = (int)n;
    if (request->has_mu && !config->use_dynamic_shifting)
        warnings_add(
            warnings, "mu is ignored by %s unless use_dynamic_shifting is true", scheduler_name(scheduler));
    return STATUS_OK;
}

/* --- Noise -------------------------------------------------------------------------------- */

enum status flow_match_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    for (size_t b = 0; b < batch; b++) {
        size_t index = 0;
        enum status status =
            step_index_for_noise(scheduler, timesteps[b], OFF_SCHEDULE_IS_ERROR, &index, error);
        if (status != STATUS_OK) return status;
        const real sigma = scheduler->sigmas[index], rest = 1 - sigma;
        for (size_t i = b * sample_size; i < (b + 1) * sample_size; i++)
            noisy_samples[i] = sigma * noise[i] + rest * original_samples[i];
    }
    return STATUS_OK;
}
