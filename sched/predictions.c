#include "predictions.h"
#include "real.h"
#include "config.h"

#include <string.h>

enum status prediction_of(
    const char *prediction_type, bool takes_flow, enum prediction *prediction, struct error *error)
{
    static const char *const names[] = {"epsilon", "sample", "v_prediction", "flow_prediction"};
    const int count = takes_flow ? 4 : 3;
    for (int i = 0; i < count; i++) {
        *prediction = (enum prediction)i;
        if (option_is(prediction_type, names[i])) return STATUS_OK;
    }
    return option_refuse("prediction_type", prediction_type,
        takes_flow ? "\"epsilon\", \"sample\", \"v_prediction\" or \"flow_prediction\""
                   : "\"epsilon\", \"sample\" or \"v_prediction\"",
        error);
}

/* A loop for each prediction, so that none asks within. */
void predict_data(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *x0)
{
    switch (prediction) {
    case PREDICTS_EPSILON:
        for (size_t i = 0; i < n; i++) x0[i] = data_of(PREDICTS_EPSILON, level, model_output[i], sample[i]);
        break;
    case PREDICTS_SAMPLE: memmove(x0, model_output, n * sizeof *x0); break;
    case PREDICTS_V:
        for (size_t i = 0; i < n; i++) x0[i] = data_of(PREDICTS_V, level, model_output[i], sample[i]);
        break;
    case PREDICTS_FLOW:
        for (size_t i = 0; i < n; i++) x0[i] = data_of(PREDICTS_FLOW, level, model_output[i], sample[i]);
        break;
    }
}

void predict_noise(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *epsilon)
{
    if (prediction == PREDICTS_SAMPLE)
        for (size_t i = 0; i < n; i++)
            epsilon[i] = noise_of(PREDICTS_SAMPLE, level, model_output[i], sample[i]);
    else if (prediction == PREDICTS_V)
        for (size_t i = 0; i < n; i++) epsilon[i] = noise_of(PREDICTS_V, level, model_output[i], sample[i]);
    else
        memmove(epsilon, model_output, n * sizeof *epsilon);
}

/* Inlined for each kind of prediction, so that no loop has a branch; a compiler need not know that `mixed`
 * and x0 are the same elements or others altogether. */
static inline void mix(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, real keep, const real *x0, real add, size_t n, real *mixed)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        mixed[i] = keep * x0[i] + add * noise_of(prediction, level, model_output[i], sample[i]);
}

void mix_data_and_noise(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, real keep, const real *x0, real add, size_t n, real *mixed)
{
    if (prediction == PREDICTS_SAMPLE)
        mix(PREDICTS_SAMPLE, level, model_output, sample, keep, x0, add, n, mixed);
    else if (prediction == PREDICTS_V)
        mix(PREDICTS_V, level, model_output, sample, keep, x0, add, n, mixed);
    else
        mix(PREDICTS_EPSILON, level, model_output, sample, keep, x0, add, n, mixed);
}
