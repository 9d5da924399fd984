/*
 * A verification as one page: the conclusion first, then the stages, the errors against the floors, heat
 * maps, and every row. Nothing is loaded from elsewhere and nothing is run. Well-formed as XML too.
 */
#include "verify_html.h"

#include "output_file.h"
#include "version.h"

#include <string.h>

const char *verify_html_class(enum verify_verdict verdict)
{
    static const char *const classes[] = {"rounding", "suspect", "wrong", "nonfinite", "shape", "unchecked"};
    return classes[verdict];
}

const char *verify_html_sign(enum verify_verdict verdict)
{
    static const char *const signs[] = {"\xe2\x9c\x93", "?", "\xe2\x9c\x97", "\xe2\x88\x9e", "\xe2\x89\xa0",
        "\xe2\x80\x93"}; /* tick, cross ... */
    return signs[verdict];
}

void verify_html_label(FILE *out, enum verify_verdict verdict)
{
    fprintf(out, "<span class=\"label %s\">%s %s</span>", verify_html_class(verdict),
        verify_html_sign(verdict), verify_verdict_names[verdict]);
}

/* --- The head ----------------------------------------------------------------------------- */

static void write_fact(FILE *out, const char *name, const char *value)
{
    if (!value) return;
    fprintf(out, "<dt>%s</dt><dd>", name);
    html_text(out, value);
    fputs("</dd>\n", out);
}

static void write_head(
    FILE *out, const struct verify_report *report, const struct verify_conclusion *conclusion)
{
    fputs("<!DOCTYPE html>\n"
          "<html lang=\"en\">\n"
          "<head>\n"
          "<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<title>",
        out);
    html_text(out, conclusion->headline);
    fputs(" - plumb verify ", out);
    html_text(out, report->path);
    fputs("</title>\n<style>\n", out);
    fputs(verify_html_style, out);
    fputs("</style>\n</head>\n<body>\n<main>\n<header>\n", out);
}

static void write_conclusion(
    FILE *out, const struct verify_report *report, const struct verify_conclusion *conclusion)
{
    const struct verification *v = report->verification;
    const enum verify_verdict verdict = verify_summarise_all(v).verdict;
    char limits[120];
    fprintf(out, "<h1>%s ", verify_html_sign(verdict));
    html_breaking_text(out, conclusion->headline);
    fprintf(out, "</h1>\n</header>\n<section class=\"conclusion %s\">\n", verify_html_class(verdict));
    for (size_t i = 0; i < conclusion->count; i++) {
        fputs("<p>", out);
        html_breaking_text(out, conclusion->paragraphs[i]);
        fputs("</p>\n", out);
    }
    fputs("</section>\n<ul class=\"counts\">", out);
    for (enum verify_verdict each = VERIFY_ROUNDING; each <= VERIFY_UNCHECKED; each++)
        if (v->verdicts[each])
            fprintf(out, "<li><span class=\"label %s\">%s %zu %s</span></li>", verify_html_class(each),
                verify_html_sign(each), v->verdicts[each], verify_verdict_names[each]);
    fputs("</ul>\n<dl class=\"facts\">", out);
    write_fact(out, "their tensors", report->path);
    write_fact(out, "checkpoint", report->checkpoint);
    if (report->call) {
        fputs("<dt>call</dt><dd><details><summary>its arguments</summary><code>", out);
        html_text(out, report->call);
        fputs("</code></details></dd>\n", out);
    }
    write_fact(out, "their precision", number_format_names[report->options->their_format]);
    snprintf(limits, sizeof limits, "rounding up to %g floors, wrong above %g", report->options->rounding,
        report->options->wrong);
    write_fact(out, "verdicts", limits);
    fputs("</dl>\n", out);
}

/* --- What was left out -------------------------------------------------------------------- */

static void write_unknown(FILE *out, const struct unknown_name *unknown)
{
    fputs("<tr><td class=\"name\">", out);
    html_text(out, unknown->their_name);
    fputs("</td><td class=\"text\">", out);
    if (unknown->mapped) html_text(out, unknown->mapped);
    fputs("</td><td class=\"text wraps\">", out);
    for (size_t k = 0; k < NEAREST_NAMES && unknown->nearest[k]; k++) {
        fputs(k ? ", <code>" : "<code>", out);
        html_text(out, unknown->nearest[k]);
        fputs("</code>", out);
    }
    fputs("</td></tr>\n", out);
}

static void write_names(FILE *out, const struct their_tensors *theirs)
{
    if (!theirs || theirs->unknown_count + theirs->twice_count == 0) return;
    fputs("<section><h2>Names</h2>\n", out);
    if (theirs->unknown_count)
        fputs("<p>These are none of a run's, and what they name was left out:</p>\n"
              "<div class=\"scroll\"><table><thead><tr><th class=\"text\" scope=\"col\">name</th><th "
              "class=\"text\" scope=\"col\">mapped to</th><th class=\"text\" "
              "scope=\"col\">nearest</th></tr></thead><tbody>\n",
            out);
    for (size_t i = 0; i < theirs->unknown_count; i++) write_unknown(out, &theirs->unknown[i]);
    if (theirs->unknown_count) fputs("</tbody></table></div>\n", out);
    for (size_t i = 0; i < theirs->twice_count; i++) {
        const struct name_twice *twice = &theirs->twice[i];
        fputs("<p><code>", out);
        html_text(out, twice->name);
        fprintf(out, "</code> is there twice%s: <code>", twice->same ? ", with the same bits" : "");
        html_text(out, twice->their_name);
        fputs("</code> is taken, <code>", out);
        html_text(out, twice->left_out);
        fputs("</code> is left out.</p>\n", out);
    }
    fputs("</section>\n", out);
}

static void write_footer(FILE *out)
{
    fputs("<footer><p>The floor is how far a correct implementation in their precision is from the exact "
          "answer on the same inputs: Plumb's own run in that precision against its run in double. The "
          "verdict goes by how many floors theirs is from the exact answer, by the root mean square or the "
          "largest element, whichever is more. Units in the last place (ulp) are those of their type: no "
          "more than so many in half, in 99 of 100, and in all of the elements. PSNR takes a range of 2 for "
          "the decoder's image, 255 for bytes.</p>"
          "<p>plumb " PLUMB_VERSION "</p></footer>\n",
        out);
}

static enum status write_page(FILE *out, const struct verify_report *report, struct error *error)
{
    struct verify_conclusion conclusion;
    enum status status = verify_conclude(report, &conclusion, error);
    if (status != STATUS_OK) return status;
    write_head(out, report, &conclusion);
    write_conclusion(out, report, &conclusion);
    verify_html_diagram(out, report);
    status = verify_html_charts(out, report, error);
    if (status == STATUS_OK) status = verify_html_maps(out, report, error);
    verify_html_rows(out, report);
    verify_html_drift(out, report);
    write_names(out, report->theirs);
    write_footer(out);
    fputs("</main>\n</body>\n</html>\n", out);
    verify_conclusion_free(&conclusion);
    return status;
}

enum status verify_write_html(const struct verify_report *report, const char *path, struct error *error)
{
    struct output_file file = {0};
    enum status status = output_file_open(&file, path, error);
    if (status == STATUS_OK) status = write_page(file.stream, report, error);
    if (status == STATUS_OK) status = output_file_commit(&file, error);
    output_file_abandon(&file);
    return status;
}
