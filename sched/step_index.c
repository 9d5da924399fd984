#include "step_index.h"
#include "real.h"

#include <math.h>

/* Fractional timesteps come out of logarithms, so those of another machine, library or precision differ in
 * their last digits: by up to 2e-3 where the one side has float32 tables and the other double ones. */
#define SAME_TIMESTEP 1e-2

/* The entry of `timesteps` that equals `timestep`, of several the second; torch compares in the type of the
 * list. */
static bool find_equal(const struct scheduler *scheduler, double timestep, size_t *index)
{
    bool narrow = scheduler->timestep_dtype == TIMESTEP_FLOAT32;
    double wanted = narrow ? (double)(real)timestep : timestep;
    size_t found = 0;
    for (size_t i = 0; i < scheduler->num_timesteps && found < 2; i++) {
        if (scheduler->timesteps[i] != wanted) continue;
        *index = i;
        found++;
    }
    return found > 0;
}

/* The fractional entry that is nearest, where it is near enough to mean the same timestep. */
static bool find_nearest(const struct scheduler *scheduler, double timestep, size_t *index)
{
    double nearest = SAME_TIMESTEP;
    bool found = false;
    for (size_t i = 0; i < scheduler->num_timesteps; i++) {
        double distance = fabs(scheduler->timesteps[i] - timestep);
        if (!(distance < nearest)) continue;
        nearest = distance;
        *index = i;
        found = true;
    }
    return found && scheduler->timestep_dtype != TIMESTEP_INT64;
}

static enum status find_timestep(const struct scheduler *scheduler, double timestep,
    enum off_schedule off_schedule, size_t *index, struct error *error)
{
    if (find_equal(scheduler, timestep, index) || find_nearest(scheduler, timestep, index)) return STATUS_OK;
    if (off_schedule == OFF_SCHEDULE_IS_ERROR || scheduler->num_timesteps == 0)
        return error_input(error,
            "timestep: %.9g is not on the schedule of %zu timesteps; expected one of them, not its index",
            timestep, scheduler->num_timesteps);
    *index = scheduler->num_timesteps - 1;
    return STATUS_OK;
}

/* A class without sigmas asks for none. */
static enum status check_index(const struct scheduler *scheduler, size_t index, struct error *error)
{
    if (!scheduler->sigmas || index < scheduler->num_sigmas) return STATUS_OK;
    return error_input(error, "step %zu: the schedule has only %zu sigmas", index, scheduler->num_sigmas);
}

enum status step_index_now(const struct scheduler *scheduler, double timestep, enum off_schedule off_schedule,
    size_t *index, struct error *error)
{
    enum status status = STATUS_OK;
    if (scheduler->step_index >= 0)
        *index = (size_t)scheduler->step_index;
    else if (scheduler->begin_index >= 0)
        *index = (size_t)scheduler->begin_index;
    else
        status = find_timestep(scheduler, timestep, off_schedule, index, error);
    return status == STATUS_OK ? check_index(scheduler, *index, error) : status;
}

enum status step_index_with_next(
    const struct scheduler *scheduler, double timestep, size_t *index, struct error *error)
{
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, index, error);
    if (status != STATUS_OK || *index + 1 < scheduler->num_sigmas) return status;
    return error_input(error, "step %zu: the schedule has only %zu steps", *index, scheduler->num_sigmas - 1);
}

enum status step_index_for_noise(const struct scheduler *scheduler, double timestep,
    enum off_schedule off_schedule, size_t *index, struct error *error)
{
    if (scheduler->begin_index >= 0) return step_index_now(scheduler, timestep, off_schedule, index, error);
    enum status status = find_timestep(scheduler, timestep, off_schedule, index, error);
    return status == STATUS_OK ? check_index(scheduler, *index, error) : status;
}
