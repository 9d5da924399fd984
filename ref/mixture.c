#include "mixture.h"

#include <math.h>
#include <stdlib.h>

/* Five means on a circle of radius 1.6, one of them moved inwards so that a mirror image shows. */
const double mixture_means[MIXTURE_COMPONENTS][2] = {
    {0, 0.7}, {-1.52, 0.49}, {-0.94, -1.29}, {0.94, -1.29}, {1.52, 0.49}};
const double mixture_deviation = 0.15;

void mixture_denoise(double signal, double noise, const double x[2], double x0[2])
{
    /* Component k gives x a Gaussian around signal * mean with this variance in each direction; the weights
     * are taken from the likeliest component on, so that they do not all vanish. */
    const double deviation2 = mixture_deviation * mixture_deviation;
    const double variance = signal * signal * deviation2 + noise * noise;
    double exponents[MIXTURE_COMPONENTS], largest = -(double)INFINITY, sum = 0;
    for (size_t k = 0; k < MIXTURE_COMPONENTS; k++) {
        const double dx = x[0] - signal * mixture_means[k][0], dy = x[1] - signal * mixture_means[k][1];
        exponents[k] = -(dx * dx + dy * dy) / (2 * variance);
        largest = fmax(largest, exponents[k]);
    }
    /* Within a component the estimate moves from the mean towards x / signal by its share of the variance. */
    const double gain = signal * deviation2 / variance;
    x0[0] = x0[1] = 0;
    for (size_t k = 0; k < MIXTURE_COMPONENTS; k++) {
        const double weight = exp(exponents[k] - largest);
        for (size_t i = 0; i < 2; i++)
            x0[i] += weight * (mixture_means[k][i] + gain * (x[i] - signal * mixture_means[k][i]));
        sum += weight;
    }
    x0[0] /= sum;
    x0[1] /= sum;
}

void mixture_paths_free(struct mixture_paths *paths)
{
    free(paths->positions);
    *paths = (struct mixture_paths){0};
}

double mixture_paths_deviation(const struct mixture_paths *paths)
{
    const double *last = paths->positions + paths->steps * paths->points * 2;
    double sum = 0;
    for (size_t p = 0; p < paths->points; p++) {
        double nearest = (double)INFINITY;
        for (size_t k = 0; k < MIXTURE_COMPONENTS; k++) {
            const double dx = last[2 * p] - mixture_means[k][0], dy = last[2 * p + 1] - mixture_means[k][1];
            nearest = fmin(nearest, dx * dx + dy * dy);
        }
        sum += nearest / 2;
    }
    return sqrt(sum / (double)paths->points);
}
