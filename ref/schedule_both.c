#include "schedule_columns.h"

#include "table.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* |value - exact| in units in the last place of a float32 as large as `exact`; 0 for two equal infinities or
 * two NaN, infinite where only one of them is a number. */
static double ulps(double value, double exact)
{
    if (value == exact || (isnan(value) && isnan(exact))) return 0;
    if (!isfinite(value) || !isfinite(exact)) return (double)INFINITY;
    int exponent;
    (void)frexp(fmax(fabs(exact), (double)FLT_MIN), &exponent);
    return fabs(value - exact) / ldexp(1, exponent - FLT_MANT_DIG);
}

/* A column of the one table with that of the other; NULL: the other is 0 in all steps. */
struct pair {
    const struct schedule_column *f32, *f64;
    double largest;
    size_t where;
};

static const struct schedule_column *find(
    const struct schedule_column *columns, size_t count, const char *name)
{
    for (size_t c = 0; c < count; c++)
        if (strcmp(columns[c].name, name) == 0) return &columns[c];
    return NULL;
}

static size_t pair_up(const struct schedule_column *f32, size_t f32_count, const struct schedule_column *f64,
    size_t f64_count, struct pair pairs[2 * SCHEDULE_MOST_COLUMNS])
{
    size_t count = 0;
    for (size_t c = 0; c < f32_count; c++)
        pairs[count++] = (struct pair){.f32 = &f32[c], .f64 = find(f64, f64_count, f32[c].name)};
    for (size_t c = 0; c < f64_count; c++)
        if (!find(f32, f32_count, f64[c].name)) pairs[count++] = (struct pair){.f64 = &f64[c]};
    return count;
}

static double number_at(const struct schedule_column *column, size_t i)
{
    return column ? schedule_column_at(column, i) : 0;
}

/* "0", "0.3", "12", "3.2e+04": two digits are enough of a distance. */
static void add_distance(struct table *cells, double distance)
{
    table_add(cells, distance >= 10 && distance < 1e4 ? "%.0f" : "%.2g", distance);
}

static void write_summary(const struct pair *pairs, size_t count, FILE *out)
{
    fprintf(out, "\nlargest distance from f64, in units in the last place of float32:\n");
    for (size_t c = 0; c < count; c++) {
        const char *name = pairs[c].f32 ? pairs[c].f32->name : pairs[c].f64->name;
        if (pairs[c].largest > 0)
            fprintf(out, "  %-22s %.3g, step %zu\n", name, pairs[c].largest, pairs[c].where);
        else
            fprintf(out, "  %-22s 0\n", name);
    }
}

enum status schedule_both_write(const struct schedule_table *f32, const struct schedule_table *f64,
    const cJSON *config, FILE *out, struct error *error)
{
    struct schedule_column of_f32[SCHEDULE_MOST_COLUMNS], of_f64[SCHEDULE_MOST_COLUMNS];
    struct pair pairs[2 * SCHEDULE_MOST_COLUMNS];
    size_t f32_count = schedule_columns(f32, of_f32), f64_count = schedule_columns(f64, of_f64);
    size_t count = pair_up(of_f32, f32_count, of_f64, f64_count, pairs);
    size_t steps = f32->count < f64->count ? f32->count : f64->count;
    char alignment[4 * SCHEDULE_MOST_COLUMNS + 2] = "r", number[32];
    for (size_t c = 0; c < count; c++) memcpy(alignment + 1 + 2 * c, ".r", 3);

    struct table cells = {.alignment = alignment};
    table_add(&cells, "step");
    for (size_t c = 0; c < count; c++) {
        table_add(&cells, "%s", pairs[c].f32 ? pairs[c].f32->name : pairs[c].f64->name);
        table_add(&cells, "ulp");
    }
    for (size_t i = 0; i < steps; i++) {
        table_add(&cells, "%zu", i);
        for (size_t c = 0; c < count; c++) {
            const double value = number_at(pairs[c].f32, i),
                         distance = ulps(value, number_at(pairs[c].f64, i));
            table_add(&cells, "%s", schedule_show_number(value, true, false, number));
            add_distance(&cells, distance);
            if (distance > pairs[c].largest) {
                pairs[c].largest = distance;
                pairs[c].where = i;
            }
        }
    }
    const char *name = "";
    enum status status = json_get_string(config, "_class_name", &name, NULL, error);
    if (status == STATUS_OK) {
        fprintf(out, "%s, %zu steps, diffusers arithmetic and its distance from f64\n\n", name, f32->count);
        status = table_write(&cells, out, "", error);
        if (f32->count != f64->count)
            fprintf(out, "\nf64 has %zu steps: only those that both have are compared.\n", f64->count);
        write_summary(pairs, count, out);
    }
    table_free(&cells);
    return status;
}
