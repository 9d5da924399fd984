/*
 * A verification on a terminal: a line for each tensor that is not rounding, one for all of a stage that are,
 * what could not be checked, the drift, and the conclusion at the end, where the eye is.
 */
#include "verify_report.h"

#include "cli.h"
#include "safe_text.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FOLDED 3       /* so many rounding tensors of a stage are shown by themselves, more are folded */
#define SHOWN_NAMES 12 /* reasons, and names that are none of ours */
#define SHOWN_BAD 12   /* tensors of a stage that are not rounding and are shown */
#define LINE_WIDTH 100 /* of the conclusion's paragraphs */

bool verify_may_colour(bool is_terminal)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (no_colour && *no_colour) return false; /* no-color.org */
    return is_terminal && !(terminal && strcmp(terminal, "dumb") == 0);
}

static const char *verdict_colour(enum verify_verdict verdict)
{
    switch (verdict) {
    case VERIFY_ROUNDING: return "\033[32m";
    case VERIFY_SUSPECT: return "\033[33m";
    case VERIFY_UNCHECKED: return "\033[2m";
    default: return "\033[1;31m";
    }
}

struct writer {
    const struct verify_report *report;
    const struct verify_table_options *options;
    FILE *out;
    struct table table;
};

/* --- Rows --------------------------------------------------------------------------------- */

static void add_cell(struct writer *writer, enum verify_verdict verdict, const char *text)
{
    if (writer->options->coloured && *text)
        table_add(&writer->table, "%s%s\033[0m", verdict_colour(verdict), text);
    else
        table_add(&writer->table, "%s", text);
}

static void add_number(struct table *table, bool there, const char *format, double value)
{
    char text[32];
    snprintf(text, sizeof text, strcmp(format, "%.2g") == 0 ? "%.2g" : "%.3g", value);
    table_add(table, "%s", there ? text : "");
}

/* The numbers of one row, from the verdict on. */
static void add_numbers(struct writer *writer, const struct verify_row *row, const char *verdict)
{
    struct table *table = &writer->table;
    const struct difference *e = &row->error;
    bool judged = verify_has_error(row);
    bool has_ulps = judged && row->theirs && dtype_is_float(row->theirs->dtype);
    char multiple[32], index[200];
    add_cell(writer, row->verdict, verdict);
    add_cell(writer, row->verdict, verify_show_multiple(row, multiple));
    add_number(table, judged, "%.2g", e->rms);
    add_number(table, judged, "%.2g", row->floor.rms);
    add_number(table, judged, "%.2g", e->max_abs);
    add_number(table, has_ulps && !isnan(e->median_ulp), "%.3g", e->median_ulp);
    add_number(table, has_ulps && !isnan(e->p99_ulp), "%.3g", e->p99_ulp);
    add_number(table, has_ulps, "%.3g", e->max_ulp);
    bool has_worst = judged && e->unequal && row->theirs;
    table_add(table, "%s", has_worst ? tensor_show_index(row->theirs, e->worst, index, sizeof index) : "");
}

/* The stage stands in front of its first line only. */
static void add_place(struct writer *writer, enum verify_stage stage, bool *named)
{
    table_add(&writer->table, "%s", *named ? "" : verify_stage_names[stage]);
    *named = true;
}

static void add_row(struct writer *writer, const struct verify_row *row, bool *named)
{
    char name[120];
    add_place(writer, row->stage, named);
    table_add(&writer->table, "%s", safe_text(row->name, name, sizeof name));
    add_numbers(writer, row, verify_verdict_names[row->verdict]);
}

/* One line for many rows: the numbers are those of the worst of them. */
static void add_fold(
    struct writer *writer, const struct verify_row *worst, size_t count, const char *what, bool *named)
{
    char name[120];
    add_place(writer, worst->stage, named);
    if (verify_has_error(worst) && worst->multiple > 0)
        table_add(&writer->table, "%zu %s, most %s", count, what, safe_text(worst->name, name, sizeof name));
    else
        table_add(&writer->table, "%zu %s%s", count, what, verify_has_error(worst) ? ", exact" : "");
    add_numbers(writer, worst, verify_verdict_names[worst->verdict]);
}

static void add_unchecked_fold(struct writer *writer, enum verify_stage stage, size_t count, bool *named)
{
    add_place(writer, stage, named);
    table_add(&writer->table, "%zu tensors", count);
    add_cell(writer, VERIFY_UNCHECKED, verify_verdict_names[VERIFY_UNCHECKED]);
    for (int i = 0; i < 8; i++) table_add(&writer->table, "%s", "");
}

static const struct verify_row *more_floors(const struct verify_row *a, const struct verify_row *b)
{
    return !a || b->multiple > a->multiple ? b : a;
}

static void add_stage(struct writer *writer, enum verify_stage stage)
{
    const struct verification *v = writer->report->verification;
    const struct verify_stage_summary summary = verify_summarise(v, stage);
    const bool fold_right = !writer->options->all && summary.verdicts[VERIFY_ROUNDING] > FOLDED;
    const bool fold_unchecked = !writer->options->all && summary.verdicts[VERIFY_UNCHECKED] > FOLDED;
    size_t right = 0, hidden = 0, shown = 0;
    const struct verify_row *most_right = NULL, *most_hidden = NULL;
    bool named = false;
    for (size_t i = 0; i < v->count; i++) {
        const struct verify_row *row = &v->rows[i];
        if (row->stage != stage) continue;
        if (row->verdict == VERIFY_ROUNDING && fold_right) {
            right++;
            most_right = more_floors(most_right, row);
        } else if (row->verdict == VERIFY_UNCHECKED && fold_unchecked) {
            continue;
        } else if (row->verdict == VERIFY_ROUNDING || row->verdict == VERIFY_UNCHECKED ||
                   writer->options->all || shown++ < SHOWN_BAD) {
            add_row(writer, row, &named);
        } else {
            hidden++;
            most_hidden = more_floors(most_hidden, row);
        }
    }
    if (hidden) add_fold(writer, most_hidden, hidden, "more", &named);
    if (right) add_fold(writer, most_right, right, "tensors", &named);
    if (fold_unchecked) add_unchecked_fold(writer, stage, summary.verdicts[VERIFY_UNCHECKED], &named);
}

static enum status write_rows(struct writer *writer, struct error *error)
{
    static const char *const headings[] = {"stage", "tensor", "verdict", "floors", "error rms", "floor rms",
        "error max", "ulp: half", "99 %", "max", "worst at"};
    writer->table = (struct table){.alignment = "lllrrrrrrrl"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        table_add(&writer->table, "%s", headings[i]);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) add_stage(writer, stage);
    enum status status = table_write(&writer->table, writer->out, "", error);
    table_free(&writer->table);
    return status;
}

/* --- What could not be checked, names, drift ---------------------------------------------- */

/* A reason once, with the tensors that share it. */
static void write_unchecked(struct writer *writer)
{
    const struct verification *v = writer->report->verification;
    char text[200];
    size_t reasons = 0;
    if (v->verdicts[VERIFY_UNCHECKED] == 0) return;
    fprintf(writer->out, "\nNot checked:\n");
    for (size_t i = 0; i < v->count; i++) {
        const struct verify_row *row = &v->rows[i];
        size_t same = 0;
        bool said = false;
        if (row->verdict != VERIFY_UNCHECKED || !row->reason) continue;
        for (size_t k = 0; k < v->count; k++) {
            const struct verify_row *other = &v->rows[k];
            if (other->verdict != VERIFY_UNCHECKED || !other->reason) continue;
            if (strcmp(other->reason, row->reason) != 0) continue;
            said |= k < i;
            same += k > i;
        }
        if (said || (reasons++ >= SHOWN_NAMES && !writer->options->all)) continue;
        fprintf(writer->out, "  %s", safe_text(row->name, text, sizeof text));
        if (same) fprintf(writer->out, " and %zu more", same);
        fprintf(writer->out, ": %s\n", safe_text(row->reason, text, sizeof text));
    }
    if (reasons > SHOWN_NAMES && !writer->options->all)
        fprintf(writer->out, "  and for %zu more reasons\n", reasons - SHOWN_NAMES);
}

static void write_names(struct writer *writer)
{
    const struct their_tensors *theirs = writer->report->theirs;
    char text[120];
    if (!theirs) return;
    if (theirs->unknown_count) fprintf(writer->out, "\nNames that are none of a run's:\n");
    size_t shown = theirs->unknown_count;
    if (shown > SHOWN_NAMES && !writer->options->all) shown = SHOWN_NAMES;
    for (size_t i = 0; i < shown; i++) {
        const struct unknown_name *unknown = &theirs->unknown[i];
        fprintf(writer->out, "  %s", safe_text(unknown->their_name, text, sizeof text));
        if (unknown->mapped)
            fprintf(writer->out, " (mapped to %s)", safe_text(unknown->mapped, text, sizeof text));
        for (size_t k = 0; k < NEAREST_NAMES && unknown->nearest[k]; k++)
            fprintf(writer->out, "%s%s", k ? ", " : ": nearest ",
                safe_text(unknown->nearest[k], text, sizeof text));
        fputc('\n', writer->out);
    }
    if (shown < theirs->unknown_count)
        fprintf(writer->out, "  and %zu more\n", theirs->unknown_count - shown);
    for (size_t i = 0; i < theirs->twice_count; i++) {
        const struct name_twice *twice = &theirs->twice[i];
        char left_out[120], name[120];
        fprintf(writer->out, "%s is there twice%s: %s is taken, %s is left out\n",
            safe_text(twice->name, name, sizeof name), twice->same ? ", with the same bits" : "",
            safe_text(twice->their_name, text, sizeof text),
            safe_text(twice->left_out, left_out, sizeof left_out));
    }
}

#define DRIFT_STEPS 10 /* whose latents are told, evenly over the run */

/* The drift is told of what the stages end in; of all with `all`. */
static bool tells_drift(const struct verify_row *row, bool all, int last_step)
{
    static const char *const told[] = {"prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds", "latents.init", "latents.final", "image", "image_u8"};
    if (!row->drifted || all) return row->drifted;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (strcmp(row->name, told[i]) == 0) return true;
    int every = 1 + last_step / DRIFT_STEPS;
    return row->stage == VERIFY_STEP && row->step >= 0 && (last_step - row->step) % every == 0;
}

static int last_step_of(const struct verification *v)
{
    int last = -1;
    for (size_t i = 0; i < v->count; i++)
        if (v->rows[i].step > last) last = v->rows[i].step;
    return last;
}

static enum status write_drift(struct writer *writer, struct error *error)
{
    static const char *const headings[] = {"tensor", "max abs", "of peak", "rms", "1 - cosine", "PSNR, dB"};
    const struct verification *v = writer->report->verification;
    struct table table = {.alignment = "lrrrrr"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(&table, "%s", headings[i]);
    const int last_step = last_step_of(v);
    size_t told = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct verify_row *row = &v->rows[i];
        const struct difference *d = &row->drift;
        char name[120], psnr[32] = "";
        double range = picture_range(row->name);
        if (!tells_drift(row, writer->options->all, last_step)) continue;
        if (range > 0) snprintf(psnr, sizeof psnr, "%.1f", difference_psnr(d, range));
        table_add(&table, "%s", safe_text(row->name, name, sizeof name));
        table_add(&table, "%.2g", d->max_abs);
        table_add(&table, "%.2g", d->max_rel_peak);
        table_add(&table, "%.2g", d->rms);
        table_add(&table, "%.2g", 1 - d->cosine);
        table_add(&table, "%s", psnr);
        told++;
    }
    enum status status = STATUS_OK;
    if (told) {
        fprintf(writer->out, "\nDrift: theirs from our own run, which goes its way from the same call\n");
        status = table_write(&table, writer->out, "  ", error);
    }
    table_free(&table);
    return status;
}

/* --- The conclusion ----------------------------------------------------------------------- */

/* A paragraph in lines; words longer than a line stay whole. */
static void write_paragraph(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        char piece[400], shown[400];
        snprintf(piece, sizeof piece, "%.*s", (int)word, text);
        safe_text(piece, shown, sizeof shown);
        if (column && column + 1 + strlen(shown) > LINE_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%s", column ? " " : "", shown);
        column += (column ? 1 : 0) + strlen(shown);
        text += word + strspn(text + word, " ");
    }
    fputc('\n', out);
}

static enum status write_conclusion(struct writer *writer, struct error *error)
{
    const struct verification *v = writer->report->verification;
    struct verify_conclusion conclusion;
    enum status status = verify_conclude(writer->report, &conclusion, error);
    if (status != STATUS_OK) return status;
    fprintf(writer->out, "\n%zu tensors", v->count);
    for (enum verify_verdict verdict = VERIFY_ROUNDING; verdict <= VERIFY_UNCHECKED; verdict++) {
        if (v->verdicts[verdict] == 0) continue;
        const char *colour = writer->options->coloured ? verdict_colour(verdict) : "";
        fprintf(writer->out, ", %s%zu %s%s", colour, v->verdicts[verdict], verify_verdict_names[verdict],
            *colour ? "\033[0m" : "");
    }
    fprintf(writer->out, " (rounding: at most %g floors, wrong: more than %g)\n\n",
        writer->report->options->rounding, writer->report->options->wrong);
    for (size_t i = 0; i < conclusion.count; i++) write_paragraph(writer->out, conclusion.paragraphs[i]);
    verify_conclusion_free(&conclusion);
    return STATUS_OK;
}

enum status verify_write_table(const struct verify_report *report, const struct verify_table_options *options,
    FILE *out, struct error *error)
{
    struct writer writer = {.report = report, .options = options, .out = out};
    enum status status = write_rows(&writer, error);
    if (status != STATUS_OK) return status;
    write_unchecked(&writer);
    write_names(&writer);
    status = write_drift(&writer, error);
    return status == STATUS_OK ? write_conclusion(&writer, error) : status;
}
