#include "real.h"

#include "columns.h"

#include <string.h>

/* Where a tile's input lies, in the planes or in x itself. */
struct layout {
    const real *data;
    struct tile out_rows, out_columns; /* of the output, that the tile touches */
    struct tile channels;              /* of the chunk */
    size_t rows;                       /* input rows in a plane */
    size_t part, row, plane,
        picture; /* numbers in a row's part of one column mod s, a row, a plane, a picture */
};

/* Then a picture is one row to the rest of this file. */
static bool takes_input_itself(const struct conv2d_shape *s)
{
    return s->kernel_height * s->kernel_width == 1 && s->stride == 1 &&
           s->pad_top + s->pad_bottom + s->pad_left + s->pad_right == 0;
}

static size_t row_width(const struct conv2d_shape *s)
{
    return takes_input_itself(s) ? s->in_height * s->in_width : conv2d_out_width(s);
}

static void measure_planes(const struct conv2d_shape *s, struct layout *layout)
{
    layout->rows = (layout->out_rows.end - layout->out_rows.begin - 1) * s->stride + s->kernel_height;
    layout->part = layout->out_columns.end - layout->out_columns.begin + (s->kernel_width - 1) / s->stride;
    layout->row = smaller(s->stride, s->kernel_width) * layout->part;
    layout->plane = layout->rows * layout->row;
    layout->picture = (layout->channels.end - layout->channels.begin) * layout->plane;
}

size_t columns_room(const struct conv2d_shape *s, size_t depth, size_t pictures, size_t positions)
{
    if (takes_input_itself(s)) return 0;
    size_t width = conv2d_out_width(s), kernel = s->kernel_height * s->kernel_width;
    /* Positions that begin anywhere in a row touch one row more than they would from its start. */
    size_t rows = smaller(conv2d_out_height(s), tile_count(positions, width) + 1);
    struct layout layout = {.out_rows = {0, rows},
        .out_columns = {0, width},
        .channels = {0, smaller(s->in_channels, depth / kernel + 2)}};
    measure_planes(s, &layout);
    return gemm_round(pictures * layout.picture);
}

/* What a row of planes takes from a row of the input for one column mod s: zeros, then numbers from column
 * `source` on, then zeros. */
struct padded_row {
    size_t left, inside, right;
    size_t source;
};

static struct padded_row pad_row(const struct conv2d_shape *s, const struct layout *layout, size_t shift)
{
    size_t begin = layout->out_columns.begin * s->stride + shift; /* in the padded row */
    struct padded_row row = {.right = layout->part};
    if (begin < s->pad_left) row.left = smaller(layout->part, tile_count(s->pad_left - begin, s->stride));
    row.right -= row.left;
    row.source = begin + row.left * s->stride - s->pad_left;
    if (row.right > 0 && row.source < s->in_width)
        row.inside = smaller(row.right, tile_count(s->in_width - row.source, s->stride));
    row.right -= row.inside;
    return row;
}

/* Below this many numbers a loop costs less than a call. */
enum { SHORT_ROW = 16 };

static void copy_padded(const struct padded_row *row, const real *source, size_t stride, real *out)
{
    for (size_t i = 0; i < row->left; i++) *out++ = 0;
    if (stride == 1 && row->inside > SHORT_ROW) {
        memcpy(out, source + row->source, row->inside * sizeof *out);
    } else {
        for (size_t i = 0; i < row->inside; i++) out[i] = source[row->source + i * stride];
    }
    out += row->inside;
    for (size_t i = 0; i < row->right; i++) *out++ = 0;
}

/* One channel of one picture, those columns that are `shift` mod s. source: [H, W], plane: [input row, column
 * mod s, column / s]. */
static void copy_plane(const struct conv2d_shape *s, const struct layout *layout, size_t shift,
    const struct padded_row *row, const real *source, real *plane)
{
    plane += shift * layout->part;
    for (size_t i = 0; i < layout->rows; i++, plane += layout->row) {
        size_t at = layout->out_rows.begin * s->stride + i; /* in the padded input */
        if (at >= s->pad_top && at - s->pad_top < s->in_height) {
            copy_padded(row, source + (at - s->pad_top) * s->in_width, s->stride, plane);
        } else {
            memset(plane, 0, layout->part * sizeof *plane);
        }
    }
}

static struct layout make_planes(
    const struct conv2d_shape *s, const real *x, const struct column_tile *tile, struct tile k, real *planes)
{
    size_t width = row_width(s), kernel = s->kernel_height * s->kernel_width;
    size_t plane = s->in_height * s->in_width, picture = s->in_channels * plane;
    struct tile rows = {tile->position.begin / width, (tile->position.end - 1) / width + 1};
    struct tile columns = {0, width};
    if (rows.end - rows.begin == 1) {
        columns.begin = tile->position.begin - rows.begin * width;
        columns.end = tile->position.end - rows.begin * width;
    }
    struct layout layout = {
        .out_rows = rows, .out_columns = columns, .channels = {k.begin / kernel, (k.end - 1) / kernel + 1}};
    if (takes_input_itself(s)) {
        layout.data = x + tile->picture.begin * picture + layout.channels.begin * plane + columns.begin;
        layout.row = width;
        layout.plane = plane;
        layout.picture = picture;
        return layout;
    }
    layout.data = planes;
    measure_planes(s, &layout);
    size_t channels = layout.channels.end - layout.channels.begin;
    for (size_t shift = 0; shift * layout.part < layout.row; shift++) {
        struct padded_row row = pad_row(s, &layout, shift);
        for (size_t i = 0; i < (tile->picture.end - tile->picture.begin) * channels; i++) {
            size_t b = tile->picture.begin + i / channels, c = layout.channels.begin + i % channels;
            copy_plane(s, &layout, shift, &row, x + b * picture + c * plane, planes + i * layout.plane);
        }
    }
    return layout;
}

/* The runs of some positions of one picture, of which the first is column `begin`; returns how many. */
static size_t make_runs(const struct conv2d_shape *s, const struct layout *layout, struct tile position,
    size_t begin, size_t offset, struct copy_run *runs)
{
    size_t width = row_width(s), count = 0;
    for (size_t at = position.begin; at < position.end; at += runs[count++].count) {
        size_t i = at / width, j = at % width;
        size_t from = (i - layout->out_rows.begin) * s->stride * layout->row + j - layout->out_columns.begin;
        runs[count] = (struct copy_run){
            begin + at - position.begin, smaller(width - j, position.end - at), offset + from};
    }
    return count;
}

/* Where each row of a chunk begins, (channel, ky, kx) counted up as k is. */
static void find_offsets(
    const struct conv2d_shape *s, const struct layout *layout, struct tile k, size_t *offsets)
{
    size_t kernel = s->kernel_height * s->kernel_width;
    size_t c = k.begin / kernel - layout->channels.begin;
    size_t ky = k.begin % kernel / s->kernel_width, kx = k.begin % s->kernel_width;
    for (size_t i = k.begin; i < k.end; i++) {
        offsets[i - k.begin] =
            c * layout->plane + ky * layout->row + kx % s->stride * layout->part + kx / s->stride;
        if (++kx < s->kernel_width) continue;
        kx = 0;
        if (++ky < s->kernel_height) continue;
        ky = 0;
        c++;
    }
}

void columns_make(const struct micro_kernel *blocks, const struct conv2d_shape *s, const real *x,
    const struct column_tile *tile, struct tile k, real *planes, real *columns)
{
    const struct micro_kernel *copies = micro_kernel_in_use();
    struct layout layout = make_planes(s, x, tile, k, planes);
    size_t offsets[MOST_DEPTH];
    find_offsets(s, &layout, k, offsets);
    struct copy_run runs[MOST_COLUMNS];
    size_t positions = tile->position.end - tile->position.begin, count = 0;
    size_t pictures = tile->picture.end - tile->picture.begin, depth = k.end - k.begin;
    for (size_t b = 0; b < pictures; b++) {
        if (blocks == NULL) {
            count += make_runs(s, &layout, tile->position, b * positions, b * layout.picture, runs + count);
            continue;
        }
        for (size_t first = tile->position.begin; first < tile->position.end; first += blocks->columns) {
            struct tile part = {first, smaller(tile->position.end, first + blocks->columns)};
            count = make_runs(s, &layout, part, 0, b * layout.picture, runs);
            if (part.end - part.begin < blocks->columns)
                memset(columns, 0, depth * blocks->columns * sizeof *columns);
            copies->copy_runs(layout.data, offsets, depth, runs, count, columns, blocks->columns);
            columns += MICRO_DEPTH * blocks->columns;
        }
    }
    if (blocks == NULL)
        copies->copy_runs(layout.data, offsets, depth, runs, count, columns, pictures * positions);
}
