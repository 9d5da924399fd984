/*
 * KDPM2AncestralDiscreteScheduler: DPM-Solver-2 in sigma (k_dpm_2.h has its equations) with ancestral noise.
 * A step from sigma goes to sigma_down by way of the geometric mean of the two, and up to the next sigma of
 * the schedule with fresh noise of size sigma_up:
 *
 *     sigma_up^2 = sigma'^2 (sigma^2 - sigma'^2) / sigma^2,   sigma_down^2 = sigma'^2 - sigma_up^2.
 *
 * The noise is drawn in the second call, so the last step, which has only one, draws none. The timesteps of
 * the middles are those of middles between sigma and sigma_down, not between entries of the schedule.
 *
 * Known deviations of diffusers: that of KDPM2DiscreteScheduler; and sigma_down, the difference of two
 * squares, is lost in rounding, or becomes the root of a negative number, where sigma' is less than some
 * 1/4000 of sigma: on cosine schedules in few steps. SEMANTICS_DOCUMENTED takes it as sigma'^2 / sigma, which
 * is the same.
 */
#include "config.h"
#include "k_dpm_2.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"

#include <math.h>

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    return k_dpm_2_create(scheduler, true, warnings, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status = k_dpm_2_set_timesteps(scheduler, true, request, error);
    for (size_t i = 0; status == STATUS_OK && i < scheduler->num_timesteps; i++) {
        if (!isnan(scheduler->timesteps[i])) continue;
        warnings_add(warnings,
            "timesteps[%zu] of %s is no number: the sigma below it is lost in rounding, as in diffusers, and "
            "the run will be none either",
            i, scheduler_name(scheduler));
        break;
    }
    return status;
}

static bool needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    (void)timestep;
    (void)options;
    return ((const struct k_dpm_2_state *)scheduler->state)->began.count > 0;
}

static double entry_of(const struct scheduler *scheduler, size_t table, size_t index)
{
    const struct k_dpm_2_state *state = scheduler->state;
    return (double)state->tables[table * state->count + index];
}

static double sigma_interpol(const struct scheduler *scheduler, size_t index)
{
    return entry_of(scheduler, 0, index);
}

static double sigma_down(const struct scheduler *scheduler, size_t index)
{
    return entry_of(scheduler, 1, index);
}

static double sigma_up(const struct scheduler *scheduler, size_t index)
{
    return entry_of(scheduler, 2, index);
}

static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    const size_t count = ((const struct k_dpm_2_state *)scheduler->state)->count;
    tables[0] = (struct shown_table){"sigmas_interpol", SHOWN_LIST, count, sigma_interpol};
    tables[1] = (struct shown_table){"sigmas_down", SHOWN_LIST, count, sigma_down};
    tables[2] = (struct shown_table){"sigmas_up", SHOWN_LIST, count, sigma_up};
    return 3;
}

const struct solver REAL_NAME(k_dpm_2_ancestral_discrete_solver) = {
    .class_name = "KDPM2AncestralDiscreteScheduler",
    .equation =
        "x_m = x + (sigma_m - sigma) d(x);  x' = x + (sigma_down - sigma) d(x_m) + sigma_up z,  sigma_m^2 = "
        "sigma sigma_down,  d = (x - x_0) / sigma    (Karras et al. 2022, arXiv:2206.00364; k-diffusion)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, BETA_KINDS), OPTION_TABLE_OF(latent_beta_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID)},
    .config_size = sizeof(struct scheduler_config),
    .undefined_timesteps = true,
    .steps_unset = true,
    .state_size = sizeof(struct k_dpm_2_state),
    .shown_tables = shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = k_dpm_2_scale_model_input,
    .needs_noise = needs_noise,
    .step = k_dpm_2_step,
    .add_noise = sigmas_add_noise,
    .state_memory = k_dpm_2_state_memory,
};
