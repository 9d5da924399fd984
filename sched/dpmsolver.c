#include "dpmsolver.h"
#include "real.h"
#include "step_index.h"
#include "thresholding.h"

#include <stdlib.h>

const struct option dpm_flow_options[4] = {
    {OPTION_MEMBER(dpm_config, use_flow_sigmas), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(dpm_config, flow_shift), .type = OPTION_OPTIONAL_NUMBER, .number = 1.0},
    {OPTION_MEMBER(dpm_config, use_dynamic_shifting), .type = OPTION_BOOL},
    {OPTION_MEMBER(dpm_config, time_shift_type), .type = OPTION_STRING, .string = "exponential"},
};

const struct option dpm_lambda_options[2] = {
    {OPTION_MEMBER(dpm_config, lambda_min_clipped), .type = OPTION_EXTENDED_NUMBER,
        .number = (double)-INFINITY},
    {OPTION_MEMBER(dpm_config, variance_type), .type = OPTION_STRING, .nullable = true},
};

/* --- Levels and model outputs ------------------------------------------------------------- */

struct level dpm_level(const struct dpm_config *config, real sigma)
{
    struct level level;
    if (config->use_flow_sigmas) {
        level.alpha = 1 - sigma;
        level.sigma = sigma;
    } else {
        level.alpha = 1 / real_sqrt(sigma * sigma + 1);
        level.sigma = sigma * level.alpha;
    }
    level.lambda = real_log(level.alpha) - real_log(level.sigma);
    return level;
}

static enum status check_variance(const struct dpm_config *config, enum prediction prediction,
    const struct step_input *input, struct error *error)
{
    const bool learned =
        option_is(config->variance_type, "learned") || option_is(config->variance_type, "learned_range");
    if (input->model_output_size == input->sample_size || (learned && prediction == PREDICTS_EPSILON))
        return STATUS_OK;
    return error_input(error,
        "model_output: expected %zu numbers a picture, got %zu; a predicted variance needs variance_type "
        "\"learned\" or \"learned_range\" and prediction_type \"epsilon\"",
        input->sample_size, input->model_output_size);
}

enum status dpm_convert_output(const struct dpm_config *config, bool data, real sigma,
    const struct step_input *input, real *converted, struct error *error)
{
    enum prediction prediction = PREDICTS_EPSILON;
    enum status status = prediction_of(config->common.prediction_type, data, &prediction, error);
    if (status == STATUS_OK) status = check_variance(config, prediction, input, error);
    if (status != STATUS_OK) return status;

    struct level level = dpm_level(config, sigma);
    if (prediction == PREDICTS_FLOW) level.sigma = sigma; /* whatever the levels are */
    const size_t n = input->sample_size;
    for (size_t b = 0; b < input->batch; b++) {
        const real *model_output = input->model_output + b * input->model_output_size;
        if (data)
            predict_data(prediction, level, model_output, input->sample + b * n, n, converted + b * n);
        else
            predict_noise(prediction, level, model_output, input->sample + b * n, n, converted + b * n);
    }
    if (!data || !config->common.thresholding) return STATUS_OK;
    return threshold_sample(&config->common, converted, input->batch, n, error);
}

enum status dpm_threshold_noise(const struct dpm_config *config, real sigma, const struct step_input *input,
    real *epsilon, struct error *error)
{
    const struct level level = dpm_level(config, sigma);
    const size_t total = input->batch * input->sample_size;
    real *x0 = malloc(total * sizeof *x0);
    if (!x0) return error_memory(error, total * sizeof *x0);
    predict_data(PREDICTS_EPSILON, level, epsilon, input->sample, total, x0);
    enum status status = threshold_sample(&config->common, x0, input->batch, input->sample_size, error);
    if (status == STATUS_OK) predict_noise(PREDICTS_SAMPLE, level, x0, input->sample, total, epsilon);
    free(x0);
    return status;
}

enum status dpm_convert_or_refuse(const struct scheduler *scheduler, bool data, size_t index,
    const struct step_input *input, real *converted, struct error *error)
{
    const struct dpm_config *config = dpm_config_of(scheduler);
    const real sigma = scheduler->sigmas[index];
    const bool threshold_noise = !data && config->common.thresholding;
    if (threshold_noise && scheduler->semantics == SEMANTICS_DIFFUSERS)
        return error_input(error,
            "thresholding: expected false with algorithm_type \"%s\": diffusers cannot threshold predicted "
            "noise here",
            config->algorithm_type);
    enum status status = dpm_convert_output(config, data, sigma, input, converted, error);
    if (status == STATUS_OK && threshold_noise)
        status = dpm_threshold_noise(config, sigma, input, converted, error);
    return status;
}

enum status dpm_step_index(
    const struct scheduler *scheduler, double timestep, size_t *index, struct error *error)
{
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_LAST, index, error);
    if (status == STATUS_OK && *index + 1 >= scheduler->num_sigmas)
        status = error_input(
            error, "step %zu: the schedule has only %zu steps", *index, scheduler->num_sigmas - 1);
    return status;
}

enum status dpm_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    for (size_t b = 0; b < batch; b++) {
        size_t index = 0;
        enum status status =
            step_index_for_noise(scheduler, timesteps[b], OFF_SCHEDULE_IS_LAST, &index, error);
        if (status != STATUS_OK) return status;
        struct level level = dpm_level(dpm_config_of(scheduler), scheduler->sigmas[index]);
        for (size_t i = b * sample_size; i < (b + 1) * sample_size; i++)
            noisy_samples[i] = level.alpha * original_samples[i] + level.sigma * noise[i];
    }
    return STATUS_OK;
}

/* --- The algorithms of DPM-Solver --------------------------------------------------------- */

enum status dpm_check_solver_type(const struct dpm_config *config, struct error *error)
{
    static const char *const solver_types[] = {"midpoint", "heun", "logrho", "bh1", "bh2"};
    for (size_t i = 0; i < sizeof solver_types / sizeof solver_types[0]; i++)
        if (option_is(config->solver_type, solver_types[i])) return STATUS_OK;
    return option_refuse("solver_type", config->solver_type,
        "\"midpoint\" (or \"logrho\", \"bh1\", \"bh2\", which mean the same) or \"heun\"", error);
}

enum status dpm_find_algorithm(const struct dpm_config *config, bool has_sde_dpmsolver,
    enum dpm_algorithm *algorithm, struct error *error)
{
    static const struct {
        const char *name;
        enum dpm_algorithm algorithm;
    } names[] = {{"dpmsolver", DPMSOLVER}, {"dpmsolver++", DPMSOLVER_PP},
        {"sde-dpmsolver++", SDE_DPMSOLVER_PP}, {"deis", DPMSOLVER_PP}, {"sde-dpmsolver", SDE_DPMSOLVER}};
    const size_t count = sizeof names / sizeof names[0] - (has_sde_dpmsolver ? 0 : 1);
    bool known = false;
    for (size_t i = 0; i < count && !known; i++) {
        *algorithm = names[i].algorithm;
        known = option_is(config->algorithm_type, names[i].name);
    }
    if (!known)
        return option_refuse("algorithm_type", config->algorithm_type,
            has_sde_dpmsolver ? "\"dpmsolver\", \"dpmsolver++\", \"sde-dpmsolver\" or \"sde-dpmsolver++\""
                              : "\"dpmsolver\", \"dpmsolver++\" or \"sde-dpmsolver++\"",
            error);
    return dpm_check_solver_type(config, error);
}

enum status dpm_check_final_sigma(const struct dpm_config *config, struct error *error)
{
    /* Diffusers looks at the name as it is given, so `deis` is refused too. */
    const char *name = config->algorithm_type;
    if (option_is(name, "dpmsolver++") || option_is(name, "sde-dpmsolver++") ||
        !option_is(config->common.final_sigmas_type, "zero"))
        return STATUS_OK;
    return error_input(error,
        "final_sigmas_type: algorithm_type \"%s\" cannot step to sigma 0; expected \"sigma_min\", got "
        "\"zero\"",
        name);
}

struct dpm_coefficients dpm_coefficients_of(
    enum dpm_algorithm algorithm, struct level t, struct level s, bool midpoint, bool documented)
{
    real h = t.lambda - s.lambda;
    real two = 2, half = (real)0.5;
    struct dpm_coefficients c = {0};
    switch (algorithm) {
    case DPMSOLVER_PP: {
        real phi = real_exp(-h) - 1;
        c.sample = t.sigma / s.sigma;
        c.d0 = -(t.alpha * phi);
        c.d1 = midpoint ? -(half * (t.alpha * phi)) : t.alpha * (phi / h + 1);
        c.d2 = -(t.alpha * ((phi + h) / (h * h) - half));
        break;
    }
    case DPMSOLVER: {
        real phi = real_exp(h) - 1;
        c.sample = t.alpha / s.alpha;
        c.d0 = -(t.sigma * phi);
        c.d1 = midpoint ? -(half * (t.sigma * phi)) : -(t.sigma * (phi / h - 1));
        c.d2 = -(t.sigma * ((phi - h) / (h * h) - half));
        break;
    }
    case SDE_DPMSOLVER_PP: {
        real phi = 1 - real_exp(-two * h);
        c.sample = t.sigma / s.sigma * real_exp(-h);
        c.d0 = t.alpha * phi;
        c.d1 = midpoint ? half * (t.alpha * phi) : t.alpha * (phi / (-two * h) + 1);
        c.d2 = t.alpha * ((phi - two * h) / ((two * h) * (two * h)) + (documented ? half : -half));
        c.noise = t.sigma * real_sqrt(phi);
        break;
    }
    case SDE_DPMSOLVER: {
        real phi = real_exp(h) - 1;
        c.sample = t.alpha / s.alpha;
        c.d0 = -(two * (t.sigma * phi));
        c.d1 = midpoint ? -(t.sigma * phi) : -(two * (t.sigma * (phi / h - 1)));
        c.d2 = -(two * (t.sigma * ((phi - h) / (h * h) - half))); /* documented semantics only */
        c.noise = t.sigma * real_sqrt(real_exp(two * h) - 1);
        break;
    }
    }
    return c;
}

int dpm_multistep_order(const struct dpm_config *config, size_t num_steps, size_t left, int taken)
{
    const bool few = config->lower_order_final && num_steps < 15;
    if (config->solver_order == 1 || taken < 1 || (few && left == 1)) return 1;
    if (config->solver_order == 2 || taken < 2 || (few && left == 2)) return 2;
    return 3;
}
