/*
 * DDIMInverseScheduler: DDIM backwards, from a picture to the noise that DDIM would make it from (Song, Meng
 * and Ermon 2021, arXiv:2010.02502, section 4.3; Mokady et al. 2022, arXiv:2211.09794, eq. 3).
 *
 * DDIM's step without noise (ddim.c, eq. 12) reads the same in both directions. The list rises, and the step
 * at its entry t leads up to t: from t - T // N, whose alpha is that of the level that the sample has, while
 * the model is asked at t. Below the first entry lies initial_alpha_cumprod.
 *
 *     diffusers: alpha_prod_t is where the step begins, alpha_prod_t_prev, of t, where it ends
 *
 * Known deviation: as in DDIM, the step begins at t - T // N and not at the entry in front of t.
 */
#include "real.h"
#include "integer_steps.h"
#include "noise_schedule.h"
#include "timesteps.h"

#include <stdlib.h>

struct ddim_inverse_config {
    struct scheduler_config base;
    struct optional_bool set_alpha_to_zero; /* the old name of set_alpha_to_one, over which it wins */
};

static const struct option options[] = {
    {OPTION_MEMBER(scheduler_config, set_alpha_to_one), .type = OPTION_BOOL, .number = true,
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(ddim_inverse_config, set_alpha_to_zero), .type = OPTION_OPTIONAL_BOOL},
};

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    const struct optional_bool *old = &((struct ddim_inverse_config *)scheduler->config)->set_alpha_to_zero;
    if (old->given) {
        warnings_add(warnings, "option set_alpha_to_zero is set_alpha_to_one under its old name");
        scheduler->config->set_alpha_to_one = old->value;
    }
    enum status status = integer_steps_create_list(scheduler, warnings, error);
    for (size_t i = 0; status == STATUS_OK && i < scheduler->num_timesteps; i++)
        scheduler->timesteps[i] = (double)i;
    return status;
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    const char *spacing = scheduler->config->timestep_spacing;
    if (!option_is(spacing, "leading") && !option_is(spacing, "trailing"))
        return option_refuse("timestep_spacing", spacing, "\"leading\" or \"trailing\"", error);
    enum status status = integer_steps_set(scheduler, request, warnings, error);
    if (status == STATUS_OK) reverse_numbers(scheduler->timesteps, scheduler->num_timesteps);
    return status;
}

static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    (void)scheduler;
    tables[0] = (struct shown_table){"initial_alpha_cumprod", SHOWN_NUMBER, 1, integer_steps_final_alpha};
    return 1;
}

/* The timestep whose level the sample has that is stepped up to `timestep`; -1 at the first step. */
static enum status begin_of_step(
    const struct scheduler *scheduler, double timestep, double *begin, struct error *error)
{
    if (scheduler->semantics == SEMANTICS_DOCUMENTED)
        return integer_steps_in_front(scheduler, timestep, begin, error);
    int stride = 0;
    enum status status = integer_steps_stride(scheduler, &stride, error);
    const double last = scheduler->num_train_timesteps - 1;
    *begin = timestep - stride < last ? timestep - stride : last;
    return status;
}

static enum status step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct step_alphas alphas; /* of a step down: from where this one ends to where it begins */
    enum prediction prediction;
    double begin = 0;
    enum status status = begin_of_step(scheduler, input->timestep, &begin, error);
    if (status == STATUS_OK) status = integer_steps_alphas(scheduler, input->timestep, begin, &alphas, error);
    if (status != STATUS_OK) return status;

    /* Where nobody asks for x_0, it lies where the next sample will. */
    real *x0 = pred_original_sample ? pred_original_sample : prev_sample;
    const struct level from = level_of_alphas(alphas.alpha_prod_t_prev, alphas.beta_prod_t_prev);
    const struct level to = level_of_alphas(alphas.alpha_prod_t, alphas.beta_prod_t);
    status = integer_steps_original(scheduler, input, from, &prediction, x0, error);
    if (status != STATUS_OK) return status;
    mix_data_and_noise(prediction, from, input->model_output, input->sample, to.alpha, x0, to.sigma,
        input->batch * input->sample_size, prev_sample);
    return STATUS_OK;
}

const struct solver REAL_NAME(ddim_inverse_solver) = {
    .class_name = "DDIMInverseScheduler",
    .equation = "x' = sqrt(a') x_0 + sqrt(1 - a') epsilon,  a = alphas_cumprod, towards more noise    (Song "
                "et al. 2021, arXiv:2010.02502, eq. 12)",
    .options = {OPTION_TABLE_OF(noise_schedule_options), OPTION_TABLE_OF(integer_grid_options),
        OPTION_TABLE_OF(clipping_options), OPTION_TABLE_OF(options)},
    .config_size = sizeof(struct ddim_inverse_config),
    .shown_tables = shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .step = step,
};
