/* Heat maps of the worst tensors, |theirs - exact|, each with its scale of colours and what it shows. */
#include "verify_html.h"

#include "heatmap.h"
#include "plot.h"
#include "png_file.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 560 /* pixels */
#define HEIGHT 360

static void write_scale(FILE *out, double top)
{
    enum { STOPS = 9 };
    fputs("<div class=\"scale\" style=\"background:linear-gradient(to right", out);
    for (int i = 0; i < STOPS; i++) {
        struct colour colour = plot_heat((double)i / (STOPS - 1));
        fprintf(out, ",rgb(%d,%d,%d)", colour.red, colour.green, colour.blue);
    }
    fprintf(out, ")\"></div><div class=\"ticks\"><span>0</span><span>%.2g</span><span>%.2g</span></div>",
        top / 2, top);
}

static void write_caption(FILE *out, const struct verify_row *row, const struct heatmap *map)
{
    const struct difference *e = &row->error;
    char multiple[32], place[80], text[200];
    fputs("<figcaption><code>", out);
    html_breaking_text(out, row->name);
    fprintf(out, "</code><br/>%s, %s of shape %s", verify_show_place(row, place, sizeof place),
        dtype_name(row->theirs->dtype), tensor_show_shape(row->theirs, text, sizeof text));
    fputs("<br/>", out);
    verify_html_label(out, row->verdict);
    if (isfinite(row->multiple)) fprintf(out, " %s floors;", verify_show_multiple(row, multiple));
    fprintf(
        out, " largest %.3g at %s", e->max_abs, tensor_show_index(row->theirs, e->worst, text, sizeof text));
    if (map->panels < map->all_panels)
        fprintf(out, "; panels %zu to %zu of %zu", map->first_panel, map->first_panel + map->panels - 1,
            map->all_panels);
    if (e->nonfinite_a || e->nonfinite_b) fputs("; red: finite on one side only", out);
    fputs("</figcaption>", out);
}

static enum status write_map(
    FILE *out, const struct verify_row *row, const struct tensor *exact, struct error *error)
{
    struct heatmap map = {.a = row->theirs, .b = exact, .worst = row->error.worst};
    struct raster raster;
    uint8_t *png = NULL;
    size_t size = 0;
    enum status status = heatmap_panels(&map, WIDTH, HEIGHT, &raster, error);
    if (status == STATUS_OK)
        status = png_encode(raster.pixels, raster.width, raster.height, &png, &size, error);
    if (status == STATUS_OK) {
        fprintf(out, "<figure><img width=\"%d\" height=\"%d\" alt=\"Heat map of the error of ", raster.width,
            raster.height);
        html_text(out, row->name);
        fputs("\" src=\"", out);
        html_png(out, png, size);
        fputs("\"/>", out);
        if (map.top > 0) write_scale(out, map.top);
        write_caption(out, row, &map);
        fputs("</figure>\n", out);
    }
    free(png);
    raster_free(&raster);
    return status;
}

enum status verify_html_maps(FILE *out, const struct verify_report *report, struct error *error)
{
    const struct verify_row *rows[VERIFY_HEATMAPS];
    size_t count = verify_rows_to_draw(report->verification, VERIFY_HEATMAPS, rows), drawn = 0;
    for (size_t i = 0; report->exact && i < count; i++) {
        const struct tensor *exact = tensor_set_find(report->exact, rows[i]->name);
        if (!exact || !tensor_same_shape(exact, rows[i]->theirs) || tensor_count(exact) == 0) continue;
        if (drawn++ == 0)
            fputs("<section><h2>Where the errors are</h2>\n<p class=\"soft\">|theirs - exact|. The last two "
                  "dimensions "
                  "are rows and columns, the others panels side by side.</p>\n<div class=\"maps\">\n",
                out);
        enum status status = write_map(out, rows[i], exact, error);
        if (status != STATUS_OK) return status;
    }
    if (drawn) fputs("</div></section>\n", out);
    return STATUS_OK;
}
