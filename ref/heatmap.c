#include "heatmap.h"

#include "font.h"
#include "plot.h"
#include "png_file.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 900
#define HEIGHT 600
#define MOST_PANELS 64
#define GAP 6 /* pixels between panels */

/* How a tensor is laid out on the picture. */
struct layout {
    size_t panels, rows,
        columns;     /* of the tensor; a tensor with fewer than two dimensions is wrapped into rows */
    size_t elements; /* in all: the last row may be short */
    size_t first_panel, all_panels; /* that `panels` are shown of */
    int across, down;               /* panels */
    int panel_width, panel_height;  /* pixels */
    int left, top;
};

/* In so many pixels. Of a tensor with very many panels those around the element `worst` are shown. */
static struct layout lay_out(const struct tensor *tensor, size_t worst, int width, int height)
{
    struct layout layout = {.panels = 1, .elements = tensor_count(tensor)};
    if (tensor->rank >= 2) {
        layout.rows = (size_t)tensor->shape[tensor->rank - 2];
        layout.columns = (size_t)tensor->shape[tensor->rank - 1];
        layout.panels = layout.elements / (layout.rows * layout.columns);
    } else {
        layout.columns = (size_t)ceil(sqrt((double)layout.elements * 1.4));
        layout.rows = (layout.elements + layout.columns - 1) / layout.columns;
    }
    layout.all_panels = layout.panels;
    if (layout.panels > MOST_PANELS) {
        layout.first_panel = worst / (layout.rows * layout.columns) / MOST_PANELS * MOST_PANELS;
        layout.panels = MOST_PANELS;
        if (layout.first_panel + layout.panels > layout.all_panels)
            layout.panels = layout.all_panels - layout.first_panel;
    }
    /* The number of panels side by side that makes them largest. */
    double best = 0;
    for (int across = 1; across <= (int)layout.panels; across++) {
        int down = ((int)layout.panels + across - 1) / across;
        double scale = fmin((double)(width - (across - 1) * GAP) / across / (double)layout.columns,
            (double)(height - (down - 1) * GAP) / down / (double)layout.rows);
        if (scale <= best) continue;
        best = scale;
        layout.across = across;
        layout.down = down;
    }
    if (best >= 1) best = floor(best); /* whole pixels an element */
    layout.panel_width = (int)fmax(1, best * (double)layout.columns);
    layout.panel_height = (int)fmax(1, best * (double)layout.rows);
    return layout;
}

/* |a - b| of an element; what is finite on one side only counts as infinite. */
static double distance(const struct heatmap *map, size_t i)
{
    double a = tensor_get_double(map->a, i), b = tensor_get_double(map->b, i);
    if (a == b || (isnan(a) && isnan(b))) return 0;
    double d = fabs(a - b);
    return isnan(d) ? (double)INFINITY : d;
}

/* The largest distance among the elements that fall on one pixel of a panel; negative where none does. */
static double at_pixel(const struct heatmap *map, const struct layout *layout, size_t panel, int x, int y)
{
    size_t width = (size_t)layout->panel_width, height = (size_t)layout->panel_height;
    size_t first_column = (size_t)x * layout->columns / width,
           last_column = ((size_t)x + 1) * layout->columns / width;
    size_t first_row = (size_t)y * layout->rows / height, last_row = ((size_t)y + 1) * layout->rows / height;
    double largest = -1;
    for (size_t r = first_row; r < last_row || r == first_row; r++)
        for (size_t c = first_column; c < last_column || c == first_column; c++) {
            size_t i = ((layout->first_panel + panel) * layout->rows + r) * layout->columns + c;
            if (i < layout->elements) largest = fmax(largest, distance(map, i));
        }
    return largest;
}

static void draw_panel(
    struct raster *raster, const struct heatmap *map, const struct layout *layout, size_t panel, double top)
{
    int left = layout->left + (int)panel % layout->across * (layout->panel_width + GAP);
    int up = layout->top + (int)panel / layout->across * (layout->panel_height + GAP);
    for (int y = 0; y < layout->panel_height; y++)
        for (int x = 0; x < layout->panel_width; x++) {
            double value = at_pixel(map, layout, panel, x, y);
            if (value < 0) continue;
            struct colour colour =
                isinf(value) ? (struct colour){220, 40, 40} : plot_heat(top > 0 ? value / top : 0);
            raster_fill(raster, left + x, up + y, 1, 1, colour);
        }
}

/* The scale of colours, to the right of the panels. */
static void draw_scale(struct raster *raster, const struct layout *layout, double top)
{
    const struct colour ink = {40, 44, 52};
    const int x = layout->left + layout->across * (layout->panel_width + GAP) + 20, y = layout->top,
              width = 18;
    const int height = layout->down * (layout->panel_height + GAP) - GAP;
    for (int i = 0; i < height; i++)
        raster_fill(raster, x, y + i, width, 1, plot_heat(1 - (i + 0.5) / height));
    double ticks[PLOT_MAX_TICKS];
    size_t count = plot_ticks(0, top, false, height / 50 + 2, ticks);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        int at = y + (int)lround((1 - ticks[i] / top) * (height - 1.0));
        raster_fill(raster, x + width, at, 4, 1, ink);
        snprintf(text, sizeof text, "%.3g", ticks[i]);
        font_draw(raster, x + width + 8, at + 4.5, text, 9, TEXT_LEFT, ink);
    }
}

/* The largest finite distance: the end of the scale. */
static double scale_top(const struct heatmap *map, const struct layout *layout)
{
    double top = 0;
    for (size_t i = 0; i < layout->elements; i++) {
        double d = distance(map, i);
        if (isfinite(d) && d > top) top = d;
    }
    return top;
}

enum status heatmap_panels(
    struct heatmap *map, int width, int height, struct raster *raster, struct error *error)
{
    const struct colour between = {128, 132, 140};
    *raster = (struct raster){0};
    if (tensor_count(map->b) == 0) return error_input(error, "a tensor without elements has no heat map");
    struct layout layout = lay_out(map->b, map->worst, width, height);
    map->top = scale_top(map, &layout);
    map->first_panel = layout.first_panel;
    map->panels = layout.panels;
    map->all_panels = layout.all_panels;
    enum status status = raster_create(raster, layout.across * (layout.panel_width + GAP) - GAP,
        layout.down * (layout.panel_height + GAP) - GAP, between, error);
    for (size_t panel = 0; status == STATUS_OK && panel < layout.panels; panel++)
        draw_panel(raster, map, &layout, panel, map->top);
    return status;
}

static enum status draw_and_write(
    const char *path, struct raster *raster, const struct comparison_row *row, struct error *error)
{
    const struct colour ink = {40, 44, 52}, pale = {100, 106, 116};
    struct heatmap map = {.a = row->a, .b = row->b, .worst = row->difference.worst};
    struct layout layout = lay_out(row->b, row->difference.worst, WIDTH - 150, HEIGHT - 100);
    layout.left = 30, layout.top = 66;
    double top = scale_top(&map, &layout);
    char text[256], shape[128];
    snprintf(text, sizeof text, "|A - B| of %.200s", row->name);
    font_draw(raster, layout.left, 30, text, 12, TEXT_LEFT, ink);
    snprintf(text, sizeof text, "%s %s, largest %.3g (%.3g of the peak), %zu of %zu unequal%s",
        dtype_name(row->b->dtype), tensor_show_shape(row->b, shape, sizeof shape), row->difference.max_abs,
        row->difference.max_rel_peak, row->difference.unequal, row->difference.count,
        row->difference.nonfinite_a || row->difference.nonfinite_b ? "; red: infinite or NaN on one side"
                                                                   : "");
    font_draw(raster, layout.left, 50, text, 9, TEXT_LEFT, pale);
    if (layout.panels < layout.all_panels) {
        snprintf(text, sizeof text, "panels %zu to %zu of %zu, around the largest difference",
            layout.first_panel, layout.first_panel + layout.panels - 1, layout.all_panels);
        font_draw(raster, layout.left, HEIGHT - 12, text, 8, TEXT_LEFT, pale);
    }
    for (size_t panel = 0; panel < layout.panels; panel++) draw_panel(raster, &map, &layout, panel, top);
    if (top > 0) draw_scale(raster, &layout, top);
    return png_write(path, raster->pixels, raster->width, raster->height,
        &(struct png_text){"Software", "plumb compare"}, 1, error);
}

enum status heatmap_write(const char *path, const struct comparison_row *row, struct error *error)
{
    struct raster raster;
    enum status status = raster_create(&raster, WIDTH, HEIGHT, COLOUR_WHITE, error);
    if (status == STATUS_OK) status = draw_and_write(path, &raster, row, error);
    raster_free(&raster);
    return status;
}
