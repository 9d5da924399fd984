/*
 * KDPM2DiscreteScheduler: DPM-Solver-2 in sigma (k_dpm_2.h has its equations), from sigma to the next sigma
 * of the schedule by way of the geometric mean of the two.
 *
 * Known deviation of diffusers: with Karras sigmas the model is told rounded timesteps at the beginning of a
 * step and fractional ones in its middle; SEMANTICS_DOCUMENTED rounds neither, as diffusers does with
 * exponential and beta sigmas.
 */
#include "config.h"
#include "k_dpm_2.h"
#include "real.h"
#include "sigmas.h"
#include "solver.h"

#include <math.h>

static enum status create(struct scheduler *scheduler, struct warnings *warnings, struct error *error)
{
    return k_dpm_2_create(scheduler, false, warnings, error);
}

static enum status set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    (void)warnings;
    return k_dpm_2_set_timesteps(scheduler, false, request, error);
}

/* diffusers keeps the middle of the step that ends at an entry there; no step ends at the first, whose middle
 * would lie between sigma and infinity. */
static double sigma_interpol(const struct scheduler *scheduler, size_t index)
{
    const struct k_dpm_2_state *state = scheduler->state;
    return index == 0 ? (double)NAN : (double)state->tables[index - 1];
}

static size_t shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    const struct k_dpm_2_state *state = scheduler->state;
    tables[0] = (struct shown_table){"sigmas_interpol", SHOWN_LIST, state->count, sigma_interpol};
    return 1;
}

const struct solver REAL_NAME(k_dpm_2_discrete_solver) = {
    .class_name = "KDPM2DiscreteScheduler",
    .equation = "x_m = x + (sigma_m - sigma) d(x);  x' = x + (sigma' - sigma) d(x_m),  sigma_m^2 = sigma "
                "sigma',  d = (x - x_0) / sigma    (Karras et al. 2022, arXiv:2206.00364; k-diffusion)",
    .options = {OPTION_TABLE_FIRST(noise_schedule_options, BETA_KINDS), OPTION_TABLE_OF(latent_beta_options),
        OPTION_TABLE_FIRST(sigma_options, SIGMA_KINDS), OPTION_TABLE_OF(inherited_sigma_options),
        OPTION_TABLE_FIRST(sigma_grid_options, SIGMA_GRID)},
    .config_size = sizeof(struct scheduler_config),
    .steps_unset = true,
    .state_size = sizeof(struct k_dpm_2_state),
    .shown_tables = shown_tables,
    .create = create,
    .set_timesteps = set_timesteps,
    .scale_model_input = k_dpm_2_scale_model_input,
    .step = k_dpm_2_step,
    .add_noise = sigmas_add_noise,
    .state_memory = k_dpm_2_state_memory,
};
