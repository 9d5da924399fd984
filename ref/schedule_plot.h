/*
 * Schedules as a picture.
 */
#ifndef REF_SCHEDULE_PLOT_H
#define REF_SCHEDULE_PLOT_H

#include "schedule_table.h"

#define SCHEDULE_PLOT_WIDTH 1320
#define SCHEDULE_PLOT_HEIGHT 560

/* Timesteps, sigmas on a logarithmic axis, and the logarithm of the signal-to-noise ratio, against the step;
 * one curve a schedule, named by its label. Writes a PNG of SCHEDULE_PLOT_WIDTH x SCHEDULE_PLOT_HEIGHT
 * pixels. */
enum status schedule_plot_write(const char *path, const struct schedule_table *tables,
    const char *const *labels, size_t count, struct error *error);

#endif
