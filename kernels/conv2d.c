/*
 * 2-D convolution (cross-correlation, as PyTorch's Conv2d) as an implicit matrix product.
 *
 * For one picture the result is the product of w, read as [out_channels, K] with K = in_channels * kh * kw,
 * and a matrix [K, H' * W'] whose column p holds the input under the kernel at output position p. That matrix
 * ("im2col") is 9 times the input for a 3x3 kernel, so it never exists whole: a tile is a block of output
 * channels by a run of output positions, and walks through K in chunks, making one chunk's columns
 * (columns.h) and adding its product to its own block of the result, which stays in the cache until it is
 * finished. Small pictures share a tile.
 *
 * Order of the arithmetic: k runs over (input channel, ky, kx) as the weight is stored, in the chunks of the
 * product in use; then the bias is added, then the shift, then the residual.
 */
#include "real.h"

#include "columns.h"
#include "conv2d.h"
#include "cpu.h"
#include "vector.h"

#include <omp.h>
#include <string.h>

/* The columns of a chunk are made anew for each block of channels, which LARGEST_CHANNELS of them make one
 * or two per cent of the arithmetic; the weights are read anew for each run of positions. OpenBLAS copies
 * both once more, and so wants larger tiles. Where there would be too few tiles to share, the channels are
 * cut, unless the convolution is small. */
enum { LARGEST_COLUMNS = 256, LARGEST_CHANNELS = 512, LEAST_CHANNELS = 80, LEAST_TILES = 8 };

/* How a convolution is cut, by its shape alone, and the memory of one thread. */
struct plan {
    const struct micro_kernel *blocks;
    size_t positions;                   /* of one picture: H' * W' */
    size_t columns, pictures, channels; /* of a tile: positions, pictures and output channels */
    size_t depth;                       /* K */
    size_t c_stride;
    size_t a, planes, b, c; /* numbers of scratch for each */
};

static void choose_tiles(const struct conv2d_shape *s, struct plan *plan)
{
    size_t unit = plan->blocks != NULL ? plan->blocks->columns : 16;
    size_t largest = plan->blocks != NULL ? LARGEST_COLUMNS : MOST_COLUMNS;
    plan->columns = tile_even(plan->positions, largest, unit);
    plan->pictures = plan->columns < plan->positions ? 1 : smaller(s->batch, largest / plan->positions);
    if (plan->pictures == 0) plan->pictures = 1;

    size_t across = tile_count(s->batch, plan->pictures) * tile_count(plan->positions, plan->columns);
    size_t channels = plan->blocks != NULL ? LARGEST_CHANNELS : s->out_channels;
    if (!gemm_is_small(plan->positions, plan->depth, s->out_channels))
        channels = gemm_shared_side(s->out_channels, channels, LEAST_CHANNELS, across, LEAST_TILES);
    plan->channels = tile_even(s->out_channels, smaller(channels, s->out_channels), 1);
}

static struct plan make_plan(const struct conv2d_shape *s)
{
    struct plan plan = {.blocks = gemm_blocks(),
        .positions = conv2d_out_height(s) * conv2d_out_width(s),
        .depth = s->in_channels * s->kernel_height * s->kernel_width};
    choose_tiles(s, &plan);
    size_t depth = gemm_depth(plan.blocks), columns = plan.pictures * gemm_padded(plan.blocks, plan.columns);
    plan.c_stride = gemm_round(columns);
    plan.a = gemm_round(plan.channels * gemm_row_stride(plan.blocks));
    plan.planes = columns_room(s, depth, plan.pictures, plan.columns);
    plan.b = gemm_round(depth * columns);
    plan.c = plan.channels * plan.c_stride;
    return plan;
}

static size_t thread_scratch(const struct plan *plan)
{
    return plan->a + plan->planes + plan->b + plan->c;
}

size_t convolve_scratch(const struct conv2d_shape *shape)
{
    struct plan plan = make_plan(shape);
    return thread_scratch(&plan) * (size_t)kernels_threads();
}

/* c: [channels, the tile's columns] */
static void multiply_tile(const struct convolution *conv, const struct plan *plan, struct tile channel,
    const struct column_tile *tile, real *scratch, real *c)
{
    const struct conv2d_shape *s = conv->shape;
    size_t depth = gemm_depth(plan->blocks), rows = channel.end - channel.begin;
    size_t columns = (tile->picture.end - tile->picture.begin) *
                     gemm_padded(plan->blocks, tile->position.end - tile->position.begin);
    real *planes = scratch + plan->a, *b = planes + plan->planes;
    for (size_t first = 0; first < plan->depth; first += depth) {
        struct tile k = {first, smaller(plan->depth, first + depth)};
        struct matrix a = conv->rows(plan->blocks, conv->weights, s, channel, k, scratch);
        columns_make(plan->blocks, s, conv->x, tile, k, planes, b);
        if (plan->blocks != NULL) {
            gemm_panels(plan->blocks, rows, columns, k.end - k.begin, a, b, c, plan->c_stride, first > 0);
        } else {
            gemm(rows, columns, k.end - k.begin, 1, a, (struct matrix){b, columns}, first > 0 ? 1 : 0, c,
                plan->c_stride);
        }
    }
}

/* Bias, shift and residual of one channel's positions, values: [positions], to their places in y. */
static void finish_row(const struct convolution *conv, size_t channel, size_t picture, struct tile position,
    real *values, size_t positions)
{
    const struct vector_set *vector = vector_kernels();
    size_t count = position.end - position.begin, row = picture * conv->shape->out_channels + channel;
    if (conv->bias != NULL) vector->add_constant(values, conv->bias[channel], count, values);
    if (conv->shift != NULL) vector->add_constant(values, conv->shift[row], count, values);
    if (conv->step == 1) {
        size_t at = row * positions + position.begin;
        if (conv->residual != NULL) {
            vector->add(conv->residual + at, values, count, conv->y + at);
        } else {
            memcpy(conv->y + at, values, count * sizeof *values);
        }
        return;
    }
    size_t width = conv2d_out_width(conv->shape), step = conv->step;
    real *plane = conv->y + row * positions * step * step;
    for (size_t p = position.begin; p < position.end;) {
        size_t i = p / width, j = p % width, end = smaller(position.end, p - j + width);
        real *to = plane + (i * step + conv->first_row) * width * step + conv->first_column;
        for (; p < end; p++, j++) to[j * step] = values[p - position.begin];
    }
}

void convolve(const struct convolution *conv, real *scratch)
{
    const struct conv2d_shape *s = conv->shape;
    struct plan plan = make_plan(s);
    size_t across = tile_count(plan.positions, plan.columns), groups = tile_count(s->batch, plan.pictures);
    size_t down = tile_count(s->out_channels, plan.channels), count = groups * down * across;

#pragma omp parallel for schedule(dynamic) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile channel = tile_at(index / across % down, s->out_channels, plan.channels);
        struct column_tile tile = {tile_at(index / across / down, s->batch, plan.pictures),
            tile_at(index % across, plan.positions, plan.columns)};
        size_t width = gemm_padded(plan.blocks, tile.position.end - tile.position.begin);
        real *own = scratch + (size_t)omp_get_thread_num() * thread_scratch(&plan);
        real *c = own + plan.a + plan.planes + plan.b;
        multiply_tile(conv, &plan, channel, &tile, own, c);
        for (size_t i = channel.begin; i < channel.end; i++) {
            real *values = c + (i - channel.begin) * plan.c_stride;
            for (size_t b = tile.picture.begin; b < tile.picture.end; b++, values += width)
                finish_row(conv, i, b, tile.position, values, plan.positions);
        }
    }
}

static struct matrix stored_rows(const struct micro_kernel *blocks, const void *weights,
    const struct conv2d_shape *s, struct tile row, struct tile k, real *room)
{
    const struct stored *w = weights;
    return gemm_rows(blocks, *w, s->in_channels * s->kernel_height * s->kernel_width, row, k, room);
}

size_t kernel_conv2d_scratch(const struct conv2d_shape *shape)
{
    return convolve_scratch(shape);
}

void kernel_conv2d(const struct conv2d_shape *shape, const real *x, struct stored w, const real *bias,
    const real *shift, const real *residual, real *y, real *scratch)
{
    struct convolution conv = {.shape = shape,
        .x = x,
        .rows = stored_rows,
        .weights = &w,
        .bias = bias,
        .shift = shift,
        .residual = residual,
        .y = y,
        .step = 1};
    convolve(&conv, scratch);
}
