/*
 * What the family of DPM-Solver shares: the solvers that take lambda = log(alpha / sigma) as the time and
 * solve the linear part of the ODE exactly (Lu et al. 2022, DPM-Solver, arXiv:2206.00927, and DPM-Solver++,
 * arXiv:2211.01095; Zhang and Chen 2022, DEIS, arXiv:2204.13902; Zhao et al. 2023, UniPC, arXiv:2302.04867;
 * Xue et al. 2023, SA-Solver, arXiv:2309.05019). README.md derives all of them from one equation. Their
 * options and levels, their model outputs and their coefficients are here; their schedules are in
 * dpmsolver_schedule.h.
 */
#ifndef SCHED_DPMSOLVER_H
#define SCHED_DPMSOLVER_H

#include "config.h"
#include "history.h"
#include "predictions.h"
#include "scheduler.h"
#include "solver.h"

/* --- Options ------------------------------------------------------------------------------ */

/* The options that two or more classes of the family have. */
struct dpm_config {
    struct scheduler_config common;
    int solver_order;
    char *algorithm_type, *solver_type;
    bool lower_order_final;
    bool use_flow_sigmas;
    struct optional_number flow_shift; /* set_timesteps writes it where it is given mu */
    bool use_dynamic_shifting;
    char *time_shift_type;
    double lambda_min_clipped;
    char *variance_type;
    bool euler_at_final, use_lu_lambdas; /* DPMSolverMultistep; the first also its inverse */
};

/* use_flow_sigmas and flow_shift, then use_dynamic_shifting and time_shift_type: the classes whose
 * set_timesteps has no mu take the first FLOW_OPTIONS_WITHOUT_MU. */
#define dpm_flow_options REAL_NAME(dpm_flow_options)
extern const struct option dpm_flow_options[4];
enum { FLOW_OPTIONS_WITHOUT_MU = 2 };
/* lambda_min_clipped and variance_type */
#define dpm_lambda_options REAL_NAME(dpm_lambda_options)
extern const struct option dpm_lambda_options[2];

static inline struct dpm_config *dpm_config_of(const struct scheduler *scheduler)
{
    return (struct dpm_config *)scheduler->config;
}

/* --- Levels and model outputs ------------------------------------------------------------- */

/* The level at a sigma of the schedule: x = x_0 + sigma noise scaled to unit variance, or a flow's
 * (1 - sigma) x_0 + sigma noise. */
#define dpm_level REAL_NAME(dpm_level)
struct level dpm_level(const struct dpm_config *config, real sigma);

/* The model's output at `sigma` as data, or as noise: [batch, sample_size]. A predicted variance behind each
 * picture's mean is left out; data are thresholded where the config says so (noise is not:
 * dpm_threshold_noise is for the classes that do it). Refuses a prediction_type that cannot be converted, and
 * an output of twice the sample's size that holds no variance. */
#define dpm_convert_output REAL_NAME(dpm_convert_output)
enum status dpm_convert_output(const struct dpm_config *config, bool data, real sigma,
    const struct step_input *input, real *converted, struct error *error);

/* The predicted noise [batch, sample_size] at `sigma`, thresholded as the data that it means, in place. */
#define dpm_threshold_noise REAL_NAME(dpm_threshold_noise)
enum status dpm_threshold_noise(const struct dpm_config *config, real sigma, const struct step_input *input,
    real *epsilon, struct error *error);

/* The index of the step at `timestep`, which a further sigma follows: step_index_now(), where a timestep off
 * the schedule counts as the last. */
#define dpm_step_index REAL_NAME(dpm_step_index)
enum status dpm_step_index(
    const struct scheduler *scheduler, double timestep, size_t *index, struct error *error);

/* As dpm_convert_output() at the step's sigma, for the classes (DPMSolverSinglestep, SASolver) whose tensors
 * do not fit where diffusers thresholds predicted noise: refused, but for documented semantics. */
#define dpm_convert_or_refuse REAL_NAME(dpm_convert_or_refuse)
enum status dpm_convert_or_refuse(const struct scheduler *scheduler, bool data, size_t index,
    const struct step_input *input, real *converted, struct error *error);

/* As scheduler_add_noise(), at the sigma of the schedule that belongs to each timestep. */
#define dpm_add_noise REAL_NAME(dpm_add_noise)
enum status dpm_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error);

/* --- The algorithms of DPM-Solver --------------------------------------------------------- */

enum dpm_algorithm { DPMSOLVER, DPMSOLVER_PP, SDE_DPMSOLVER, SDE_DPMSOLVER_PP };

static inline bool dpm_predicts_data(enum dpm_algorithm algorithm)
{
    return algorithm == DPMSOLVER_PP || algorithm == SDE_DPMSOLVER_PP;
}

static inline bool dpm_is_stochastic(enum dpm_algorithm algorithm)
{
    return algorithm == SDE_DPMSOLVER || algorithm == SDE_DPMSOLVER_PP;
}

/* Refuses a solver_type that is none; the names of other families' mean midpoint. */
#define dpm_check_solver_type REAL_NAME(dpm_check_solver_type)
enum status dpm_check_solver_type(const struct dpm_config *config, struct error *error);

/* Reads algorithm_type and checks solver_type. `deis` is another name of dpmsolver++. Refuses what is none of
 * them, and sde-dpmsolver where the class has none. */
#define dpm_find_algorithm REAL_NAME(dpm_find_algorithm)
enum status dpm_find_algorithm(const struct dpm_config *config, bool has_sde_dpmsolver,
    enum dpm_algorithm *algorithm, struct error *error);

/* Refuses final_sigmas_type "zero" for the algorithms that predict noise, and cannot step to sigma 0. */
#define dpm_check_final_sigma REAL_NAME(dpm_check_final_sigma)
enum status dpm_check_final_sigma(const struct dpm_config *config, struct error *error);

/* x_t = sample x_s + d0 D0 + d1 D1 + d2 D2 + noise z, summed from the left. With lambda as the time,
 * h = lambda_t - lambda_s and Dn = h^n times the n-th derivative of the model's prediction at s, the exact
 * solution of the ODE from s to t is
 *
 *     x_t = sigma_t/sigma_s x_s - alpha_t (e^-h - 1) D0 + alpha_t ((e^-h - 1)/h + 1) D1
 *                               - alpha_t ((e^-h - 1 + h)/h^2 - 1/2) D2 + ...
 *
 * for a model that predicts the data (++), and
 *
 *     x_t = alpha_t/alpha_s x_s - sigma_t (e^h - 1) D0 - sigma_t ((e^h - 1)/h - 1) D1
 *                               - sigma_t ((e^h - 1 - h)/h^2 - 1/2) D2 - ...
 *
 * for one that predicts the noise. The SDE variants have 2h in the place of h and add noise: for the data
 *
 *     x_t = sigma_t/sigma_s e^-h x_s + alpha_t (1 - e^-2h) D0 + alpha_t (1 - (1 - e^-2h)/2h) D1
 *                               + alpha_t ((1 - e^-2h - 2h)/(2h)^2 + 1/2) D2 + ... + noise
 *
 * where diffusers has -1/2 in the last coefficient, which does not vanish with h. */
struct dpm_coefficients {
    real sample, d0, d1, d2, noise;
};

/* The exact solution's coefficients (DPM-Solver, eq. 3.4, and DPM-Solver++, Proposition 4.1, with Taylor's
 * series of the prediction) for a step from s to t. `midpoint` takes half of d0 in the place of d1;
 * `documented` is the exact solution's d2 of sde-dpmsolver++. Diffusers writes e^h - 1 so, not as expm1. */
#define dpm_coefficients_of REAL_NAME(dpm_coefficients_of)
struct dpm_coefficients dpm_coefficients_of(
    enum dpm_algorithm algorithm, struct level t, struct level s, bool midpoint, bool documented);

/* The order of a multistep update with `left` steps to go (1: the last), where `taken` outputs of steps
 * before are there: the configured order, less where there is no history yet, and, with lower_order_final and
 * fewer than 15 steps, at the end, where that is steadier. At most 3. */
#define dpm_multistep_order REAL_NAME(dpm_multistep_order)
int dpm_multistep_order(const struct dpm_config *config, size_t num_steps, size_t left, int taken);

#endif
