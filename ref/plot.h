/*
 * Line plots: axes with round numbers, a title, a legend, several curves; and a strip of colours for pictures
 * of numbers.
 */
#ifndef REF_PLOT_H
#define REF_PLOT_H

#include "raster.h"

#include <stdbool.h>
#include <stddef.h>

struct plot_area {
    int x, y, width, height; /* pixels */
};

struct plot_series {
    const char *label;
    const double *x, *y;
    size_t count;
};

struct plot {
    const char *title, *x_label, *y_label;
    bool
        log_y; /* a value that is not positive, or infinite, has no place: it is an open circle at the edge */
    const struct plot_series *series;
    size_t series_count;
};

/* Draws into `area` of the raster. Curves have the colours plot_colour(0), plot_colour(1) ... */
enum status plot_draw(
    struct raster *raster, struct plot_area area, const struct plot *plot, struct error *error);

/* A colour for the i-th curve: told apart also by people who do not see red and green as two (Okabe and Ito
 * 2008). */
struct colour plot_colour(size_t i);

/* The curves' names with a piece of each curve, in as many rows as they need, centred. Returns the height in
 * pixels; draws nothing where `raster` is NULL. */
int plot_legend(struct raster *raster, struct plot_area area, const struct plot_series *series, size_t count);

/* Round numbers for an axis from `minimum` to `maximum`: multiples of 1, 2 or 5 times a power of ten (on a
 * logarithmic axis powers of ten, and their 2 and 5 folds where few fit), at most `room` of them, at most
 * PLOT_MAX_TICKS. Returns their number. */
#define PLOT_MAX_TICKS 24
size_t plot_ticks(double minimum, double maximum, bool logarithmic, int room, double ticks[PLOT_MAX_TICKS]);

/* From dark blue over green to yellow as `value` goes from 0 to 1: evenly lighter, so that it reads in grey
 * too. */
struct colour plot_heat(double value);

#endif
