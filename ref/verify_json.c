/*
 * A verification for a script: everything, under keys that stay.
 */
#include "verify_report.h"

#include "cli.h"
#include "comparison.h"
#include "version.h"

#include <math.h>
#include <string.h>

const char verify_report_help[] =
    "--format json writes an object: verdict (the worst, \"rounding\" where there is nothing worse; "
    "\"unchecked\" where nothing could be checked), headline and conclusion (the same in words, a list), "
    "plumb (the version), checkpoint, theirs, call, their_dtype, rounding and wrong (the thresholds, in "
    "floors), counts (how many tensors have each verdict), first_wrong (a name or null), stages, tensors, "
    "unknown_names, names_given_twice. Each of stages has stage, tensors (how many), verdict, worst (a "
    "name) and multiple. Each of tensors, in the order of a run, has name, their_name, stage, step (null "
    "outside the loop), verdict, multiple (floors), dtype, shape, error (theirs from exact), floor (a "
    "correct implementation from exact), drift (theirs from our own run), diagnosis and reason; what "
    "there is none of is null. A distance has the members of `plumb compare --format json`. Numbers read "
    "back as the same doubles; what is infinite or no number is \"inf\", \"-inf\" or \"nan\" in quotes.\n"
    "\n"
    "--html writes one page that needs nothing else: the conclusion, the stages, the errors against the "
    "floors, heat maps of the worst tensors, and all rows.";

static void write_string(FILE *out, const char *key, const char *text)
{
    fprintf(out, ", \"%s\": ", key);
    if (text)
        cli_write_json_string(out, text);
    else
        fputs("null", out);
}

static void write_number(FILE *out, const char *key, double value)
{
    fprintf(out, ", \"%s\": ", key);
    cli_write_json_number(out, value);
}

static void write_difference(
    FILE *out, const char *key, const struct verify_row *row, const struct difference *difference, bool there)
{
    fprintf(out, ",\n   \"%s\": ", key);
    if (!there) {
        fputs("null", out);
        return;
    }
    fputc('{', out);
    difference_write_json(difference, row->theirs, picture_range(row->name), out);
    fputc('}', out);
}

static void write_row(FILE *out, const struct verify_row *row)
{
    char shape[200];
    bool judged = verify_has_error(row);
    fputs("\n  {\"name\": ", out);
    cli_write_json_string(out, row->name);
    write_string(out, "their_name", row->their_name);
    write_string(out, "stage", verify_stage_names[row->stage]);
    if (row->step < 0)
        fputs(", \"step\": null", out);
    else
        fprintf(out, ", \"step\": %d", row->step);
    write_string(out, "verdict", verify_verdict_names[row->verdict]);
    if (judged)
        write_number(out, "multiple", row->multiple);
    else
        fputs(", \"multiple\": null", out);
    write_string(out, "dtype", dtype_name(row->theirs->dtype));
    fprintf(out, ", \"shape\": %s", tensor_show_shape(row->theirs, shape, sizeof shape));
    write_difference(out, "error", row, &row->error, judged);
    write_difference(out, "floor", row, &row->floor, judged);
    write_difference(out, "drift", row, &row->drift, row->drifted);
    fputs(",\n  ", out);
    fputs(" \"diagnosis\": ", out);
    if (row->diagnosis)
        cli_write_json_string(out, row->diagnosis);
    else
        fputs("null", out);
    write_string(out, "reason", row->reason);
    fputc('}', out);
}

static void write_stages(FILE *out, const struct verification *v)
{
    bool first = true;
    fputs(",\n \"stages\": [", out);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) {
        struct verify_stage_summary summary = verify_summarise(v, stage);
        if (summary.rows == 0) continue;
        fprintf(out, "%s\n  {\"stage\": \"%s\", \"tensors\": %zu", first ? "" : ",",
            verify_stage_names[stage], summary.rows);
        write_string(out, "verdict", verify_verdict_names[summary.verdict]);
        write_string(out, "worst", summary.worst->name);
        if (verify_has_error(summary.worst))
            write_number(out, "multiple", summary.worst->multiple);
        else
            fputs(", \"multiple\": null", out);
        fputc('}', out);
        first = false;
    }
    fputs("\n ]", out);
}

static void write_names(FILE *out, const struct their_tensors *theirs)
{
    fputs(",\n \"unknown_names\": [", out);
    for (size_t i = 0; theirs && i < theirs->unknown_count; i++) {
        const struct unknown_name *unknown = &theirs->unknown[i];
        fprintf(out, "%s\n  {\"their_name\": ", i ? "," : "");
        cli_write_json_string(out, unknown->their_name);
        write_string(out, "mapped", unknown->mapped);
        fputs(", \"nearest\": [", out);
        for (size_t k = 0; k < NEAREST_NAMES && unknown->nearest[k]; k++) {
            if (k) fputs(", ", out);
            cli_write_json_string(out, unknown->nearest[k]);
        }
        fputs("]}", out);
    }
    fputs("],\n \"names_given_twice\": [", out);
    for (size_t i = 0; theirs && i < theirs->twice_count; i++) {
        const struct name_twice *twice = &theirs->twice[i];
        fprintf(out, "%s\n  {\"name\": ", i ? "," : "");
        cli_write_json_string(out, twice->name);
        write_string(out, "their_name", twice->their_name);
        write_string(out, "left_out", twice->left_out);
        fprintf(out, ", \"same\": %s}", twice->same ? "true" : "false");
    }
    fputs("]", out);
}

enum status verify_write_json(const struct verify_report *report, FILE *out, struct error *error)
{
    const struct verification *v = report->verification;
    struct verify_stage_summary all = verify_summarise_all(v);
    struct verify_conclusion conclusion;
    enum status status = verify_conclude(report, &conclusion, error);
    if (status != STATUS_OK) return status;
    fprintf(out, "{\"verdict\": \"%s\"", verify_verdict_names[all.verdict]);
    write_string(out, "headline", conclusion.headline);
    fputs(",\n \"conclusion\": [", out);
    for (size_t i = 0; i < conclusion.count; i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        cli_write_json_string(out, conclusion.paragraphs[i]);
    }
    fputs("],\n \"plumb\": \"" PLUMB_VERSION "\"", out);
    write_string(out, "checkpoint", report->checkpoint);
    write_string(out, "theirs", report->path);
    write_string(out, "call", report->call);
    write_string(out, "their_dtype", number_format_names[report->options->their_format]);
    write_number(out, "rounding", report->options->rounding);
    write_number(out, "wrong", report->options->wrong);
    fputs(",\n \"counts\": {", out);
    for (enum verify_verdict verdict = VERIFY_ROUNDING; verdict <= VERIFY_UNCHECKED; verdict++)
        fprintf(
            out, "%s\"%s\": %zu", verdict ? ", " : "", verify_verdict_names[verdict], v->verdicts[verdict]);
    fputc('}', out);
    write_string(out, "first_wrong", v->first_wrong ? v->first_wrong->name : NULL);
    write_stages(out, v);
    fputs(",\n \"tensors\": [", out);
    for (size_t i = 0; i < v->count; i++) {
        if (i) fputc(',', out);
        write_row(out, &v->rows[i]);
    }
    fputs("\n ]", out);
    write_names(out, report->theirs);
    fputs("}\n", out);
    verify_conclusion_free(&conclusion);
    return STATUS_OK;
}
