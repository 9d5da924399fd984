/*
 * The elementary functions of the float build against libm's double ones, over a dense stride of all floats:
 * the largest error in ulp is printed and must not pass the bound that kernels/elementary.h documents; all
 * instruction sets give the same bits. An exhaustive run is the same with PLUMB_ELEMENTARY_STRIDE=1
 * (minutes).
 */
#include "kernels/cpu.h"
#include "kernels/vector.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A prime, so that the low bits of the floats that are tried take all values: about 1.2 million floats. */
enum { DEFAULT_STRIDE = 3559, BLOCK = 4096 };

/* x sigmoid(z) without overflow. */
static long double times_sigmoid(long double x, long double z)
{
    long double e = expl(-fabsl(z));
    return x * (z < 0 ? e : 1) / (1 + e);
}

static double exact_exp2(double x)
{
    return exp2(x);
}

static double exact_silu(double x)
{
    return (double)times_sigmoid(x, x);
}

static double exact_quick_gelu(double x)
{
    return (double)times_sigmoid(x, 1.702L * x);
}

static double exact_gelu_tanh(double x)
{
    return (double)times_sigmoid(x, 1.59576912160573071176L * (x + 0.044715L * x * x * x));
}

static double exact_gelu(double x)
{
    return (double)(0.5L * x * erfcl(-x * 0.707106781186547524401L));
}

static void exp2_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    static const float zeros[BLOCK];
    static double sums[BLOCK];
    memcpy(y, x, n * sizeof *y);
    set->column_exp2(y, 1, n, zeros, sums);
}

static void silu_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    set->silu(x, n, y);
}

static void quick_gelu_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    set->quick_gelu(x, n, y);
}

static void gelu_tanh_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    set->gelu_tanh(x, n, y);
}

static void gelu_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    set->gelu(x, n, y);
}

/* Each function on an interval with the bound of kernels/elementary.h, which holds for results from `least`
 * on. */
static const struct {
    const char *name;
    void (*function)(const struct vector_set *set, const float *x, size_t n, float *y);
    double (*exact)(double x);
    double low, high, least, ulp;
} functions[] = {
    {"exp2", exp2_of, exact_exp2, -INFINITY, 0, 0x1p-126, 0.81},
    {"silu", silu_of, exact_silu, -INFINITY, INFINITY, 0x1p-120, 2.5},
    {"quick_gelu", quick_gelu_of, exact_quick_gelu, -INFINITY, INFINITY, 0x1p-120, 2.5},
    {"gelu_tanh", gelu_tanh_of, exact_gelu_tanh, -INFINITY, INFINITY, 0x1p-120, 2.5},
    {"gelu", gelu_of, exact_gelu, -1, INFINITY, 0x1p-120, 2.6},
    {"gelu", gelu_of, exact_gelu, -INFINITY, -1, 0x1p-120, 6.6},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* |y - want| in units of the float format's spacing at `want`. A result below `least` only has to be no
 * larger than it should be, by a quarter at most, and of the same sign. */
static double ulp_error(float y, double want, double least)
{
    int exponent;
    if (fabs(want) < least)
        return fabs((double)y) <= 1.25 * fabs(want) + 0x1p-149 && !signbit(y) == !signbit(want) ? 0
                                                                                                : INFINITY;
    if (fabs(want) > (double)FLT_MAX * (1 + 0x1p-25)) return isinf(y) && (y > 0) == (want > 0) ? 0 : INFINITY;
    if (!isfinite(y)) return INFINITY;
    frexp(want, &exponent);
    return fabs((double)y - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static uint32_t stride(void)
{
    const char *text = getenv("PLUMB_ELEMENTARY_STRIDE");
    long value = text != NULL ? strtol(text, NULL, 10) : DEFAULT_STRIDE;
    return value >= 1 && value <= 1000000 ? (uint32_t)value : DEFAULT_STRIDE;
}

/* The next block of floats of the interval, walking all bit patterns; 0 at the end. */
static size_t next_floats(uint64_t *bits, double low, double high, float x[BLOCK])
{
    size_t n = 0;
    for (; n < BLOCK && *bits <= UINT32_MAX; *bits += stride()) {
        uint32_t pattern = (uint32_t)*bits;
        memcpy(x + n, &pattern, sizeof pattern);
        if (isfinite(x[n]) && (double)x[n] >= low && (double)x[n] <= high) n++;
    }
    return n;
}

START_TEST(accuracy)
{
    static float x[BLOCK], y[BLOCK];
    double worst = 0;
    float at = 0;
    uint64_t bits = 0;
    ck_assert(kernels_use(kernels_best()));
    for (size_t n; (n = next_floats(&bits, functions[_i].low, functions[_i].high, x)) > 0;) {
        functions[_i].function(vector_kernels(), x, n, y);
        for (size_t i = 0; i < n; i++) {
            double error = ulp_error(y[i], functions[_i].exact((double)x[i]), functions[_i].least);
            if (error > worst) {
                worst = error;
                at = x[i];
            }
        }
    }
    printf("%s on [%g, %g]: largest error %.3f ulp at %a, bound %.1f\n", functions[_i].name,
        functions[_i].low, functions[_i].high, worst, (double)at, functions[_i].ulp);
    ck_assert_msg(worst > 0.5 && worst <= functions[_i].ulp, "%s: error %.3f ulp at %a, bound %.1f",
        functions[_i].name, worst, (double)at, functions[_i].ulp);
}
END_TEST

START_TEST(same_bits_in_every_set)
{
    static float x[BLOCK], y[BLOCK], again[BLOCK];
    for (enum kernel_set set = KERNELS_AVX2; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
        uint64_t bits = 0;
        for (size_t n; (n = next_floats(&bits, functions[_i].low, functions[_i].high, x)) > 0;) {
            functions[_i].function(vector_kernels(), x, n, y);
            functions[_i].function(vector_scalar(), x, n, again);
            for (size_t i = 0; i < n; i++) {
                if (memcmp(y + i, again + i, sizeof *y) == 0) continue;
                ck_abort_msg("%s(%a): %s gives %a, scalar %a", functions[_i].name, (double)x[i],
                    kernels_set_name(set), (double)y[i], (double)again[i]);
            }
        }
    }
}
END_TEST

/* Zeros, infinities and NaN, in every set. */
START_TEST(special_values)
{
    float x[] = {0.0f, -0.0f, -INFINITY, NAN, -NAN, -FLT_MAX, INFINITY, FLT_MAX}, y[8];
    bool is_exp2 = functions[_i].exact == exact_exp2; /* takes no positive numbers */
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
        functions[_i].function(vector_kernels(), x, is_exp2 ? 6 : 8, y);
        ck_assert(isnan(y[3]) && isnan(y[4]));
        if (is_exp2) {
            ck_assert(y[0] == 1 && y[1] == 1 && y[2] == 0 && y[5] == 0);
            continue;
        }
        ck_assert(y[0] == 0 && y[1] == 0 && !signbit(y[0]) && signbit(y[1]));
        ck_assert(isnan(y[2]) && y[5] == 0 && signbit(y[5]));
        ck_assert(isinf(y[6]) && y[6] > 0 && y[7] == FLT_MAX);
    }
}
END_TEST

/* The sums are doubles, which the kernels built on them round away: each set's must be the scalar ones bit
 * for bit, for every length of tail, on numbers whose sum depends on its order. */
START_TEST(same_sums_in_every_set)
{
    enum { LONGEST = 100 };
    float x[LONGEST];
    for (int i = 0; i < LONGEST; i++) x[i] = sinf((float)i) * (i % 3 == 0 ? 1e6f : 1.0f);
    const struct vector_set *scalar = vector_scalar();
    for (enum kernel_set set = KERNELS_AVX2; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
        const struct vector_set *vector = vector_kernels();
        for (size_t n = 0; n <= LONGEST; n++) {
            struct vector_moments sums = vector->moments(x, 0.3f, n), same = scalar->moments(x, 0.3f, n);
            ck_assert_msg(memcmp(&sums, &same, sizeof sums) == 0,
                "%s, %zu numbers: sums %a, %a, scalar %a, %a", kernels_set_name(set), n, sums.sum,
                sums.squares, same.sum, same.squares);
        }
    }
}
END_TEST

/* The steps of a softmax down columns: what each leaves, and canaries behind all of it. */
enum { MOST_ROWS = 21, MOST_COLUMNS = 70, CANARY = 77 };
struct columns {
    float x[MOST_ROWS * MOST_COLUMNS + 1], largest[MOST_COLUMNS + 1], turned[MOST_ROWS * MOST_COLUMNS + 1];
    double sums[MOST_COLUMNS + 1];
};

static void run_columns(const struct vector_set *set, size_t rows, size_t columns, struct columns *c)
{
    size_t n = rows * columns;
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < n; i++) c->x[i] = i % 11 == 5 ? -INFINITY : 40 * sinf((float)i);
    for (size_t j = 0; j < columns; j++) {
        c->largest[j] = j % 3 == 0 ? 50.0f : -INFINITY;
        c->sums[j] = 0.1 * (double)j;
    }
    c->x[n] = c->largest[columns] = c->turned[n] = CANARY;
    c->sums[columns] = CANARY;
    set->column_maxima(c->x, rows, columns, c->largest);
    for (size_t j = 0; j < columns; j++) c->largest[j] = isinf(c->largest[j]) ? 0 : c->largest[j];
    set->column_exp2(c->x, rows, columns, c->largest, c->sums);
    set->column_multiply(c->x, rows, columns, c->largest);
    set->transpose(c->x, columns, rows, columns, c->turned, rows);
    ck_assert(c->x[n] == CANARY && c->largest[columns] == CANARY && c->turned[n] == CANARY);
    ck_assert(c->sums[columns] == CANARY);
}

START_TEST(same_columns_in_every_set)
{
    static struct columns scalar, other;
    for (size_t rows = 0; rows <= MOST_ROWS; rows++) {
        for (size_t columns = 0; columns <= MOST_COLUMNS; columns++) {
            run_columns(vector_scalar(), rows, columns, &scalar);
            for (size_t i = 0; i < rows * columns; i++)
                if (scalar.turned[i] != scalar.x[i % rows * columns + i / rows])
                    ck_abort_msg("transpose of %zu by %zu: [%zu]", rows, columns, i);
            for (enum kernel_set set = KERNELS_AVX2; set < KERNEL_SETS; set++) {
                if (!kernels_use(set)) continue;
                run_columns(vector_kernels(), rows, columns, &other);
                ck_assert_msg(memcmp(&scalar, &other, sizeof scalar) == 0, "%s: %zu rows, %zu columns",
                    kernels_set_name(set), rows, columns);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elementary");
    TCase *tcase = tcase_create("elementary functions");
    tcase_set_timeout(tcase, stride() < 100 ? 3600 : 60);
    tcase_add_loop_test(tcase, accuracy, 0, FUNCTIONS);
    tcase_add_loop_test(tcase, same_bits_in_every_set, 0, FUNCTIONS);
    tcase_add_loop_test(tcase, special_values, 0, FUNCTIONS);
    tcase_add_test(tcase, same_sums_in_every_set);
    tcase_add_test(tcase, same_columns_in_every_set);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
