/*
 * The columns of a schedule's table: one list for every format.
 */
#ifndef REF_SCHEDULE_COLUMNS_H
#define REF_SCHEDULE_COLUMNS_H

#include "schedule_table.h"

#define SCHEDULE_MOST_COLUMNS (10 + 2 * SCHEDULE_HISTORY)

/* What a column is called, and its numbers. */
struct schedule_column {
    char name[32];
    const char *list_name; /* in JSON, as Diffusers calls the list; NULL for a coefficient */
    const double *values;
    size_t stride; /* in doubles, from a step to the next */
    bool is_f32;
};

/* The columns of the table; returns how many. A coefficient that is 0 in all steps has none. */
size_t schedule_columns(
    const struct schedule_table *table, struct schedule_column columns[SCHEDULE_MOST_COLUMNS]);
double schedule_column_at(const struct schedule_column *column, size_t i);

/* The shortest number that reads back as the same float or double; infinities and NaN as C's printf writes
 * them, in JSON in quotes. Returns `buffer`. */
const char *schedule_show_number(double value, bool is_f32, bool json, char buffer[32]);

/* `f32` and `f64` are the tables of one schedule in the two arithmetics: for each step every number of the
 * first, and how many units in the last place of a float32 it is from the second; then the largest distance
 * of each column. */
enum status schedule_both_write(const struct schedule_table *f32, const struct schedule_table *f64,
    const cJSON *config, FILE *out, struct error *error);

#endif
