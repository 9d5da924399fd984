#include "comparison.h"

#include "cli.h"
#include "safe_text.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Comparing ---------------------------------------------------------------------------- */

static struct tolerance default_tolerance(enum dtype a, enum dtype b)
{
    static const struct {
        enum dtype dtype;
        struct tolerance tolerance;
    } coarsest_first[] = {
        {DTYPE_BF16, {1.6e-2, 1e-5, 0}},
        {DTYPE_F16, {1e-3, 1e-5, 0}},
        {DTYPE_F32, {1.3e-6, 1e-5, 0}},
        {DTYPE_F64, {1e-7, 1e-7, 0}},
    };
    for (size_t i = 0; i < sizeof coarsest_first / sizeof *coarsest_first; i++)
        if (a == coarsest_first[i].dtype || b == coarsest_first[i].dtype) return coarsest_first[i].tolerance;
    return (struct tolerance){0};
}

static struct tolerance choose_tolerance(
    const struct tolerance_request *request, const struct tensor *a, const struct tensor *b)
{
    if (request->rtol < 0 && request->atol < 0 && request->ulp < 0)
        return default_tolerance(a->dtype, b->dtype);
    return (struct tolerance){fmax(request->rtol, 0), fmax(request->atol, 0), fmax(request->ulp, 0)};
}

static enum status compare_pair(
    struct comparison_row *row, const struct tolerance_request *request, struct error *error)
{
    if (!tensor_same_shape(row->a, row->b)) {
        row->verdict = VERDICT_SHAPE;
        return STATUS_OK;
    }
    row->tolerance = choose_tolerance(request, row->a, row->b);
    enum status status = tensor_difference_quantiles(row->a, row->b, row->b->dtype, &row->difference, error);
    if (status != STATUS_OK) return status;
    row->outside = row->difference.unequal ? tensor_disagreements(row->a, row->b, &row->tolerance) : 0;
    row->verdict = row->outside ? VERDICT_DIFFERS : row->difference.unequal ? VERDICT_AGREES : VERDICT_EQUAL;
    return STATUS_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct comparison_row *)a)->name, ((const struct comparison_row *)b)->name);
}

enum status comparison_make(const struct tensor_set *a, const struct tensor_set *b,
    const struct tolerance_request *request, struct comparison *comparison, struct error *error)
{
    size_t most = tensor_set_count(a) + tensor_set_count(b);
    *comparison = (struct comparison){.agree = true};
    comparison->rows = calloc(most ? most : 1, sizeof *comparison->rows);
    if (!comparison->rows) return error_memory(error, most * sizeof *comparison->rows);
    for (size_t i = 0; i < tensor_set_count(a); i++) {
        struct comparison_row *row = &comparison->rows[comparison->count++];
        row->name = tensor_set_name(a, i);
        row->a = tensor_set_at(a, i);
        row->b = tensor_set_find(b, row->name);
        row->verdict = VERDICT_ONLY_IN_A;
        enum status status = row->b ? compare_pair(row, request, error) : STATUS_OK;
        if (status != STATUS_OK) {
            comparison_free(comparison);
            return status;
        }
    }
    for (size_t i = 0; i < tensor_set_count(b); i++) {
        if (tensor_set_find(a, tensor_set_name(b, i))) continue;
        comparison->rows[comparison->count++] = (struct comparison_row){
            .name = tensor_set_name(b, i), .b = tensor_set_at(b, i), .verdict = VERDICT_ONLY_IN_B};
    }
    qsort(comparison->rows, comparison->count, sizeof *comparison->rows, by_name);
    for (size_t i = 0; i < comparison->count; i++)
        if (comparison->rows[i].verdict > VERDICT_AGREES) comparison->agree = false;
    return STATUS_OK;
}

void comparison_free(struct comparison *comparison)
{
    free(comparison->rows);
    *comparison = (struct comparison){0};
}

static bool has_difference(const struct comparison_row *row)
{
    return row->verdict <= VERDICT_DIFFERS;
}

const struct comparison_row *comparison_worst(const struct comparison *comparison)
{
    const struct comparison_row *worst = NULL;
    for (size_t i = 0; i < comparison->count; i++) {
        const struct comparison_row *row = &comparison->rows[i];
        if (!has_difference(row) || !row->difference.unequal) continue;
        if (!worst || row->difference.max_rel_peak > worst->difference.max_rel_peak) worst = row;
    }
    return worst;
}

/* --- Showing ------------------------------------------------------------------------------ */

static const char *verdict_in_words(enum verdict verdict)
{
    static const char *const words[] = {"equal", "agrees", "DIFFERS", "SHAPE", "only in A", "only in B"};
    return words[verdict];
}

/* "F32", or "F32/F64" where the two differ; the same for shapes. */
static void show_pair(const char *a, const char *b, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s%s", a, strcmp(a, b) ? "/" : "", strcmp(a, b) ? b : "");
}

static void show_dtypes(const struct comparison_row *row, char *buffer, size_t size)
{
    const struct tensor *a = row->a ? row->a : row->b, *b = row->b ? row->b : row->a;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a row has one of the two */
    show_pair(dtype_name(a->dtype), dtype_name(b->dtype), buffer, size);
}

static void show_shapes(const struct comparison_row *row, char *buffer, size_t size)
{
    char shape_a[128], shape_b[128];
    const struct tensor *a = row->a ? row->a : row->b, *b = row->b ? row->b : row->a;
    show_pair(tensor_show_shape(a, shape_a, sizeof shape_a), tensor_show_shape(b, shape_b, sizeof shape_b),
        buffer, size);
}

static void add_row(struct table *table, const struct comparison_row *row)
{
    char dtypes[32], shapes[280], name[200];
    const struct difference *d = &row->difference;
    show_dtypes(row, dtypes, sizeof dtypes);
    show_shapes(row, shapes, sizeof shapes);
    table_add(table, "%s", safe_text(row->name, name, sizeof name));
    table_add(table, "%s", dtypes);
    table_add(table, "%s", shapes);
    if (has_difference(row)) {
        table_add(table, "%.3g", d->max_abs);
        table_add(table, "%.3g", d->max_rel_peak);
        table_add(table, "%.3g", d->rms);
        const double ulps[] = {d->median_ulp, d->p99_ulp, d->max_ulp};
        for (size_t i = 0; i < sizeof ulps / sizeof *ulps; i++) {
            if (dtype_is_float(row->b->dtype))
                table_add(table, "%.4g", ulps[i]);
            else
                table_add(table, "%s", "");
        }
        table_add(table, "%zu of %zu", d->unequal, d->count);
    } else {
        for (int i = 0; i < 7; i++) table_add(table, "%s", "");
    }
    table_add(table, "%s", verdict_in_words(row->verdict));
}

static void write_pictures(const struct comparison *comparison, FILE *out)
{
    for (size_t i = 0; i < comparison->count; i++) {
        const struct comparison_row *row = &comparison->rows[i];
        double range = picture_range(row->name);
        if (range > 0 && has_difference(row) && row->difference.unequal)
            fprintf(out, "%s: PSNR %.1f dB\n", row->name, difference_psnr(&row->difference, range));
    }
}

enum status comparison_write_table(const struct comparison *comparison, FILE *out, struct error *error)
{
    static const char *const headings[] = {"tensor", "type", "shape", "max abs", "of peak", "rms",
        "ulp: half", "99 %", "max", "unequal", "verdict"};
    struct table table = {.alignment = "lllrrrrrrrl"};
    size_t verdicts[VERDICT_ONLY_IN_B + 1] = {0};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(&table, "%s", headings[i]);
    for (size_t i = 0; i < comparison->count; i++) {
        add_row(&table, &comparison->rows[i]);
        verdicts[comparison->rows[i].verdict]++;
    }
    enum status status = table_write(&table, out, "", error);
    table_free(&table);
    if (status != STATUS_OK) return status;
    fprintf(out, "\n%zu tensor%s:", comparison->count, comparison->count == 1 ? "" : "s");
    for (enum verdict v = VERDICT_EQUAL; v <= VERDICT_ONLY_IN_B; v++)
        if (verdicts[v]) fprintf(out, " %zu %s,", verdicts[v], verdict_in_words(v));
    fprintf(out, " %s\n", comparison->agree ? "so the two agree" : "so the two do not agree");
    write_pictures(comparison, out);
    for (size_t i = 0; i < comparison->count; i++) {
        const struct comparison_row *row = &comparison->rows[i];
        if (row->verdict != VERDICT_DIFFERS) continue;
        char a[32], b[32], index[200], name[200];
        fprintf(out,
            "first to differ, by name: %s, %zu elements outside rtol %g, atol %g, ulp %g; largest at %s: %s "
            "in "
            "A, %s in B\n",
            safe_text(row->name, name, sizeof name), row->outside, row->tolerance.rtol, row->tolerance.atol,
            row->tolerance.ulp, tensor_show_index(row->b, row->difference.worst, index, sizeof index),
            show_double(row->difference.worst_a, a), show_double(row->difference.worst_b, b));
        break;
    }
    return STATUS_OK;
}

static void write_json_number(FILE *out, const char *key, double value)
{
    fprintf(out, "%s\"%s\": ", strcmp(key, "max_abs") ? ", " : "", key);
    cli_write_json_number(out, value);
}

void difference_write_json(
    const struct difference *difference, const struct tensor *tensor, double range, FILE *out)
{
    const struct difference *d = difference;
    char index[200];
    write_json_number(out, "max_abs", d->max_abs);
    write_json_number(out, "max_rel_peak", d->max_rel_peak);
    write_json_number(out, "max_rel", d->max_rel);
    write_json_number(out, "rms", d->rms);
    write_json_number(out, "max_ulp", d->max_ulp);
    if (!isnan(d->median_ulp)) {
        write_json_number(out, "median_ulp", d->median_ulp);
        write_json_number(out, "p99_ulp", d->p99_ulp);
    }
    write_json_number(out, "peak", d->peak);
    write_json_number(out, "cosine", d->cosine);
    if (range > 0) write_json_number(out, "psnr", difference_psnr(d, range));
    fprintf(out, ", \"count\": %zu, \"unequal\": %zu, \"nonfinite_a\": %zu, \"nonfinite_b\": %zu", d->count,
        d->unequal, d->nonfinite_a, d->nonfinite_b);
    if (d->count == 0) return;
    fprintf(out, ", \"worst\": %zu, \"worst_index\": %s", d->worst,
        tensor_show_index(tensor, d->worst, index, sizeof index));
    write_json_number(out, "worst_a", d->worst_a);
    write_json_number(out, "worst_b", d->worst_b);
}

void comparison_write_json(const struct comparison *comparison, FILE *out)
{
    fprintf(out, "{\"agree\": %s, \"tensors\": [", comparison->agree ? "true" : "false");
    for (size_t i = 0; i < comparison->count; i++) {
        const struct comparison_row *row = &comparison->rows[i];
        char dtypes[32], shapes[280];
        show_dtypes(row, dtypes, sizeof dtypes);
        show_shapes(row, shapes, sizeof shapes);
        fprintf(out, "%s\n {\"name\": ", i ? "," : "");
        cli_write_json_string(out, row->name);
        fprintf(out, ", \"verdict\": \"%s\", \"dtype\": \"%s\", \"shape\": \"%s\"",
            verdict_in_words(row->verdict), dtypes, shapes);
        if (has_difference(row)) {
            fputs(", ", out);
            difference_write_json(&row->difference, row->b, picture_range(row->name), out);
            fprintf(out, ", \"outside\": %zu", row->outside);
            write_json_number(out, "rtol", row->tolerance.rtol);
            write_json_number(out, "atol", row->tolerance.atol);
            write_json_number(out, "ulp", row->tolerance.ulp);
        }
        fputc('}', out);
    }
    fprintf(out, "\n]}\n");
}
