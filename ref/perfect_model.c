#include "sched/real.h"
#include "perfect_model.h"

#include "sched/edm.h"
#include "sched/solver.h"

#include <math.h>
#include <string.h>

static const char *text_of(const cJSON *config, const char *key, const char *absent)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, key));
    return text ? text : absent;
}

/* sigma of training at a timestep that may lie between two, by linear interpolation, as the classes with
 * sigmas do it; a negative one counts from the end, as in Python. */
static double training_sigma(const struct scheduler *scheduler, double timestep)
{
    const double last = (double)(scheduler->num_betas - 1);
    if (timestep < 0) timestep += last + 1;
    timestep = fmin(fmax(timestep, 0), last);
    const size_t below = (size_t)floor(timestep), above = (size_t)ceil(timestep);
    const double a = (double)scheduler->alphas_cumprod[below], b = (double)scheduler->alphas_cumprod[above];
    const double sigma_below = sqrt((1 - a) / a), sigma_above = sqrt((1 - b) / b);
    if (below == above) return sigma_below;
    return sigma_below + (timestep - (double)below) * (sigma_above - sigma_below);
}

/* The models of EDM (Karras et al. 2022, table 1) see sample / sqrt(sigma^2 + sigma_data^2). */
static struct model_level preconditioned(const struct scheduler *scheduler, double sigma)
{
    const double sigma_data = edm_config_of(scheduler)->sigma_data;
    const double total = sigma * sigma + sigma_data * sigma_data;
    if (option_is(scheduler->config->prediction_type, "sample"))
        return (struct model_level){.family = MODEL_PRECONDITIONED,
            .signal = 1,
            .noise = sigma,
            .c_out = 1,
            .input_scale = sigma_data};
    const bool predicts_v = option_is(scheduler->config->prediction_type, "v_prediction");
    return (struct model_level){
        .family = MODEL_PRECONDITIONED,
        .signal = 1,
        .noise = sigma,
        .c_skip = sigma_data * sigma_data / total,
        .c_out = (predicts_v ? -1 : 1) * sigma * sigma_data / sqrt(total),
        .input_scale = sigma_data,
    };
}

enum status model_level_at(const struct scheduler *scheduler, const cJSON *config, size_t step,
    struct model_level *level, struct error *error)
{
    const double timestep = scheduler->timesteps[step];
    const char *name = scheduler_name(scheduler);
    const bool flow =
        scheduler->solver->flow || strcmp(text_of(config, "prediction_type", ""), "flow_prediction") == 0;
    *level = (struct model_level){.family = MODEL_VARIANCE_PRESERVING, .input_scale = 1};
    if (flow) {
        level->family = MODEL_FLOW_MATCHING;
        level->noise = timestep / scheduler->num_train_timesteps;
        level->signal = 1 - level->noise;
    } else if (scheduler->alphas_cumprod) {
        const double sigma = training_sigma(scheduler, timestep);
        level->signal = 1 / sqrt(1 + sigma * sigma);
        level->noise = isinf(sigma) ? 1 : sigma * level->signal;
    } else if (strncmp(name, "EDM", 3) == 0 || strncmp(name, "Cosine", strlen("Cosine")) == 0) {
        *level = preconditioned(scheduler, (double)scheduler->sigmas[step]);
    } else {
        return error_input(
            error, "%s: no picture of it can be drawn, since its model is not a denoiser", name);
    }
    return STATUS_OK;
}

const char *model_prediction_type(const cJSON *config)
{
    return text_of(config, "prediction_type", "epsilon");
}

double model_answer(const struct model_level *level, const char *prediction_type, double x, double x0)
{
    const double epsilon = (x - level->signal * x0) / level->noise;
    if (level->family == MODEL_PRECONDITIONED) return (x0 - level->c_skip * x) / level->c_out;
    if (level->family == MODEL_FLOW_MATCHING) return epsilon - x0;
    if (strcmp(prediction_type, "sample") == 0) return x0;
    if (strcmp(prediction_type, "v_prediction") == 0) return level->signal * epsilon - level->noise * x0;
    return epsilon;
}
