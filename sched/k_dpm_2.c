#include "k_dpm_2.h"
#include "denoiser.h"
#include "real.h"
#include "sigmas.h"
#include "step_index.h"

#include <string.h>

size_t k_dpm_2_state_memory(void *whole_state, struct state_memory memory[MAX_STATE_MEMORY])
{
    struct k_dpm_2_state *state = whole_state;
    memory[0] = (struct state_memory){(void **)&state->tables, 3 * state->count * sizeof *state->tables};
    memory[1] = history_memory(&state->began);
    return 2;
}

/* One call of a step. */
struct call {
    bool second; /* the one in the middle */
    size_t index;
    real sigma, sigma_interpol, sigma_end, sigma_up;
};

/* The second call has an index of its own, one on from that where the step began. */
static enum status find_call(
    const struct scheduler *scheduler, double timestep, struct call *call, struct error *error)
{
    const struct k_dpm_2_state *state = scheduler->state;
    call->second = state->began.count > 0;
    enum status status = call->second
                             ? step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &call->index, error)
                             : step_index_with_next(scheduler, timestep, &call->index, error);
    if (status != STATUS_OK) return status;
    const size_t from = call->second ? call->index - 1 : call->index;
    call->sigma = scheduler->sigmas[from];
    call->sigma_interpol = state->tables[from];
    call->sigma_end = state->tables[state->count + from];
    call->sigma_up = state->tables[2 * state->count + from];
    return STATUS_OK;
}

enum status k_dpm_2_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    struct call call;
    enum status status = find_call(scheduler, timestep, &call, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)call.index;
    sigma_scale_input(call.second ? call.sigma_interpol : call.sigma, sample, n, model_input);
    return STATUS_OK;
}

enum status k_dpm_2_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    struct history *began = &((struct k_dpm_2_state *)scheduler->state)->began;
    const size_t n = input->batch * input->sample_size;
    struct denoiser denoiser;
    struct call call;
    enum status status =
        denoiser_choose(scheduler->config->prediction_type, NO_SAMPLE_PREDICTION, &denoiser, error);
    if (status == STATUS_OK) status = find_call(scheduler, input->timestep, &call, error);
    if (status == STATUS_OK) status = history_prepare(began, 1, n, error);
    if (status != STATUS_OK) return status;

    const real sigma_input = call.second ? call.sigma_interpol : call.sigma;
    const real dt = (call.second ? call.sigma_end : call.sigma_interpol) - call.sigma;
    denoiser_at(&denoiser, sigma_input);
    if (!call.second) {
        memcpy(history_next(began), input->sample, n * sizeof *input->sample);
        history_push(began);
    }
    const struct denoiser at_level = denoiser; /* which no store reaches: the loops become vectors */
    const real *start = history_at(began, 0), *noise = call.second ? input->noise : NULL;
    const real sigma_up = call.sigma_up;
    for (size_t i = 0; i < n; i++) {
        const real sample = input->sample[i];
        const real pred_original = denoise(&at_level, sample, input->model_output[i]);
        const real derivative = (sample - pred_original) / sigma_input;
        prev_sample[i] = start[i] + derivative * dt;
        if (pred_original_sample) pred_original_sample[i] = pred_original;
    }
    for (size_t i = 0; noise && i < n; i++) prev_sample[i] += noise[i] * sigma_up;
    if (call.second) history_forget(began);
    scheduler->step_index = (int)call.index + 1;
    scheduler->step_order = call.second ? 2 : 1;
    return STATUS_OK;
}
