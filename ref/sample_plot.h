/*
 * `plumb sample --plot`: the schedulers of a command line, sampling a mixture of Gaussians.
 */
#ifndef REF_SAMPLE_PLOT_H
#define REF_SAMPLE_PLOT_H

#include "cli.h"

#define SAMPLE_PLOT_MOST 9 /* panels in one picture */

struct sample_plot {
    const char *path; /* where the picture goes */
    int64_t steps;
    double eta;
    const char *seed; /* of the generator numpy-pcg64 */
    cJSON *settings;  /* over every scheduler's config; NULL for none */
    bool f64;         /* the sampler's arithmetic */
};

/* Samples with every scheduler of the command line's positionals, each from the same seed, writes one line
 * about each to `out`, and the picture. */
enum status sample_plot(struct invocation *invocation, const struct sample_plot *plot);

#endif
