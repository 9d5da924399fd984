/*
 * The schedule of the solvers whose samples are x_0 + sigma noise: Euler, Heun, LMS, DPM2 and the ancestral
 * ones.
 *
 * A grid of N timesteps (timestep_spacing, fractional for `linspace`), and the sigma of training at each.
 * Where the config asks for a kind of sigmas (Karras, exponential, beta), N of these over the same range
 * replace them, unlike DPM-Solver's, which span the range of training; and the timesteps are found from them.
 */
#ifndef SCHED_SIGMA_SCHEDULE_H
#define SCHED_SIGMA_SCHEDULE_H

#include "config.h"
#include "scheduler.h"
#include "sigmas.h"

#define sigma_schedule_create REAL_NAME(sigma_schedule_create)
#define sigma_schedule_of_training REAL_NAME(sigma_schedule_of_training)
#define sigma_schedule_check_timesteps REAL_NAME(sigma_schedule_check_timesteps)
#define sigma_schedule_space REAL_NAME(sigma_schedule_space)
#define sigma_schedule_interpolate REAL_NAME(sigma_schedule_interpolate)
#define sigma_schedule_apply_kind REAL_NAME(sigma_schedule_apply_kind)
#define sigma_schedule_make REAL_NAME(sigma_schedule_make)
#define sigma_schedule_free REAL_NAME(sigma_schedule_free)
#define sigma_schedule_rounded REAL_NAME(sigma_schedule_rounded)
#define sigma_schedule_take REAL_NAME(sigma_schedule_take)
#define sigma_schedule_set_timesteps REAL_NAME(sigma_schedule_set_timesteps)
#define sigmas_set_init_noise REAL_NAME(sigmas_set_init_noise)
#define warn_of_sigma_range REAL_NAME(warn_of_sigma_range)
#define sigma_range_end REAL_NAME(sigma_range_end)

/* A schedule while it is made, all in double; empty (all zero) before. */
struct sigma_schedule {
    size_t num_inference_steps; /* N: what was asked for, or the number of custom timesteps */
    size_t count;               /* of the timesteps: N, or N + 1 where `trailing` makes one more */
    size_t num_sigmas;          /* without the final one: `count`, or what the class makes of it */
    double *timesteps, *sigmas; /* each has room for one more than N and `count` */
    /* What the class does otherwise; set before the first stage. */
    bool in_double; /* timesteps are not rounded to float32 */
};

/* What the constructors have in common: at most one kind of sigmas, and the noise schedule, kept from zero
 * SNR where it is rescaled to it. */
enum status sigma_schedule_create(
    struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* Of sigma_min and sigma_max: where there is no range for them to set, and where a class that does not have
 * them takes them (config.h, inherited_sigma_options). */
void warn_of_sigma_range(const struct scheduler *scheduler, struct warnings *warnings);

/* An end of the range of a kind's sigmas: `own` or `inherited`, the options that say it, or else `spaced`.
 * Documented semantics do not look at the inherited one. */
double sigma_range_end(const struct scheduler *scheduler, const struct optional_number *own,
    const struct optional_number *inherited, double spaced);

/* Custom timesteps cannot be given with a kind of sigmas, which brings timesteps of its own. */
enum status sigma_schedule_check_timesteps(const struct scheduler_config *config, struct error *error);

/* What Euler's constructors leave before set_timesteps: every training timestep from the last down, and its
 * sigma, with 0 behind. */
enum status sigma_schedule_of_training(
    struct scheduler *scheduler, enum timestep_dtype dtype, struct error *error);

/* The three stages of a schedule. First the grid, or the custom timesteps, as float32 keeps them, and room
 * for the sigmas; then the sigmas at them; then N of the configured kind in their place, with timesteps
 * from them that are not rounded to float32 yet. */
enum status sigma_schedule_space(const struct scheduler *scheduler, const struct schedule_request *request,
    struct sigma_schedule *schedule, struct error *error);
void sigma_schedule_interpolate(const struct sigma_table *table, struct sigma_schedule *schedule);
enum status sigma_schedule_apply_kind(const struct scheduler *scheduler, const struct sigma_table *table,
    struct sigma_schedule *schedule, struct error *error);

/* All three. `schedule` is to be freed on failure too. */
enum status sigma_schedule_make(const struct scheduler *scheduler, const struct schedule_request *request,
    const struct sigma_table *table, struct sigma_schedule *schedule, struct error *error);
void sigma_schedule_free(struct sigma_schedule *schedule); /* accepts an empty one */

/* The sigmas as they are kept, `final` behind them: [num_sigmas + 1], allocated; NULL where memory is out. */
real *sigma_schedule_rounded(const struct sigma_schedule *schedule, real final);

/* The schedule becomes the scheduler's, with float32 timesteps and `final` behind the sigmas; `schedule` is
 * empty afterwards. */
enum status sigma_schedule_take(
    struct scheduler *scheduler, struct sigma_schedule *schedule, real final, struct error *error);

/* The set_timesteps of a class that adds nothing of its own: all three stages, 0 behind the sigmas. */
enum status sigma_schedule_set_timesteps(
    struct scheduler *scheduler, const struct schedule_request *request, struct error *error);

/* init_noise_sigma from the scheduler's sigmas: the largest, or with `leading` spacing, where the first
 * sample is taken to have the data in it, the size of that sample. */
void sigmas_set_init_noise(struct scheduler *scheduler);

#endif
