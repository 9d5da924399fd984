/*
 * Multi-head scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1) with a streaming
 * softmax: the keys pass by in tiles, and the scores of all keys never exist at once (Milakov and Gimelshein
 * 2018, arXiv:1805.02867, alg. 3, the "online" softmax; Rabe and Staats 2021, arXiv:2112.05682).
 *
 * For one query, after some tiles of keys, there are
 *
 *   m  the largest score so far
 *   l  the sum of the weights 2^(s - m) so far
 *   o  the sum of the weights times the values so far
 *
 * and a further tile with the scores s_j and the values v_j makes of them
 *
 *   m' = max(m, max_j s_j)
 *   l' = l 2^(m - m') + sum_j 2^(s_j - m')
 *   o' = o 2^(m - m') + sum_j 2^(s_j - m') v_j
 *
 * At the end o / l is the result. The scores are those of powers of two: q is multiplied by scale * log2(e),
 * rounded once, and so 2^s is exp(q k scale) with a cheaper exponential.
 *
 * Layout: queries stand side by side in the lanes of the vectors. A panel is as many of them as the innermost
 * product (kernels/micro_kernel.h) has columns, and everything of it lies transposed, [.., lanes]:
 *
 *   scores [keys, lanes] = k [keys, dim] x queries [dim, lanes]
 *   values [dim, lanes] += v^T [dim, keys] x weights [keys, lanes]
 *
 * Maxima and sums then run down the columns, each lane for itself; the weights take the place of the scores,
 * and are already the panel that the second product wants; k and v are read where they lie, head h in the
 * columns from h * dim on of [L, heads * dim], and nothing is packed but the queries. A lane takes no part in
 * another lane's numbers, so that the width of a panel changes no bit.
 *
 * Numbers: products as in kernels/micro_kernel.h; sums of weights in double, in order of the keys; o is
 * multiplied by the rounded inverse of the sum. The length of a tile of keys decides when m grows and how the
 * sums of o are cut: it is part of what the bits are. The double build has the same steps with dgemm.
 *
 * With `causal` query i sees keys 0..i: a block of queries stops at its last visible key, and the weights of
 * the keys that a query does not see are exactly zero.
 */
#include "real.h"

#include "cpu.h"
#include "gemm.h"
#include "kernels.h"
#include "micro_kernel.h"
#include "tile.h"
#include "vector.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Keys of a tile: the weights of a panel of 32 queries are then 16 KiB of float, and stay in L1 with what the
 * products read. Queries of a block, which share each tile of k and v while it is in the cache: enough to
 * make its way there cheap, and few enough for the block's own elements, queries and values, to stay in
 * L2. */
enum { TILE_KEYS = 128, MOST_QUERIES = 256, BLOCK_ELEMENTS = 1 << 16, GRAIN = 32, MOST_LANES = 64 };

/* A block of queries of one head at work. */
struct block {
    const struct vector_set *vector;
    const struct micro_kernel *micro; /* of the float build */
    size_t lanes;                     /* of a panel */
    size_t queries, dim;              /* of the block */
    size_t first;                     /* the first query's position, for `causal` */
    bool causal;
    size_t stride; /* of q, k, v and y: heads * dim */

    real *panels;                           /* [panels, dim, lanes]: queries */
    real *values;                           /* [panels, dim, lanes]: o */
    real *scores;                           /* [TILE_KEYS, lanes] of one panel */
    real *largest;                          /* [panels, lanes]: m */
    double sums[MOST_QUERIES + MOST_LANES]; /* [panels, lanes]: l */
};

static size_t panel_lanes(void)
{
#if PLUMB_REAL_IS_DOUBLE
    return MOST_LANES;
#else
    return micro_kernel_in_use()->columns;
#endif
}

static size_t block_queries(const struct attention_shape *shape)
{
    size_t queries = BLOCK_ELEMENTS / shape->dim;
    if (queries < GRAIN) queries = GRAIN;
    if (queries > MOST_QUERIES) queries = MOST_QUERIES;
    return tile_even(shape->q_len, queries, GRAIN);
}

/* Elements of a block of queries in all of its panels. */
static size_t block_lanes(const struct attention_shape *shape)
{
    size_t lanes = panel_lanes();
    return tile_count(block_queries(shape), lanes) * lanes;
}

static size_t thread_scratch(const struct attention_shape *shape)
{
    return block_lanes(shape) * (2 * shape->dim + 1) + TILE_KEYS * panel_lanes();
}

size_t kernel_attention_scratch(const struct attention_shape *shape)
{
    return thread_scratch(shape) * (size_t)kernels_threads();
}

/* c = a b, or c += a b, where `a` is [rows, depth] or, `of_columns`, lies transposed; b: [depth, lanes], c:
 * [rows, lanes]. */
static void multiply(const struct block *block, size_t rows, size_t depth, struct matrix a, bool of_columns,
    const real *b, real *c, bool accumulate)
{
    size_t lanes = block->lanes;
#if PLUMB_REAL_IS_DOUBLE
    (of_columns ? gemm_of_columns : gemm)(
        rows, lanes, depth, 1, a, (struct matrix){b, lanes}, accumulate ? 1 : 0, c, lanes);
#else
    const struct micro_kernel *micro = block->micro;
    size_t a_row = of_columns ? 1 : a.stride, a_depth = of_columns ? a.stride : 1;
    size_t blocks = micro_blocks(micro, rows);
    for (size_t k = 0; k < depth; k += MICRO_DEPTH) {
        size_t steps = smaller(depth - k, MICRO_DEPTH);
        for (size_t i = 0; i < blocks; i++) {
            size_t begin = micro_begin(rows, blocks, i), end = micro_begin(rows, blocks, i + 1);
            micro->multiply(end - begin, steps, a.data + begin * a_row + k * a_depth, a_row, a_depth,
                b + k * lanes, c + begin * lanes, lanes, accumulate || k > 0);
        }
    }
#endif
}

/* The queries of the block, scaled, into panels; lanes without a query are zeros. q: the block's first. */
static void pack_queries(struct block *block, const real *q, double scale)
{
    const real factor = (real)(scale * 1.4426950408889634074); /* log2(e) */
    size_t lanes = block->lanes;
    for (size_t begin = 0; begin < block->queries; begin += lanes) {
        size_t count = smaller(block->queries - begin, lanes), size = block->dim * lanes;
        real *panel = block->panels + begin * block->dim;
        if (count < lanes) memset(panel, 0, size * sizeof *panel);
        block->vector->transpose(q + begin * block->stride, block->stride, count, block->dim, panel, lanes);
        block->vector->multiply_constant(panel, factor, size, panel);
    }
}

/* Makes the scores of keys that a query does not see those of a weight of zero. Query `first` + j is in lane
 * j; scores: [keys, lanes], from key `key` on. */
static void hide_future(real *scores, size_t keys, size_t lanes, size_t key, size_t first)
{
    for (size_t i = 0; i < keys; i++) {
        for (size_t j = 0; j < lanes && first + j < key + i; j++) scores[i * lanes + j] = -(real)INFINITY;
    }
}

/* A tile's largest scores into `largest` [lanes]. `offset` becomes what is to be subtracted from the scores:
 * `largest`, or 0 where all scores so far are -infinity, since infinities have no difference. What was summed
 * with smaller offsets, `values` [dim, lanes] and `sums` [lanes], is brought down to the new ones. */
static void raise_largest(
    const struct block *block, size_t keys, real *largest, real *values, double *sums, real *offset)
{
    size_t lanes = block->lanes;
    real factors[MOST_LANES];
    double wide_factors[MOST_LANES] = {0};
    bool grew = false;
    memcpy(factors, largest, lanes * sizeof *largest);
    block->vector->column_maxima(block->scores, keys, lanes, largest);
    for (size_t j = 0; j < lanes; j++) {
        grew = grew || largest[j] > factors[j];
        offset[j] = largest[j] == -(real)INFINITY ? 0 : largest[j];
    }
    if (!grew) return;
    block->vector->column_exp2(factors, 1, lanes, offset, wide_factors);
    block->vector->column_multiply(values, block->dim, lanes, factors);
    for (size_t j = 0; j < lanes; j++) sums[j] *= wide_factors[j];
}

/* One tile of keys for one panel, whose first lane is `lane` of the block. k, v: the tile's first rows; the
 * first of them is of key `key`. */
static void take_tile(struct block *block, size_t lane, size_t key, size_t keys, const real *k, const real *v)
{
    size_t lanes = block->lanes, dim = block->dim;
    real *scores = block->scores, *values = block->values + lane * dim;
    real offset[MOST_LANES];

    multiply(block, keys, dim, (struct matrix){k, block->stride}, false, block->panels + lane * dim, scores,
        false);
    if (block->causal) hide_future(scores, keys, lanes, key, block->first + lane);
    raise_largest(block, keys, block->largest + lane, values, block->sums + lane, offset);
    block->vector->column_exp2(scores, keys, lanes, offset, block->sums + lane);
    multiply(block, dim, keys, (struct matrix){v, block->stride}, true, scores, values, true);
}

/* y = o / l, the block's first row at y. */
static void unpack_values(const struct block *block, real *y)
{
    size_t lanes = block->lanes, dim = block->dim;
    real inverse[MOST_LANES];
    for (size_t begin = 0; begin < block->queries; begin += lanes) {
        real *panel = block->values + begin * dim;
        for (size_t j = 0; j < lanes; j++) inverse[j] = (real)(1 / block->sums[begin + j]);
        block->vector->column_multiply(panel, dim, lanes, inverse);
        block->vector->transpose(panel, lanes, dim, smaller(block->queries - begin, lanes),
            y + begin * block->stride, block->stride);
    }
}

/* The queries of `tile` of one head. q, k, v, y: the head's first element of the picture. */
static void attend(const struct attention_shape *shape, struct tile tile, const real *q, const real *k,
    const real *v, real *y, real *scratch)
{
    size_t all_lanes = block_lanes(shape), size = all_lanes * shape->dim;
    struct block block = {.vector = vector_kernels(),
        .micro = micro_kernel_in_use(),
        .lanes = panel_lanes(),
        .queries = tile.end - tile.begin,
        .dim = shape->dim,
        .first = tile.begin,
        .causal = shape->causal,
        .stride = shape->heads * shape->dim,
        .panels = scratch,
        .values = scratch + size,
        .largest = scratch + 2 * size,
        .scores = scratch + 2 * size + all_lanes};
    memset(block.values, 0, size * sizeof *block.values);
    for (size_t i = 0; i < all_lanes; i++) block.largest[i] = -(real)INFINITY;

    pack_queries(&block, q + tile.begin * block.stride, shape->scale);
    size_t keys = shape->causal ? smaller(shape->kv_len, tile.end) : shape->kv_len;
    for (size_t key = 0; key < keys; key += TILE_KEYS) {
        for (size_t lane = 0; lane < block.queries; lane += block.lanes) {
            take_tile(&block, lane, key, smaller(keys - key, TILE_KEYS), k + key * block.stride,
                v + key * block.stride);
        }
    }
    unpack_values(&block, y + tile.begin * block.stride);
}

void kernel_attention(
    const struct attention_shape *shape, const real *q, const real *k, const real *v, real *y, real *scratch)
{
    size_t block = block_queries(shape), per_thread = thread_scratch(shape);
    size_t blocks = tile_count(shape->q_len, block);
    size_t count = shape->batch * shape->heads * blocks;
    size_t stride = shape->heads * shape->dim;

#pragma omp parallel for schedule(dynamic) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        size_t picture = index / (shape->heads * blocks), head = index / blocks % shape->heads;
        size_t queries = picture * shape->q_len * stride + head * shape->dim;
        size_t keys = picture * shape->kv_len * stride + head * shape->dim;
        attend(shape, tile_at(index % blocks, shape->q_len, block), q + queries, k + keys, v + keys,
            y + queries, scratch + (size_t)omp_get_thread_num() * per_thread);
    }
}
