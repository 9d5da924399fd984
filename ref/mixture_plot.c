#include "mixture.h"

#include "font.h"
#include "plot.h"
#include "png_file.h"

#include <math.h>
#include <stdio.h>

enum { PATHS = 24, LEGEND = 22, MOST_ACROSS = 3 };

/* A panel shows the plane from -EDGE to EDGE in both directions. */
#define EDGE 3.0

struct panel {
    int left, top, side;
};

static double pixel_x(const struct panel *panel, double x)
{
    return panel->left + (x + EDGE) / (2 * EDGE) * panel->side;
}

static double pixel_y(const struct panel *panel, double y)
{
    return panel->top + (EDGE - y) / (2 * EDGE) * panel->side;
}

static void draw_axes(struct raster *raster, const struct panel *panel)
{
    const struct colour rule = {226, 229, 234}, ink = {100, 106, 116};
    for (int value = -3; value <= 3; value++) {
        char text[16];
        int x = (int)pixel_x(panel, value), y = (int)pixel_y(panel, value);
        raster_fill(raster, x, panel->top, 1, panel->side, rule);
        raster_fill(raster, panel->left, y, panel->side, 1, rule);
        snprintf(text, sizeof text, "%d", value);
        font_draw(raster, x, panel->top + panel->side + 14, text, 8, TEXT_CENTRE, ink);
        if (value > -3) font_draw(raster, panel->left - 6, y + 4, text, 8, TEXT_RIGHT, ink);
    }
}

static void draw_paths(struct raster *raster, const struct panel *panel, const struct mixture_paths *paths)
{
    const struct colour target = {120, 126, 136}, final = {20, 22, 26};
    const size_t n = 2 * paths->points;
    for (size_t k = 0; k < MIXTURE_COMPONENTS; k++)
        raster_circle(raster, pixel_x(panel, mixture_means[k][0]), pixel_y(panel, mixture_means[k][1]),
            2 * mixture_deviation / (2 * EDGE) * panel->side, 1.2);
    raster_paint(raster, target);
    const struct raster_clip frame = {
        panel->left, panel->top, panel->left + panel->side, panel->top + panel->side};
    for (size_t p = 0; p < PATHS && p < paths->points; p++) {
        const double *at = paths->positions + 2 * p;
        for (size_t step = 0; step < paths->steps; step++, at += n) {
            raster_line(raster, pixel_x(panel, at[0]), pixel_y(panel, at[1]), pixel_x(panel, at[n]),
                pixel_y(panel, at[n + 1]), 1.0);
            raster_disc(raster, pixel_x(panel, at[0]), pixel_y(panel, at[1]), 1.7);
        }
        raster_erase_outside(raster, frame);
        raster_paint(raster, plot_colour(p));
    }
    const double *last = paths->positions + paths->steps * n;
    for (size_t p = 0; p < paths->points; p++)
        raster_disc(raster, pixel_x(panel, last[2 * p]), pixel_y(panel, last[2 * p + 1]), 1.3);
    raster_erase_outside(raster, frame);
    raster_paint(raster, final);
}

static void draw_panel(
    struct raster *raster, const struct panel *panel, const struct mixture_paths *paths, const char *label)
{
    const struct colour ink = {40, 44, 52}, pale = {100, 106, 116};
    char text[256], fitted[256];
    const double middle = panel->left + panel->side / 2.0;
    draw_axes(raster, panel);
    draw_paths(raster, panel, paths);
    font_draw(raster, middle, panel->top - 24, font_fit(label, 11, panel->side + 20, fitted, sizeof fitted),
        11, TEXT_CENTRE, ink);
    snprintf(text, sizeof text, "%zu calls of the model; deviation %.3f, of the target %.3f", paths->steps,
        mixture_paths_deviation(paths), mixture_deviation);
    font_draw(raster, middle, panel->top - 8, text, 8, TEXT_CENTRE, pale);
}

enum status mixture_plot_write(const char *path, const struct mixture_paths *paths, const char *const *labels,
    size_t count, struct error *error)
{
    enum { LEFT = 34, TOP = 44, RIGHT = 12, BOTTOM = 24 };
    const struct colour pale = {100, 106, 116};
    const int across = count < MOST_ACROSS ? (int)count : MOST_ACROSS;
    const int down = ((int)count + across - 1) / across;
    struct raster raster;
    enum status status = raster_create(&raster, across * (MIXTURE_PLOT_SIDE + LEFT + RIGHT),
        down * (MIXTURE_PLOT_SIDE + TOP + BOTTOM) + LEGEND, COLOUR_WHITE, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        const int column = (int)i % across, row = (int)i / across;
        const struct panel panel = {LEFT + column * (MIXTURE_PLOT_SIDE + LEFT + RIGHT),
            TOP + row * (MIXTURE_PLOT_SIDE + TOP + BOTTOM), MIXTURE_PLOT_SIDE};
        draw_panel(&raster, &panel, &paths[i], labels[i]);
    }
    if (status == STATUS_OK) {
        font_draw(&raster, raster.width / 2.0, raster.height - 8,
            "lines: the first 24 points, a dot before each step; black: where all points end; circles: two "
            "deviations of the target",
            8, TEXT_CENTRE, pale);
        status = png_write(path, raster.pixels, raster.width, raster.height,
            &(struct png_text){"Software", "plumb sample"}, 1, error);
    }
    raster_free(&raster);
    return status;
}
