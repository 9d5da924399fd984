/*
 * The data that a model's output means for a sample x = x_0 + sigma noise, which the model has seen as
 * x / sqrt(sigma^2 + 1): the denoiser D(x; sigma) of Karras et al. 2022 (arXiv:2206.00364).
 */
#ifndef SCHED_DENOISER_H
#define SCHED_DENOISER_H

#include "real.h"
#include "error.h"
#include "predictions.h"

#define denoiser_choose REAL_NAME(denoiser_choose)
#define denoiser_at REAL_NAME(denoiser_at)

struct denoiser {
    enum prediction prediction;
    real sigma;          /* D = x - sigma epsilon */
    real c_out, by_skip; /* v = alpha epsilon - sigma_t x_0 of the scaled sample: D = c_out v + x / by_skip */
};

/* Which names a class's prediction_type may have beside "epsilon" and "v_prediction". */
enum denoises_sample {
    NO_SAMPLE_PREDICTION, /* Euler ancestral, DPM2 */
    SAMPLE_PREDICTION,    /* "sample" */
    ORIGINAL_SAMPLE_TOO   /* Euler: also as "original_sample" */
};

/* The denoiser for a prediction_type. Refuses a name that is none. */
enum status denoiser_choose(
    const char *prediction_type, enum denoises_sample sample, struct denoiser *denoiser, struct error *error);

/* Sets the level of the sample. */
void denoiser_at(struct denoiser *denoiser, real sigma);

/* The data of one element of a sample at the level that is set: D = c_skip x + c_out F, Table 1 of Karras et
 * al., where F is epsilon (column VP) or -v (column EDM with sigma_data 1). */
static inline real denoise(const struct denoiser *denoiser, real sample, real model_output)
{
    if (denoiser->prediction == PREDICTS_EPSILON) return sample - denoiser->sigma * model_output;
    if (denoiser->prediction == PREDICTS_V)
        return model_output * denoiser->c_out + sample / denoiser->by_skip;
    return model_output;
}

#endif
