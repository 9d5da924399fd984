#include "schedule_columns.h"

#include "cli.h"

#include <math.h>

static void add_column(struct schedule_column *columns, size_t *count, const double *values, bool is_f32,
    const char *name, const char *list_name)
{
    struct schedule_column *column = &columns[(*count)++];
    *column =
        (struct schedule_column){.values = values, .stride = 1, .is_f32 = is_f32, .list_name = list_name};
    snprintf(column->name, sizeof column->name, "%s", name);
}

/* A coefficient that is 0 in all steps has no column. */
static void add_coefficient(const struct schedule_table *table, struct schedule_column *columns,
    size_t *count, const double *values, const char *name, size_t lag)
{
    const size_t stride = sizeof(struct step_coefficients) / sizeof(double);
    bool used = false;
    for (size_t i = 0; i < table->count; i++) used = used || values[i * stride] != 0;
    if (!used) return;
    struct schedule_column *column = &columns[(*count)++];
    *column = (struct schedule_column){.values = values, .stride = stride, .is_f32 = table->is_f32};
    snprintf(column->name, sizeof column->name, lag ? "%s[-%zu]" : "%s", name, lag);
}

size_t schedule_columns(
    const struct schedule_table *table, struct schedule_column columns[SCHEDULE_MOST_COLUMNS])
{
    size_t n = 0;
    bool f32 = table->is_f32;
    add_column(columns, &n, table->timesteps, f32, "timestep", "timesteps");
    if (table->has_sigmas) add_column(columns, &n, table->sigmas, f32, "sigma", "sigmas");
    if (table->previous_timesteps)
        add_column(columns, &n, table->previous_timesteps, f32, "previous_timestep", "previous_timesteps");
    add_column(
        columns, &n, table->alphas_cumprod, f32 && !table->has_sigmas, "alpha_cumprod", "alphas_cumprod");
    if (table->previous_alphas_cumprod)
        add_column(columns, &n, table->previous_alphas_cumprod, f32, "previous_alpha_cumprod",
            "previous_alphas_cumprod");
    if (!table->has_sigmas) add_column(columns, &n, table->sigmas, false, "sigma", "sigmas");
    add_column(columns, &n, table->log_snrs, false, "log_snr", "log_snrs");
    const struct step_coefficients *first = table->coefficients;
    for (size_t lag = 0; first && lag < SCHEDULE_HISTORY; lag++) {
        add_coefficient(table, columns, &n, &first->sample[lag], "sample", lag);
        add_coefficient(table, columns, &n, &first->model_output[lag], "model_output", lag);
    }
    if (first) add_coefficient(table, columns, &n, &first->noise, "noise", 0);
    if (first) add_coefficient(table, columns, &n, &first->order, "order", 0);
    if (first) add_coefficient(table, columns, &n, &first->evaluations, "evaluations", 0);
    return n;
}

double schedule_column_at(const struct schedule_column *column, size_t i)
{
    return column->values[i * column->stride];
}

const char *schedule_show_number(double value, bool is_f32, bool json, char buffer[32])
{
    if (is_f32) value = (double)(float)value; /* which may be infinite */
    if (isfinite(value)) return is_f32 ? show_float((float)value, buffer) : show_double(value, buffer);
    const char *name = isnan(value) ? "nan" : value < 0 ? "-inf" : "inf", *quote = json ? "\"" : "";
    snprintf(buffer, 32, "%s%s%s", quote, name, quote);
    return buffer;
}
