/*
 * The range report as tables and as JSON.
 */
#include "range_report.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static const char *const format_names[RANGE_FORMATS] = {"f16", "bf16"};

/* --- Sums --------------------------------------------------------------------------------- */

static void add_losses(struct range_losses *sum, const struct range_losses *losses)
{
    sum->infinite += losses->infinite;
    sum->zero += losses->zero;
    sum->subnormal += losses->subnormal;
}

/* All of one stage, with the layer and the place of its largest number (borrowed). */
static struct range stage_range(const struct range_report *report, const char *stage)
{
    struct range sum = {.stage = stage, .largest = -1};
    for (size_t i = 0; i < report->count; i++) {
        const struct range *range = &report->ranges[i];
        if (strcmp(range->stage, stage) != 0) continue;
        sum.values += range->values;
        sum.nonfinite += range->nonfinite;
        for (int f = 0; f < RANGE_FORMATS; f++) add_losses(&sum.narrow[f], &range->narrow[f]);
        if (range->largest > sum.largest) {
            sum.largest = range->largest;
            sum.layer = range->layer;
            sum.operation = range->operation;
            memcpy(sum.largest_at, range->largest_at, sizeof sum.largest_at);
        }
    }
    return sum;
}

/* Whether the range at `index` is the first of its stage. */
static bool is_first_of_stage(const struct range_report *report, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(report->ranges[i].stage, report->ranges[index].stage) == 0) return false;
    return true;
}

/* --- Tables ------------------------------------------------------------------------------- */

/* "0", "<0.01 %", "12.50 %" of all values */
static void add_share(struct table *table, size_t count, size_t values)
{
    double share = values ? 100 * (double)count / (double)values : 0;
    if (count == 0)
        table_add(table, "0");
    else if (share < 0.01)
        table_add(table, "<0.01 %%");
    else
        table_add(table, "%.2f %%", share);
}

/* layer, operation, values, largest, where, and for each format infinite, zero, subnormal */
static const char alignment[] = "lllr.lrrrrrr";

static void add_headings(struct table *table)
{
    static const char *const headings[] = {"stage", "layer", "operation", "values", "largest", "at",
        "f16: inf", "zero", "subnormal", "bf16: inf", "zero", "subnormal"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(table, "%s", headings[i]);
}

static void add_row(struct table *table, const struct range *range)
{
    table_add(table, "%s", range->stage);
    table_add(table, "%s", range->layer ? range->layer : "");
    table_add(table, "%s", range->operation ? range->operation : "");
    table_add(table, "%zu", range->values);
    if (range->nonfinite > 0)
        table_add(table, "%zu not finite", range->nonfinite);
    else
        table_add(table, "%.4g", range->largest);
    table_add(table, "%s", range->largest_at);
    for (int f = 0; f < RANGE_FORMATS; f++) {
        table_add(table, "%zu", range->narrow[f].infinite);
        add_share(table, range->narrow[f].zero, range->values);
        add_share(table, range->narrow[f].subnormal, range->values);
    }
}

static enum status write_stages(const struct range_report *report, FILE *out, struct error *error)
{
    struct table table = {.alignment = alignment};
    add_headings(&table);
    for (size_t i = 0; i < report->count; i++) {
        if (!is_first_of_stage(report, i)) continue;
        struct range stage = stage_range(report, report->ranges[i].stage);
        add_row(&table, &stage);
    }
    fprintf(out, "Each stage, with its largest number:\n\n");
    enum status status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

/* What has infinities or more than the format holds comes before what has not; then the larger number. */
static int compare_worst(const void *a, const void *b)
{
    const struct range *left = *(const struct range *const *)a, *right = *(const struct range *const *)b;
    if ((left->nonfinite > 0) != (right->nonfinite > 0)) return left->nonfinite > 0 ? -1 : 1;
    if (left->largest != right->largest) return left->largest > right->largest ? -1 : 1;
    return left < right ? -1 : 1; /* in the order of the run */
}

static enum status write_overflows(
    const struct range_report *report, int format, FILE *out, struct error *error)
{
    const struct range **worst = malloc((report->count + 1) * sizeof *worst);
    if (!worst) return error_memory(error, report->count * sizeof *worst);
    size_t count = 0;
    for (size_t i = 0; i < report->count; i++)
        if (report->ranges[i].narrow[format].infinite > 0 || report->ranges[i].nonfinite > 0)
            worst[count++] = &report->ranges[i];
    qsort(worst, count, sizeof *worst, compare_worst);

    enum status status = STATUS_OK;
    if (count == 0) {
        fprintf(out, "\nNothing overflows in %s.\n", format_names[format]);
    } else {
        struct table table = {.alignment = alignment};
        add_headings(&table);
        for (size_t i = 0; i < count; i++) add_row(&table, worst[i]);
        fprintf(out, "\nIn %s these overflow, the worst first:\n\n", format_names[format]);
        status = table_write(&table, out, "", error);
        table_free(&table);
    }
    free(worst);
    return status;
}

enum status range_report_write_table(const struct range_report *report, FILE *out, struct error *error)
{
    enum status status = write_stages(report, out, error);
    for (int f = 0; f < RANGE_FORMATS && status == STATUS_OK; f++)
        status = write_overflows(report, f, out, error);
    struct table table = {.alignment = alignment};
    add_headings(&table);
    for (size_t i = 0; i < report->count; i++) add_row(&table, &report->ranges[i]);
    fprintf(out, "\nEvery operator in order:\n\n");
    if (status == STATUS_OK) status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

/* --- JSON --------------------------------------------------------------------------------- */

static bool add_numbers(cJSON *to, const struct range *range)
{
    bool added = cJSON_AddNumberToObject(to, "values", (double)range->values) &&
                 cJSON_AddNumberToObject(to, "nonfinite", (double)range->nonfinite) &&
                 (range->largest < 0 ? cJSON_AddNullToObject(to, "largest")
                                     : cJSON_AddNumberToObject(to, "largest", range->largest)) &&
                 cJSON_AddStringToObject(to, "largest_at", range->largest_at);
    for (int f = 0; f < RANGE_FORMATS && added; f++) {
        cJSON *losses = cJSON_AddObjectToObject(to, format_names[f]);
        added = losses && cJSON_AddNumberToObject(losses, "infinite", (double)range->narrow[f].infinite) &&
                cJSON_AddNumberToObject(losses, "zero", (double)range->narrow[f].zero) &&
                cJSON_AddNumberToObject(losses, "subnormal", (double)range->narrow[f].subnormal);
    }
    return added;
}

static bool add_object(cJSON *list, const struct range *range)
{
    cJSON *object = cJSON_CreateObject();
    if (!object) return false;
    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "stage", range->stage) &&
           cJSON_AddStringToObject(object, "layer", range->layer ? range->layer : "") &&
           cJSON_AddStringToObject(object, "operation", range->operation ? range->operation : "") &&
           add_numbers(object, range);
}

enum status range_report_write_json(const struct range_report *report, FILE *out, struct error *error)
{
    cJSON *document = cJSON_CreateObject();
    cJSON *stages = document ? cJSON_AddArrayToObject(document, "stages") : NULL;
    cJSON *operators = stages ? cJSON_AddArrayToObject(document, "operators") : NULL;
    bool made = operators != NULL;
    for (size_t i = 0; i < report->count && made; i++) {
        struct range stage = stage_range(report, report->ranges[i].stage);
        if (is_first_of_stage(report, i)) made = add_object(stages, &stage);
        if (made) made = add_object(operators, &report->ranges[i]);
    }
    char *text = made ? cJSON_Print(document) : NULL;
    if (text) fprintf(out, "%s\n", text);
    enum status status = text ? STATUS_OK : error_memory(error, 0);
    cJSON_free(text);
    cJSON_Delete(document);
    return status;
}
