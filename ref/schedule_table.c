#include "schedule_columns.h"

#include "cli.h"
#include "schedule_departures.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void schedule_table_free(struct schedule_table *table)
{
    free(table->timesteps);
    free(table->sigmas);
    free(table->alphas_cumprod);
    free(table->log_snrs);
    free(table->previous_timesteps);
    free(table->previous_alphas_cumprod);
    free(table->coefficients);
    free(table->signs);
    free(table->departures);
    *table = (struct schedule_table){0};
}

/* --- As a table --------------------------------------------------------------------------- */

/* The options that were given, but for those that tell nothing. */
static enum status write_options(const cJSON *config, FILE *out, struct error *error)
{
    const cJSON *item;
    int column = 0;
    cJSON_ArrayForEach(item, config)
    {
        if (item->string[0] == '_' || cJSON_IsNull(item)) continue;
        char value[64], text[160];
        if (strcmp(json_show(item, value, sizeof value), "?") == 0) return error_memory(error, sizeof value);
        int length = snprintf(text, sizeof text, "%s=%s", item->string, value);
        if (column > 0 && column + length > 96) {
            fputc('\n', out);
            column = 0;
        }
        column += fprintf(out, "  %s", text);
    }
    if (column) fputc('\n', out);
    return STATUS_OK;
}

/* A model is asked twice at a timestep that stands twice, and a search by value finds the second. */
static void write_repeat_note(const struct schedule_table *table, FILE *out)
{
    size_t repeats = 0, first = 0;
    for (size_t i = 0; i + 1 < table->count; i++)
        if (table->timesteps[i] == table->timesteps[i + 1] && repeats++ == 0) first = i;
    if (repeats)
        fprintf(out, "\n%zu of the timesteps repeat the one before: first step %zu, %g again.\n", repeats,
            first + 1, table->timesteps[first]);
}

static enum status write_as_table(
    const struct schedule_table *table, const cJSON *config, FILE *out, struct error *error)
{
    struct schedule_column columns[SCHEDULE_MOST_COLUMNS];
    size_t count = schedule_columns(table, columns);
    const bool departs = schedule_departures_of(table) != 0;
    char alignment[SCHEDULE_MOST_COLUMNS + 3] = "r", number[32], mark[33];
    memset(alignment + 1, '.', count);
    alignment[count + 1] = departs ? 'l' : '\0';
    alignment[count + 2] = '\0';

    struct table cells = {.alignment = alignment};
    table_add(&cells, "i");
    for (size_t c = 0; c < count; c++) table_add(&cells, "%s", columns[c].name);
    if (departs) table_add(&cells, "departs");
    for (size_t i = 0; i < table->count; i++) {
        table_add(&cells, "%zu", i);
        for (size_t c = 0; c < count; c++) {
            double value = schedule_column_at(&columns[c], i);
            bool exact = columns[c].is_f32 || columns[c].values == table->timesteps;
            if (exact)
                table_add(&cells, "%s", schedule_show_number(value, columns[c].is_f32, false, number));
            else
                table_add(&cells, "%.9g", value);
        }
        if (departs) table_add(&cells, "%s", schedule_departure_mark(table, i, mark));
    }
    if (table->has_sigmas && !isnan(table->sigmas[table->count])) {
        table_add(&cells, "final");
        for (size_t c = 0; c < count; c++)
            table_add(&cells, "%s",
                columns[c].values == table->sigmas
                    ? schedule_show_number(table->sigmas[table->count], columns[c].is_f32, false, number)
                    : "");
        if (departs) table_add(&cells, "%s", "");
    }

    const char *name = "";
    enum status status = json_get_string(config, "_class_name", &name, NULL, error);
    if (status == STATUS_OK) {
        fprintf(out, "%s, %zu steps, init_noise_sigma %s, %s arithmetic\n", name, table->count,
            schedule_show_number(table->init_noise_sigma, table->init_noise_sigma_is_f32, false, number),
            table->is_f32 ? "diffusers" : "f64");
        status = write_options(config, out, error);
    }
    if (status == STATUS_OK) {
        fputc('\n', out);
        status = table_write(&cells, out, "", error);
        write_repeat_note(table, out);
        schedule_departures_write(table, out);
    }
    table_free(&cells);
    return status;
}

/* --- As CSV and JSON ---------------------------------------------------------------------- */

static void write_as_csv(const struct schedule_table *table, FILE *out)
{
    struct schedule_column columns[SCHEDULE_MOST_COLUMNS];
    size_t count = schedule_columns(table, columns);
    char number[32];
    fprintf(out, "i");
    for (size_t c = 0; c < count; c++) fprintf(out, ",%s", columns[c].name);
    fputc('\n', out);
    for (size_t i = 0; i < table->count; i++) {
        fprintf(out, "%zu", i);
        for (size_t c = 0; c < count; c++)
            fprintf(out, ",%s",
                schedule_show_number(schedule_column_at(&columns[c], i), columns[c].is_f32, false, number));
        fputc('\n', out);
    }
    if (!table->has_sigmas || isnan(table->sigmas[table->count])) return;
    fprintf(out, "%zu", table->count);
    for (size_t c = 0; c < count; c++)
        fprintf(out, ",%s",
            columns[c].values == table->sigmas
                ? schedule_show_number(table->sigmas[table->count], columns[c].is_f32, false, number)
                : "");
    fputc('\n', out);
}

static void write_json_list(FILE *out, const struct schedule_column *column, size_t count)
{
    char number[32];
    fprintf(out, ",\n \"%s%s\": [", column->list_name ? "" : "coefficients.",
        column->list_name ? column->list_name : column->name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i ? ", " : "",
            schedule_show_number(schedule_column_at(column, i), column->is_f32, true, number));
    fputc(']', out);
}

/* The lists have Diffusers' names where it has one: `timesteps`, and `sigmas` with the last. */
static enum status write_as_json(
    const struct schedule_table *table, const cJSON *config, FILE *out, struct error *error)
{
    struct schedule_column columns[SCHEDULE_MOST_COLUMNS];
    size_t count = schedule_columns(table, columns);
    bool first = true;
    char number[32], value[4096];
    fprintf(out, "{\n \"config\": {");
    const cJSON *item;
    cJSON_ArrayForEach(item, config)
    {
        fprintf(out, "%s", first ? "" : ", ");
        first = false;
        cli_write_json_string(out, item->string);
        char *text = cJSON_IsNumber(item) ? NULL : cJSON_PrintUnformatted(item);
        if (!text && !cJSON_IsNumber(item)) return error_memory(error, 0);
        fprintf(out, ": %s", text ? text : json_show(item, value, sizeof value));
        cJSON_free(text);
    }
    fprintf(out, "},\n \"arithmetic\": \"%s\",\n \"init_noise_sigma\": %s",
        table->is_f32 ? "diffusers" : "f64",
        schedule_show_number(table->init_noise_sigma, table->init_noise_sigma_is_f32, true, number));
    for (size_t c = 0; c < count; c++) {
        bool has_last = columns[c].values == table->sigmas && !isnan(table->sigmas[table->count]);
        write_json_list(out, &columns[c], table->count + has_last);
    }
    fprintf(out, ",\n \"departures\": ");
    schedule_departures_write_json(table, out);
    fprintf(out, "\n}\n");
    return STATUS_OK;
}

enum status schedule_table_write(const struct schedule_table *table, const cJSON *config,
    enum schedule_format format, FILE *out, struct error *error)
{
    switch (format) {
    case SCHEDULE_AS_TABLE: return write_as_table(table, config, out, error);
    case SCHEDULE_AS_CSV: write_as_csv(table, out); break;
    case SCHEDULE_AS_JSON: return write_as_json(table, config, out, error);
    }
    return STATUS_OK;
}
