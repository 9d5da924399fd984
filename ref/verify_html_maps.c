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

/* Bytes of pictures [B, H, W, 3] as planes [B, 3, H, W], in the caller's tensor, whose data free() takes. */
static enum status make_planes(const struct tensor *pixels, struct tensor *planes, struct error *error)
{
    const size_t colours = 3, area = (size_t)(pixels->shape[1] * pixels->shape[2]);
    uint8_t *bytes = malloc(tensor_count(pixels));
    *planes = *pixels;
    planes->data = bytes;
    if (!bytes) return error_memory(error, tensor_count(pixels));
    planes->shape[1] = (int64_t)colours, planes->shape[2] = pixels->shape[1],
    planes->shape[3] = pixels->shape[2];
    for (size_t b = 0; b < (size_t)pixels->shape[0]; b++)
        for (size_t i = 0; i < area; i++)
            for (size_t c = 0; c < colours; c++)
                bytes[(b * colours + c) * area + i] =
                    (uint8_t)tensor_get_int(pixels, (b * area + i) * colours + c);
    return STATUS_OK;
}

/* Where an element of [B, H, W, 3] is in [B, 3, H, W]. */
static size_t place_in_planes(const struct tensor *pixels, size_t i)
{
    const size_t colours = 3, area = (size_t)(pixels->shape[1] * pixels->shape[2]);
    size_t pixel = i / colours;
    return (pixel / area * colours + i % colours) * area + pixel % area;
}

static bool is_picture(const struct tensor *tensor)
{
    return tensor->dtype == DTYPE_U8 && tensor->rank == 4 && tensor->shape[3] == 3;
}

static enum status draw(const struct verify_row *row, const struct tensor *exact, struct heatmap *map,
    struct raster *raster, struct error *error)
{
    struct tensor a = {.data = NULL}, b = {.data = NULL};
    *map = (struct heatmap){.a = row->theirs, .b = exact, .worst = row->error.worst};
    *raster = (struct raster){0};
    if (!is_picture(row->theirs) || !is_picture(exact))
        return heatmap_panels(map, WIDTH, HEIGHT, raster, error);
    enum status status = make_planes(row->theirs, &a, error);
    if (status == STATUS_OK) status = make_planes(exact, &b, error);
    map->a = &a, map->b = &b, map->worst = place_in_planes(row->theirs, row->error.worst);
    if (status == STATUS_OK) status = heatmap_panels(map, WIDTH, HEIGHT, raster, error);
    map->a = row->theirs, map->b = exact;
    free(a.data);
    free(b.data);
    return status;
}

static enum status write_map(
    FILE *out, const struct verify_row *row, const struct tensor *exact, struct error *error)
{
    struct heatmap map;
    struct raster raster;
    uint8_t *png = NULL;
    size_t size = 0;
    enum status status = draw(row, exact, &map, &raster, error);
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
            fputs("<section><h2>Where the errors are</h2>\n"
                  "<p class=\"soft\">|theirs - exact|. The last two dimensions are rows and columns, the "
                  "others panels side by side; of bytes a panel for each colour.</p>\n"
                  "<div class=\"maps\">\n",
                out);
        enum status status = write_map(out, rows[i], exact, error);
        if (status != STATUS_OK) return status;
    }
    if (drawn) fputs("</div></section>\n", out);
    return STATUS_OK;
}
