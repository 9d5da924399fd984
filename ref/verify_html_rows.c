/* All rows of a verification as tables, a fold for each stage; the drift. */
#include "verify_html.h"

#include <math.h>
#include <string.h>

#define OPEN_ROWS 8 /* a stage of so many tensors is shown unfolded */

static void write_number(FILE *out, bool there, double value)
{
    if (there)
        fprintf(out, "<td>%.3g</td>", value);
    else
        fputs("<td></td>", out);
}

static void write_remark(FILE *out, const char *text)
{
    if (!text) return;
    fputs("<span class=\"remark\">", out);
    html_text(out, text);
    fputs("</span>", out);
}

static bool is_of_pictures(enum verify_stage stage)
{
    return stage == VERIFY_DECODER || stage == VERIFY_PICTURE;
}

static void write_row(FILE *out, const struct verify_row *row)
{
    const struct difference *e = &row->error;
    bool judged = verify_has_error(row), floats = judged && dtype_is_float(row->theirs->dtype);
    char multiple[32], index[200];
    fprintf(out, "<tr class=\"%s\"><td class=\"name\">", verify_html_class(row->verdict));
    html_text(out, row->name);
    if (strcmp(row->name, row->their_name) != 0) {
        fputs(" <span class=\"soft\">(", out);
        html_text(out, row->their_name);
        fputs(")</span>", out);
    }
    write_remark(out, row->diagnosis);
    write_remark(out, row->reason);
    fputs("</td><td class=\"text\">", out);
    verify_html_label(out, row->verdict);
    fprintf(out, "</td><td>%s</td>", verify_show_multiple(row, multiple));
    write_number(out, judged, e->rms);
    write_number(out, judged, row->floor.rms);
    write_number(out, judged, e->max_abs);
    write_number(out, judged, row->floor.max_abs);
    write_number(out, judged, e->max_rel_peak);
    write_number(out, judged, e->max_rel);
    write_number(out, floats && !isnan(e->median_ulp), e->median_ulp);
    write_number(out, floats && !isnan(e->p99_ulp), e->p99_ulp);
    write_number(out, floats, e->max_ulp);
    if (judged && picture_range(row->name) > 0)
        fprintf(out, "<td>%.1f</td>", difference_psnr(e, picture_range(row->name)));
    else if (is_of_pictures(row->stage))
        fputs("<td></td>", out);
    if (judged && e->unequal)
        fprintf(out, "<td class=\"text\">%s: %.6g for %.6g</td></tr>\n",
            tensor_show_index(row->theirs, e->worst, index, sizeof index), e->worst_a, e->worst_b);
    else
        fputs("<td class=\"text\"></td></tr>\n", out);
}

/* Texts stand to the left, numbers to the right. */
struct heading {
    const char *text;
    bool is_text;
};

static void write_headings(FILE *out, const struct heading *headings, size_t count)
{
    fputs("<tr>", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "<th%s scope=\"col\">%s</th>", headings[i].is_text ? " class=\"text\"" : "",
            headings[i].text);
    fputs("</tr>\n", out);
}

static void write_row_headings(FILE *out, enum verify_stage stage)
{
    static const struct heading numbers[] = {{"tensor", true}, {"verdict", true}, {"floors", false},
        {"error rms", false}, {"floor rms", false}, {"error max", false}, {"floor max", false},
        {"of peak", false}, {"relative", false}, {"ulp: half", false}, {"99 %", false}, {"max", false},
        {"worst: theirs for exact", true}};
    enum { COUNT = sizeof numbers / sizeof *numbers };
    struct heading all[COUNT + 1];
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (i + 1 == COUNT && is_of_pictures(stage)) all[count++] = (struct heading){"PSNR, dB", false};
        all[count++] = numbers[i];
    }
    write_headings(out, all, count);
}

static void write_stage(FILE *out, const struct verification *v, enum verify_stage stage)
{
    struct verify_stage_summary summary = verify_summarise(v, stage);
    if (summary.rows == 0) return;
    bool open = summary.rows <= OPEN_ROWS || summary.verdict > VERIFY_ROUNDING;
    if (summary.verdict == VERIFY_UNCHECKED) open = summary.rows <= OPEN_ROWS;
    fprintf(out, "<details%s><summary><span class=\"stage\">%s</span>", open ? " open=\"open\"" : "",
        verify_stage_names[stage]);
    for (enum verify_verdict verdict = VERIFY_ROUNDING; verdict <= VERIFY_UNCHECKED; verdict++) {
        if (summary.verdicts[verdict] == 0) continue;
        fprintf(out, " <span class=\"label %s\">%s %zu %s</span>", verify_html_class(verdict),
            verify_html_sign(verdict), summary.verdicts[verdict], verify_verdict_names[verdict]);
    }
    fputs("</summary><div class=\"scroll\"><table>\n<thead>", out);
    write_row_headings(out, stage);
    fputs("</thead><tbody>\n", out);
    for (size_t i = 0; i < v->count; i++)
        if (v->rows[i].stage == stage) write_row(out, &v->rows[i]);
    fputs("</tbody></table></div></details>\n", out);
}

void verify_html_rows(FILE *out, const struct verify_report *report)
{
    fputs("<section><h2>All tensors</h2>\n", out);
    if (report->verification->count == 0) fputs("<p>None is recorded.</p>\n", out);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++)
        write_stage(out, report->verification, stage);
    fputs("</section>\n", out);
}

static void begin_drift(FILE *out)
{
    static const struct heading headings[] = {{"tensor", true}, {"max abs", false}, {"of peak", false},
        {"rms", false}, {"1 - cosine", false}, {"PSNR, dB", false}};
    fputs(
        "<section><h2>Drift</h2>\n"
        "<p class=\"soft\">Theirs from our own run of the same call, which goes its way: what the errors of "
        "all stages add up to. A trajectory may carry rounding far.</p>\n"
        "<details><summary>What goes from stage to stage</summary><div class=\"scroll\"><table>\n<thead>",
        out);
    write_headings(out, headings, sizeof headings / sizeof *headings);
    fputs("</thead><tbody>\n", out);
}

void verify_html_drift(FILE *out, const struct verify_report *report)
{
    const struct verification *v = report->verification;
    size_t told = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct verify_row *row = &v->rows[i];
        const struct difference *d = &row->drift;
        if (!row->drifted || strstr(row->name, "act.")) continue;
        if (told++ == 0) begin_drift(out);
        fputs("<tr><td class=\"name\">", out);
        html_text(out, row->name);
        fprintf(out, "</td><td>%.3g</td><td>%.3g</td><td>%.3g</td><td>%.2g</td>", d->max_abs, d->max_rel_peak,
            d->rms, 1 - d->cosine);
        if (picture_range(row->name) > 0)
            fprintf(out, "<td>%.1f</td></tr>\n", difference_psnr(d, picture_range(row->name)));
        else
            fputs("<td></td></tr>\n", out);
    }
    if (told) fputs("</tbody></table></div></details></section>\n", out);
}
