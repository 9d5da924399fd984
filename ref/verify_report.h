/*
 * What a person and a script see of a verification: a table on a terminal, JSON, a page of HTML. All three
 * say the same; the bytes depend on the report alone.
 */
#ifndef REF_VERIFY_REPORT_H
#define REF_VERIFY_REPORT_H

#include "their_tensors.h"
#include "verify.h"

#include <stdio.h>

struct verify_report {
    const struct verification *verification;
    const struct verify_options *options;
    const struct their_tensors *theirs; /* for the names that are none of ours; NULL: none are told */
    const char *checkpoint, *path;      /* theirs and its file, as they stand on the command line */
    const char *call;                   /* of the pipeline, in a line; NULL: not told */
    const struct tensor_set *exact;     /* exact values for the page's heat maps; NULL: none are drawn */
};

/* What the formats below have in them, for --help: the JSON's keys. Paragraphs. */
extern const char verify_report_help[];

/* Every row with `all`; else what is rounding, in a line for each stage. Colour (terminal control sequences)
 * only where `coloured`; verify_may_colour() says whether the person wants it of a stream that is a
 * terminal. */
struct verify_table_options {
    bool all, coloured;
};
bool verify_may_colour(bool is_terminal);
enum status verify_write_table(const struct verify_report *report, const struct verify_table_options *options,
    FILE *out, struct error *error);

/* The keys are those of verify_report_help. */
enum status verify_write_json(const struct verify_report *report, FILE *out, struct error *error);

/* One page that needs nothing else, whole or not at all: no script, nothing from elsewhere. */
enum status verify_write_html(const struct verify_report *report, const char *path, struct error *error);

/* The rows whose heat maps the page shows, worst first: of each stage the first that is bad and the worst,
 * then others by their multiples; at most `most`. Returns their number. Their exact values belong into
 * `exact`. */
#define VERIFY_HEATMAPS 6
size_t verify_rows_to_draw(
    const struct verification *verification, size_t most, const struct verify_row **rows);

/* --- What the formats share (verify_summary.c) ------------------------------------------------ */

bool verify_is_bad(enum verify_verdict verdict);     /* wrong, not finite, of another shape */
bool verify_has_error(const struct verify_row *row); /* it was held against an exact answer */

/* A stage, or all of it. */
struct verify_stage_summary {
    size_t rows, verdicts[VERIFY_UNCHECKED + 1];
    enum verify_verdict verdict;    /* the worst; unchecked where nothing could be checked */
    const struct verify_row *worst; /* of that verdict the one most floors away; NULL without rows */
};
struct verify_stage_summary verify_summarise(
    const struct verification *verification, enum verify_stage stage);
/* Of all stages together. */
struct verify_stage_summary verify_summarise_all(const struct verification *verification);

/* "UNet, step 3" */
const char *verify_show_place(const struct verify_row *row, char *buffer, size_t size);
/* "41.3", "0.072", "1.79e7", "inf"; empty where there is none. */
const char *verify_show_multiple(const struct verify_row *row, char buffer[32]);

/* In plain words, first things first: a headline and paragraphs. Names in them are as in the files: they are
 * written with safe_text() or html_text(). */
struct verify_conclusion {
    char *headline; /* "step.03.noise_pred_text is wrong: 41.3 floors" */
    char **paragraphs;
    size_t count;
};
enum status verify_conclude(
    const struct verify_report *report, struct verify_conclusion *conclusion, struct error *error);
void verify_conclusion_free(struct verify_conclusion *conclusion); /* accepts an empty one */

#endif
