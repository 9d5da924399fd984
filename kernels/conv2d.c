/*
 * 2-D convolution (cross-correlation, as PyTorch's Conv2d) as an implicit matrix product.
 *
 * For one picture the result is the product of w, read as [out_channels, K] with K = in_channels * kh * kw,
 * and a matrix [K, H' * W'] whose column p holds the input under the kernel at output position p. That matrix
 * ("im2col") is 9 times the input for a 3x3 kernel, so it never exists whole: a tile is a block of output
 * channels by a run of output positions, and walks through K in chunks of whole input channels, copying one
 * chunk's columns to the thread's scratch and adding its product. A chunk's columns (about 0.75 MiB of float
 * at most for the kernels in use) stay in L2.
 *
 * Order of the arithmetic: the chunks' products are added in order of the input channels, then the bias,
 * once. A 1x1 kernel of stride 1 without padding needs no copy: the input is the matrix.
 */
#include "real.h"

#include "cpu.h"
#include "gemm.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <omp.h>
#include <string.h>

/* Columns of a tile: OpenBLAS copies w's block once a tile, which 512 columns make a few per cent of the
 * work. Rows of a chunk: near the depth at which OpenBLAS itself cuts a product, so that the cut costs
 * nothing. Blocks: fewer positions than this leave too few tiles to share, so the output channels are cut as
 * well. */
enum { LARGEST_COLUMNS = 512, CHUNK_ROWS = 384, LEAST_BLOCKS = 8, LEAST_CHANNELS = 64, SMALL_WORK = 1 << 18 };

/* How a convolution is cut, by its shape alone. */
struct plan {
    size_t out_width, positions; /* of one picture: H' * W' */
    size_t kernel_size;          /* kh * kw */
    size_t columns, channels;    /* of a tile: positions and output channels */
    size_t chunk;                /* input channels of one chunk */
    bool direct;                 /* the input is the matrix */
};

static struct plan make_plan(const struct conv2d_shape *s)
{
    struct plan plan = {.out_width = conv2d_out_width(s), .kernel_size = s->kernel_height * s->kernel_width};
    plan.positions = conv2d_out_height(s) * plan.out_width;
    plan.direct = plan.kernel_size == 1 && s->stride == 1 &&
                  s->pad_top + s->pad_bottom + s->pad_left + s->pad_right == 0;
    plan.columns = tile_even(plan.positions, LARGEST_COLUMNS, 16);
    plan.channels = s->out_channels;
    size_t depth = s->in_channels * plan.kernel_size;
    size_t blocks = s->batch * tile_count(plan.positions, plan.columns);
    bool small =
        plan.positions <= SMALL_WORK / depth && s->out_channels <= SMALL_WORK / depth / plan.positions;
    if (blocks < LEAST_BLOCKS && !small) {
        size_t channels = tile_count(s->out_channels, tile_count(LEAST_BLOCKS, blocks));
        if (channels < LEAST_CHANNELS) channels = LEAST_CHANNELS;
        plan.channels = tile_even(s->out_channels, smaller(channels, s->out_channels), 16);
    }
    plan.chunk = plan.direct ? s->in_channels : CHUNK_ROWS / plan.kernel_size;
    if (plan.chunk == 0) plan.chunk = 1;
    plan.chunk = tile_even(s->in_channels, smaller(plan.chunk, s->in_channels), 1);
    return plan;
}

static size_t thread_scratch(const struct plan *plan)
{
    return plan->direct ? 0 : plan->chunk * plan->kernel_size * plan->columns;
}

size_t kernel_conv2d_scratch(const struct conv2d_shape *shape)
{
    struct plan plan = make_plan(shape);
    return thread_scratch(&plan) * (size_t)kernels_threads();
}

/* One run of a row of the matrix: `count` output positions from column `j` of an output row. `source` is the
 * input row under the kernel's row; position j reads source[j * stride + shift - pad_left], and zero outside
 * of the row: `left` positions before it, then `inside` positions in it, the rest after it. */
static void copy_run(
    const struct conv2d_shape *s, const real *source, size_t shift, size_t j, size_t count, real *column)
{
    size_t begin = j * s->stride + shift; /* in the padded row */
    size_t left = begin < s->pad_left ? smaller(count, tile_count(s->pad_left - begin, s->stride)) : 0;
    size_t inside = 0;
    if (left < count && begin + left * s->stride - s->pad_left < s->in_width) {
        source += begin + left * s->stride - s->pad_left;
        size_t room = s->in_width + s->pad_left - begin - left * s->stride;
        inside = smaller(count - left, tile_count(room, s->stride));
    }
    memset(column, 0, left * sizeof *column);
    if (s->stride == 1) {
        memcpy(column + left, source, inside * sizeof *column);
    } else {
        for (size_t i = 0; i < inside; i++) column[left + i] = source[i * s->stride];
    }
    memset(column + left + inside, 0, (count - left - inside) * sizeof *column);
}

/* One row of the matrix, for the output positions of `tile`. `plane`: [H, W], one channel of the input. */
static void copy_row(const struct conv2d_shape *s, const struct plan *plan, const real *plane, size_t ky,
    size_t kx, struct tile tile, real *column)
{
    size_t position = tile.begin;
    while (position < tile.end) {
        size_t i = position / plan->out_width, j = position % plan->out_width;
        size_t count = smaller(plan->out_width - j, tile.end - position);
        size_t at = i * s->stride + ky;
        if (at >= s->pad_top && at - s->pad_top < s->in_height) {
            copy_run(s, plane + (at - s->pad_top) * s->in_width, kx, j, count, column);
        } else {
            memset(column, 0, count * sizeof *column);
        }
        column += count;
        position += count;
    }
}

/* The rows of the matrix that belong to some input channels, for the positions of `tile`: x: [channels, H,
 * W], columns: [channels * kh * kw, positions]. */
static void copy_columns(const struct conv2d_shape *s, const struct plan *plan, const real *x,
    size_t channels, struct tile tile, real *columns)
{
    size_t width = tile.end - tile.begin;
    for (size_t c = 0; c < channels; c++) {
        const real *plane = x + c * s->in_height * s->in_width;
        for (size_t ky = 0; ky < s->kernel_height; ky++) {
            for (size_t kx = 0; kx < s->kernel_width; kx++) {
                copy_row(s, plan, plane, ky, kx, tile, columns);
                columns += width;
            }
        }
    }
}

/* One tile of one picture. x: [in_channels, H, W], y: [out_channels, H' * W']. */
static void convolve_tile(const struct conv2d_shape *s, const struct plan *plan, const real *x, const real *w,
    struct tile channel, struct tile position, real *y, real *columns)
{
    size_t depth = s->in_channels * plan->kernel_size;
    size_t width = position.end - position.begin;
    real *result = y + channel.begin * plan->positions + position.begin;
    for (size_t first = 0; first < s->in_channels; first += plan->chunk) {
        size_t count = smaller(plan->chunk, s->in_channels - first);
        struct matrix weights = {w + channel.begin * depth + first * plan->kernel_size, depth};
        struct matrix input = {columns, width};
        if (plan->direct) {
            input = (struct matrix){x + first * plan->positions + position.begin, plan->positions};
        } else {
            copy_columns(s, plan, x + first * s->in_height * s->in_width, count, position, columns);
        }
        gemm(channel.end - channel.begin, width, count * plan->kernel_size, 1, weights, input, first > 0,
            result, plan->positions);
    }
}

void kernel_conv2d(
    const struct conv2d_shape *shape, const real *x, const real *w, const real *bias, real *y, real *scratch)
{
    const struct vector_set *vector = vector_kernels();
    struct plan plan = make_plan(shape);
    size_t across = tile_count(plan.positions, plan.columns);
    size_t down = tile_count(shape->out_channels, plan.channels);
    size_t count = shape->batch * down * across;

#pragma omp parallel for schedule(dynamic) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        size_t picture = index / (down * across);
        struct tile channel = tile_at(index / across % down, shape->out_channels, plan.channels);
        struct tile position = tile_at(index % across, plan.positions, plan.columns);
        const real *input = x + picture * shape->in_channels * shape->in_height * shape->in_width;
        real *output = y + picture * shape->out_channels * plan.positions;
        real *columns = plan.direct ? NULL : scratch + (size_t)omp_get_thread_num() * thread_scratch(&plan);
        convolve_tile(shape, &plan, input, w, channel, position, output, columns);
        if (bias == NULL) continue;
        for (size_t c = channel.begin; c < channel.end; c++) {
            real *segment = output + c * plan.positions + position.begin;
            vector->add_constant(segment, bias[c], position.end - position.begin, segment);
        }
    }
}
