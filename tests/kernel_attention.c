/*
 * Attention against its twin, which knows no tiles: shapes that no panel and no tile divides, several tiles
 * of keys, and scores that make the largest one move from tile to tile.
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"

#include <tgmath.h>
#include <stdlib.h>
#include <string.h>

/* batch, heads, q_len, kv_len, dim, causal, scale. A tile is 128 keys. */
static const struct attention_shape shapes[] = {
    {1, 1, 1, 1, 1, false, 1}, {1, 1, 3, 300, 1, false, 1}, /* one column: rows and columns look alike */
    {2, 3, 15, 7, 17, false, 0.25}, {1, 5, 64, 64, 40, false, 0.158113883}, /* self-attention, SD 1.x's dim */
    {2, 2, 100, 77, 64, false, 0.125},                                      /* cross-attention */
    {1, 1, 300, 300, 33, false, 0.174},                                     /* the decoder's single head */
    {1, 1, 31, 129, 300, false, 0.0577}, /* a head longer than one innermost product */
    {1, 4, 77, 77, 16, true, 1},         /* CLIP: q is scaled beforehand */
    {1, 1, 560, 560, 8, true, -0.35},    /* blocks of queries with different last keys */
    {1, 2, 33, 17, 15, true, 0.5},       /* more queries than keys */
    {1, 1, 17, 133, 7, true, 0.5},       /* fewer */
    {1, 1, 70, 4500, 4, false, 0.5},     /* many tiles */
    {1, 1, 9, 40, 5, true, 0},           /* all keys count the same */
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static size_t scratch_attention(const struct kernel_run *run)
{
    return kernel_attention_scratch(run->shape);
}

static void call_attention(const struct kernel_run *run, real *y, real *scratch)
{
    kernel_attention(run->shape, run->inputs[0], run->inputs[1], run->inputs[2], y, scratch);
}

/* Each score is off by at most d: its product's error, and the rounding of q scaled, of the scale and of the
 * difference from the largest score, each at most u of its size. So each weight is off by a factor in
 * [exp(-2 d), exp(2 d)] (once itself, once through the sum), and by a few roundings more: the exponential,
 * the factors when the largest score grows (one a tile), inverse, final product. */
static exact attention_bound(
    const struct attention_shape *s, enum input_kind kind, exact size, exact score_size)
{
    exact d = product_bound(kind, s->dim, score_size) + 4 * unit_roundoff() * score_size;
    exact roundings = 8 + 4 * (exact)(s->kv_len / 128);
    return size * (expm1(2 * d) + roundings * unit_roundoff()) +
           product_bound(kind, s->kv_len, size * exp(2 * d));
}

/* Judges a case that has its three inputs. */
static void check_case(struct kernel_case *c)
{
    const struct attention_shape *s = c->run.shape;
    exact *scores = checker_zeros(c->run.n * sizeof *scores);
    twin_attention(s, c->exacts[0], c->exacts[1], c->exacts[2], c->want, c->bound, scores);
    for (size_t i = 0; i < c->run.n; i++)
        c->bound[i] = attention_bound(s, c->run.kind, c->bound[i], scores[i]);
    case_check(c);
    free(scores);
}

static size_t count_queries(const struct attention_shape *s)
{
    return s->batch * s->q_len * s->heads * s->dim;
}

static size_t count_keys(const struct attention_shape *s)
{
    return s->batch * s->kv_len * s->heads * s->dim;
}

static void begin(struct checker *k, struct kernel_case *c, const struct attention_shape *s,
    enum input_kind kind, unsigned seed)
{
    const struct kernel_run run = {.k = k,
        .kind = kind,
        .seed = seed,
        .shape = s,
        .n = count_queries(s),
        .call = call_attention,
        .scratch = scratch_attention};
    case_begin(c, &run, "attention batch %zu, heads %zu, %zu by %zu, dim %zu%s", s->batch, s->heads, s->q_len,
        s->kv_len, s->dim, s->causal ? ", causal" : "");
}

/* With `causal`, only the queries take infinities and NaN: a weight of zero times an infinite value is NaN,
 * in PyTorch for every query, here for those of the value's own block. */
void check_attention_shape(
    struct checker *k, const struct attention_shape *s, enum input_kind kind, unsigned seed)
{
    if (too_large(k, 4 * count_queries(s) * s->kv_len)) return;
    bool finite = s->causal && (kind == INPUT_INFINITE || kind == INPUT_NAN);
    struct kernel_case c;
    begin(k, &c, s, kind, seed);
    case_input(&c, kind, count_queries(s));
    case_input(&c, finite ? INPUT_NORMAL : kind, count_keys(s));
    case_input(&c, finite ? INPUT_NORMAL : kind, count_keys(s));
    check_case(&c);
}

static void attention_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_attention_shape(k, &shapes[index], (enum input_kind)kind, 9000 + 100 * (unsigned)index);
}

/* How the scores go along the keys: what the first element of key j is (that of each query is 1). */
static double rising(size_t j)
{
    return 0.05 * (double)j;
}

static double falling(size_t j)
{
    return -0.05 * (double)j;
}

static double rising_and_falling(size_t j)
{
    return 20 * sin((double)j / 40);
}

static double one_far_above(size_t j)
{
    return j == 200 ? 0 : -1e4;
}

static double all_far_below(size_t j)
{
    return -1e4 - 0.01 * (double)(j % 100);
}

/* Whole tiles without a finite score, at the beginning and later. */
static double mostly_infinite(size_t j)
{
    return j % 300 == 299 ? 1 : -INFINITY;
}

static double nothing_finite(size_t j)
{
    (void)j;
    return -INFINITY;
}

static double (*const courses[])(size_t j) = {
    rising, falling, rising_and_falling, one_far_above, all_far_below, mostly_infinite, nothing_finite};
enum { COURSES = sizeof courses / sizeof *courses };

static void attention_maxima_cases(struct checker *k, size_t index)
{
    const struct attention_shape lengths[] = {
        {1, 1, 33, 1000, 6, false, 1}, {1, 2, 140, 640, 3, false, 0.5}, {1, 1, 333, 333, 5, true, 1}};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const struct attention_shape *s = &lengths[i];
        if (too_large(k, 4 * count_queries(s) * s->kv_len)) continue;
        struct kernel_case c;
        begin(k, &c, s, INPUT_NORMAL, 70 * i + (unsigned)index);
        for (int input = 0; input < 3; input++)
            case_input(&c, INPUT_NORMAL, input == 0 ? count_queries(s) : count_keys(s));
        for (size_t at = 0; at < count_queries(s); at += s->dim) c.exacts[0][at] = c.inputs[0][at] = 1;
        for (size_t at = 0; at < count_keys(s); at += s->dim)
            c.exacts[1][at] = c.inputs[1][at] = (real)courses[index](at / s->dim / s->heads);
        check_case(&c);
    }
}

/* What comes after a causal query does not matter: here the last key, which only the last query sees. */
static void ignores_the_future(struct checker *k, size_t index)
{
    const struct attention_shape shape = {1, 2, 40, 40, 8, true, 0.5};
    size_t n = count_queries(&shape), last = (shape.q_len - 1) * shape.heads * shape.dim, seen = 0;
    real *q = make_input(k, INPUT_NORMAL, (unsigned)index + 1, n);
    real *keys = make_input(k, INPUT_NORMAL, 2, n), *values = make_input(k, INPUT_NORMAL, 3, n);
    real *y = checker_memory(n * sizeof *y), *changed = checker_memory(n * sizeof *changed);
    real *scratch = checker_memory(kernel_attention_scratch(&shape) * sizeof *scratch);
    kernel_attention(&shape, q, keys, values, y, scratch);
    for (size_t i = last; i < n; i++) {
        keys[i] = (real)1e4;
        values[i] = -(real)1e4;
    }
    kernel_attention(&shape, q, keys, values, changed, scratch);
    const struct kernel_run run = {.k = k, .name = "causal attention", .n = last};
    check_equal_bits(&run, "future keys changed", changed, y);
    for (size_t i = last; i < n; i++) seen += changed[i] != y[i];
    if (seen != n - last) checker_fail(k, "causal attention: the last query does not see the last key");
    checker_count(k, run.name, 0);
    free(q), free(keys), free(values), free(y), free(changed), free(scratch);
}

static void scratch_does_not_grow(struct checker *k, size_t index)
{
    struct attention_shape shape = {2, 8, 4096, 77, 40, index == 1, 1};
    size_t few = kernel_attention_scratch(&shape);
    shape.kv_len = 1 << 20;
    if (kernel_attention_scratch(&shape) != few)
        checker_fail(k, "attention: the scratch grows with the keys");
    shape.q_len = 1 << 20;
    if (kernel_attention_scratch(&shape) != few)
        checker_fail(k, "attention: the scratch grows with the queries");
    checker_count(k, "scratch", 0);
}

static const struct kernel_group groups[] = {
    {"attention", "acc", attention_cases, SHAPES},
    {"attention", "acc", attention_maxima_cases, COURSES},
    {"attention_causal", "bit", ignores_the_future, 1},
    {"attention_scratch", "bit", scratch_does_not_grow, 2},
    {0},
};

const struct kernel_group *kernel_attention_groups(void)
{
    return groups;
}
