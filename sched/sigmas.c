#include "sigmas.h"
#include "config.h"
#include "numpy_log.h"
#include "real.h"
#include "rounded_math.h"
#include "step_index.h"

#include <math.h>
#include <stdlib.h>

real sigma_of(real alpha_cumprod)
{
    return real_sqrt((1 - alpha_cumprod) / alpha_cumprod);
}

enum status sigma_table_create(
    const struct scheduler *scheduler, struct sigma_table *table, struct error *error)
{
    size_t n = scheduler->num_betas;
    *table = (struct sigma_table){.count = n};
    table->sigmas = malloc(n * sizeof(real));
    table->log_sigmas = malloc(n * sizeof(real));
    if (!table->sigmas || !table->log_sigmas) {
        sigma_table_free(table);
        return error_memory(error, n * sizeof(real));
    }
    table->rising = true;
    for (size_t i = 0; i < n; i++) {
        table->sigmas[i] = sigma_of(scheduler->alphas_cumprod[i]);
        table->log_sigmas[i] =
            PLUMB_REAL_IS_DOUBLE ? real_log(table->sigmas[i]) : (real)numpy_log((float)table->sigmas[i]);
        if (i && !(table->log_sigmas[i - 1] <= table->log_sigmas[i])) table->rising = false;
    }
    return STATUS_OK;
}

void sigma_table_free(struct sigma_table *table)
{
    free(table->sigmas);
    free(table->log_sigmas);
    *table = (struct sigma_table){0};
}

/* np.interp(t, arange(count), values). */
static double interpolate(const real *values, size_t count, double timestep)
{
    double last = (double)(count - 1);
    if (timestep >= last) return (double)values[count - 1];
    if (!(timestep > 0)) return (double)values[0];
    size_t below = (size_t)timestep;
    double low = (double)values[below];
    if (timestep == (double)below) return low;
    double slope = (double)values[below + 1] - low;
    return slope * (timestep - (double)below) + low;
}

double sigma_table_interpolate(const struct sigma_table *table, double timestep)
{
    return interpolate(table->sigmas, table->count, timestep);
}

double sigma_table_interpolate_log(const struct sigma_table *table, double timestep)
{
    return rounded_exp(interpolate(table->log_sigmas, table->count, timestep));
}

/* The last entry that is not above `log_sigma`; 0 where all are. */
static size_t last_not_above(const struct sigma_table *table, real log_sigma)
{
    size_t low = 0, high = table->count; /* entries below `low` are not above, those from `high` on are */
    if (!table->rising) {
        for (size_t i = 0; i < table->count; i++)
            if (log_sigma >= table->log_sigmas[i]) low = i + 1;
        high = low;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log_sigma >= table->log_sigmas[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

/* Where a sigma lies between two entries of the table: (1 - w) low_index + w (low_index + 1). NumPy takes the
 * logarithm in double, and compares and interpolates in the table's type. */
struct table_place {
    size_t low_index;
    real w;
};

static struct table_place find_place(const struct sigma_table *table, double sigma)
{
    const real *log_sigmas = table->log_sigmas;
    const real log_sigma = (real)rounded_log(sigma < 1e-10 ? 1e-10 : sigma); /* no number stays none */
    size_t low_index = last_not_above(table, log_sigma);
    if (table->count == 1) return (struct table_place){0};
    if (low_index > table->count - 2) low_index = table->count - 2;

    const real low = log_sigmas[low_index], high = log_sigmas[low_index + 1];
    const real w = (low - log_sigma) / (low - high);
    return (struct table_place){low_index, w < 0 ? 0 : w > 1 ? 1 : w};
}

double sigma_to_t(const struct sigma_table *table, double sigma)
{
    const struct table_place place = find_place(table, sigma);
    const double low_index = (double)place.low_index;
    return (double)(1 - place.w) * low_index + (double)place.w * (low_index + 1);
}

real sigma_to_t_rounded(const struct sigma_table *table, real sigma)
{
    const struct table_place place = find_place(table, (double)sigma);
    const real low_index = (real)place.low_index;
    return (1 - place.w) * low_index + place.w * (low_index + 1);
}

enum status sigma_final(const struct scheduler *scheduler, real *sigma, struct error *error)
{
    const char *type = scheduler->config->final_sigmas_type;
    *sigma = 0;
    if (option_is(type, "sigma_min"))
        *sigma = sigma_of(scheduler->alphas_cumprod[0]);
    else if (!option_is(type, "zero"))
        return option_refuse("final_sigmas_type", type, "\"zero\" or \"sigma_min\"", error);
    return STATUS_OK;
}

struct ancestral_step ancestral_split(const struct scheduler *scheduler, real sigma, real sigma_next)
{
    const real from = sigma * sigma, to = sigma_next * sigma_next;
    const real sigma_up = real_sqrt(to * (from - to) / from);
    return (struct ancestral_step){
        .sigma_up = sigma_up,
        .sigma_down =
            scheduler->semantics == SEMANTICS_DOCUMENTED ? to / sigma : real_sqrt(to - sigma_up * sigma_up),
    };
}

void sigma_scale_input(real sigma, const real *sample, size_t n, real *model_input)
{
    real scale = real_sqrt(sigma * sigma + 1);
    for (size_t i = 0; i < n; i++) model_input[i] = sample[i] / scale;
}

enum status sigmas_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    size_t index = 0;
    enum status status = step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &index, error);
    if (status != STATUS_OK) return status;
    scheduler->step_index = (int)index;
    sigma_scale_input(scheduler->sigmas[index], sample, n, model_input);
    return STATUS_OK;
}

static enum status add_noise(const struct scheduler *scheduler, enum off_schedule off_schedule,
    const real *original_samples, const real *noise, const double *timesteps, size_t batch,
    size_t sample_size, real *noisy_samples, struct error *error)
{
    for (size_t b = 0; b < batch; b++) {
        size_t index = 0;
        enum status status = step_index_for_noise(scheduler, timesteps[b], off_schedule, &index, error);
        if (status != STATUS_OK) return status;
        for (size_t i = b * sample_size; i < (b + 1) * sample_size; i++)
            noisy_samples[i] = original_samples[i] + noise[i] * scheduler->sigmas[index];
    }
    return STATUS_OK;
}

enum status sigmas_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    return add_noise(scheduler, OFF_SCHEDULE_IS_ERROR, original_samples, noise, timesteps, batch, sample_size,
        noisy_samples, error);
}

enum status sigmas_add_noise_or_last(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples,
    struct error *error)
{
    return add_noise(scheduler, OFF_SCHEDULE_IS_LAST, original_samples, noise, timesteps, batch, sample_size,
        noisy_samples, error);
}
