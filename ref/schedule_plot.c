#include "schedule_plot.h"

#include "font.h"
#include "plot.h"
#include "png_file.h"

#include <math.h>
#include <stdlib.h>

/* Whether a sigma has no place on a logarithmic axis. */
static bool is_off_axis(double sigma)
{
    return !(sigma > 0) || isinf(sigma);
}

/* The curves of each panel: [count]. */
struct curves {
    struct plot_series *timesteps, *sigmas, *log_snrs;
};

static void draw_note(
    struct raster *raster, const struct plot_series *sigmas, size_t count, enum schedule_panels panels)
{
    const struct colour ink = {40, 44, 52}, pale = {100, 106, 116};
    bool off_axis = false;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sigmas[s].count; i++) off_axis = off_axis || is_off_axis(sigmas[s].y[i]);
    if (!off_axis) return;
    const char *note = panels == PANEL_SIGMAS ? "open circles: sigma is 0 (below) or infinite (above)"
                       : panels == PANEL_SNR  ? "open circles: nothing but noise (below) or none (above)"
                                              : "open circles: sigma is 0 or infinite";
    raster_circle(raster, raster->width - 30 - font_width(note, 8), raster->height - 15.0, 3.4, 1.4);
    raster_paint(raster, ink);
    font_draw(raster, raster->width - 20, raster->height - 11, note, 8, TEXT_RIGHT, pale);
}

static enum status draw(struct raster *raster, const struct curves *curves, size_t count,
    enum schedule_panels panels, struct error *error)
{
    const struct plot plots[] = {
        {"Timesteps", "step", "timestep", false, curves->timesteps, count},
        {"Noise over signal", "step", "sigma", true, curves->sigmas, count},
        {"Logarithm of signal to noise", "step", "log SNR", false, curves->log_snrs, count},
    };
    int first = panels == PANELS_ALL ? 0 : (int)panels - PANEL_TIMESTEPS,
        shown = panels == PANELS_ALL ? 3 : 1;
    struct plot_area legend = {30, 16, raster->width - 60, 0};
    int top = legend.y + plot_legend(raster, legend, curves->sigmas, count) + 4;
    int width = raster->width / shown;
    enum status status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < shown; i++) {
        struct plot_area area = {6 + i * width, top, width - 10, raster->height - top - 26};
        status = plot_draw(raster, area, &plots[first + i], error);
    }
    if (panels != PANEL_TIMESTEPS) draw_note(raster, curves->sigmas, count, panels);
    return status;
}

enum status schedule_plot_write(const char *path, const struct schedule_curves *schedules, size_t count,
    enum schedule_panels panels, struct error *error)
{
    struct raster raster = {0};
    size_t longest = 1;
    for (size_t s = 0; s < count; s++)
        if (schedules[s].table->count + 1 > longest) longest = schedules[s].table->count + 1;
    double *steps = calloc(longest, sizeof *steps);
    struct plot_series *series = calloc(3 * count + 1, sizeof *series);
    struct curves curves = {series, series + count, series + 2 * count};
    enum status status = error_memory(error, longest * sizeof *steps + 3 * count * sizeof *series);
    if (!steps || !series) goto done;
    for (size_t i = 0; i < longest; i++) steps[i] = (double)i;
    for (size_t s = 0; s < count; s++) {
        const struct schedule_table *table = schedules[s].table;
        const char *label = schedules[s].label;
        size_t length = table->count;
        bool has_last = !isnan(table->sigmas[length]);
        curves.timesteps[s] = (struct plot_series){label, steps, table->timesteps, length};
        curves.sigmas[s] = (struct plot_series){label, steps, table->sigmas, length + has_last};
        curves.log_snrs[s] = (struct plot_series){label, steps, table->log_snrs, length};
    }
    bool all = panels == PANELS_ALL;
    status = raster_create(&raster, all ? SCHEDULE_PLOT_WIDTH : SCHEDULE_PANEL_WIDTH,
        all ? SCHEDULE_PLOT_HEIGHT : SCHEDULE_PANEL_HEIGHT, COLOUR_WHITE, error);
    if (status == STATUS_OK) status = draw(&raster, &curves, count, panels, error);
    if (status == STATUS_OK)
        status = png_write(path, raster.pixels, raster.width, raster.height,
            &(struct png_text){"Software", "plumb schedule"}, 1, error);
done:
    raster_free(&raster);
    free(steps);
    free(series);
    return status;
}
