#include "timesteps.h"
#include "config.h"

#include <math.h>
#include <stdlib.h>

void numpy_linspace(double start, double stop, size_t n, double *out)
{
    double intervals = n > 1 ? (double)(n - 1) : 1;
    double step = (stop - start) / intervals;
    for (size_t i = 0; i < n; i++)
        out[i] = step == 0 ? start + (double)i / intervals * (stop - start) : start + (double)i * step;
    if (n > 1) out[n - 1] = stop; /* the end point is exact */
}

double *timesteps_of_training(size_t n)
{
    double *timesteps = malloc((n ? n : 1) * sizeof *timesteps);
    for (size_t i = 0; timesteps && i < n; i++) timesteps[i] = (double)(n - 1 - i);
    return timesteps;
}

enum status timesteps_check_count(int steps, int num_train_timesteps, struct error *error)
{
    if (steps <= num_train_timesteps) return STATUS_OK;
    return error_input(error, "num_inference_steps: expected at most num_train_timesteps, %d, got %d",
        num_train_timesteps, steps);
}

enum status timesteps_check_one_given(bool has_steps, const double *timesteps, struct error *error)
{
    if (has_steps != (timesteps != NULL)) return STATUS_OK;
    return error_input(error, "num_inference_steps, timesteps: expected one of the two, got %s",
        has_steps ? "both" : "neither");
}

enum status timesteps_custom(
    const double *custom, size_t count, int num_train_timesteps, double **timesteps, struct error *error)
{
    *timesteps = NULL;
    if (count == 0) return error_input(error, "timesteps: expected at least one");
    for (size_t i = 1; i < count; i++)
        if (custom[i] >= custom[i - 1])
            return error_input(error, "timesteps[%zu]: expected less than the %.9g in front of it, got %.9g",
                i, custom[i - 1], custom[i]);
    if (custom[0] >= num_train_timesteps)
        return error_input(error, "timesteps[0]: expected less than num_train_timesteps, %d, got %.9g",
            num_train_timesteps, custom[0]);
    *timesteps = malloc(count * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, count * sizeof **timesteps);
    for (size_t i = 0; i < count; i++) (*timesteps)[i] = timestep_truncated(custom[i]);
    return STATUS_OK;
}

double timestep_truncated(double timestep)
{
    return fabs(timestep) < 0x1p63 ? trunc(timestep) : -0x1p63;
}

void reverse_numbers(double *numbers, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        double low = numbers[i];
        numbers[i] = numbers[count - 1 - i];
        numbers[count - 1 - i] = low;
    }
}

/* np.linspace(0, last - 1, points), noisiest first, rounded half to even; the first N of them. */
static void fill_linspace(const struct spacing *spacing, size_t points, size_t count, double *timesteps)
{
    double *grid = timesteps; /* points >= count, and `timesteps` has room for the points */
    numpy_linspace(0, spacing->last_timestep - 1, points, grid);
    if (!spacing->ascending) reverse_numbers(grid, points);
    for (size_t i = 0; i < count; i++)
        if (!spacing->fractional) timesteps[i] = nearbyint(timesteps[i]);
}

/* Multiples of the whole step T // points, noisiest first, and the offset. */
static void fill_leading(const struct spacing *spacing, size_t points, size_t count, double *timesteps)
{
    double step_ratio = floor((double)spacing->last_timestep / (double)points);
    for (size_t i = 0; i < count; i++)
        timesteps[i] = (double)(spacing->ascending ? i : points - 1 - i) * step_ratio + spacing->steps_offset;
}

/* How many numbers np.arange(start, 0, -step) has; or how many it would have if T/N were exact. */
static size_t trailing_count(const struct spacing *spacing)
{
    if (spacing->no_extra_step && spacing->last_timestep > 0) {
        const size_t trained = (size_t)spacing->num_train_timesteps;
        return ((size_t)spacing->last_timestep * (size_t)spacing->num_inference_steps + trained - 1) /
               trained;
    }
    double step = (double)spacing->num_train_timesteps / spacing->num_inference_steps;
    return spacing->last_timestep > 0 ? (size_t)ceil((0.0 - spacing->last_timestep) / -step) : 0;
}

/* round(T - i T/N) - 1. np.arange adds a step that it takes from its first two numbers. */
static void fill_trailing(const struct spacing *spacing, size_t count, double *timesteps)
{
    double start = spacing->last_timestep;
    double second = start - (double)spacing->num_train_timesteps / spacing->num_inference_steps;
    double step = second - start;
    for (size_t i = 0; i < count; i++) timesteps[i] = nearbyint(start + (double)i * step) - 1;
    if (spacing->ascending) reverse_numbers(timesteps, count);
}

enum status timesteps_spaced(
    const struct spacing *spacing, double **timesteps, size_t *count, struct error *error)
{
    const char *name = spacing->timestep_spacing;
    size_t n = (size_t)spacing->num_inference_steps;
    size_t points = n + (spacing->extra_point ? 1 : 0);
    bool linspace = option_is(name, "linspace"), leading = option_is(name, "leading");
    bool trailing = option_is(name, "trailing");
    *timesteps = NULL;
    *count = n;

    if (!linspace && !leading && !trailing)
        return option_refuse("timestep_spacing", name, "\"leading\", \"linspace\" or \"trailing\"", error);
    if (n == 0 && (trailing || (leading && points == 0)))
        return error_input(
            error, "num_inference_steps: expected at least 1 step with %s spacing, got 0", name);
    if (trailing) *count = points = trailing_count(spacing);

    *timesteps = malloc((points ? points : 1) * sizeof **timesteps);
    if (!*timesteps) return error_memory(error, points * sizeof **timesteps);
    if (linspace) fill_linspace(spacing, points, *count, *timesteps);
    if (leading) fill_leading(spacing, points, *count, *timesteps);
    if (trailing) fill_trailing(spacing, *count, *timesteps);
    return STATUS_OK;
}
