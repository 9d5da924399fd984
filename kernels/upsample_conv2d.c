/*
 * Nearest-neighbour enlargement to twice the sides, then a 3x3 convolution, as four 2x2 convolutions of the
 * small picture.
 *
 * Of the three rows of the large picture under the kernel two are the same row of the small one. For an
 * output row 2 i (phase 0) kernel row 0 meets input row i - 1, rows 1 and 2 meet row i; for 2 i + 1 (phase 1)
 * rows 0 and 1 meet row i, row 2 meets row i + 1; columns likewise. So the weights that meet the same number
 * are added first, once, and each of the four phases is a convolution with a 2x2 kernel: 4 products an
 * output and channel in the place of 9. The padding's zeros stay where they are.
 *
 * Order: a tap is the sum over its rows from top to bottom, rounded; then of these over its columns from left
 * to right, rounded; then the convolution runs as every other, k over (input channel, 2x2 tap). Adding
 * weights first costs one or two roundings of a weight for each product and saves those of the products'
 * sums: the error is that of the plain way (0.98 of it in float, 1.03 in double for 256 channels, and never
 * more than twice: tests/kernel_products.c measures both).
 */
#include "real.h"

#include "conv2d.h"
#include "cpu.h"
#include "kernels.h"
#include "tile.h"

/* The 2x2 weights of one phase: [out_channels, in_channels, 2, 2], rows `stride` apart. */
struct folded {
    struct stored w; /* [out_channels, in_channels, 3, 3] */
    size_t row, column;
    real *taps;
    size_t stride;
};

/* The 2x2 taps of one channel for a phase, from its 3x3 ones. */
static void fold(const struct folded *phase, const real *w, real *taps)
{
    real upper[3], lower[3];
    for (size_t x = 0; x < 3; x++) {
        upper[x] = phase->row == 0 ? w[x] : w[x] + w[3 + x];
        lower[x] = phase->row == 0 ? w[3 + x] + w[6 + x] : w[6 + x];
    }
    taps[0] = phase->column == 0 ? upper[0] : upper[0] + upper[1];
    taps[1] = phase->column == 0 ? upper[1] + upper[2] : upper[2];
    taps[2] = phase->column == 0 ? lower[0] : lower[0] + lower[1];
    taps[3] = phase->column == 0 ? lower[1] + lower[2] : lower[2];
}

/* Channels whose weights are converted at a time. */
enum { CHANNELS = 64 };

static void fold_all(const struct folded *phase, const struct conv2d_shape *s)
{
#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (s->out_channels > 1)
    for (size_t i = 0; i < s->out_channels; i++) {
        for (size_t first = 0; first < s->in_channels; first += CHANNELS) {
            size_t channels = smaller(s->in_channels - first, CHANNELS);
            real w[CHANNELS * 9];
            stored_read(phase->w, (i * s->in_channels + first) * 9, channels * 9, w);
            real *taps = phase->taps + i * phase->stride + 4 * first;
            for (size_t c = 0; c < channels; c++) fold(phase, w + 9 * c, taps + 4 * c);
        }
    }
}

static struct matrix folded_rows(const struct micro_kernel *blocks, const void *weights,
    const struct conv2d_shape *s, struct tile row, struct tile k, real *room)
{
    const struct folded *phase = weights;
    (void)blocks, (void)s, (void)room;
    return (struct matrix){phase->taps + row.begin * phase->stride + k.begin, phase->stride};
}

/* Rows of taps keep off each other in the cache, as gemm_row_stride() says. */
static size_t folded_stride(const struct conv2d_shape *shape)
{
    return gemm_round(4 * shape->in_channels) + 16;
}

/* The convolution of one phase. */
static struct conv2d_shape phase_shape(const struct conv2d_shape *shape, size_t row, size_t column)
{
    struct conv2d_shape s = *shape;
    s.kernel_height = s.kernel_width = 2;
    s.pad_top = 1 - row;
    s.pad_bottom = row;
    s.pad_left = 1 - column;
    s.pad_right = column;
    return s;
}

size_t kernel_upsample_conv2d_scratch(const struct conv2d_shape *shape)
{
    struct conv2d_shape s = phase_shape(shape, 0, 0);
    return shape->out_channels * folded_stride(shape) + convolve_scratch(&s);
}

void kernel_upsample_conv2d(const struct conv2d_shape *shape, const real *x, struct stored w,
    const real *bias, real *y, real *scratch)
{
    for (size_t row = 0; row < 2; row++) {
        for (size_t column = 0; column < 2; column++) {
            struct folded phase = {w, row, column, scratch, folded_stride(shape)};
            struct conv2d_shape s = phase_shape(shape, row, column);
            fold_all(&phase, shape);
            struct convolution conv = {.shape = &s,
                .x = x,
                .rows = folded_rows,
                .weights = &phase,
                .bias = bias,
                .y = y,
                .step = 2,
                .first_row = row,
                .first_column = column};
            convolve(&conv, scratch + shape->out_channels * phase.stride);
        }
    }
}
