/*
 * What the classes of flow matching share (FlowMatchEulerDiscrete, FlowMatchHeunDiscrete, FlowMatchLCM):
 * rectified flows (Liu et al. 2022, arXiv:2209.03003; Esser et al. 2024, arXiv:2403.03206).
 *
 * A sample is x = (1 - sigma) x_0 + sigma noise, sigma running from 1 (noise) to 0 (data), and the model
 * predicts the velocity dx/dsigma = noise - x_0. There are no betas: sigma is (t + 1) / T at training
 * timestep t, shifted towards the noisy end, and the model's timestep is sigma T.
 */
#ifndef SCHED_FLOW_MATCH_H
#define SCHED_FLOW_MATCH_H

#include "real.h"
#include "config.h"
#include "scheduler.h"

struct flow_match_config {
    struct scheduler_config common;
    double shift;
    /* flow_match_options */
    bool use_dynamic_shifting, invert_sigmas;
    struct optional_number base_shift, max_shift, base_image_seq_len, max_image_seq_len, shift_terminal;
    char *time_shift_type;
    /* FlowMatchEulerDiscrete; FlowMatchLCM */
    bool stochastic_sampling;
    struct number_list scale_factors;
    char *upscale_mode;
};

/* shift, of all three; and what the two have whose sigmas can be given. */
#define flow_shift_options REAL_NAME(flow_shift_options)
#define flow_match_options REAL_NAME(flow_match_options)
extern const struct option flow_shift_options[1], flow_match_options[8];

static inline const struct flow_match_config *flow_match_config_of(const struct scheduler *scheduler)
{
    return (const struct flow_match_config *)scheduler->config;
}

/* The constructor: checks options, and leaves the timesteps of training from the last down, with their
 * sigmas. */
#define flow_match_create REAL_NAME(flow_match_create)
enum status flow_match_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

/* N timesteps (sigma times T), equally spaced from the largest to the smallest of training, in double: [n].
 * Known deviation of diffusers: those two are shifted already, and what comes of this grid is shifted again,
 * so that the small end is not where it was in training; SEMANTICS_DOCUMENTED takes them before the shift. */
#define flow_match_grid REAL_NAME(flow_match_grid)
void flow_match_grid(const struct scheduler *scheduler, size_t n, double *timesteps);

/* s sigma / (1 + (s - 1) sigma), Esser et al. 2024, eq. 23, in the arithmetic of `real` or of double. */
#define flow_match_shift REAL_NAME(flow_match_shift)
double flow_match_shift(double shift, double sigma, bool narrow);

/* set_timesteps of the two classes whose sigmas can be given. */
#define flow_match_set_timesteps REAL_NAME(flow_match_set_timesteps)
enum status flow_match_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error);

/* Diffusers' scale_noise(): (1 - sigma) original + sigma noise at each timestep's sigma. */
#define flow_match_add_noise REAL_NAME(flow_match_add_noise)
enum status flow_match_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error);

#endif
