/*
 * The kernels with statistics: GroupNorm, LayerNorm, softmax.
 *
 * Bound of the norms: the statistics and the result are computed in double, with an error of about
 * (sqrt(n) + 16) 2^-53 of the largest magnitude, amplified by weight / deviation; then one rounding to the
 * working precision. SiLU, whose slope is at most 1.1, adds 3.2 ulp (kernels/elementary.h).
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct norm_shape {
    size_t batch, channels, size, groups;
    bool silu;
};

/* One number from its group's statistics. */
static void normalise_one(exact x, exact mean, exact inverse, exact largest, size_t n, exact weight,
    exact bias, bool silu, exact *want, exact *bound)
{
    exact y = (x - mean) * inverse * weight + bias;
    exact loss = (sqrtl((exact)n) + 16) * 0x1p-53L * (2 * largest * inverse * fabsl(weight) + fabsl(bias));
    *want = silu ? twin_silu(y) : y;
    *bound = (silu ? 1.1L : 1) * (loss + unit_roundoff() * fabsl(y)) + smallest_number();
    if (silu)
        *bound += (6.4L + (PLUMB_REAL_IS_DOUBLE ? 2 * fabsl(y) : 0)) * unit_roundoff() * fabsl(*want) +
                  4 * smallest_number();
}

static exact largest_of(const exact *x, size_t n)
{
    exact largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (fabsl(x[i]) > largest) largest = fabsl(x[i]);
    }
    return largest;
}

static const struct norm_shape group_shapes[] = {
    {1, 1, 1, 1, false}, {2, 32, 15, 32, true}, /* one channel a group */
    {1, 6, 7, 3, false}, {2, 24, 289, 8, true}, {1, 64, 1, 32, false}, {1, 8, 33 * 33, 2, true},
    {1, 2, 20000, 1, true}, /* more than one piece a channel */
};
enum { GROUP_SHAPES = sizeof group_shapes / sizeof *group_shapes };

static void call_group_norm(const struct kernel_run *run, real *y, real *scratch)
{
    const struct norm_shape *s = run->shape;
    (void)scratch;
    kernel_group_norm(run->inputs[0], s->batch, s->channels, s->size, s->groups, 1e-5, run->inputs[1],
        run->inputs[2], s->silu, y);
}

static void check_group_norm(const struct norm_shape *s, enum input_kind kind, unsigned seed)
{
    size_t n = s->batch * s->channels * s->size, per_group = s->channels / s->groups * s->size;
    real *x = make_input(kind, seed, n), *w = make_input(INPUT_NORMAL, seed + 1, s->channels);
    real *bias = make_input(INPUT_NORMAL, seed + 2, s->channels);
    exact *ex = make_exact(x, n), *want = calloc(n, sizeof *want), *bound = calloc(n, sizeof *bound);
    ck_assert(want != NULL && bound != NULL);

    for (size_t first = 0; first < n; first += per_group) {
        exact mean, inverse, largest = largest_of(ex + first, per_group);
        twin_statistics(ex + first, per_group, 1e-5, &mean, &inverse);
        for (size_t i = first; i < first + per_group; i++) {
            size_t c = i / s->size % s->channels;
            normalise_one(ex[i], mean, inverse, largest, per_group, (exact)w[c], (exact)bias[c], s->silu,
                want + i, bound + i);
        }
    }
    char name[100];
    snprintf(name, sizeof name, "group_norm [%zu, %zu, %zu] in %zu groups", s->batch, s->channels, s->size,
        s->groups);
    struct kernel_run run = {.name = name,
        .kind = kind,
        .seed = seed,
        .shape = s,
        .inputs = {x, w, bias},
        .n = n,
        .call = call_group_norm,
        .in_place = true};
    check_run(&run, want, bound);
    free(x), free(w), free(bias), free(ex), free(want), free(bound);
}

START_TEST(group_norm)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_group_norm(&group_shapes[_i], (enum input_kind)kind, 100 * (unsigned)_i + 1);
}
END_TEST

static const size_t row_shapes[][2] = {
    {1, 1}, {3, 7}, {5, 15}, {4, 16}, {33, 17}, {77, 64}, {700, 33}, {2, 1280}, {1, 20000}};
enum { ROW_SHAPES = sizeof row_shapes / sizeof *row_shapes };

static void call_layer_norm(const struct kernel_run *run, real *y, real *scratch)
{
    const size_t *shape = run->shape;
    (void)scratch;
    kernel_layer_norm(run->inputs[0], shape[0], shape[1], 1e-5, run->inputs[1], run->inputs[2], y);
}

static void check_layer_norm(const size_t shape[2], enum input_kind kind, unsigned seed)
{
    size_t channels = shape[1], n = shape[0] * channels;
    real *x = make_input(kind, seed, n), *w = make_input(INPUT_NORMAL, seed + 1, channels);
    real *bias = make_input(INPUT_NORMAL, seed + 2, channels);
    exact *ex = make_exact(x, n), *want = calloc(n, sizeof *want), *bound = calloc(n, sizeof *bound);
    ck_assert(want != NULL && bound != NULL);

    for (size_t first = 0; first < n; first += channels) {
        exact mean, inverse, largest = largest_of(ex + first, channels);
        twin_statistics(ex + first, channels, 1e-5, &mean, &inverse);
        for (size_t c = 0; c < channels; c++) {
            normalise_one(ex[first + c], mean, inverse, largest, channels, (exact)w[c], (exact)bias[c], false,
                want + first + c, bound + first + c);
        }
    }
    char name[100];
    snprintf(name, sizeof name, "layer_norm [%zu, %zu]", shape[0], shape[1]);
    struct kernel_run run = {.name = name,
        .kind = kind,
        .seed = seed,
        .shape = shape,
        .inputs = {x, w, bias},
        .n = n,
        .call = call_layer_norm,
        .in_place = true};
    check_run(&run, want, bound);
    free(x), free(w), free(bias), free(ex), free(want), free(bound);
}

START_TEST(layer_norm)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_layer_norm(row_shapes[_i], (enum input_kind)kind, 3000 + 100 * (unsigned)_i);
}
END_TEST

static void call_softmax(const struct kernel_run *run, real *y, real *scratch)
{
    const size_t *shape = run->shape;
    (void)scratch;
    kernel_softmax(run->inputs[0], shape[0], shape[1], y);
}

/* The relative error of exp(x - max), in units of u: |x - max| from rounding the difference, 2 from the
 * exponential. That of the sum is the weighted mean of its terms' (`sum_error`); the inverse and the product
 * add one each. */
static void check_softmax(const size_t shape[2], enum input_kind kind, unsigned seed)
{
    size_t columns = shape[1], n = shape[0] * columns;
    real *x = make_input(kind, seed, n);
    exact *ex = make_exact(x, n), *want = calloc(n, sizeof *want), *bound = calloc(n, sizeof *bound);
    ck_assert(want != NULL && bound != NULL);

    for (size_t first = 0; first < n; first += columns) {
        exact largest = -INFINITY, sum_error = 2;
        twin_softmax(ex + first, columns, want + first);
        for (size_t i = first; i < first + columns; i++) largest = ex[i] > largest ? ex[i] : largest;
        for (size_t i = first; i < first + columns; i++) {
            if (want[i] > 0) sum_error += want[i] * (largest - ex[i]);
        }
        for (size_t i = first; i < first + columns; i++) {
            exact units = want[i] > 0 ? largest - ex[i] + sum_error + 4 : 0;
            bound[i] = units * unit_roundoff() * want[i] + 2 * smallest_number();
        }
    }
    char name[100];
    snprintf(name, sizeof name, "softmax [%zu, %zu]", shape[0], shape[1]);
    struct kernel_run run = {.name = name,
        .kind = kind,
        .seed = seed,
        .shape = shape,
        .inputs = {x},
        .n = n,
        .call = call_softmax,
        .in_place = true};
    check_run(&run, want, bound);
    free(x), free(ex), free(want), free(bound);
}

START_TEST(softmax)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_softmax(row_shapes[_i], (enum input_kind)kind, 5000 + 100 * (unsigned)_i);
}
END_TEST

TCase *kernel_norms_tcase(void)
{
    TCase *tcase = tcase_create(PLUMB_REAL_IS_DOUBLE ? "norms, double" : "norms, float");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, group_norm, 0, GROUP_SHAPES);
    tcase_add_loop_test(tcase, layer_norm, 0, ROW_SHAPES);
    tcase_add_loop_test(tcase, softmax, 0, ROW_SHAPES);
    return tcase;
}
