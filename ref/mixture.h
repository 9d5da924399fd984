/*
 * Sampling where the best model is known in closed form: a mixture of Gaussians in the plane, so that a
 * reader sees what a solver and a spacing do.
 */
#ifndef REF_MIXTURE_H
#define REF_MIXTURE_H

#include "sched/generator.h"
#include "sched/scheduler.h"

#include <cjson/cJSON.h>

/* x_0 is Gaussian around one of the means, each as likely, with the same deviation in both directions. */
enum { MIXTURE_COMPONENTS = 5 };
extern const double mixture_means[MIXTURE_COMPONENTS][2];
extern const double mixture_deviation;

/* E[x_0 | x] for x = signal x_0 + noise epsilon: what a model trained to perfection predicts (Karras et al.
 * 2022, arXiv:2206.00364, appendix B.3). signal, noise >= 0 and not both 0. */
void mixture_denoise(double signal, double noise, const double x[2], double x0[2]);

/* Where every point was before each step and after the last, seen in the variance-preserving scale (of flow
 * matching in its own): positions[(step * points + point) * 2]. */
struct mixture_paths {
    size_t points, steps;
    double *positions; /* [steps + 1, points, 2] */
};

/* Samples `points` points with the scheduler of `config`, from noise that `generator` draws. `options` go to
 * every step. Refuses a class whose model is not a denoiser (consistency models). The suffix is the sampler's
 * arithmetic. */
enum status mixture_sample_f32(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, struct generator *generator, size_t points,
    struct mixture_paths *paths, struct warnings *warnings, struct error *error);
enum status mixture_sample_f64(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, struct generator *generator, size_t points,
    struct mixture_paths *paths, struct warnings *warnings, struct error *error);
void mixture_paths_free(struct mixture_paths *paths); /* accepts an empty one */

/* How far the final points lie from the nearest mean: the root mean square over both directions, which is
 * mixture_deviation for points of the mixture itself. */
double mixture_paths_deviation(const struct mixture_paths *paths);

/* One panel a run, side by side: the paths of some points, the last position of all, and the mixture's
 * two-deviation circles. Writes a PNG. */
#define MIXTURE_PLOT_SIDE 420 /* pixels of a panel */
enum status mixture_plot_write(const char *path, const struct mixture_paths *paths, const char *const *labels,
    size_t count, struct error *error);

#endif
