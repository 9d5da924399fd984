/*
 * The forward process: betas, alphas and their cumulative products, and data noised by them.
 *
 * q(x_t | x_0) = N(sqrt(alphas_cumprod[t]) x_0, (1 - alphas_cumprod[t]) I), Ho et al. 2020
 * (arXiv:2006.11239), eq. 4.
 */
#ifndef SCHED_NOISE_SCHEDULE_H
#define SCHED_NOISE_SCHEDULE_H

#include "scheduler.h"

/* Fills the scheduler's betas, alphas and alphas_cumprod, [num_betas], from its config: trained_betas where
 * given, or beta_schedule `linear`, `scaled_linear`, `squaredcos_cap_v2` or the class's own (solver.h); with
 * rescale_betas_zero_snr rescaled to zero terminal SNR (Lin et al. 2023, arXiv:2305.08891, Algorithm 1),
 * which leaves alphas_cumprod[num_betas - 1] at exactly 0. */
enum status noise_schedule_create(
    struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* The classes that divide by the last alphas_cumprod put 2^-24 in the place of that zero. */
void noise_schedule_avoid_zero(struct scheduler *scheduler);

/* alphas_cumprod[timestep] by Python's rule: -1 is the last entry (a `trailing` grid can end in -1). Refuses
 * what is no integer or lies outside. */
enum status alphas_cumprod_at(
    const struct scheduler *scheduler, double timestep, real *alpha_cumprod, struct error *error);

/* sqrt(alphas_cumprod[t]) original + sqrt(1 - alphas_cumprod[t]) noise, Ho et al. 2020, eq. 4: [batch,
 * sample_size], of inputs of that shape and a timestep for each picture. The add_noise hook of the classes
 * without sigmas; refuses a timestep that alphas_cumprod_at() does. */
enum status noise_schedule_add_noise(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples,
    struct error *error);

/* sqrt(alphas_cumprod[t]) noise - sqrt(1 - alphas_cumprod[t]) original: v, Salimans and Ho 2022
 * (arXiv:2202.00512), appendix D. Their get_velocity hook; shapes and errors as above. */
enum status noise_schedule_get_velocity(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *velocity,
    struct error *error);

/* torch.linspace(start, end, n) as PyTorch's AVX2 kernel rounds it (in double for f64): [n]. */
void torch_linspace(double start, double end, size_t n, real *out);

#endif
