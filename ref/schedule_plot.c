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

static enum status draw(struct raster *raster, const struct curves *curves, size_t count, struct error *error)
{
    const struct colour ink = {40, 44, 52}, pale = {100, 106, 116};
    const int width = SCHEDULE_PLOT_WIDTH, height = SCHEDULE_PLOT_HEIGHT;
    const struct plot_series *sigmas = curves->sigmas;
    struct plot_area legend = {30, 16, width - 60, 0};
    int top = legend.y + plot_legend(raster, legend, sigmas, count) + 4;
    const struct plot plots[] = {
        {"Timesteps", "step", "timestep", false, curves->timesteps, count},
        {"Noise over signal", "step", "sigma", true, sigmas, count},
        {"Logarithm of signal to noise", "step", "log SNR", false, curves->log_snrs, count},
    };
    enum status status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < 3; i++)
        status = plot_draw(raster,
            (struct plot_area){6 + i * width / 3, top, width / 3 - 10, height - top - 26}, &plots[i], error);
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
    struct plot_series *series = calloc(3 * count + 1, sizeof *series);
    struct curves curves = {series, series + count, series + 2 * count};
    enum status status = error_memory(error, longest * sizeof *steps + 3 * count * sizeof *series);
    if (!steps || !series) goto done;
    for (size_t i = 0; i < longest; i++) steps[i] = (double)i;
    for (size_t s = 0; s < count; s++) {
        bool has_last = !isnan(tables[s].sigmas[tables[s].count]);
        size_t length = tables[s].count;
        curves.timesteps[s] = (struct plot_series){labels[s], steps, tables[s].timesteps, length};
        curves.sigmas[s] = (struct plot_series){labels[s], steps, tables[s].sigmas, length + has_last};
        curves.log_snrs[s] = (struct plot_series){labels[s], steps, tables[s].log_snrs, length};
    }
    status = raster_create(&raster, SCHEDULE_PLOT_WIDTH, SCHEDULE_PLOT_HEIGHT, COLOUR_WHITE, error);
    if (status == STATUS_OK) status = draw(&raster, &curves, count, error);
    if (status == STATUS_OK)
        status = png_write(path, raster.pixels, raster.width, raster.height,
            &(struct png_text){"Software", "plumb schedule"}, 1, error);
done:
    raster_free(&raster);
    free(steps);
    free(series);
    return status;
}
