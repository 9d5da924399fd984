/*
 * The kernels with statistics: GroupNorm, LayerNorm.
 *
 * Bound of the norms: the statistics and the result are computed in double, with an error of about
 * (sqrt(n) + 16) 2^-53 of the largest magnitude, amplified by weight / deviation; then one rounding to the
 * working precision. SiLU, whose slope is at most 1.1, adds 2.5 ulp (kernels/elementary.h).
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"

#include <tgmath.h>

struct norm_shape {
    size_t batch, channels, size, groups;
    bool silu;
};

/* One number from its group's statistics. */
static void normalise_one(exact x, exact mean, exact inverse, exact largest, size_t n, exact weight,
    exact bias, bool silu, exact *want, exact *bound)
{
    exact y = (x - mean) * inverse * weight + bias;
    exact loss = (sqrt((exact)n) + 16) * (exact)0x1p-53 * (2 * largest * inverse * fabs(weight) + fabs(bias));
    *want = silu ? twin_silu(y) : y;
    *bound = (silu ? (exact)1.1L : (exact)1) * (loss + unit_roundoff() * fabs(y)) + smallest_number();
    if (silu)
        *bound += (5 + (PLUMB_REAL_IS_DOUBLE ? 2 * fabs(y) : 0)) * unit_roundoff() * fabs(*want) +
                  (PLUMB_REAL_IS_DOUBLE ? 4 * smallest_number() : (exact)0x1p-120);
}

static exact largest_of(const exact *x, size_t n)
{
    exact largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (fabs(x[i]) > largest) largest = fabs(x[i]);
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

static void check_group_norm(
    struct checker *k, const struct norm_shape *s, enum input_kind kind, unsigned seed)
{
    size_t n = s->batch * s->channels * s->size, per_group = s->channels / s->groups * s->size;
    const struct kernel_run run = {
        .k = k, .kind = kind, .seed = seed, .shape = s, .n = n, .call = call_group_norm, .in_place = true};
    struct kernel_case c;
    case_begin(
        &c, &run, "group_norm [%zu, %zu, %zu] in %zu groups", s->batch, s->channels, s->size, s->groups);
    case_input(&c, kind, n);
    case_input(&c, INPUT_NORMAL, s->channels);
    case_input(&c, INPUT_NORMAL, s->channels);
    const exact *x = c.exacts[0], *w = c.exacts[1], *bias = c.exacts[2];
    for (size_t first = 0; first < n; first += per_group) {
        exact mean, inverse, largest = largest_of(x + first, per_group);
        twin_statistics(x + first, per_group, 1e-5, &mean, &inverse);
        for (size_t i = first; i < first + per_group; i++) {
            size_t channel = i / s->size % s->channels;
            normalise_one(x[i], mean, inverse, largest, per_group, w[channel], bias[channel], s->silu,
                c.want + i, c.bound + i);
        }
    }
    case_check(&c);
}

void check_group_norm_shape(
    struct checker *k, size_t batch, size_t channels, size_t size, enum input_kind kind, unsigned seed)
{
    const struct norm_shape shape = {batch, channels, size, 32, true};
    check_group_norm(k, &shape, kind, seed);
}

static void group_norm_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_group_norm(k, &group_shapes[index], (enum input_kind)kind, 100 * (unsigned)index + 1);
}

static const size_t row_shapes[][2] = {
    {1, 1}, {3, 7}, {5, 15}, {4, 16}, {33, 17}, {77, 64}, {700, 33}, {2, 1280}, {1, 20000}};
enum { ROW_SHAPES = sizeof row_shapes / sizeof *row_shapes };

static void call_layer_norm(const struct kernel_run *run, real *y, real *scratch)
{
    const size_t *shape = run->shape;
    (void)scratch;
    kernel_layer_norm(run->inputs[0], shape[0], shape[1], 1e-5, run->inputs[1], run->inputs[2], y);
}

static void check_layer_norm(struct checker *k, const size_t shape[2], enum input_kind kind, unsigned seed)
{
    size_t channels = shape[1], n = shape[0] * channels;
    const struct kernel_run run = {.k = k,
        .kind = kind,
        .seed = seed,
        .shape = shape,
        .n = n,
        .call = call_layer_norm,
        .in_place = true};
    struct kernel_case c;
    case_begin(&c, &run, "layer_norm [%zu, %zu]", shape[0], shape[1]);
    case_input(&c, kind, n);
    case_input(&c, INPUT_NORMAL, channels);
    case_input(&c, INPUT_NORMAL, channels);
    const exact *x = c.exacts[0], *w = c.exacts[1], *bias = c.exacts[2];
    for (size_t first = 0; first < n; first += channels) {
        exact mean, inverse, largest = largest_of(x + first, channels);
        twin_statistics(x + first, channels, 1e-5, &mean, &inverse);
        for (size_t i = 0; i < channels; i++) {
            normalise_one(x[first + i], mean, inverse, largest, channels, w[i], bias[i], false,
                c.want + first + i, c.bound + first + i);
        }
    }
    case_check(&c);
}

void check_layer_norm_shape(
    struct checker *k, size_t rows, size_t channels, enum input_kind kind, unsigned seed)
{
    const size_t shape[2] = {rows, channels};
    check_layer_norm(k, shape, kind, seed);
}

static void layer_norm_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_layer_norm(k, row_shapes[index], (enum input_kind)kind, 3000 + 100 * (unsigned)index);
}

static const struct kernel_group groups[] = {
    {"group_norm", "ulp", group_norm_cases, GROUP_SHAPES},
    {"layer_norm", "ulp", layer_norm_cases, ROW_SHAPES},
    {0},
};

const struct kernel_group *kernel_norms_groups(void)
{
    return groups;
}
