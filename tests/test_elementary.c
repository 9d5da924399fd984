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

static double exact_exp(double x)
{
    return exp(x);
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

static void exp_of(const struct vector_set *set, const float *x, size_t n, float *y)
{
    set->exp_sum(x, 0, n, y);
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

/* Each function on an interval with the bound of kernels/elementary.h. */
static const struct {
    const char *name;
    void (*function)(const struct vector_set *set, const float *x, size_t n, float *y);
    double (*exact)(double x);
    double low, high, ulp;
} functions[] = {
    {"exp", exp_of, exact_exp, -INFINITY, INFINITY, 0.8},
    {"silu", silu_of, exact_silu, -INFINITY, INFINITY, 3.2},
    {"quick_gelu", quick_gelu_of, exact_quick_gelu, -INFINITY, INFINITY, 3.2},
    {"gelu_tanh", gelu_tanh_of, exact_gelu_tanh, -INFINITY, INFINITY, 3.2},
    {"gelu", gelu_of, exact_gelu, -1, INFINITY, 2.6},
    {"gelu", gelu_of, exact_gelu, -INFINITY, -1, 6.3},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* |y - want| in units of the float format's spacing at `want`. */
static double ulp_error(float y, double want)
{
    int exponent;
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
            double error = ulp_error(y[i], functions[_i].exact((double)x[i]));
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
        for (size_t n; (n = next_floats(&bits, -INFINITY, INFINITY, x)) > 0;) {
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
    float x[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, -NAN, FLT_MAX, -FLT_MAX}, y[8];
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
        functions[_i].function(vector_kernels(), x, 8, y);
        bool is_exp = functions[_i].exact == exact_exp;
        ck_assert(
            is_exp ? y[0] == 1 && y[1] == 1 : y[0] == 0 && y[1] == 0 && !signbit(y[0]) && signbit(y[1]));
        ck_assert(isinf(y[2]) && y[2] > 0);
        ck_assert(is_exp ? y[3] == 0 : isnan(y[3]) != 0);
        ck_assert(isnan(y[4]) && isnan(y[5]));
        ck_assert(is_exp ? isinf(y[6]) != 0 : y[6] == FLT_MAX);
        ck_assert(y[7] == 0 && (is_exp || signbit(y[7])));
    }
}
END_TEST

/* The sums are doubles, which the kernels built on them round away: each set's must be the scalar ones bit
 * for bit, for every length of tail, on numbers whose sum depends on its order. */
START_TEST(same_sums_in_every_set)
{
    enum { LONGEST = 100 };
    float x[LONGEST], exponents[LONGEST], y[LONGEST];
    for (int i = 0; i < LONGEST; i++) {
        x[i] = sinf((float)i) * (i % 3 == 0 ? 1e6f : 1.0f);
        exponents[i] = sinf((float)i) * 40;
    }
    const struct vector_set *scalar = vector_scalar();
    for (enum kernel_set set = KERNELS_AVX2; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
        const struct vector_set *vector = vector_kernels();
        for (size_t n = 0; n <= LONGEST; n++) {
            float largest = scalar->maximum(x, n);
            ck_assert(vector->maximum(x, n) == largest);
            double sums[] = {
                vector->sum(x, n), vector->sum_squares(x, 0.3, n), vector->exp_sum(exponents, 0, n, y)};
            double same[] = {
                scalar->sum(x, n), scalar->sum_squares(x, 0.3, n), scalar->exp_sum(exponents, 0, n, y)};
            ck_assert_msg(memcmp(sums, same, sizeof sums) == 0,
                "%s, %zu numbers: sums %a, %a, %a, scalar %a, %a, %a", kernels_set_name(set), n, sums[0],
                sums[1], sums[2], same[0], same[1], same[2]);
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
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
