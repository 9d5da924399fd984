#include "known_options.h"

#include <string.h>

/* Every argument of every scheduler class's constructor in diffusers 0.35.1. */
static const char *const known_options[] = {
    "algorithm_type",
    "alpha_cum_end",
    "alpha_cum_start",
    "base_image_seq_len",
    "base_shift",
    "beta_end",
    "beta_max",
    "beta_min",
    "beta_schedule",
    "beta_start",
    "clip_denoised",
    "clip_sample",
    "clip_sample_range",
    "correct_steps",
    "corrector_order",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "eta",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "gamma_cum_end",
    "gamma_cum_start",
    "interpolation_type",
    "invert_sigmas",
    "lambda_min_clipped",
    "lower_order_final",
    "mask_token_id",
    "masking_schedule",
    "max_image_seq_len",
    "max_shift",
    "noise_sampler_seed",
    "num_train_timesteps",
    "num_vec_classes",
    "original_inference_steps",
    "predict_x0",
    "prediction_type",
    "predictor_order",
    "rescale_betas_zero_snr",
    "rho",
    "s",
    "s_churn",
    "s_max",
    "s_min",
    "s_noise",
    "sample_max_value",
    "sampling_eps",
    "scale_factors",
    "scaler",
    "set_alpha_to_one",
    "shift",
    "shift_terminal",
    "sigma_data",
    "sigma_max",
    "sigma_min",
    "sigma_schedule",
    "skip_prk_steps",
    "snr",
    "snr_shift_scale",
    "solver_order",
    "solver_p",
    "solver_type",
    "steps_offset",
    "stochastic_sampling",
    "tau_func",
    "thresholding",
    "time_shift_type",
    "timestep_scaling",
    "timestep_spacing",
    "timestep_type",
    "trained_betas",
    "upscale_mode",
    "use_beta_sigmas",
    "use_dynamic_shifting",
    "use_exponential_sigmas",
    "use_flow_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "variance_type",
};
#define KNOWN_OPTIONS (sizeof known_options / sizeof known_options[0])

/* Longer names than any option's are near none of them. */
#define LONGEST_NAME 40

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number of letters to put in, take out or change to make `b` of `a` (Levenshtein 1966), row by row. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[LONGEST_NAME + 1];
    for (size_t j = 0; j <= b_length; j++) row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(changed, 1 + smaller(row[j], row[j - 1]));
        }
    }
    return row[b_length];
}

bool scheduler_option_is_known(const char *name, const char **nearest)
{
    size_t length = strlen(name);
    const char *best = NULL;
    size_t best_distance = length / 3 + 2; /* as near as this, or nearer, counts as a slip of the pen */
    for (size_t i = 0; i < KNOWN_OPTIONS; i++) {
        if (strcmp(known_options[i], name) == 0) {
            if (nearest) *nearest = known_options[i];
            return true;
        }
        size_t known_length = strlen(known_options[i]);
        if (length > LONGEST_NAME || known_length > LONGEST_NAME) continue;
        size_t distance = edit_distance(name, length, known_options[i], known_length);
        if (distance < best_distance || (distance == best_distance && !best)) {
            best = known_options[i];
            best_distance = distance;
        }
    }
    if (nearest) *nearest = best;
    return false;
}
