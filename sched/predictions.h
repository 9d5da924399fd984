/*
 * What a model predicts, and what that says about the data and the noise in its input (for v: Salimans and Ho
 * 2022, arXiv:2202.00512, appendix D).
 */
#ifndef SCHED_PREDICTIONS_H
#define SCHED_PREDICTIONS_H

#include "real.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>

#define prediction_of REAL_NAME(prediction_of)
#define predict_data REAL_NAME(predict_data)
#define mix_data_and_noise REAL_NAME(mix_data_and_noise)
#define predict_noise REAL_NAME(predict_noise)

/* A noisy sample is alpha data + sigma noise; lambda = log(alpha / sigma), half the logarithm of the
 * signal-to-noise ratio. */
struct level {
    real alpha, sigma, lambda;
};

/* prediction_type: the noise, the data, v = alpha noise - sigma data, or the velocity of a flow, noise -
 * data. */
enum prediction { PREDICTS_EPSILON, PREDICTS_SAMPLE, PREDICTS_V, PREDICTS_FLOW };

/* Refuses a name that is none of them, and flow where the class, or its algorithm, does not take it. */
enum status prediction_of(
    const char *prediction_type, bool takes_flow, enum prediction *prediction, struct error *error);

/* The data of one element, and below it the noise: what predict_data() and predict_noise() do with lists. */
static inline real data_of(enum prediction prediction, struct level level, real model_output, real sample)
{
    switch (prediction) {
    case PREDICTS_EPSILON: return (sample - level.sigma * model_output) / level.alpha;
    case PREDICTS_V: return level.alpha * sample - level.sigma * model_output;
    case PREDICTS_FLOW: return sample - level.sigma * model_output;
    default: return model_output;
    }
}
/* Not of a flow. */
static inline real noise_of(enum prediction prediction, struct level level, real model_output, real sample)
{
    switch (prediction) {
    case PREDICTS_SAMPLE: return (sample - level.alpha * model_output) / level.sigma;
    case PREDICTS_V: return level.alpha * model_output + level.sigma * sample;
    default: return model_output;
    }
}

/* `model_output` [n] for the input `sample` [n] at `level` -> the data `x0` [n]. A flow's x_0 = x - sigma v
 * uses sigma alone. May be in place of either input. */
void predict_data(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *x0);

/* As predict_data(), to the noise `epsilon` [n]; not from a flow. */
void predict_noise(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *epsilon);

/* mixed [n] = keep x0 + add epsilon, epsilon being the noise that predict_noise() makes of `model_output`.
 * `mixed` may be x0. */
void mix_data_and_noise(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, real keep, const real *x0, real add, size_t n, real *mixed);

#endif
