#include "edm.h"
#include "noise_schedule.h"
#include "real.h"
#include "rounded_math.h"

#include <math.h>

const struct option edm_options[8] = {
    {OPTION_MEMBER(edm_config, sigma_min), .type = OPTION_NUMBER, .number = 0.002},
    {OPTION_MEMBER(edm_config, sigma_max), .type = OPTION_NUMBER, .number = 80},
    {OPTION_MEMBER(edm_config, sigma_data), .type = OPTION_NUMBER, .number = 0.5},
    {OPTION_MEMBER(edm_config, sigma_schedule), .type = OPTION_STRING, .string = "karras"},
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 1000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "epsilon"},
    {OPTION_MEMBER(edm_config, rho), .type = OPTION_NUMBER, .number = 7},
    {OPTION_MEMBER(scheduler_config, final_sigmas_type), .type = OPTION_STRING, .string = "zero"},
};

/* --- Schedules ---------------------------------------------------------------------------- */

enum status edm_check_options(const struct edm_config *config, bool zero_allowed, struct error *error)
{
    const bool exponential = option_is(config->sigma_schedule, "exponential");
    if (!exponential && !option_is(config->sigma_schedule, "karras"))
        return option_refuse(
            "sigma_schedule", config->sigma_schedule, "\"karras\" or \"exponential\"", error);
    zero_allowed = zero_allowed && !exponential;
    const double ends[] = {config->sigma_min, config->sigma_max};
    static const char *const names[] = {"sigma_min", "sigma_max"};
    for (int i = 0; i < 2; i++)
        if (!(zero_allowed ? ends[i] >= 0 : ends[i] > 0))
            return error_input(error, "%s: expected a %s number with sigma_schedule \"%s\", got %g", names[i],
                zero_allowed ? "non-negative" : "positive", config->sigma_schedule, ends[i]);
    if (config->rho == 0) return error_input(error, "rho: expected a number other than 0, got 0");
    return STATUS_OK;
}

enum status edm_check_final_sigma(const struct edm_config *config, struct error *error)
{
    const char *type = config->dpm.common.final_sigmas_type;
    if (option_is(type, "zero") || option_is(type, "sigma_min")) return STATUS_OK;
    return option_refuse("final_sigmas_type", type, "\"zero\" or \"sigma_min\"", error);
}

struct edm_karras edm_karras_of(const struct edm_config *config)
{
    return (struct edm_karras){
        .min_inv_rho = rounded_pow(config->sigma_min, 1 / config->rho),
        .max_inv_rho = rounded_pow(config->sigma_max, 1 / config->rho),
        .rho = config->rho,
    };
}

double edm_karras_sigma(const struct edm_karras *karras, double ramp)
{
    return rounded_pow(karras->max_inv_rho + ramp * (karras->min_inv_rho - karras->max_inv_rho), karras->rho);
}

/* Element i of a tensor x [n] to the power of a Python number. Torch multiplies for the small whole ones, and
 * else has a kernel for sixteen elements, with the C library for the rest. */
static real tensor_power(real x, double exponent, size_t i, size_t n)
{
    if (exponent == 1) return x;
    if (exponent == 2) return x * x;
    if (exponent == 3) return x * x * x;
    if (exponent == -2) return 1 / (x * x);
    if (exponent == 0.5) return real_sqrt(x);
    if (PLUMB_REAL_IS_DOUBLE || i >= n / 16 * 16 || !(x > 0)) return (real)rounded_pow((double)x, exponent);
    return (real)torch_float_pow((float)x, (float)exponent);
}

static void sigmas_karras_of_tensor(const struct edm_config *config, size_t n, real *sigmas)
{
    const double min_inv_rho = rounded_pow(config->sigma_min, 1 / config->rho);
    const double max_inv_rho = rounded_pow(config->sigma_max, 1 / config->rho);
    torch_linspace(0, 1, n, sigmas);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = tensor_power(
            (real)max_inv_rho + sigmas[i] * (real)(min_inv_rho - max_inv_rho), config->rho, i, n);
}

void edm_sigmas_exponential(const struct edm_config *config, size_t n, real *sigmas)
{
    torch_linspace(rounded_log(config->sigma_min), rounded_log(config->sigma_max), n, sigmas);
    for (size_t i = 0; i < n; i++) sigmas[i] = real_exp(sigmas[i]);
    for (size_t i = 0; i < n / 2; i++) {
        real last = sigmas[n - 1 - i];
        sigmas[n - 1 - i] = sigmas[i];
        sigmas[i] = last;
    }
}

void edm_sigmas(const struct edm_config *config, size_t n, real *sigmas)
{
    if (option_is(config->sigma_schedule, "exponential"))
        edm_sigmas_exponential(config, n, sigmas);
    else
        sigmas_karras_of_tensor(config, n, sigmas);
}

real edm_noise_label(real sigma)
{
    return (real)0.25 * real_log(sigma);
}

double edm_init_noise_sigma(const struct edm_config *config)
{
    return sqrt(config->sigma_max * config->sigma_max + 1);
}

/* --- Preconditioning ---------------------------------------------------------------------- */

enum status edm_scale_model_input(struct scheduler *scheduler, double timestep,
    enum off_schedule off_schedule, const real *sample, size_t n, real *model_input, struct error *error)
{
    size_t index = 0;
    enum status status = step_index_now(scheduler, timestep, off_schedule, &index, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)index;
    const real c_in = 1 / real_sqrt(edm_variance_at(edm_config_of(scheduler), scheduler->sigmas[index]));
    for (size_t i = 0; i < n; i++) model_input[i] = sample[i] * c_in;
    return STATUS_OK;
}

enum status edm_skip_at(
    const struct scheduler *scheduler, real sigma, struct edm_skip *skip, struct error *error)
{
    const struct edm_config *config = edm_config_of(scheduler);
    const char *type = config->dpm.common.prediction_type;
    if (option_is(type, "sample") && scheduler->semantics == SEMANTICS_DOCUMENTED) {
        *skip = (struct edm_skip){.c_skip = 0, .c_out = 1};
        return STATUS_OK;
    }
    const bool v_prediction = option_is(type, "v_prediction");
    if (!v_prediction && !option_is(type, "epsilon"))
        return option_refuse("prediction_type", type, "\"epsilon\" or \"v_prediction\"", error);
    const real variance = edm_variance_at(config, sigma);
    /* A number over a tensor is the number times the tensor's reciprocal. */
    skip->c_skip = 1 / variance * (real)(config->sigma_data * config->sigma_data);
    skip->c_out = (v_prediction ? -sigma : sigma) * (real)config->sigma_data / real_sqrt(variance);
    return STATUS_OK;
}
