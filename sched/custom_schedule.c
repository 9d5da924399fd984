#include "real.h"

#include "custom_schedule.h"

#include <string.h>

/* One warning for the first place where a list does not fall: a list in the wrong order has many. */
static void warn_of_order(const char *name, const double *list, size_t count, struct warnings *warnings)
{
    for (size_t i = 1; i < count; i++) {
        if (list[i] < list[i - 1]) continue;
        warnings_add(warnings, "%s[%zu]: expected less than the %g in front of it, got %g; taken as it is",
            name, i, list[i - 1], list[i]);
        return;
    }
}

static void warn_of_timesteps(
    const struct scheduler *scheduler, const struct schedule_request *request, struct warnings *warnings)
{
    const int trained = scheduler->num_train_timesteps;
    for (size_t i = 0; scheduler->alphas_cumprod && i < request->num_timesteps; i++) {
        if (request->timesteps[i] >= 0 && request->timesteps[i] <= trained - 1) continue;
        warnings_add(warnings,
            "timesteps[%zu]: expected 0 to %d, which the model was trained for, got %g; taken as it is", i,
            trained - 1, request->timesteps[i]);
        return;
    }
}

static void warn_of_sigmas(
    const struct scheduler *scheduler, const struct schedule_request *request, struct warnings *warnings)
{
    for (size_t i = 0; i < request->num_sigmas; i++) {
        if (request->sigmas[i] >= 0) continue;
        warnings_add(warnings, "sigmas[%zu]: expected a number that is not negative, got %g; taken as it is",
            i, request->sigmas[i]);
        return;
    }
    /* Some classes go on to 0 by themselves: what counts is their table. */
    if (scheduler->num_sigmas > 0 && scheduler->sigmas[scheduler->num_sigmas - 1] > 0)
        warnings_add(warnings, "sigmas: the last is %g, not 0: so much noise is left in the result",
            (double)scheduler->sigmas[scheduler->num_sigmas - 1]);
}

void warn_of_custom_schedule(
    const struct scheduler *scheduler, const struct schedule_request *request, struct warnings *warnings)
{
    bool is_inverse =
        strstr(scheduler->solver->class_name, "Inverse") != NULL; /* from the picture to noise: it rises */
    if (request->timesteps) {
        if (!is_inverse) warn_of_order("timesteps", request->timesteps, request->num_timesteps, warnings);
        warn_of_timesteps(scheduler, request, warnings);
    }
    if (request->sigmas) {
        if (!is_inverse) warn_of_order("sigmas", request->sigmas, request->num_sigmas, warnings);
        warn_of_sigmas(scheduler, request, warnings);
    }
}
