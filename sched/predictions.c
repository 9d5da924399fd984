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

void predict_data(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *x0)
{
    const real alpha_t = level.alpha, sigma_t = level.sigma;
    switch (prediction) {
    case PREDICTS_EPSILON:
        for (size_t i = 0; i < n; i++) x0[i] = (sample[i] - sigma_t * model_output[i]) / alpha_t;
        break;
    case PREDICTS_SAMPLE: memmove(x0, model_output, n * sizeof *x0); break;
    case PREDICTS_V:
        for (size_t i = 0; i < n; i++) x0[i] = alpha_t * sample[i] - sigma_t * model_output[i];
        break;
    case PREDICTS_FLOW:
        for (size_t i = 0; i < n; i++) x0[i] = sample[i] - sigma_t * model_output[i];
        break;
    }
}

void predict_noise(enum prediction prediction, struct level level, const real *model_output,
    const real *sample, size_t n, real *epsilon)
{
    const real alpha_t = level.alpha, sigma_t = level.sigma;
    if (prediction == PREDICTS_SAMPLE)
        for (size_t i = 0; i < n; i++) epsilon[i] = (sample[i] - alpha_t * model_output[i]) / sigma_t;
    else if (prediction == PREDICTS_V)
        for (size_t i = 0; i < n; i++) epsilon[i] = alpha_t * model_output[i] + sigma_t * sample[i];
    else
        memmove(epsilon, model_output, n * sizeof *epsilon);
}
