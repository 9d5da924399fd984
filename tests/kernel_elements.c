/*
 * The kernels that take each number by itself: activations, sums, transpose, enlargement, conversions.
 * Lengths are odd tails of vectors and of tiles. tests/test_elementary.c looks at the functions themselves,
 * float by float.
 */
#include "kernels/real.h"

#include "tests/kernel_check.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t lengths[] = {1, 7, 8, 15, 16, 17, 31, 33, 1000, 16384, 40001};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

typedef void activation(const real *x, size_t n, real *y);

/* `argument`: the largest magnitude of the exponent's argument for x, which multiplies the argument's
 * relative error in the double build; the float functions correct it and are within `ulp`, or within 2^-120.
 */
static exact square_argument(exact x)
{
    return x * x / 2;
}

static exact tanh_argument(exact x)
{
    return 1.6L * (fabsl(x) + 0.045L * fabsl(x * x * x));
}

static exact linear_argument(exact x)
{
    return 1.702L * fabsl(x);
}

static const struct {
    const char *name;
    activation *kernel;
    exact (*twin)(exact x);
    exact (*argument)(exact x);
    exact ulp;
} activations[] = {
    {"silu", kernel_silu, twin_silu, linear_argument, 2.5L},
    {"gelu", kernel_gelu, twin_gelu, square_argument, 6.6L},
    {"gelu_tanh", kernel_gelu_tanh, twin_gelu_tanh, tanh_argument, 2.5L},
    {"quick_gelu", kernel_quick_gelu, twin_quick_gelu, linear_argument, 2.5L},
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

/* An ulp is at most 2 u |y|. Double: libm within 1 ulp, half a dozen roundings, and the argument's. */
static exact activation_bound(size_t which, exact x)
{
    exact y = activations[which].twin(x);
    if (!isfinite(y)) return 0;
    exact units = PLUMB_REAL_IS_DOUBLE ? 4 * activations[which].argument(x) + 12 : 2 * activations[which].ulp;
    if (y == 0) units = 0;
    exact least = PLUMB_REAL_IS_DOUBLE ? (2 + units / 4) * smallest_number() : 0x1p-120L;
    return units * unit_roundoff() * fabsl(y) + (y == 0 ? 0 : least);
}

static void call_activation(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    activations[*(const size_t *)run->shape].kernel(run->inputs[0], run->n, y);
}

static void check_activation(size_t which, size_t n, enum input_kind kind, unsigned seed)
{
    real *x = make_input(kind, seed, n);
    exact *want = calloc(n, sizeof *want), *bound = calloc(n, sizeof *bound);
    ck_assert(want != NULL && bound != NULL);
    for (size_t i = 0; i < n; i++) {
        if (kind == INPUT_NORMAL) x[i] *= 4;
        want[i] = activations[which].twin((exact)x[i]);
        bound[i] = activation_bound(which, (exact)x[i]);
    }
    char name[80];
    snprintf(name, sizeof name, "%s of %zu", activations[which].name, n);
    struct kernel_run run = {.name = name,
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

START_TEST(activation_functions)
{
    for (size_t i = 0; i < LENGTHS; i++) {
        for (int kind = 0; kind < INPUT_KINDS; kind++)
            check_activation((size_t)_i, lengths[i], (enum input_kind)kind, 10 * (unsigned)i + 1);
    }
}
END_TEST

static const size_t geglu_shapes[][2] = {{1, 1}, {3, 7}, {5, 17}, {77, 160}, {33, 15}, {2, 20000}};
enum { GEGLU_SHAPES = sizeof geglu_shapes / sizeof *geglu_shapes };

static void call_geglu(const struct kernel_run *run, real *y, real *scratch)
{
    const size_t *shape = run->shape;
    (void)scratch;
    kernel_geglu(run->inputs[0], shape[0], shape[1], y);
}

START_TEST(geglu)
{
    const size_t rows = geglu_shapes[_i][0], inner = geglu_shapes[_i][1], n = rows * inner;
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        real *x = make_input((enum input_kind)kind, 77, 2 * n);
        exact *want = calloc(n, sizeof *want), *bound = calloc(n, sizeof *bound);
        ck_assert(want != NULL && bound != NULL);
        for (size_t i = 0; i < n; i++) {
            exact value = (exact)x[i / inner * 2 * inner + i % inner];
            exact gate = (exact)x[i / inner * 2 * inner + inner + i % inner];
            want[i] = value * twin_gelu(gate);
            bound[i] = fabsl(value) * activation_bound(1, gate) + unit_roundoff() * fabsl(want[i]) +
                       smallest_number();
        }
        struct kernel_run run = {.name = "geglu",
            .kind = (enum input_kind)kind,
            .seed = 77,
            .shape = geglu_shapes[_i],
            .inputs = {x},
            .n = n,
            .call = call_geglu};
        check_run(&run, want, bound);
        free(x), free(want), free(bound);
    }
}
END_TEST

/* The rest is exact: one rounding, or none. `want` is rounded already. */
static void check_exact(struct kernel_run *run, const real *want)
{
    exact *wide = make_exact(want, run->n), *bound = calloc(run->n, sizeof *bound);
    ck_assert_ptr_nonnull(bound);
    check_run(run, wide, bound);
    free(wide), free(bound);
}

static void call_add(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    kernel_add(run->inputs[0], run->inputs[1], run->n, y);
}

START_TEST(add)
{
    size_t n = lengths[_i];
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        real *a = make_input((enum input_kind)kind, 5, n), *b = make_input((enum input_kind)kind, 6, n);
        real *want = malloc(n * sizeof *want);
        ck_assert_ptr_nonnull(want);
        for (size_t i = 0; i < n; i++) want[i] = a[i] + b[i];
        struct kernel_run run = {.name = "add",
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
END_TEST

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

START_TEST(add_channels)
{
    const struct move_shape *s = &move_shapes[_i];
    size_t rows = s->planes * s->height, n = rows * s->width;
    real *x = make_input(INPUT_WIDE, 8, n), *v = make_input(INPUT_WIDE, 9, rows),
         *want = malloc(n * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (size_t i = 0; i < n; i++) want[i] = x[i] + v[i / s->width];
    struct kernel_run run = {
        .name = "add_channels", .seed = 8, .shape = s, .inputs = {x, v}, .n = n, .call = call_add_channels};
    check_exact(&run, want);
    free(x), free(v), free(want);
}
END_TEST

static void call_transpose(const struct kernel_run *run, real *y, real *scratch)
{
    const struct move_shape *s = run->shape;
    (void)scratch;
    kernel_transpose(run->inputs[0], s->planes, s->height, s->width, y);
}

START_TEST(transpose)
{
    const struct move_shape *s = &move_shapes[_i];
    size_t n = s->planes * s->height * s->width, at = 0;
    real *x = make_input(INPUT_NAN, 10, n), *want = malloc(n * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (size_t b = 0; b < s->planes; b++) {
        for (size_t j = 0; j < s->width; j++) {
            for (size_t i = 0; i < s->height; i++) want[at++] = x[(b * s->height + i) * s->width + j];
        }
    }
    struct kernel_run run = {
        .name = "transpose", .seed = 10, .shape = s, .inputs = {x}, .n = n, .call = call_transpose};
    check_exact(&run, want);
    free(x), free(want);
}
END_TEST

static void call_upsample(const struct kernel_run *run, real *y, real *scratch)
{
    const struct move_shape *s = run->shape;
    (void)scratch;
    kernel_upsample_nearest(run->inputs[0], s->planes, s->height, s->width, s->out_height, s->out_width, y);
}

START_TEST(upsample_nearest)
{
    const struct move_shape *s = &move_shapes[_i];
    size_t n = s->planes * s->out_height * s->out_width, at = 0;
    real *x = make_input(INPUT_NAN, 11, s->planes * s->height * s->width), *want = malloc(n * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (size_t p = 0; p < s->planes; p++) {
        for (size_t i = 0; i < s->out_height; i++) {
            for (size_t j = 0; j < s->out_width; j++) {
                size_t row = (size_t)floor((double)(i * s->height) / (double)s->out_height);
                size_t column = (size_t)floor((double)(j * s->width) / (double)s->out_width);
                want[at++] = x[(p * s->height + row) * s->width + column];
            }
        }
    }
    struct kernel_run run = {
        .name = "upsample_nearest", .seed = 11, .shape = s, .inputs = {x}, .n = n, .call = call_upsample};
    check_exact(&run, want);
    free(x), free(want);
}
END_TEST

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
enum { CONVERSIONS = sizeof conversions / sizeof *conversions };

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
START_TEST(convert)
{
    enum { PATTERNS = 65536 };
    size_t bytes = conversions[_i].bytes;
    unsigned char *stored = malloc(1 + PATTERNS * bytes);
    real *want = malloc(PATTERNS * sizeof *want);
    ck_assert(stored != NULL && want != NULL);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        uint32_t bits = bytes == 2 ? i : i * 65537u;
        for (size_t b = 0; b < bytes; b++) stored[1 + i * bytes + b] = (unsigned char)(bits >> 8 * b);
        want[i] = conversions[_i].definition(bits);
    }
    for (size_t n = PATTERNS; n > 0; n = n > 40 ? 40 : n - 1) {
        struct conversion_input input = {(size_t)_i, stored + 1};
        struct kernel_run run = {
            .name = conversions[_i].name, .shape = &input, .n = n, .call = call_conversion};
        check_exact(&run, want);
        real *y = malloc(n * sizeof *y); /* zeros keep their signs */
        ck_assert_ptr_nonnull(y);
        conversions[_i].kernel(stored + 1, n, y);
        check_equal_bits(&run, "by definition", y, want);
        free(y);
    }
    free(stored), free(want);
}
END_TEST

TCase *kernel_elements_tcase(void)
{
    TCase *tcase = tcase_create(PLUMB_REAL_IS_DOUBLE ? "elements, double" : "elements, float");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, activation_functions, 0, ACTIVATIONS);
    tcase_add_loop_test(tcase, geglu, 0, GEGLU_SHAPES);
    tcase_add_loop_test(tcase, add, 0, LENGTHS);
    tcase_add_loop_test(tcase, add_channels, 0, MOVE_SHAPES);
    tcase_add_loop_test(tcase, transpose, 0, MOVE_SHAPES);
    tcase_add_loop_test(tcase, upsample_nearest, 0, MOVE_SHAPES);
    tcase_add_loop_test(tcase, convert, 0, CONVERSIONS);
    return tcase;
}
