#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"
#include "thresholding.h"
#include "timesteps.h"

/* --- The schedule ------------------------------------------------------------------------- */

enum status integer_steps_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = noise_schedule_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    scheduler->final_alpha_cumprod =
        scheduler->config->set_alpha_to_one ? (real)1 : scheduler->alphas_cumprod[0];
    scheduler->init_noise_sigma = 1;
    scheduler->timestep_dtype = TIMESTEP_INT64;
    return STATUS_OK;
}

double integer_steps_final_alpha(const struct scheduler *scheduler, size_t index)
{
    (void)index; /* the only one */
    return (double)scheduler->final_alpha_cumprod;
}

size_t integer_steps_shown(const struct scheduler *scheduler, struct shown_table *tables)
{
    (void)scheduler;
    tables[0] = (struct shown_table){"final_alpha_cumprod", SHOWN_NUMBER, 1, integer_steps_final_alpha};
    return 1;
}

static void warn_of_options(const struct scheduler *scheduler, struct warnings *warnings)
{
    const struct scheduler_config *config = scheduler->config;
    const char *name = scheduler_name(scheduler);
    const bool clips = config->clip_sample && !config->thresholding;
    if (config->clip_sample_range != 1 && !clips)
        warnings_add(warnings, "option clip_sample_range is ignored by %s %s", name,
            config->thresholding ? "where thresholding is true" : "unless clip_sample is true");
    if (config->rescale_betas_zero_snr && option_is(config->prediction_type, "epsilon") && !clips)
        warnings_add(warnings,
            "rescale_betas_zero_snr: with prediction_type \"epsilon\" %s divides by alphas_cumprod 0 at the "
            "last timestep of training",
            name);
}

enum status integer_steps_create_list(
    struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    enum status status = integer_steps_create(scheduler, warnings, error);
    if (status != STATUS_OK) return status;
    const size_t count = (size_t)scheduler->num_train_timesteps;
    double *timesteps = timesteps_of_training(count);
    if (!timesteps) return error_memory(error, count * sizeof *timesteps);
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    warn_of_options(scheduler, warnings);
    return STATUS_OK;
}

enum status integer_steps_grid(
    const struct scheduler *scheduler, int steps, double **timesteps, size_t *count, struct error *error)
{
    const struct spacing spacing = {
        .timestep_spacing = scheduler->config->timestep_spacing,
        .num_train_timesteps = scheduler->num_train_timesteps,
        .last_timestep = scheduler->num_train_timesteps,
        .num_inference_steps = steps,
        .steps_offset = scheduler->config->steps_offset,
        .no_extra_step = scheduler->semantics == SEMANTICS_DOCUMENTED,
    };
    return timesteps_spaced(&spacing, timesteps, count, error);
}

enum status integer_steps_set(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    const int steps = request->num_inference_steps;
    double *timesteps;
    size_t count;
    enum status status = timesteps_check_count(steps, scheduler->num_train_timesteps, error);
    if (status == STATUS_OK) status = integer_steps_grid(scheduler, steps, &timesteps, &count, error);
    if (status != STATUS_OK) return status;
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    scheduler->num_inference_steps = steps;
    return STATUS_OK;
}

/* --- Where a step goes to ----------------------------------------------------------------- */

enum status integer_steps_stride(const struct scheduler *scheduler, int *stride, struct error *error)
{
    if (scheduler->num_inference_steps == 0)
        return error_input(error, "num_inference_steps: a schedule of 0 steps has no step to take");
    *stride = scheduler->num_train_timesteps / scheduler->num_inference_steps;
    return STATUS_OK;
}

static enum status refuse_off_list(const struct scheduler *scheduler, double timestep, struct error *error)
{
    return error_input(
        error, "timestep: %.9g is not on the schedule of %zu timesteps", timestep, scheduler->num_timesteps);
}

enum status integer_steps_in_front(
    const struct scheduler *scheduler, double timestep, double *in_front, struct error *error)
{
    for (size_t i = 0; i < scheduler->num_timesteps; i++) {
        if (scheduler->timesteps[i] != timestep) continue;
        *in_front = i > 0 ? scheduler->timesteps[i - 1] : -1;
        return STATUS_OK;
    }
    return refuse_off_list(scheduler, timestep, error);
}

/* The entry behind the one at `index`, or -1. */
static double entry_behind(const struct scheduler *scheduler, size_t index)
{
    return index + 1 < scheduler->num_timesteps ? scheduler->timesteps[index + 1] : -1;
}

enum status integer_steps_after(
    const struct scheduler *scheduler, double timestep, double *after, struct error *error)
{
    for (size_t i = scheduler->num_timesteps; i-- > 0;) {
        if (scheduler->timesteps[i] != timestep) continue;
        *after = entry_behind(scheduler, i);
        return STATUS_OK;
    }
    return refuse_off_list(scheduler, timestep, error);
}

enum status integer_steps_after_first(
    const struct scheduler *scheduler, double timestep, double *after, struct error *error)
{
    for (size_t i = 0; i < scheduler->num_timesteps; i++) {
        if (scheduler->timesteps[i] != timestep) continue;
        *after = entry_behind(scheduler, i);
        return STATUS_OK;
    }
    return refuse_off_list(scheduler, timestep, error);
}

enum status integer_steps_next(
    const struct scheduler *scheduler, double timestep, double *next, struct error *error)
{
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        return integer_steps_after(scheduler, timestep, next, error);
    int stride = 0;
    enum status status = integer_steps_stride(scheduler, &stride, error);
    *next = timestep - stride;
    return status;
}

/* --- A step ------------------------------------------------------------------------------- */

enum status integer_steps_alphas(const struct scheduler *scheduler, double timestep, double prev_timestep,
    struct step_alphas *alphas, struct error *error)
{
    enum status status = alphas_cumprod_at(scheduler, timestep, &alphas->alpha_prod_t, error);
    if (status != STATUS_OK) return status;
    alphas->alpha_prod_t_prev = scheduler->final_alpha_cumprod;
    if (prev_timestep >= 0)
        status = alphas_cumprod_at(scheduler, prev_timestep, &alphas->alpha_prod_t_prev, error);
    alphas->beta_prod_t = 1 - alphas->alpha_prod_t;
    alphas->beta_prod_t_prev = 1 - alphas->alpha_prod_t_prev;
    return status;
}

static real clamp(real x, real low, real high)
{
    real raised = x < low ? low : x; /* NaN stays NaN */
    return raised > high ? high : raised;
}

static enum status limit(
    const struct scheduler_config *config, real *x0, size_t batch, size_t size, struct error *error)
{
    if (config->thresholding) return threshold_sample(config, x0, batch, size, error);
    if (!config->clip_sample) return STATUS_OK;
    const real range = (real)config->clip_sample_range;
    for (size_t i = 0; i < batch * size; i++) x0[i] = clamp(x0[i], -range, range);
    return STATUS_OK;
}

enum status integer_steps_original(const struct scheduler *scheduler, const struct step_input *input,
    struct level level, enum prediction *prediction, real *x0, struct error *error)
{
    const size_t size = input->sample_size;
    enum status status = prediction_of(scheduler->config->prediction_type, false, prediction, error);
    if (status != STATUS_OK) return status;
    for (size_t b = 0; b < input->batch; b++)
        predict_data(*prediction, level, input->model_output + b * input->model_output_size,
            input->sample + b * size, size, x0 + b * size);
    return limit(scheduler->config, x0, input->batch, size, error);
}
