/*
 * GroupNorm (Wu and He 2018, arXiv:1803.08494, eq. 2 to 7) and LayerNorm (Ba et al. 2016, arXiv:1607.06450,
 * eq. 4): y = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance.
 *
 * The statistics are in double and take one pass over the numbers: with d = x - pivot, the pivot being the
 * first of them,
 *
 *   mean = pivot + sum(d) / n,  variance = (sum(d^2) - sum(d)^2 / n) / n
 *
 * (Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance, on shifted data). The second
 * difference cancels only where the pivot is far from the mean in units of the deviation, in the ratio
 * 1 + (pivot - mean)^2 / variance; beyond 5 a second pass takes the mean as the pivot. The result is computed
 * in double too and rounded once.
 */
#include "real.h"

#include "cpu.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <math.h>

/* Elements that are normalised at a time, so that SiLU finds them still in L1: 16 KiB of float. */
enum { PIECE = 4096 };

struct statistics {
    double mean, inverse_deviation;
};

static struct statistics measure(const struct vector_set *vector, const real *x, size_t n, double eps)
{
    real pivot = x[0];
    double offset = 0, variance = 0;
    for (int pass = 0; pass < 2; pass++) {
        struct vector_moments d = vector->moments(x, pivot, n);
        offset = d.sum / (double)n;
        variance = (d.squares - d.sum * offset) / (double)n;
        if (variance < 0) variance = 0; /* by rounding; a NaN stays */
        if (pass == 1 || !(offset * offset > 4 * variance)) break;
        pivot = (real)((double)pivot + offset);
    }
    return (struct statistics){(double)pivot + offset, 1 / sqrt(variance + eps)};
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
            for (size_t piece = 0; piece < tile_count(size, PIECE); piece++) {
                struct tile tile = tile_at(piece, size, PIECE);
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
