/*
 * GroupNorm (Wu and He 2018, arXiv:1803.08494, eq. 2 to 7) and LayerNorm (Ba et al. 2016, arXiv:1607.06450,
 * eq. 4): y = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance.
 *
 * Two passes in double: the mean, then the mean of (x - mean)^2, which does not cancel where the mean is
 * large against the deviation, as the mean of squares less the square of the mean does. The result is
 * computed in double too and rounded once; the passes are bound by memory, so this costs little.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <math.h>

struct statistics {
    double mean, inverse_deviation;
};

static struct statistics measure(const struct vector_set *vector, const real *x, size_t n, double eps)
{
    double mean = vector->sum(x, n) / (double)n;
    double variance = vector->sum_squares(x, mean, n) / (double)n;
    return (struct statistics){mean, 1 / sqrt(variance + eps)};
}

void kernel_group_norm(const real *x, size_t batch, size_t channels, size_t size, size_t groups, double eps,
    const real *weight, const real *bias, bool silu, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t group_channels = channels / groups;

#pragma omp parallel for schedule(static)                                                                    \
    num_threads(kernels_threads()) if (batch * channels * size > TILE_ELEMENTS)
    for (size_t index = 0; index < batch * groups; index++) {
        size_t first = index % groups * group_channels; /* the group's first channel */
        size_t offset = index * group_channels * size;
        struct statistics group = measure(vector, x + offset, group_channels * size, eps);
        for (size_t c = 0; c < group_channels; c++) {
            double scale = group.inverse_deviation * (double)weight[first + c];
            double shift = (double)bias[first + c] - group.mean * scale;
            const real *channel = x + offset + c * size;
            real *result = y + offset + c * size;
            /* In pieces, so that SiLU finds the result still in the cache. */
            for (size_t piece = 0; piece < tile_count(size, TILE_ELEMENTS); piece++) {
                struct tile tile = tile_at(piece, size, TILE_ELEMENTS);
                size_t n = tile.end - tile.begin;
                vector->affine(channel + tile.begin, scale, shift, n, result + tile.begin);
                if (silu) vector->silu(result + tile.begin, n, result + tile.begin);
            }
        }
    }
}

void kernel_layer_norm(
    const real *x, size_t rows, size_t channels, double eps, const real *weight, const real *bias, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t per_tile = tile_rows(channels);
    size_t count = tile_count(rows, per_tile);

#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, rows, per_tile);
        for (size_t i = tile.begin; i < tile.end; i++) {
            const real *row = x + i * channels;
            struct statistics of = measure(vector, row, channels, eps);
            vector->normalise(row, of.mean, of.inverse_deviation, weight, bias, channels, y + i * channels);
        }
    }
}
