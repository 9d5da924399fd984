/*
 * A model that knows the data, in the terms of each scheduler class: at which level of noise it sees the
 * sample, as its timestep tells, and what it answers where it takes x_0 for the data. The suffix of the names
 * is the sampler's arithmetic.
 */
#ifndef REF_PERFECT_MODEL_H
#define REF_PERFECT_MODEL_H

#include "sched/real.h"
#include "sched/scheduler.h"

#include <cjson/cJSON.h>

#define model_level_at REAL_NAME(model_level_at)
#define model_prediction_type REAL_NAME(model_prediction_type)
#define model_answer REAL_NAME(model_answer)

/* What a model of the class's family is given at a step, and how it answers. */
struct model_level {
    enum { MODEL_VARIANCE_PRESERVING, MODEL_FLOW_MATCHING, MODEL_PRECONDITIONED } family;
    double signal, noise; /* the model's input is signal x_0 + noise epsilon; preconditioned: the sample is */
    double c_skip, c_out; /* preconditioned: x_0 = c_skip sample + c_out model_output */
    double input_scale;   /* from the model's input to the scale of the picture */
};

/* The level of the step. Refuses a class whose model is not a denoiser (consistency models). */
enum status model_level_at(const struct scheduler *scheduler, const cJSON *config, size_t step,
    struct model_level *level, struct error *error);

/* The config's prediction_type, "epsilon" where it has none. */
const char *model_prediction_type(const cJSON *config);

/* What the model answers to x (of a preconditioned one the sample, of the others its input), if the data
 * behind it are x0. */
double model_answer(const struct model_level *level, const char *prediction_type, double x, double x0);

#endif
