/*
 * The kernels that take each number by itself: activations, sums, transpose, enlargement, conversions.
 * Lengths are odd tails of vectors and of tiles. tests/test_elementary.c looks at the functions themselves,
 * float by float.
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"

#include <tgmath.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t lengths[] = {1, 7, 8, 15, 16, 17, 31, 33, 1000, 16384, 40001};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

typedef void activation(const real *x, size_t n, real *y);

/* `argument`: the largest magnitude of the exponent's argument for x, which multiplies the argument's
 * relative error in the double build; the float functions correct it and are within `ulp`, or within
 * 2^-120. */
static exact square_argument(exact x)
{
    return x * x / 2;
}

static exact tanh_argument(exact x)
{
    return (exact)1.6L * (fabs(x) + (exact)0.045L * fabs(x * x * x));
}

static exact linear_argument(exact x)
{
    return (exact)1.702L * fabs(x);
}

static const struct {
    const char *name;
    activation *kernel;
    exact (*twin)(exact x);
    exact (*argument)(exact x);
    exact ulp;
} activations[] = {
    {"silu", kernel_silu, twin_silu, linear_argument, (exact)2.5L},
    {"gelu", kernel_gelu, twin_gelu, square_argument, (exact)6.6L},
    {"gelu_tanh", kernel_gelu_tanh, twin_gelu_tanh, tanh_argument, (exact)2.5L},
    {"quick_gelu", kernel_quick_gelu, twin_quick_gelu, linear_argument, (exact)2.5L},
};

/* An ulp is at most 2 u |y|. Double: libm within 1 ulp, half a dozen roundings, and the argument's. */
static exact activation_bound(size_t which, exact x)
{
    exact y = activations[which].twin(x);
    if (!isfinite(y)) return 0;
    exact units = PLUMB_REAL_IS_DOUBLE ? 4 * activations[which].argument(x) + 12 : 2 * activations[which].ulp;
    if (y == 0) units = 0;
    exact least = PLUMB_REAL_IS_DOUBLE ? (2 + units / 4) * smallest_number() : (exact)0x1p-120;
    return units * unit_roundoff() * fabs(y) + (y == 0 ? 0 : least);
}

static void call_activation(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    activations[*(const size_t *)run->shape].kernel(run->inputs[0], run->n, y);
}

static void check_activation(struct checker *k, size_t which, size_t n, enum input_kind kind, unsigned seed)
{
    real *x = make_input(k, kind, seed, n);
    exact *want = checker_zeros(n * sizeof *want), *bound = checker_zeros(n * sizeof *bound);
    for (size_t i = 0; i < n; i++) {
        if (kind == INPUT_NORMAL) x[i] *= 4;
        want[i] = activations[which].twin((exact)x[i]);
        bound[i] = activation_bound(which, (exact)x[i]);
    }
    char name[80];
    snprintf(name, sizeof name, "%s of %zu", activations[which].name, n);
    struct kernel_run run = {.k = k,
        .name = name,
        .kind = kind,
        .seed = seed,
        .shape = &which,
        .inputs = {x},
        .n = n,
        .call = call_activation,
        .in_place = true};
    check_run(&run, want, bound);
    free(x), free(want), free(bound);
}

static void check_activation_kinds(struct checker *k, size_t which, size_t index)
{
    if (too_large(k, lengths[index])) return;
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_activation(k, which, lengths[index], (enum input_kind)kind, 10 * (unsigned)index + 1);
}

static void silu_cases(struct checker *k, size_t index)
{
    check_activation_kinds(k, 0, index);
}

static void gelu_cases(struct checker *k, size_t index)
{
    check_activation_kinds(k, 1, index);
}

static void gelu_tanh_cases(struct checker *k, size_t index)
{
    check_activation_kinds(k, 2, index);
}

static void quick_gelu_cases(struct checker *k, size_t index)
{
    check_activation_kinds(k, 3, index);
}

static const size_t geglu_shapes[][2] = {{1, 1}, {3, 7}, {5, 17}, {77, 160}, {33, 15}, {2, 20000}};
enum { GEGLU_SHAPES = sizeof geglu_shapes / sizeof *geglu_shapes };

static void call_geglu(const struct kernel_run *run, real *y, real *scratch)
{
    const size_t *shape = run->shape;
    (void)scratch;
    kernel_geglu(run->inputs[0], shape[0], shape[1], y);
}

static void geglu_cases(struct checker *k, size_t index)
{
    const size_t rows = geglu_shapes[index][0], inner = geglu_shapes[index][1], n = rows * inner;
    if (too_large(k, n)) return;
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        real *x = make_input(k, (enum input_kind)kind, 77, 2 * n);
        exact *want = checker_zeros(n * sizeof *want), *bound = checker_zeros(n * sizeof *bound);
        for (size_t i = 0; i < n; i++) {
            exact value = (exact)x[i / inner * 2 * inner + i % inner];
            exact gate = (exact)x[i / inner * 2 * inner + inner + i % inner];
            want[i] = value * twin_gelu(gate);
            bound[i] =
                fabs(value) * activation_bound(1, gate) + unit_roundoff() * fabs(want[i]) + smallest_number();
        }
        struct kernel_run run = {.k = k,
            .name = "geglu",
            .kind = (enum input_kind)kind,
            .seed = 77,
            .shape = geglu_shapes[index],
            .inputs = {x},
            .n = n,
            .call = call_geglu};
        check_run(&run, want, bound);
        free(x), free(want), free(bound);
    }
}

/* The rest is exact: one rounding, or none. `want` is rounded already. */
static void check_exact(struct kernel_run *run, const real *want)
{
    exact *wide = make_exact(want, run->n), *bound = checker_zeros(run->n * sizeof *bound);
    check_run(run, wide, bound);
    free(wide), free(bound);
}

static void call_add(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    kernel_add(run->inputs[0], run->inputs[1], run->n, y);
}

static void add_cases(struct checker *k, size_t index)
{
    size_t n = lengths[index];
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        real *a = make_input(k, (enum input_kind)kind, 5, n), *b = make_input(k, (enum input_kind)kind, 6, n);
        real *want = checker_memory(n * sizeof *want);
        for (size_t i = 0; i < n; i++) want[i] = a[i] + b[i];
        struct kernel_run run = {.k = k,
            .name = "add",
            .kind = (enum input_kind)kind,
            .seed = 5,
            .inputs = {a, b},
            .n = n,
            .call = call_add,
            .in_place = true};
        check_exact(&run, want);
        free(a), free(b), free(want);
    }
}

/* The shapes of the four kernels that move numbers about: planes (or pictures), height, width, height and
 * width of the enlargement. */
struct move_shape {
    size_t planes, height, width, out_height, out_width;
};
static const struct move_shape move_shapes[] = {
    {1, 1, 1, 2, 2},
    {3, 7, 15, 14, 30},
    {2, 17, 33, 33, 65}, /* to the size of a skip tensor, not the double */
    {1, 64, 40, 127, 79},
    {5, 33, 7, 7, 5}, /* and smaller */
    {2, 150, 130, 300, 260},
};
enum { MOVE_SHAPES = sizeof move_shapes / sizeof *move_shapes };

static void call_add_channels(const struct kernel_run *run, real *y, real *scratch)
{
    const struct move_shape *s = run->shape;
    (void)scratch;
    memcpy(y, run->inputs[0], run->n * sizeof *y);
    kernel_add_channels(y, run->inputs[1], s->planes, s->height, s->width);
}

static void check_add_channels(struct checker *k, const struct move_shape *s, enum input_kind kind)
{
    size_t rows = s->planes * s->height, n = rows * s->width;
    real *x = make_input(k, kind, 8, n), *v = make_input(k, kind, 9, rows),
         *want = checker_memory(n * sizeof *want);
    for (size_t i = 0; i < n; i++) want[i] = x[i] + v[i / s->width];
    struct kernel_run run = {.k = k,
        .name = "add_channels",
        .kind = kind,
        .seed = 8,
        .shape = s,
        .inputs = {x, v},
        .n = n,
        .call = call_add_channels};
    check_exact(&run, want);
    free(x), free(v), free(want);
}

static void call_transpose(const struct kernel_run *run, real *y, real *scratch)
{
    const struct move_shape *s = run->shape;
    (void)scratch;
    kernel_transpose(run->inputs[0], s->planes, s->height, s->width, y);
}

static void check_transpose(struct checker *k, const struct move_shape *s, enum input_kind kind)
{
    size_t n = s->planes * s->height * s->width, at = 0;
    real *x = make_input(k, kind, 10, n), *want = checker_memory(n * sizeof *want);
    for (size_t b = 0; b < s->planes; b++) {
        for (size_t j = 0; j < s->width; j++) {
            for (size_t i = 0; i < s->height; i++) want[at++] = x[(b * s->height + i) * s->width + j];
        }
    }
    struct kernel_run run = {.k = k,
        .name = "transpose",
        .kind = kind,
        .seed = 10,
        .shape = s,
        .inputs = {x},
        .n = n,
        .call = call_transpose};
    check_exact(&run, want);
    free(x), free(want);
}

static void call_upsample(const struct kernel_run *run, real *y, real *scratch)
{
    const struct move_shape *s = run->shape;
    (void)scratch;
    kernel_upsample_nearest(run->inputs[0], s->planes, s->height, s->width, s->out_height, s->out_width, y);
}

static void check_upsample_nearest(struct checker *k, const struct move_shape *s, enum input_kind kind)
{
    size_t n = s->planes * s->out_height * s->out_width, at = 0;
    real *x = make_input(k, kind, 11, s->planes * s->height * s->width),
         *want = checker_memory(n * sizeof *want);
    for (size_t p = 0; p < s->planes; p++) {
        for (size_t i = 0; i < s->out_height; i++) {
            for (size_t j = 0; j < s->out_width; j++) {
                size_t row = (size_t)floor((double)(i * s->height) / (double)s->out_height);
                size_t column = (size_t)floor((double)(j * s->width) / (double)s->out_width);
                want[at++] = x[(p * s->height + row) * s->width + column];
            }
        }
    }
    struct kernel_run run = {.k = k,
        .name = "upsample_nearest",
        .kind = kind,
        .seed = 11,
        .shape = s,
        .inputs = {x},
        .n = n,
        .call = call_upsample};
    check_exact(&run, want);
    free(x), free(want);
}

static void add_channels_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_add_channels(k, &move_shapes[index], (enum input_kind)kind);
}

static void transpose_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_transpose(k, &move_shapes[index], (enum input_kind)kind);
}

static void upsample_nearest_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_upsample_nearest(k, &move_shapes[index], (enum input_kind)kind);
}

/* Conversions. The input stands at an odd address; `shape` is which one. */
typedef void conversion(const void *x, size_t n, real *y);

/* binary16 by its definition: (-1)^s 2^(e-15) 1.f, subnormal 2^-14 0.f, e = 31 infinite or NaN. */
static real half_by_definition(uint32_t bits)
{
    int e = (int)(bits >> 10 & 31), f = (int)(bits & 1023);
    double magnitude =
        e == 31 ? (f != 0 ? NAN : INFINITY) : ldexp(e == 0 ? f : 1024 + f, (e == 0 ? 1 : e) - 25);
    return (real)copysign(magnitude, (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

/* The float with these bits, by its definition. */
static real float_by_definition(uint32_t bits)
{
    int e = (int)(bits >> 23 & 255), f = (int)(bits & 0x7fffff);
    double magnitude =
        e == 255 ? (f != 0 ? NAN : INFINITY) : ldexp(e == 0 ? f : 0x800000 + f, (e == 0 ? 1 : e) - 150);
    return (real)copysign(magnitude, (bits & 0x80000000) != 0 ? -1.0 : 1.0);
}

static real bfloat_by_definition(uint32_t bits)
{
    return float_by_definition(bits << 16);
}

static const struct {
    const char *name;
    conversion *kernel;
    real (*definition)(uint32_t bits);
    size_t bytes;
} conversions[] = {
    {"from_f16", kernel_from_f16, half_by_definition, 2},
    {"from_bf16", kernel_from_bf16, bfloat_by_definition, 2},
    {"from_f32", kernel_from_f32, float_by_definition, 4},
};

struct conversion_input {
    size_t which;
    const unsigned char *bytes;
};

static void call_conversion(const struct kernel_run *run, real *y, real *scratch)
{
    const struct conversion_input *input = run->shape;
    (void)scratch;
    conversions[input->which].kernel(input->bytes, run->n, y);
}

/* Every pattern of 16 bits; of 32 bits, 65536 spread over all. Then each short length. */
static void check_conversion(struct checker *k, size_t index)
{
    enum { PATTERNS = 65536 };
    size_t bytes = conversions[index].bytes;
    unsigned char *stored = checker_memory(1 + PATTERNS * bytes);
    real *want = checker_memory(PATTERNS * sizeof *want);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        uint32_t bits = bytes == 2 ? i : i * 65537u;
        for (size_t b = 0; b < bytes; b++) stored[1 + i * bytes + b] = (unsigned char)(bits >> 8 * b);
        want[i] = conversions[index].definition(bits);
    }
    for (size_t n = PATTERNS; n > 0; n = n > 40 ? 40 : n - 1) {
        struct conversion_input input = {index, stored + 1};
        struct kernel_run run = {
            .k = k, .name = conversions[index].name, .shape = &input, .n = n, .call = call_conversion};
        check_exact(&run, want);
        real *y = checker_memory(n * sizeof *y); /* zeros keep their signs */
        conversions[index].kernel(stored + 1, n, y);
        check_equal_bits(&run, "by definition", y, want);
        free(y);
    }
    free(stored), free(want);
}

static void from_f16_cases(struct checker *k, size_t index)
{
    check_conversion(k, index);
}

static void from_bf16_cases(struct checker *k, size_t index)
{
    check_conversion(k, 1 + index);
}

static void from_f32_cases(struct checker *k, size_t index)
{
    check_conversion(k, 2 + index);
}

static const struct kernel_group groups[] = {
    {"silu", "ulp", silu_cases, LENGTHS},
    {"gelu", "ulp", gelu_cases, LENGTHS},
    {"gelu_tanh", "ulp", gelu_tanh_cases, LENGTHS},
    {"quick_gelu", "ulp", quick_gelu_cases, LENGTHS},
    {"geglu", "ulp", geglu_cases, GEGLU_SHAPES},
    {"add", "bit", add_cases, LENGTHS},
    {"add_channels", "bit", add_channels_cases, MOVE_SHAPES},
    {"transpose", "bit", transpose_cases, MOVE_SHAPES},
    {"upsample_nearest", "bit", upsample_nearest_cases, MOVE_SHAPES},
    {"from_f16", "bit", from_f16_cases, 1},
    {"from_bf16", "bit", from_bf16_cases, 1},
    {"from_f32", "bit", from_f32_cases, 1},
    {0},
};

const struct kernel_group *kernel_elements_groups(void)
{
    return groups;
}
