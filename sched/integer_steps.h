/*
 * What the classes share that walk the integer timesteps of the training schedule (DDIM, its inverse, DDPM,
 * PNDM, LCM, TCD): where a step goes to, its coefficients, and what the model's output says of data and
 * noise.
 */
#ifndef SCHED_INTEGER_STEPS_H
#define SCHED_INTEGER_STEPS_H

#include "predictions.h"
#include "solver.h"

#define integer_steps_create REAL_NAME(integer_steps_create)
#define integer_steps_shown REAL_NAME(integer_steps_shown)
#define integer_steps_create_list REAL_NAME(integer_steps_create_list)
#define integer_steps_grid REAL_NAME(integer_steps_grid)
#define integer_steps_set REAL_NAME(integer_steps_set)
#define integer_steps_stride REAL_NAME(integer_steps_stride)
#define integer_steps_next REAL_NAME(integer_steps_next)
#define integer_steps_in_front REAL_NAME(integer_steps_in_front)
#define integer_steps_after REAL_NAME(integer_steps_after)
#define integer_steps_after_first REAL_NAME(integer_steps_after_first)
#define integer_steps_alphas REAL_NAME(integer_steps_alphas)
#define integer_steps_final_alpha REAL_NAME(integer_steps_final_alpha)
#define integer_steps_original REAL_NAME(integer_steps_original)

/* --- The schedule ------------------------------------------------------------------------- */

/* The constructor: the noise schedule and final_alpha_cumprod, 1 or the schedule's first entry. */
enum status integer_steps_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* The same, with every training timestep for `timesteps`, noisiest first, and warnings of clipping without
 * effect and of a zero terminal SNR that epsilon is divided by. */
enum status integer_steps_create_list(
    struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* final_alpha_cumprod as a shown table's only entry, and the shown_tables hook of the classes that have it
 * under this name and nothing else. */
double integer_steps_final_alpha(const struct scheduler *scheduler, size_t index);
size_t integer_steps_shown(const struct scheduler *scheduler, struct shown_table *tables);

/* The grid of `steps` timesteps that the options ask for: timesteps_spaced(). */
enum status integer_steps_grid(
    const struct scheduler *scheduler, int steps, double **timesteps, size_t *count, struct error *error);

/* The set_timesteps hook of the classes whose list is that grid, noisiest first, of at most
 * num_train_timesteps. */
enum status integer_steps_set(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error);

/* --- Where a step goes to ----------------------------------------------------------------- */

/* T // N, which is 0 where N is more than T. Refuses a step on a schedule of no steps. */
enum status integer_steps_stride(const struct scheduler *scheduler, int *stride, struct error *error);

/* The entry of `timesteps` in front of the first, after the last, or after the first, that equals `timestep`;
 * -1 where there is none. Refuses a timestep that is not on the list. */
enum status integer_steps_in_front(
    const struct scheduler *scheduler, double timestep, double *in_front, struct error *error);
enum status integer_steps_after(
    const struct scheduler *scheduler, double timestep, double *after, struct error *error);
enum status integer_steps_after_first(
    const struct scheduler *scheduler, double timestep, double *after, struct error *error);

/* The timestep that a step from `timestep` leads to, -1 for the end: diffusers steps back by T // N;
 * documented is the next entry of the list. */
enum status integer_steps_next(
    const struct scheduler *scheduler, double timestep, double *next, struct error *error);

/* --- A step ------------------------------------------------------------------------------- */

/* alphas_cumprod at both ends of a step, and what they leave of 1: diffusers' names. */
struct step_alphas {
    real alpha_prod_t, alpha_prod_t_prev;
    real beta_prod_t, beta_prod_t_prev;
};

/* The coefficients of a step from `timestep` to `prev_timestep`; below 0 lies final_alpha_cumprod. */
enum status integer_steps_alphas(const struct scheduler *scheduler, double timestep, double prev_timestep,
    struct step_alphas *alphas, struct error *error);

/* alphas_cumprod as the level of a sample; lambda is left out. */
static inline struct level level_of_alphas(real alpha_prod, real beta_prod)
{
    return (struct level){.alpha = real_sqrt(alpha_prod), .sigma = real_sqrt(beta_prod)};
}

/* x_0 [batch, sample_size] of a step's model output at `level`, thresholded, or clipped, as the options say;
 * a variance behind each picture's mean is passed over. Refuses an unknown prediction_type, and hands the
 * known one back. */
enum status integer_steps_original(const struct scheduler *scheduler, const struct step_input *input,
    struct level level, enum prediction *prediction, real *x0, struct error *error);

#endif
