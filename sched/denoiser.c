#include "denoiser.h"
#include "config.h"
#include "real.h"

enum status denoiser_choose(
    const char *prediction_type, enum denoises_sample sample, struct denoiser *denoiser, struct error *error)
{
    const bool takes_sample = sample != NO_SAMPLE_PREDICTION;
    if (option_is(prediction_type, "epsilon"))
        denoiser->prediction = PREDICTS_EPSILON;
    else if (option_is(prediction_type, "v_prediction"))
        denoiser->prediction = PREDICTS_V;
    else if ((takes_sample && option_is(prediction_type, "sample")) ||
             (sample == ORIGINAL_SAMPLE_TOO && option_is(prediction_type, "original_sample")))
        denoiser->prediction = PREDICTS_SAMPLE;
    else
        return option_refuse("prediction_type", prediction_type,
            takes_sample ? "\"epsilon\", \"v_prediction\" or \"sample\"" : "\"epsilon\" or \"v_prediction\"",
            error);
    return STATUS_OK;
}

void denoiser_at(struct denoiser *denoiser, real sigma)
{
    denoiser->sigma = sigma;
    denoiser->c_out = -sigma / real_sqrt(sigma * sigma + 1);
    denoiser->by_skip = sigma * sigma + 1;
}
