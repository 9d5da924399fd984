#include "noise_schedule.h"
#include "config.h"
#include "solver.h"
#include "real.h"
#include "rounded_math.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* PyTorch's linspace works from both ends, so that it is symmetric: start + step i in the first half,
 * end - step (n - 1 - i) in the second, fused. While 16 numbers or more are left its AVX2 kernel takes two
 * vectors of 8 of them, and computes only the first number of a vector so: lane l is that plus l step,
 * rounded twice. */
void torch_linspace(double start_number, double end_number, size_t n, real *out)
{
    real start = (real)start_number, end = (real)end_number;
    if (n == 1) out[0] = start;
    if (n < 2) return;
    real step = (end - start) / (real)(n - 1);
    size_t vectors_end = PLUMB_REAL_IS_DOUBLE ? 0 : n / 16 * 16;
    for (size_t i = 0; i < n; i++) {
        size_t lane = i < vectors_end ? i % 8 : 0;
        size_t first = i - lane;
        real base =
            first < n / 2 ? real_fma(step, (real)first, start) : real_fma(-step, (real)(n - first - 1), end);
        out[i] = lane ? base + (real)lane * step : base;
    }
}

/* What is left of the signal at t, from 0 to 1. Nichol and Dhariwal 2021 (arXiv:2102.09672), eq. 17:
 * alpha_bar(t) = cos^2((t + 0.008) / 1.008 * pi / 2); and an exponential of diffusers' own. */
static double cosine_alpha_bar(double t)
{
    double root = rounded_cos((t + 0.008) / 1.008 * M_PI / 2);
    return root * root;
}

static double exponential_alpha_bar(double t)
{
    return rounded_exp(t * -12.0);
}

static void fill_from_alpha_bar(double (*alpha_bar)(double), real *betas, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double t1 = (double)i / (double)n, t2 = (double)(i + 1) / (double)n;
        double beta = 1 - alpha_bar(t2) / alpha_bar(t1);
        betas[i] = (real)fmin(beta, 0.999);
    }
}

/* Equal steps of beta: Ho et al. 2020, section 4. */
static void fill_linear(const struct scheduler_config *config, real *betas, size_t n)
{
    torch_linspace(config->beta_start, config->beta_end, n, betas);
}

/* Equal steps of sqrt(beta): the schedule that latent diffusion models are trained on (Rombach et al. 2022,
 * arXiv:2112.10752; in their code it is "linear"). */
static enum status fill_scaled_linear(
    const struct scheduler_config *config, real *betas, size_t n, struct error *error)
{
    if (config->beta_start < 0 || config->beta_end < 0)
        return error_input(error,
            "beta_start, beta_end: scaled_linear takes their square roots, so neither may be negative, got "
            "%g and %g",
            config->beta_start, config->beta_end);
    torch_linspace(sqrt(config->beta_start), sqrt(config->beta_end), n, betas);
    for (size_t i = 0; i < n; i++) betas[i] *= betas[i];
    return STATUS_OK;
}

/* sigmoid(-6 .. 6), stretched from beta_start to beta_end. */
static void fill_sigmoid(const struct scheduler_config *config, real *betas, size_t n)
{
    const real range = (real)(config->beta_end - config->beta_start), start = (real)config->beta_start;
    torch_linspace(-6, 6, n, betas);
    for (size_t i = 0; i < n; i++) betas[i] = 1 / (1 + real_exp(-betas[i])) * range + start;
}

static enum status fill_betas(const struct scheduler *scheduler, real *betas, size_t n, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    const char *name = config->beta_schedule, *extra = scheduler->solver->extra_beta_schedule;
    if (config->trained_betas.values) {
        for (size_t i = 0; i < n; i++) betas[i] = (real)config->trained_betas.values[i];
    } else if (option_is(name, "linear")) {
        fill_linear(config, betas, n);
    } else if (option_is(name, "scaled_linear")) {
        return fill_scaled_linear(config, betas, n, error);
    } else if (option_is(name, "squaredcos_cap_v2")) {
        fill_from_alpha_bar(cosine_alpha_bar, betas, n);
    } else if (extra && option_is(extra, "sigmoid") && option_is(name, extra)) {
        fill_sigmoid(config, betas, n);
    } else if (extra && option_is(extra, "exp") && option_is(name, extra)) {
        fill_from_alpha_bar(exponential_alpha_bar, betas, n);
    } else {
        char choices[128];
        snprintf(choices, sizeof choices, "\"linear\", \"scaled_linear\"%s%s%s or \"squaredcos_cap_v2\"",
            extra ? ", \"" : "", extra ? extra : "", extra ? "\"" : "");
        return option_refuse("beta_schedule", name, choices, error);
    }
    return STATUS_OK;
}

/* alphas_cumprod[t] = alphas[0] alphas[1] ... alphas[t], Ho et al. 2020, eq. 4: bar(alpha)_t. As
 * torch.cumprod it accumulates in double, and every output is rounded. */
static void cumulative_product(const real *alphas, size_t n, real *alphas_cumprod)
{
    double product = 1;
    for (size_t i = 0; i < n; i++) {
        product *= (double)alphas[i];
        alphas_cumprod[i] = (real)product;
    }
}

/* Lin et al. 2023 (arXiv:2305.08891), Algorithm 1: sqrt(alphas_cumprod) is shifted so that its last entry is
 * 0, and scaled so that its first is what it was. `root` [n] is scratch, and holds sqrt(alphas_cumprod). */
static void rescale_zero_terminal_snr(real *betas, size_t n, real *root)
{
    for (size_t i = 0; i < n; i++) root[i] = 1 - betas[i];
    cumulative_product(root, n, root);
    for (size_t i = 0; i < n; i++) root[i] = real_sqrt(root[i]);
    real first = root[0], last = root[n - 1];
    real scale = first / (first - last);
    for (size_t i = 0; i < n; i++) root[i] = (root[i] - last) * scale;
    real before = 1;
    for (size_t i = 0; i < n; i++) {
        real alpha_bar = root[i] * root[i];
        betas[i] = 1 - (i ? alpha_bar / before : alpha_bar);
        before = alpha_bar;
    }
}

static void warn_of_trained_betas(
    const struct scheduler_config *config, const char *class_name, struct warnings *warnings)
{
    if (!config->trained_betas.values) return;
    if (!option_is(config->beta_schedule, "linear"))
        warnings_add(
            warnings, "option beta_schedule is ignored by %s where trained_betas is given", class_name);
    if (config->trained_betas.count != (size_t)config->num_train_timesteps)
        warnings_add(warnings, "trained_betas: %zu numbers, but num_train_timesteps is %d",
            config->trained_betas.count, config->num_train_timesteps);
}

/* A beta is the share of the variance that a step of training replaces by noise. diffusers takes any number,
 * and computes with the roots of negative ones. */
static enum status check_betas(
    const struct scheduler_config *config, const real *betas, size_t n, struct error *error)
{
    for (size_t i = 0; i < n; i++)
        if (!(betas[i] >= 0 && betas[i] <= 1))
            return config->trained_betas.values
                       ? error_input(error, "trained_betas[%zu]: expected a number from 0 to 1, got %g", i,
                             config->trained_betas.values[i])
                       : error_input(error,
                             "beta_start, beta_end: expected betas from 0 to 1, got %g for timestep %zu "
                             "(from "
                             "%g to %g)",
                             (double)betas[i], i, config->beta_start, config->beta_end);
    return STATUS_OK;
}

enum status noise_schedule_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct scheduler_config *config = scheduler->config;
    size_t n =
        config->trained_betas.values ? config->trained_betas.count : (size_t)config->num_train_timesteps;
    if (n == 0) return error_input(error, "trained_betas: expected at least one number, got []");
    scheduler->num_betas = n;
    scheduler->betas = malloc(n * sizeof(real));
    scheduler->alphas = malloc(n * sizeof(real));
    scheduler->alphas_cumprod = malloc(n * sizeof(real));
    if (!scheduler->betas || !scheduler->alphas || !scheduler->alphas_cumprod)
        return error_memory(error, n * sizeof(real));

    enum status status = fill_betas(scheduler, scheduler->betas, n, error);
    if (status == STATUS_OK) status = check_betas(config, scheduler->betas, n, error);
    if (status != STATUS_OK) return status;
    if (config->rescale_betas_zero_snr)
        rescale_zero_terminal_snr(scheduler->betas, n, scheduler->alphas_cumprod);
    for (size_t i = 0; i < n; i++) scheduler->alphas[i] = 1 - scheduler->betas[i];
    cumulative_product(scheduler->alphas, n, scheduler->alphas_cumprod);
    warn_of_trained_betas(config, scheduler_name(scheduler), warnings);
    return STATUS_OK;
}

void noise_schedule_avoid_zero(struct scheduler *scheduler)
{
    scheduler->alphas_cumprod[scheduler->num_betas - 1] = (real)0x1p-24;
}

enum status alphas_cumprod_at(
    const struct scheduler *scheduler, double timestep, real *alpha_cumprod, struct error *error)
{
    double n = (double)scheduler->num_betas;
    if (!(timestep == floor(timestep)) || timestep < -n || timestep >= n)
        return error_input(error,
            "timestep: expected an integer below %zu, the length of the noise schedule, got %g",
            scheduler->num_betas, timestep);
    *alpha_cumprod = scheduler->alphas_cumprod[(size_t)(timestep < 0 ? timestep + n : timestep)];
    return STATUS_OK;
}

/* by_alpha * a + by_sigma * b, or with `velocity` by_alpha * a - by_sigma * b: sqrt(alphas_cumprod) and
 * sqrt(1 - alphas_cumprod) at each picture's timestep. */
static enum status mix(const struct scheduler *scheduler, bool velocity, const real *a, const real *b,
    const double *timesteps, size_t batch, size_t sample_size, real *mixed, struct error *error)
{
    for (size_t picture = 0; picture < batch; picture++) {
        real alpha_prod = 0;
        enum status status = alphas_cumprod_at(scheduler, timesteps[picture], &alpha_prod, error);
        if (status != STATUS_OK) return status;
        const real by_alpha = real_sqrt(alpha_prod), by_sigma = real_sqrt(1 - alpha_prod);
        for (size_t i = picture * sample_size; i < (picture + 1) * sample_size; i++) {
            const real first = by_alpha * a[i], second = by_sigma * b[i];
            mixed[i] = velocity ? first - second : first + second;
        }
    }
    return STATUS_OK;
}

enum status noise_schedule_get_velocity(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *velocity,
    struct error *error)
{
    return mix(scheduler, true, noise, original_samples, timesteps, batch, sample_size, velocity, error);
}

enum status noise_schedule_add_noise(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples,
    struct error *error)
{
    return mix(
        scheduler, false, original_samples, noise, timesteps, batch, sample_size, noisy_samples, error);
}
