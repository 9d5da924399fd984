#include "kernels/real.h"

#include "rounded_checks.h"
#include "support.h"

#include "kernels/rounded.h"
#include "ref/layers.h"
#include "ref/splitmix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Numbers ------------------------------------------------------------------------------ */

/* Uniform in -1 .. 1. */
static double number(size_t i, uint64_t seed)
{
    return (double)(int64_t)splitmix_finalise(splitmix_finalise(seed) + i * SPLITMIX_STEP) * 0x1p-63;
}

static real *numbers(size_t n, uint64_t seed, double scale)
{
    real *x = malloc((n + 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) x[i] = (real)(scale * number(i, seed));
    return x;
}

/* Where a format stores results; TF32's are float. */
static enum number_format stored(enum number_format format)
{
    return format == FORMAT_TF32 ? FORMAT_F32 : format;
}

static double unit(enum number_format format)
{
    return sizeof(real) == sizeof(double) ? 0x1p-53 : number_format_limits[format].unit_roundoff;
}

/* --- Kernels ------------------------------------------------------------------------------ */

static void check_geglu(enum number_format format)
{
    enum { ROWS = 7, INNER = 333 };
    real *x = numbers(ROWS * 2 * INNER, 1, 5), *y = numbers(ROWS * INNER, 2, 1), gate[INNER];
    kernel_round(format, x, ROWS * 2 * INNER, x);
    kernel_geglu_rounded(format, x, ROWS, INNER, y);
    for (size_t i = 0; i < ROWS; i++) {
        kernel_gelu(x + (2 * i + 1) * INNER, INNER, gate);
        for (size_t j = 0; j < INNER; j++) {
            real want = round_real(format, x[2 * i * INNER + j] * round_real(format, gate[j]));
            ck_assert_msg(y[i * INNER + j] == want, "%zu, %zu: %a and not %a", i, j, (double)y[i * INNER + j],
                (double)want);
        }
    }
    free(x);
    free(y);
}

/* batch, heads, q_len, kv_len, dim, causal, scale. A block is 512 queries. */
static const struct attention_shape attention_shapes[ATTENTION_SHAPES] = {
    {1, 1, 1, 1, 1, false, 1},
    {2, 3, 15, 130, 17, false, 0.25},
    {1, 2, 77, 77, 16, true, 1},
    {1, 1, 530, 200, 8, false, -0.35},
    {1, 1, 6, 3, 5, true, 0.5},
};

/* One query of one head by plain loops, sums in double: to `want` [dim]. k, v: the head's first rows. Returns
 * the largest magnitude of its scores. */
static double attend(enum number_format format, const struct attention_shape *s, size_t query, const real *q,
    const real *k, const real *v, real *want)
{
    size_t stride = s->heads * s->dim, seen = s->causal && query + 1 < s->kv_len ? query + 1 : s->kv_len;
    double scores[256], largest = -(double)INFINITY, magnitude = 0, sum = 0;
    for (size_t j = 0; j < seen; j++) {
        double product = 0;
        for (size_t d = 0; d < s->dim; d++)
            product += (double)round_real(format, q[d]) * (double)round_real(format, k[j * stride + d]);
        magnitude = fmax(magnitude, fabs(product * s->scale));
        scores[j] = (double)round_real(stored(format), (real)(product * s->scale));
        largest = fmax(largest, scores[j]);
    }
    for (size_t j = 0; j < seen; j++) sum += exp(scores[j] - largest);
    for (size_t d = 0; d < s->dim; d++) {
        double mixed = 0;
        for (size_t j = 0; j < seen; j++)
            mixed += (double)round_real(format, (real)(exp(scores[j] - largest) / sum)) *
                     (double)round_real(format, v[j * stride + d]);
        want[d] = round_real(stored(format), (real)mixed);
    }
    return magnitude;
}

/* The two differ in how they sum, by a few units of float. That moves a number that is to be rounded to the
 * other side of a middle in about one of a thousand cases, and then by a unit of the format: a score by its
 * own size, which moves the result by twice that. So nearly all results are the same bits, which they are
 * not where one rounding is left out, and none is further off than a few units. */
static void check_attention(enum number_format format, int shape)
{
    const struct attention_shape *s = &attention_shapes[shape];
    size_t width = s->heads * s->dim, n = s->batch * s->q_len * width, m = s->batch * s->kv_len * width;
    real *q = numbers(n, 3, 2), *k = numbers(m, 4, 2), *v = numbers(m, 5, 1), *y = numbers(n, 6, 1);
    real *scratch = numbers(kernel_attention_rounded_scratch(s), 7, 1), *want = numbers(n, 8, 1);
    real largest_score = -1;
    kernel_attention_rounded(format, s, q, k, v, y, &largest_score, scratch);

    double largest = 0;
    for (size_t row = 0; row < s->batch * s->q_len; row++)
        for (size_t head = 0; head < s->heads; head++) {
            size_t picture = row / s->q_len, keys = picture * s->kv_len * width + head * s->dim;
            size_t at = row * width + head * s->dim;
            double score = attend(format, s, row % s->q_len, q + at, k + keys, v + keys, want + at);
            largest = fmax(largest, score);
        }
    ck_assert_double_eq_tol((double)largest_score, largest, 1e-5 * largest);

    size_t equal = 0;
    double float_unit = unit(FORMAT_F32) * (4 + (double)s->dim + 2 * largest);
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)y[i] - (double)want[i]);
        equal += off <= 8 * float_unit;
        ck_assert_msg(off <= (4 + 2 * largest) * unit(format) + 8 * float_unit, "%zu: %a and not %a", i,
            (double)y[i], (double)want[i]);
    }
    ck_assert_msg((double)equal >= 0.85 * (double)n, "%zu of %zu are equal", equal, n);
    real *all[] = {q, k, v, y, scratch, want};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* --- Layers ------------------------------------------------------------------------------- */

static struct error error;

static struct forward begin(enum number_format format)
{
    struct forward f = {.error = &error, .format = format};
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &error), STATUS_OK);
    return f;
}

static void end(struct forward *f)
{
    ck_assert_msg(f->status == STATUS_OK, "%s", error.message);
    arena_free(f->arena);
}

/* Multiples of `grain` from -2 to 2, or any numbers between where it is 0. */
static struct tensor values(struct forward *f, double grain, uint64_t seed, int rank, const int64_t *shape)
{
    struct tensor x = forward_tensor(f, rank, shape);
    ck_assert_ptr_nonnull(x.data);
    for (size_t i = 0; i < tensor_count(&x); i++) {
        double value = 2 * number(i, seed);
        ((real *)x.data)[i] = (real)(grain > 0 ? grain * round(value / grain) : value);
    }
    return x;
}

/* What the layers below take. */
struct operands {
    struct tensor tokens, wide, picture, shift; /* [2, 3, 9], [2, 3, 10], [2, 4, 5, 6], [2, 4] */
    struct linear linear;                       /* 9 to 10 */
    struct conv2d conv2d;                       /* 4 to 4, 3x3 */
    struct norm group_norm, layer_norm;
};

static struct operands make_operands(struct forward *f, double grain)
{
    struct operands o = {
        .tokens = values(f, grain, 11, 3, (int64_t[]){2, 3, 9}),
        .wide = values(f, grain, 12, 3, (int64_t[]){2, 3, 10}),
        .picture = values(f, grain, 13, 4, (int64_t[]){2, 4, 5, 6}),
        .shift = values(f, grain, 14, 2, (int64_t[]){2, 4}),
        .linear = {values(f, grain, 15, 2, (int64_t[]){10, 9}), values(f, grain, 16, 1, (int64_t[]){10})},
        .conv2d = {values(f, grain, 17, 4, (int64_t[]){4, 4, 3, 3}), values(f, grain, 18, 1, (int64_t[]){4}),
            1, 1, 1, 1, 1},
        .group_norm = {values(f, grain, 19, 1, (int64_t[]){4}), values(f, grain, 20, 1, (int64_t[]){4}), 2,
            1e-5},
        .layer_norm = {values(f, grain, 21, 1, (int64_t[]){9}), values(f, grain, 22, 1, (int64_t[]){9}), 0,
            1e-5},
    };
    return o;
}

static struct tensor copy(struct forward *f, struct tensor x)
{
    struct tensor y = forward_tensor(f, x.rank, x.shape);
    memcpy(y.data, x.data, tensor_bytes(&x));
    return y;
}

static struct tensor rounded(struct forward *f, enum number_format format, struct tensor x)
{
    struct tensor y = copy(f, x);
    kernel_round(format, y.data, tensor_count(&y), y.data);
    return y;
}

static void expect_same(struct tensor got, struct tensor want, const char *what)
{
    ck_assert_msg(tensor_same_shape(&got, &want), "%s", what);
    for (size_t i = 0; i < tensor_count(&got); i++)
        ck_assert_msg(((real *)got.data)[i] == ((real *)want.data)[i], "%s: element %zu: %a and not %a", what,
            i, (double)((real *)got.data)[i], (double)((real *)want.data)[i]);
}

/* Every layer that makes sums of products, in some order: to results[], whose count is returned. */
static size_t run_products(struct forward *f, const struct operands *o, struct tensor results[16])
{
    size_t n = 0;
    results[n++] = linear(f, o->tokens, &o->linear);
    results[n++] = linear_onto(f, o->tokens, &o->linear, copy(f, o->wide));
    results[n++] = conv2d(f, o->picture, &o->conv2d);
    results[n++] = conv2d_onto(f, o->picture, &o->conv2d, copy(f, o->picture));
    results[n++] = conv2d_added(f, o->picture, &o->conv2d, o->picture);
    results[n++] = conv2d_shifted(f, o->picture, &o->conv2d, o->shift);
    results[n++] = conv2d_of_doubled(f, o->picture, &o->conv2d);
    results[n++] = add(f, o->tokens, o->tokens);
    results[n++] = multiply(f, o->tokens, 4);
    struct tensor one = o->wide; /* of one token: the softmax is 1 */
    one.shape[1] = 1;
    results[n++] = attention(f, one, one, one, 2, 0.5, false);
    return n;
}

/* Integers from -2 to 2: the longest sum, of 36 products with a bias and two more, is at most 150, and
 * bfloat16 has all integers to 256. */
static void check_exact_layers(enum number_format format)
{
    struct forward plain = begin(FORMAT_F32), f = begin(format);
    struct operands o = make_operands(&plain, 1);
    struct tensor want[16], got[16];
    size_t count = run_products(&plain, &o, want);
    ck_assert_uint_eq(run_products(&f, &o, got), count);
    for (size_t i = 0; i < count; i++) {
        char what[32];
        snprintf(what, sizeof what, "layer %zu", i);
        expect_same(got[i], want[i], what);
    }
    end(&plain);
    end(&f);
}

/* Each fused layer is what its parts are, whose weights are rounded before (with TF32 the matrices alone)
 * and whose results are rounded one after the other; with TF32 what goes into a product is rounded for it. */
static void check_layers(enum number_format format)
{
    struct forward p = begin(FORMAT_F32), f = begin(format);
    struct operands o = make_operands(&p, 0);
    enum number_format store = stored(format);
    o.tokens = rounded(&p, store, o.tokens);
    o.wide = rounded(&p, store, o.wide);
    o.picture = rounded(&p, store, o.picture);
    o.shift = rounded(&p, store, o.shift);
    struct linear l = {rounded(&p, format, o.linear.weight), rounded(&p, store, o.linear.bias)};
    struct conv2d c = o.conv2d;
    c.weight = rounded(&p, format, c.weight);
    c.bias = rounded(&p, store, c.bias);
    struct norm g = o.group_norm, n = o.layer_norm;
    struct tensor *vectors[] = {&g.weight, &g.bias, &n.weight, &n.bias};
    for (size_t i = 0; i < 4; i++) *vectors[i] = rounded(&p, store, *vectors[i]);
    struct tensor tokens = rounded(&p, format, o.tokens), picture = rounded(&p, format, o.picture);

    struct tensor line = rounded(&p, store, linear(&p, tokens, &l));
    expect_same(linear(&f, o.tokens, &o.linear), line, "linear");
    expect_same(linear_gelu(&f, o.tokens, &o.linear), rounded(&p, store, gelu(&p, line)), "linear_gelu");
    expect_same(linear_quick_gelu(&f, o.tokens, &o.linear), rounded(&p, store, quick_gelu(&p, line)),
        "linear_quick_gelu");
    expect_same(linear_onto(&f, o.tokens, &o.linear, copy(&f, o.wide)),
        rounded(&p, store, add(&p, o.wide, line)), "linear_onto");
    struct tensor gated = forward_tensor(&p, 3, (int64_t[]){2, 3, 5});
    if (store == FORMAT_F32)
        kernel_geglu(line.data, 6, 5, gated.data);
    else
        kernel_geglu_rounded(store, line.data, 6, 5, gated.data);
    expect_same(linear_geglu(&f, o.tokens, &o.linear), gated, "linear_geglu");

    struct tensor convolved = rounded(&p, store, conv2d(&p, picture, &c));
    expect_same(conv2d(&f, o.picture, &o.conv2d), convolved, "conv2d");
    struct tensor added = rounded(&p, store, add(&p, convolved, o.picture));
    expect_same(conv2d_added(&f, o.picture, &o.conv2d, o.picture), added, "conv2d_added");
    expect_same(conv2d_onto(&f, o.picture, &o.conv2d, copy(&f, o.picture)), added, "conv2d_onto");
    expect_same(conv2d_shifted(&f, o.picture, &o.conv2d, o.shift),
        rounded(&p, store, add_channels(&p, convolved, o.shift)), "conv2d_shifted");

    struct tensor normed = rounded(&p, store, group_norm(&p, o.picture, &g, false));
    expect_same(group_norm(&f, o.picture, &o.group_norm, false), normed, "group_norm");
    struct tensor active = rounded(&p, store, silu(&p, normed));
    expect_same(group_norm(&f, o.picture, &o.group_norm, true), active, "group_norm_silu");
    expect_same(group_norm_over(&f, copy(&f, o.picture), &o.group_norm, true), active, "group_norm_over");
    expect_same(layer_norm(&f, o.tokens, &o.layer_norm), rounded(&p, store, layer_norm(&p, o.tokens, &n)),
        "layer_norm");
    expect_same(multiply(&f, o.tokens, 0.3), rounded(&p, store, multiply(&p, o.tokens, 0.3)), "multiply");

    if (sizeof(real) == sizeof(float) && format != FORMAT_F32) { /* otherwise another algorithm, as it is */
        struct tensor larger = upsample_nearest(&p, picture, 10, 12);
        expect_same(conv2d_of_doubled(&f, o.picture, &o.conv2d), rounded(&p, store, conv2d(&p, larger, &c)),
            "conv2d_of_doubled");
    }
    end(&p);
    end(&f);
}

const struct rounded_checks KERNEL_NAME(rounded_checks) = {
    .check_geglu = check_geglu,
    .check_attention = check_attention,
    .check_exact_layers = check_exact_layers,
    .check_layers = check_layers,
};
