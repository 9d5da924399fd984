#include "thresholding.h"
#include "real.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}

/* torch.quantile, interpolation linear: the rank is q (n - 1), and between two ranks it interpolates from the
 * nearer one, fused. `sorted` [n] ascending. */
static real quantile(const real *sorted, size_t n, double q)
{
    real rank = (real)q * (real)(n - 1);
    size_t below = (size_t)rank, above = (size_t)(real)ceil((double)rank);
    if (above >= n) above = n - 1; /* n - 1 itself is rounded where a float does not hold it */
    if (below >= n) below = n - 1;
    real weight = rank - (real)below, range = sorted[above] - sorted[below];
    if (weight < (real)0.5) return real_fma(weight, range, sorted[below]);
    return real_fma(-range, 1 - weight, sorted[above]);
}

enum status threshold_sample(
    const struct scheduler_config *config, real *sample, size_t batch, size_t size, struct error *error)
{
    if (!(config->dynamic_thresholding_ratio >= 0 && config->dynamic_thresholding_ratio <= 1))
        return error_input(error, "dynamic_thresholding_ratio: expected a quantile from 0 to 1, got %g",
            config->dynamic_thresholding_ratio);
    real *magnitudes = malloc(size * sizeof *magnitudes);
    if (!magnitudes) return error_memory(error, size * sizeof *magnitudes);
    for (size_t b = 0; b < batch; b++) {
        real *picture = sample + b * size;
        bool has_nan = false;
        for (size_t i = 0; i < size; i++) {
            magnitudes[i] = (real)fabs((double)picture[i]);
            has_nan |= isnan(picture[i]);
        }
        qsort(magnitudes, size, sizeof *magnitudes, compare);
        real s = has_nan ? (real)NAN : quantile(magnitudes, size, config->dynamic_thresholding_ratio);
        if (s < 1) s = 1;
        if (s > (real)config->sample_max_value) s = (real)config->sample_max_value;
        for (size_t i = 0; i < size; i++) {
            real clipped = picture[i] < -s ? -s : picture[i];
            clipped = clipped > s ? s : clipped;
            picture[i] = clipped / s;
        }
    }
    free(magnitudes);
    return STATUS_OK;
}
