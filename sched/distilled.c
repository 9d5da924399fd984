#include "distilled.h"
#include "real.h"
#include "integer_steps.h"
#include "step_index.h"
#include "timesteps.h"

#include <math.h>
#include <stdlib.h>

const struct option distilled_options[9] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 1000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, beta_schedule), .type = OPTION_STRING, .string = "scaled_linear"},
    {OPTION_MEMBER(scheduler_config, trained_betas), .type = OPTION_NUMBERS},
    {OPTION_MEMBER(scheduler_config, beta_start), .type = OPTION_NUMBER, .number = 0.00085},
    {OPTION_MEMBER(scheduler_config, beta_end), .type = OPTION_NUMBER, .number = 0.012},
    {OPTION_MEMBER(distilled_config, original_inference_steps), .type = OPTION_INT, .number = 50,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, set_alpha_to_one), .type = OPTION_BOOL, .number = true,
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "epsilon",
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL, .nullable = true},
};

const struct option distilled_clipping_options[2] = {
    {OPTION_MEMBER(scheduler_config, clip_sample), .type = OPTION_BOOL, .nullable = true},
    {OPTION_MEMBER(scheduler_config, clip_sample_range), .type = OPTION_NUMBER, .number = 1},
};

const struct option distilled_scaling_options[1] = {
    {OPTION_MEMBER(distilled_config, timestep_scaling), .type = OPTION_NUMBER, .number = 10},
};

/* The schedule of the distillation, rising: entry i is (i + 1) spacing - 1, or i. */
struct origin {
    int original_steps;
    double strength;
    size_t count, spacing; /* spacing 0: every timestep */
};

static double origin_at(const struct origin *origin, size_t i)
{
    return origin->spacing ? (double)((i + 1) * origin->spacing) - 1 : (double)i;
}

static enum status find_origin(const struct scheduler *scheduler, enum distilled_grid grid,
    const struct schedule_request *request, struct origin *origin, struct error *error)
{
    const int trained = scheduler->num_train_timesteps;
    const bool given = request->has_original_inference_steps;
    const int steps = given ? request->original_inference_steps
                            : ((const struct distilled_config *)scheduler->config)->original_inference_steps;
    const bool every = given && grid == DISTILLED_ON_EVERY_TIMESTEP;
    *origin =
        (struct origin){.original_steps = steps, .strength = request->has_strength ? request->strength : 1};
    if (!every && (steps < 1 || steps > trained))
        return error_input(
            error, "original_inference_steps: expected 1 to num_train_timesteps, %d, got %d", trained, steps);
    const double count = trunc((every ? trained : steps) * origin->strength);
    if (count > MAX_INFERENCE_STEPS)
        return error_input(
            error, "strength: %g makes %g steps, more than %d", origin->strength, count, MAX_INFERENCE_STEPS);
    origin->count = count > 0 ? (size_t)count : 0;
    origin->spacing = every ? 0 : (size_t)(trained / steps);
    return STATUS_OK;
}

/* --- Custom timesteps --------------------------------------------------------------------- */

static bool is_of_origin(const struct origin *origin, double timestep)
{
    const double spacing = origin->spacing ? (double)origin->spacing : 1;
    const double above = origin->spacing ? timestep + 1 : timestep;
    const double i = above / spacing - (origin->spacing ? 1 : 0);
    return i >= 0 && i < (double)origin->count && i == floor(i);
}

static void warn_of_custom(const struct scheduler *scheduler, const struct origin *origin,
    const struct schedule_request *request, struct warnings *warnings)
{
    const double first = request->timesteps[0];
    const double *foreign = NULL;
    size_t foreigners = 0;
    for (size_t i = 1; i < request->num_timesteps; i++) {
        if (is_of_origin(origin, request->timesteps[i])) continue;
        if (foreigners++ == 0) foreign = &request->timesteps[i];
    }
    if (origin->strength == 1 && first != scheduler->num_train_timesteps - 1)
        warnings_add(warnings, "timesteps: the first is %.9g, not num_train_timesteps - 1, %d", first,
            scheduler->num_train_timesteps - 1);
    if (foreigners > 0)
        warnings_add(warnings,
            "timesteps: %zu of them (the first is %.9g) are not on the schedule that the model was distilled "
            "on",
            foreigners, *foreign);
    if (request->num_timesteps > (size_t)origin->original_steps)
        warnings_add(warnings, "timesteps: %zu, more than original_inference_steps, %d",
            request->num_timesteps, origin->original_steps);
}

/* The last `strength` of the list that is given. */
static enum status set_custom(struct scheduler *scheduler, const struct origin *origin,
    const struct schedule_request *request, struct warnings *warnings, struct error *error)
{
    const size_t given = request->num_timesteps;
    double *timesteps;
    enum status status =
        timesteps_custom(request->timesteps, given, scheduler->num_train_timesteps, &timesteps, error);
    if (status != STATUS_OK) return status;
    warn_of_custom(scheduler, origin, request, warnings);
    const double wanted = trunc((double)given * origin->strength);
    const size_t count = wanted >= (double)given ? given : wanted > 0 ? (size_t)wanted : 0;
    for (size_t i = 0; i < count; i++) timesteps[i] = timesteps[given - count + i];
    scheduler_take_timesteps(scheduler, timesteps, count, TIMESTEP_INT64);
    scheduler->num_inference_steps = (int)given;
    return STATUS_OK;
}

/* --- A count of steps --------------------------------------------------------------------- */

/* N entries of the distillation's schedule, equally spaced by their indices from its noisy end. */
static enum status set_count(struct scheduler *scheduler, const struct origin *origin,
    const struct schedule_request *request, struct error *error)
{
    const int steps = request->num_inference_steps;
    enum status status = timesteps_check_count(steps, scheduler->num_train_timesteps, error);
    if (status != STATUS_OK) return status;
    if (steps == 0) return error_input(error, "num_inference_steps: expected at least 1 step, got 0");
    if ((size_t)steps > origin->count || steps > origin->original_steps)
        return error_input(error,
            "num_inference_steps: expected at most original_inference_steps x strength, %d x %g, got %d",
            origin->original_steps, origin->strength, steps);
    const size_t n = (size_t)steps;
    double *timesteps = malloc(n * sizeof *timesteps);
    if (!timesteps) return error_memory(error, n * sizeof *timesteps);
    const double stride = (double)origin->count / steps;
    for (size_t i = 0; i < n; i++) {
        const size_t from_noisiest = (size_t)floor((double)i * stride);
        timesteps[i] = origin_at(origin, origin->count - 1 - from_noisiest);
    }
    scheduler_take_timesteps(scheduler, timesteps, n, TIMESTEP_INT64);
    scheduler->num_inference_steps = steps;
    return STATUS_OK;
}

enum status distilled_set_timesteps(struct scheduler *scheduler, enum distilled_grid grid,
    const struct schedule_request *request, struct warnings *warnings, struct error *error)
{
    struct origin origin;
    enum status status =
        timesteps_check_one_given(request->has_num_inference_steps, request->timesteps, error);
    if (status == STATUS_OK) status = find_origin(scheduler, grid, request, &origin, error);
    if (status != STATUS_OK) return status;
    return request->timesteps ? set_custom(scheduler, &origin, request, warnings, error)
                              : set_count(scheduler, &origin, request, error);
}

/* --- Steps -------------------------------------------------------------------------------- */

enum status distilled_step_index(const struct scheduler *scheduler, double timestep, double past_end,
    size_t *index, double *prev_timestep, struct error *error)
{
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, index, error);
    if (status != STATUS_OK) return status;
    const bool inside = *index + 1 < scheduler->num_timesteps;
    *prev_timestep = inside ? scheduler->timesteps[*index + 1] : past_end;
    return STATUS_OK;
}

bool distilled_is_last(const struct scheduler *scheduler, size_t index)
{
    if (scheduler->semantics == SEMANTICS_DOCUMENTED) return index + 1 == scheduler->num_timesteps;
    return index + 1 == (size_t)scheduler->num_inference_steps;
}
