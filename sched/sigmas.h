/*
 * sigma, the noise level of a sample that is scaled so that the data keep their size: a noisy sample is
 * x_0 + sigma noise, with sigma = sqrt((1 - alphas_cumprod) / alphas_cumprod) (Karras et al. 2022,
 * arXiv:2206.00364; Song et al. 2021, arXiv:2010.02502, eq. 14). README.md calls it rho.
 */
#ifndef SCHED_SIGMAS_H
#define SCHED_SIGMAS_H

#include "scheduler.h"

/* sigma at a value of alphas_cumprod above 0: Karras et al. 2022, Table 1, column VP; infinity at 0. */
real sigma_of(real alpha_cumprod);

/* The sigmas of all training timesteps, and their logarithms: [count]. They rise with the timestep unless
 * trained_betas are no betas at all. */
struct sigma_table {
    size_t count;
    real *sigmas, *log_sigmas;
    bool rising;
};

/* The table of a scheduler whose alphas_cumprod are there; to be freed. On failure it is empty. */
enum status sigma_table_create(
    const struct scheduler *scheduler, struct sigma_table *table, struct error *error);
void sigma_table_free(struct sigma_table *table); /* accepts an empty one */

/* sigma at a timestep between two of training, held at the ends: np.interp(t, arange(count), sigmas). */
double sigma_table_interpolate(const struct sigma_table *table, double timestep);

/* The same, linear in the logarithm of sigma. */
#define sigma_table_interpolate_log REAL_NAME(sigma_table_interpolate_log)
double sigma_table_interpolate_log(const struct sigma_table *table, double timestep);

/* The timestep at which the training schedule has this sigma, by linear interpolation in its logarithm, from
 * 0 to count - 1 (k-diffusion, sigma_to_t). */
double sigma_to_t(const struct sigma_table *table, double sigma);

/* The same for a sigma that is a tensor: the indices too are weighed in the table's type. */
#define sigma_to_t_rounded REAL_NAME(sigma_to_t_rounded)
real sigma_to_t_rounded(const struct sigma_table *table, real sigma);

/* What final_sigmas_type puts behind the schedule: 0, or the smallest sigma of training. */
enum status sigma_final(const struct scheduler *scheduler, real *sigma, struct error *error);

/* An ancestral step from `sigma` to `sigma_next`: deterministic to sigma_down, then up again with fresh noise
 * of size sigma_up, sigma_down^2 + sigma_up^2 = sigma_next^2: DDPM's posterior (Ho et al. 2020,
 * arXiv:2006.11239, eq. 7) in this scale, as k-diffusion's get_ancestral_step has it. From 0, sigma_up is no
 * number; where sigma_next is much less than `sigma`, sigma_down may be none with the semantics of
 * diffusers. */
struct ancestral_step {
    real sigma_down, sigma_up;
};
#define ancestral_split REAL_NAME(ancestral_split)
struct ancestral_step ancestral_split(const struct scheduler *scheduler, real sigma, real sigma_next);

/* x / sqrt(sigma^2 + 1), [n], which has the size that the model was trained on; may be in place. */
#define sigma_scale_input REAL_NAME(sigma_scale_input)
void sigma_scale_input(real sigma, const real *sample, size_t n, real *model_input);

/* The scale_model_input hook of the classes whose samples keep the size of the data: sigma_scale_input() at
 * the sigma of the step, which it finds and remembers. */
#define sigmas_scale_model_input REAL_NAME(sigmas_scale_model_input)
enum status sigmas_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error);

/* original + sigma noise, at the sigma of the schedule that belongs to each timestep: the add_noise hook of
 * the classes whose samples keep the size of the data. A timestep off the schedule is an error. */
enum status sigmas_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error);

/* The same, where a timestep off the schedule counts as the last one. */
#define sigmas_add_noise_or_last REAL_NAME(sigmas_add_noise_or_last)
enum status sigmas_add_noise_or_last(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples,
    struct error *error);

#endif
