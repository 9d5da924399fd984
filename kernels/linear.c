/*
 * The linear layer: y = x w^T + bias, as tiles of one matrix product, each computed by one thread, with what
 * follows the layer done while a tile is in the cache.
 *
 * The product is rounded first and the bias added to it: one rounding more than a product that starts from
 * the bias, and the same for every tiling. With GEGLU a tile holds some columns of the values and, beside
 * them, the same columns of the gates, so that the [rows, 2 inner] tensor is never written.
 */
#include "real.h"

#include "cpu.h"
#include "gemm_tile.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <omp.h>
#include <string.h>

/* A tile's part of w is laid out anew (or copied by OpenBLAS) for each tile of rows: with 512 rows that is a
 * few per cent of the arithmetic. Fewer columns where there would be too few tiles to share, and all of them
 * where the layer is small. */
enum { LARGEST_ROWS = 512, LARGEST_COLUMNS = 320, LEAST_COLUMNS = 64, LEAST_TILES = 16 };

/* How a layer is cut, and the memory of one thread. */
struct plan {
    const struct micro_kernel *blocks;
    size_t halves;           /* 2 with GEGLU: values and gates */
    size_t out;              /* columns of y */
    size_t rows, columns;    /* of a tile; columns of y */
    size_t padded, c_stride; /* columns of one half of a tile as laid out, and of c */
    size_t a, b, c;          /* numbers of scratch for each */
};

static struct plan make_plan(const struct linear_shape *s)
{
    struct plan plan = {.blocks = gemm_blocks(), .halves = s->after == LINEAR_GEGLU ? 2 : 1};
    size_t unit = plan.blocks != NULL ? plan.blocks->columns : 16;
    plan.out = s->out / plan.halves;
    plan.rows = tile_even(s->rows, LARGEST_ROWS, 1);
    size_t columns = gemm_shared_side(
        plan.out, LARGEST_COLUMNS / plan.halves, LEAST_COLUMNS, tile_count(s->rows, plan.rows), LEAST_TILES);
    bool small = gemm_is_small(s->rows, s->in, s->out);
    plan.columns = small ? plan.out : tile_even(plan.out, smaller(plan.out, columns), unit);

    size_t depth = gemm_depth(plan.blocks);
    plan.padded = gemm_padded(plan.blocks, plan.columns);
    plan.c_stride = gemm_round(plan.halves * plan.padded);
    plan.a = gemm_round(plan.rows * gemm_row_stride(plan.blocks));
    plan.b = gemm_round(plan.blocks != NULL
                            ? plan.halves * plan.padded * depth + unit * gemm_row_stride(plan.blocks)
                            : plan.padded * gemm_row_stride(NULL));
    plan.c = plan.rows * plan.c_stride;
    return plan;
}

size_t kernel_linear_scratch(const struct linear_shape *shape)
{
    struct plan plan = make_plan(shape);
    return (plan.a + plan.b + plan.c) * (size_t)kernels_threads();
}

/* Rows `row` of w as columns of panels, for k of a chunk; a row that is not real numbers passes through
 * `room`. */
static void pack_weights(const struct micro_kernel *blocks, struct stored w, size_t in, struct tile row,
    struct tile k, real *panels, real *room)
{
    for (size_t first = row.begin; first < row.end; first += blocks->columns) {
        struct tile part = {first, smaller(row.end, first + blocks->columns)};
        const real *data = stored_in_place(w);
        struct matrix rows = {data == NULL ? NULL : data + first * in + k.begin, in};
        if (data == NULL) rows = gemm_rows(blocks, w, in, part, k, room);
        blocks->pack(rows.data, rows.stride, part.end - part.begin, k.end - k.begin, panels);
        panels += blocks->columns * MICRO_DEPTH;
    }
}

/* c = x w^T for the rows and columns of one tile; with GEGLU, c: [rows, values then gates]. */
static void multiply_tile(const struct linear_shape *s, const struct plan *plan, const real *x,
    struct stored w, struct tile row, struct tile column, real *scratch, real *c)
{
    const struct stored rows = {x, sizeof(real) == sizeof(double) ? STORED_F64 : STORED_F32};
    size_t count = row.end - row.begin, depth = gemm_depth(plan->blocks);
    real *a = scratch, *b = scratch + plan->a;
    for (size_t first = 0; first < s->in; first += depth) {
        struct tile k = {first, smaller(s->in, first + depth)};
        struct matrix left = gemm_rows(plan->blocks, rows, s->in, row, k, a);
        for (size_t half = 0; half < plan->halves; half++) {
            struct tile part = {half * plan->out + column.begin, half * plan->out + column.end};
            size_t width = part.end - part.begin;
            if (plan->blocks != NULL) {
                real *panels = b + half * plan->padded * MICRO_DEPTH;
                pack_weights(
                    plan->blocks, w, s->in, part, k, panels, b + plan->halves * plan->padded * depth);
                gemm_panels(plan->blocks, count, gemm_padded(plan->blocks, width), k.end - k.begin, left,
                    panels, c + half * plan->padded, plan->c_stride, first > 0);
            } else {
                struct matrix right = gemm_rows(NULL, w, s->in, part, k, b);
                gemm_transposed(count, width, k.end - k.begin, 1, left, right, first > 0 ? 1 : 0,
                    c + half * plan->padded, plan->c_stride);
            }
        }
    }
}

/* Bias, what follows, and the residual, row by row: from c to y, [rows, plan->out]. */
static void finish_tile(const struct linear_shape *s, const struct plan *plan, const real *bias,
    const real *residual, struct tile row, struct tile column, real *c, real *y)
{
    const struct vector_set *vector = vector_kernels();
    size_t width = column.end - column.begin;
    for (size_t i = row.begin; i < row.end; i++) {
        real *values = c + (i - row.begin) * plan->c_stride;
        real *to = y + i * plan->out + column.begin;
        for (size_t half = 0; bias != NULL && half < plan->halves; half++) {
            real *part = values + half * plan->padded;
            vector->add(part, bias + half * plan->out + column.begin, width, part);
        }
        real *last = residual != NULL ? values : to;
        switch (s->after) {
        case LINEAR_PLAIN:
            if (residual == NULL) memcpy(to, values, width * sizeof *to);
            break;
        case LINEAR_GELU: vector->gelu(values, width, last); break;
        case LINEAR_QUICK_GELU: vector->quick_gelu(values, width, last); break;
        case LINEAR_GEGLU: vector->geglu(values, values + plan->padded, width, last); break;
        }
        if (residual != NULL) vector->add(residual + i * plan->out + column.begin, values, width, to);
    }
}

void kernel_linear(const struct linear_shape *shape, const real *x, struct stored w, const real *bias,
    const real *residual, real *y, real *scratch)
{
    struct plan plan = make_plan(shape);
    size_t across = tile_count(plan.out, plan.columns);
    size_t count = tile_count(shape->rows, plan.rows) * across;

#pragma omp parallel for schedule(dynamic) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile row = tile_at(index / across, shape->rows, plan.rows);
        struct tile column = tile_at(index % across, plan.out, plan.columns);
        real *own = scratch + (size_t)omp_get_thread_num() * (plan.a + plan.b + plan.c);
        real *c = own + plan.a + plan.b;
        multiply_tile(shape, &plan, x, w, row, column, own, c);
        finish_tile(shape, &plan, bias, residual, row, column, c, y);
    }
}
