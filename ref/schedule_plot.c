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

static enum status draw(struct raster *raster, struct plot_series *timesteps, struct plot_series *sigmas,
    size_t count, struct error *error)
{
    const struct colour ink = {40, 44, 52}, pale = {100, 106, 116};
    const int width = SCHEDULE_PLOT_WIDTH, height = SCHEDULE_PLOT_HEIGHT;
    struct plot_area legend = {30, 16, width - 60, 0};
    int top = legend.y + plot_legend(raster, legend, sigmas, count) + 4;
    struct plot left = {"Timesteps", "step", "timestep", false, timesteps, count};
    struct plot right = {"Noise over signal", "step", "sigma", true, sigmas, count};
    int plot_height = height - top - 26;
    enum status status =
        plot_draw(raster, (struct plot_area){6, top, width / 2 - 10, plot_height}, &left, error);
    if (status == STATUS_OK)
        status = plot_draw(
            raster, (struct plot_area){width / 2 + 2, top, width / 2 - 10, plot_height}, &right, error);
    bool off_axis = false;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sigmas[s].count; i++) off_axis = off_axis || is_off_axis(sigmas[s].y[i]);
    if (off_axis) {
        const char *note = "open circles: sigma is 0 (below) or infinite (above)";
        raster_circle(raster, width - 30 - font_width(note, 8), height - 15.0, 3.4, 1.4);
        raster_paint(raster, ink);
        font_draw(raster, width - 20, height - 11, note, 8, TEXT_RIGHT, pale);
    }
    return status;
}

enum status schedule_plot_write(const char *path, const struct schedule_table *tables,
    const char *const *labels, size_t count, struct error *error)
{
    struct raster raster = {0};
    size_t longest = 1;
    for (size_t s = 0; s < count; s++)
        if (tables[s].count + 1 > longest) longest = tables[s].count + 1;
    double *steps = calloc(longest, sizeof *steps);
    struct plot_series *series = calloc(2 * count + 1, sizeof *series);
    enum status status = error_memory(error, longest * sizeof *steps + 2 * count * sizeof *series);
    if (!steps || !series) goto done;
    for (size_t i = 0; i < longest; i++) steps[i] = (double)i;
    for (size_t s = 0; s < count; s++) {
        bool has_last = !isnan(tables[s].sigmas[tables[s].count]);
        series[s] = (struct plot_series){labels[s], steps, tables[s].timesteps, tables[s].count};
        series[count + s] =
            (struct plot_series){labels[s], steps, tables[s].sigmas, tables[s].count + has_last};
    }
    status = raster_create(&raster, SCHEDULE_PLOT_WIDTH, SCHEDULE_PLOT_HEIGHT, COLOUR_WHITE, error);
    if (status == STATUS_OK) status = draw(&raster, series, series + count, count, error);
    if (status == STATUS_OK)
        status = png_write(path, raster.pixels, raster.width, raster.height,
            &(struct png_text){"Software", "plumb schedule"}, 1, error);
done:
    raster_free(&raster);
    free(steps);
    free(series);
    return status;
}
