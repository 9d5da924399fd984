/*
 * Multi-head scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), one tile for each
 * block of queries of one head: the scores of the block, their softmax in place, and the weighted sum of the
 * values.
 *
 * The heads are not copied apart: head h is columns h * dim ... of the [L, heads * dim] matrices, which the
 * matrix product reads with their stride. The scores are multiplied by the scale once, inside the product.
 * The weights are exponentials not yet divided by their sum; the division is done on the result, which has
 * fewer elements than the weights: y = (sum of exp(s - max) v) / (sum of exp(s - max)), the second sum in
 * double.
 *
 * With `causal` query i sees keys 0..i: a block's product stops at its last visible key, and in each row the
 * weights after i are exactly zero.
 */
#include "real.h"

#include "cpu.h"
#include "gemm.h"
#include "kernels.h"
#include "tile.h"
#include "vector.h"

#include <omp.h>
#include <string.h>

/* Queries of a block: more of them spread the cost of packing the keys and values, fewer keep the scores in
 * the cache. SCORES is 1 MiB of float. */
enum { SCORES = 1 << 18, LEAST_QUERIES = 64, LARGEST_QUERIES = 512 };

static size_t block_queries(const struct attention_shape *shape)
{
    size_t queries = SCORES / shape->kv_len;
    if (queries < LEAST_QUERIES) queries = LEAST_QUERIES;
    if (queries > LARGEST_QUERIES) queries = LARGEST_QUERIES;
    return tile_even(shape->q_len, smaller(queries, shape->q_len), 1);
}

/* The scores of one block and one number a row. */
static size_t thread_scratch(const struct attention_shape *shape)
{
    return block_queries(shape) * (shape->kv_len + 1);
}

size_t kernel_attention_scratch(const struct attention_shape *shape)
{
    return thread_scratch(shape) * (size_t)kernels_threads();
}

/* The scores of the queries of `tile` to exponentials, row by row; inverse[i] = 1 / their sum.
 * scores: [queries, keys]. */
static void exponentials(
    const struct attention_shape *shape, struct tile tile, size_t keys, real *scores, real *inverse)
{
    const struct vector_set *vector = vector_kernels();
    for (size_t i = tile.begin; i < tile.end; i++) {
        real *row = scores + (i - tile.begin) * keys;
        size_t visible = shape->causal ? smaller(keys, i + 1) : keys;
        double sum = vector->exp_sum(row, vector->maximum(row, visible), visible, row);
        memset(row + visible, 0, (keys - visible) * sizeof *row);
        inverse[i - tile.begin] = (real)(1 / sum);
    }
}

/* The queries of `tile` of one head. q, k, v, y: the head's first element of the picture. */
static void attend(const struct attention_shape *shape, struct tile tile, const real *q, const real *k,
    const real *v, real *y, real *scratch)
{
    const struct vector_set *vector = vector_kernels();
    size_t stride = shape->heads * shape->dim;
    size_t queries = tile.end - tile.begin;
    size_t keys = shape->causal ? smaller(shape->kv_len, tile.end) : shape->kv_len;
    real *inverse = scratch, *scores = scratch + queries;

    gemm_transposed(queries, keys, shape->dim, (real)shape->scale,
        (struct matrix){q + tile.begin * stride, stride}, (struct matrix){k, stride}, scores, keys);
    exponentials(shape, tile, keys, scores, inverse);
    gemm(queries, shape->dim, keys, 1, (struct matrix){scores, keys}, (struct matrix){v, stride}, 0,
        y + tile.begin * stride, stride);
    for (size_t i = tile.begin; i < tile.end; i++) {
        real *row = y + i * stride;
        vector->multiply_constant(row, inverse[i - tile.begin], shape->dim, row);
    }
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
