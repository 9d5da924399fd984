/*
 * What the classes in the formulation of Karras et al. 2022 (arXiv:2206.00364, "EDM") share: EDMEuler,
 * EDMDPMSolverMultistep and CosineDPMSolverMultistep. They have no betas; a schedule goes from sigma_max down
 * to sigma_min, and the network F is wrapped so that its input, its output and its target have unit variance
 * for data with the standard deviation sigma_data (Table 1, eq. 7):
 *
 *     D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)
 */
#ifndef SCHED_EDM_H
#define SCHED_EDM_H

#include "real.h"
#include "dpmsolver.h"
#include "scheduler.h"
#include "step_index.h"

struct edm_config {
    struct dpm_config
        dpm; /* the order and so on of the multistep classes; its first member is common to all */
    double sigma_min, sigma_max, sigma_data, rho;
    char *sigma_schedule;
};

/* sigma_min .. final_sigmas_type, with the defaults of the EDM paper. */
#define edm_options REAL_NAME(edm_options)
extern const struct option edm_options[8];

static inline const struct edm_config *edm_config_of(const struct scheduler *scheduler)
{
    return (const struct edm_config *)scheduler->config;
}

/* Refuses an unknown sigma_schedule, and numbers from which it makes no sigmas. Where sigma_min may be 0
 * (`zero_allowed`: the network is told no logarithm), a Karras schedule can end there. */
#define edm_check_options REAL_NAME(edm_check_options)
enum status edm_check_options(const struct edm_config *config, bool zero_allowed, struct error *error);

/* "zero" or "sigma_min". */
#define edm_check_final_sigma REAL_NAME(edm_check_final_sigma)
enum status edm_check_final_sigma(const struct edm_config *config, struct error *error);

/* n sigmas from sigma_max down to sigma_min, of the kind that sigma_schedule names, over a ramp from 0 to 1
 * in float32, as EDMDPMSolverMultistep and CosineDPMSolverMultistep compute them: [n]. */
#define edm_sigmas REAL_NAME(edm_sigmas)
void edm_sigmas(const struct edm_config *config, size_t n, real *sigmas);

/* Eq. 5 in double: what it takes of sigma_min and sigma_max, and the sigma at a point of the ramp. */
#define edm_karras_of REAL_NAME(edm_karras_of)
#define edm_karras_sigma REAL_NAME(edm_karras_sigma)
struct edm_karras {
    double min_inv_rho, max_inv_rho, rho;
};
struct edm_karras edm_karras_of(const struct edm_config *config);
double edm_karras_sigma(const struct edm_karras *karras, double ramp);

/* n sigmas whose logarithms are equally spaced. */
#define edm_sigmas_exponential REAL_NAME(edm_sigmas_exponential)
void edm_sigmas_exponential(const struct edm_config *config, size_t n, real *sigmas);

/* c_noise = log(sigma) / 4 (Table 1), which the network is told as its timestep. sigma > 0 */
#define edm_noise_label REAL_NAME(edm_noise_label)
real edm_noise_label(real sigma);

/* sigma^2 + sigma_data^2, the variance of a sample: a tensor's square and a Python float's. */
static inline real edm_variance_at(const struct edm_config *config, real sigma)
{
    return sigma * sigma + (real)(config->sigma_data * config->sigma_data);
}

/* sqrt(sigma_max^2 + 1), a Python float. */
#define edm_init_noise_sigma REAL_NAME(edm_init_noise_sigma)
double edm_init_noise_sigma(const struct edm_config *config);

/* model_input = c_in sample: [n]. */
#define edm_scale_model_input REAL_NAME(edm_scale_model_input)
enum status edm_scale_model_input(struct scheduler *scheduler, double timestep,
    enum off_schedule off_schedule, const real *sample, size_t n, real *model_input, struct error *error);

struct edm_skip {
    real c_skip, c_out;
};

/* Table 1, column EDM: c_skip and c_out at `sigma`, with c_out negated where the network predicts v. Refuses
 * a prediction_type that is neither epsilon nor v_prediction; the documentation's `sample` is taken with its
 * semantics. */
#define edm_skip_at REAL_NAME(edm_skip_at)
enum status edm_skip_at(
    const struct scheduler *scheduler, real sigma, struct edm_skip *skip, struct error *error);

#endif
