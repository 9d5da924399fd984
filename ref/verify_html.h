/*
 * The parts of the page of `plumb verify --html`, each written where it stands (verify_html.c puts them in
 * order). Classes of the style sheet have the names of the verdicts.
 */
#ifndef REF_VERIFY_HTML_H
#define REF_VERIFY_HTML_H

#include "html.h"
#include "verify_report.h"

/* The word that a verdict has in class names, and a sign that says it without colour. */
const char *verify_html_class(enum verify_verdict verdict);
const char *verify_html_sign(enum verify_verdict verdict);
/* Sign and word in a coloured label. */
void verify_html_label(FILE *out, enum verify_verdict verdict);

extern const char verify_html_style[];

/* The stages as boxes joined by arrows, each coloured by its worst verdict: once across for wide windows,
 * once down for narrow ones. */
void verify_html_diagram(FILE *out, const struct verify_report *report);
/* Every tensor's floors in the order of the run; and the errors of what each step makes, beside the
 * floors. */
enum status verify_html_charts(FILE *out, const struct verify_report *report, struct error *error);
/* Heat maps of the worst tensors. */
enum status verify_html_maps(FILE *out, const struct verify_report *report, struct error *error);
/* All rows, stage by stage; the drift. */
void verify_html_rows(FILE *out, const struct verify_report *report);
void verify_html_drift(FILE *out, const struct verify_report *report);

#endif
