/*
 * Schedules as a picture.
 */
#ifndef REF_SCHEDULE_PLOT_H
#define REF_SCHEDULE_PLOT_H

#include "schedule_table.h"

#define SCHEDULE_PLOT_WIDTH 1320
#define SCHEDULE_PLOT_HEIGHT 560
#define SCHEDULE_PANEL_WIDTH 760 /* of one that is drawn alone */
#define SCHEDULE_PANEL_HEIGHT 420

struct schedule_curves {
    const struct schedule_table *table;
    const char *label;
};

/* Timesteps, sigmas on a logarithmic axis, and the logarithm of the signal-to-noise ratio. */
enum schedule_panels { PANELS_ALL, PANEL_TIMESTEPS, PANEL_SIGMAS, PANEL_SNR };

/* These against the step; one curve a schedule, named by its label. Writes a PNG of SCHEDULE_PLOT_WIDTH x
 * SCHEDULE_PLOT_HEIGHT pixels, or of SCHEDULE_PANEL_WIDTH x SCHEDULE_PANEL_HEIGHT. */
enum status schedule_plot_write(const char *path, const struct schedule_curves *schedules, size_t count,
    enum schedule_panels panels, struct error *error);

#endif
