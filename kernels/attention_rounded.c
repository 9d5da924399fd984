/*
 * Attention step by step, with each step's result rounded (rounded.h): for one head of one picture and a
 * block of its queries
 *
 *   scores  = round(q k^T * scale)      [queries, kv_len]
 *   weights = round(softmax(scores))
 *   y       = round(weights v)          [queries, dim]
 *
 * Rows of scores exist whole, which is what makes it another algorithm than attention.c. The two products are
 * those of a linear layer, with k and v^T in the place of its weights.
 */
#include "real.h"

#include "cpu.h"
#include "gemm_tile.h"
#include "rounded.h"
#include "tile.h"
#include "vector.h"

#include <math.h>
#include <string.h>

/* Queries of a block: enough for a product to be worth its call, and few enough for the scores of 16384 keys
 * to take 32 MiB of float. */
enum { MOST_QUERIES = 512 };
/* A row of scores goes through the vectors as a matrix of so many columns. */
enum { LANES = 64 };

/* Where the parts of the scratch begin, and where it ends. */
struct plan {
    size_t queries; /* of a block */
    size_t q, k, v, scores, y, products, end;
};

static struct linear_shape scoring(const struct attention_shape *s, size_t queries)
{
    return (struct linear_shape){queries, s->dim, s->kv_len, LINEAR_PLAIN};
}

static struct linear_shape mixing(const struct attention_shape *s, size_t queries)
{
    return (struct linear_shape){queries, s->kv_len, s->dim, LINEAR_PLAIN};
}

/* Of the two products for a block of so many queries. */
static size_t product_scratch(const struct attention_shape *s, size_t queries)
{
    struct linear_shape shapes[] = {scoring(s, queries), mixing(s, queries)};
    size_t first = kernel_linear_scratch(&shapes[0]), second = kernel_linear_scratch(&shapes[1]);
    return first > second ? first : second;
}

static struct plan make_plan(const struct attention_shape *s)
{
    struct plan plan = {.queries = smaller(s->q_len, MOST_QUERIES)};
    size_t last = s->q_len % plan.queries; /* of the last block, where it is shorter */
    size_t products = product_scratch(s, plan.queries), rest = last ? product_scratch(s, last) : 0;
    plan.k = plan.q + gemm_round(plan.queries * s->dim);
    plan.v = plan.k + gemm_round(s->kv_len * s->dim);
    plan.scores = plan.v + gemm_round(s->kv_len * s->dim);
    plan.y = plan.scores + gemm_round(plan.queries * s->kv_len);
    plan.products = plan.y + gemm_round(plan.queries * s->dim);
    plan.end = plan.products + (products > rest ? products : rest);
    return plan;
}

size_t kernel_attention_rounded_scratch(const struct attention_shape *shape)
{
    return make_plan(shape).end;
}

/* One head's columns of [rows, heads * dim], rounded: [rows, dim]. */
static void gather(
    enum number_format format, const real *x, size_t rows, const struct attention_shape *s, real *head)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(head + i * s->dim, x + i * s->heads * s->dim, s->dim * sizeof *head);
    kernel_round(format, head, rows * s->dim, head);
}

/* The softmax of x: [n] in its place, in powers of two as in attention.c: what exists only inside a kernel is
 * not rounded. Its sum is in double: of each column from the top down, then of the columns from the left. */
static void softmax(real *x, size_t n)
{
    const struct vector_set *vector = vector_kernels();
    size_t rows = n / LANES, rest = n % LANES;
    real lanes[LANES], *tail = x + rows * LANES;
    double sums[LANES] = {0}, sum = 0;
    for (size_t j = 0; j < LANES; j++) lanes[j] = -(real)INFINITY;

    vector->multiply_constant(x, (real)1.4426950408889634074, n, x); /* log2(e) */
    vector->column_maxima(x, rows, LANES, lanes);
    vector->column_maxima(tail, rest > 0, rest, lanes);
    real largest = -(real)INFINITY;
    for (size_t j = 0; j < LANES; j++) largest = lanes[j] > largest ? lanes[j] : largest;
    for (size_t j = 0; j < LANES; j++) lanes[j] = largest;

    vector->column_exp2(x, rows, LANES, lanes, sums);
    vector->column_exp2(tail, rest > 0, rest, lanes, sums);
    for (size_t j = 0; j < LANES; j++) sum += sums[j];
    vector->multiply_constant(x, (real)(1 / sum), n, x);
}

/* The larger of `largest` and the magnitudes of the scores that the queries from `first` on see. */
static real largest_seen(
    const struct attention_shape *s, size_t first, size_t queries, const real *scores, real largest)
{
    for (size_t i = 0; i < queries; i++) {
        size_t seen = s->causal ? smaller(first + i + 1, s->kv_len) : s->kv_len;
        for (size_t j = 0; j < seen; j++) {
            real magnitude = (real)fabs((double)scores[i * s->kv_len + j]);
            largest = magnitude > largest ? magnitude : largest;
        }
    }
    return largest;
}

/* scores: [queries, kv_len], of which the first is that of query `first`, to weights. */
static void weigh(
    enum number_format format, const struct attention_shape *s, size_t first, size_t queries, real *scores)
{
    /* With TF32 a score is the result of a product, which stays float. */
    enum number_format stored = format == FORMAT_TF32 ? FORMAT_F32 : format;
    kernel_round(stored, scores, queries * s->kv_len, scores);

    size_t rows = tile_rows(s->kv_len), count = tile_count(queries, rows);
#pragma omp parallel for schedule(static) num_threads(kernels_threads()) if (count > 1)
    for (size_t index = 0; index < count; index++) {
        struct tile tile = tile_at(index, queries, rows);
        for (size_t i = tile.begin; i < tile.end; i++) {
            real *row = scores + i * s->kv_len;
            size_t seen = s->causal ? smaller(first + i + 1, s->kv_len) : s->kv_len;
            softmax(row, seen);
            for (size_t j = seen; j < s->kv_len; j++) row[j] = 0;
        }
    }
    kernel_round(format, scores, queries * s->kv_len, scores);
}

/* One head. q, k, v, y: its first element of the picture. */
static void attend(enum number_format format, const struct attention_shape *s, const struct plan *plan,
    const real *q, const real *k, const real *v, real *y, real *largest_score, real *scratch)
{
    const enum stored_type own = sizeof(real) == sizeof(double) ? STORED_F64 : STORED_F32;
    size_t stride = s->heads * s->dim;
    real *scores = scratch + plan->scores, *products = scratch + plan->products;
    const struct stored keys = {scratch + plan->k, own}, values = {scratch + plan->v, own};

    gather(format, k, s->kv_len, s, scratch + plan->k);
    vector_kernels()->transpose(v, stride, s->kv_len, s->dim, scratch + plan->v, s->kv_len);
    kernel_round(format, scratch + plan->v, s->kv_len * s->dim, scratch + plan->v);

    for (size_t first = 0; first < s->q_len; first += plan->queries) {
        size_t queries = smaller(s->q_len - first, plan->queries);
        struct linear_shape score = scoring(s, queries), mix = mixing(s, queries);
        real *mixed = scratch + plan->y;
        gather(format, q + first * stride, queries, s, scratch + plan->q);
        kernel_linear(&score, scratch + plan->q, keys, NULL, NULL, scores, products);
        vector_kernels()->multiply_constant(scores, (real)s->scale, queries * s->kv_len, scores);
        if (largest_score) *largest_score = largest_seen(s, first, queries, scores, *largest_score);
        weigh(format, s, first, queries, scores);
        kernel_linear(&mix, scores, values, NULL, NULL, mixed, products);
        if (format != FORMAT_TF32) kernel_round(format, mixed, queries * s->dim, mixed);
        for (size_t i = 0; i < queries; i++)
            memcpy(y + (first + i) * stride, mixed + i * s->dim, s->dim * sizeof *y);
    }
}

void kernel_attention_rounded(enum number_format format, const struct attention_shape *shape, const real *q,
    const real *k, const real *v, real *y, real *largest_score, real *scratch)
{
    struct plan plan = make_plan(shape);
    size_t stride = shape->heads * shape->dim;
    if (largest_score) *largest_score = 0;
    for (size_t picture = 0; picture < shape->batch; picture++)
        for (size_t head = 0; head < shape->heads; head++) {
            size_t queries = picture * shape->q_len * stride + head * shape->dim;
            size_t keys = picture * shape->kv_len * stride + head * shape->dim;
            attend(
                format, shape, &plan, q + queries, k + keys, v + keys, y + queries, largest_score, scratch);
        }
}
