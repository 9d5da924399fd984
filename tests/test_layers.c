/*
 * The layers against their definitions, in both precisions; and the single-precision elementary functions of
 * the timestep embedding against the exact ones.
 */
#include "layer_checks.h"
#include "ref/vector_math.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* AddressSanitizer would end the program where memory is out, which is what one test is about. */
const char *__asan_default_options(void); /* NOLINT: the name is the sanitizer's */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(float_layers)
{
    LAYER_CHECKS_f32[_i].run();
}
END_TEST

START_TEST(double_layers)
{
    LAYER_CHECKS_f64[_i].run();
}
END_TEST

START_TEST(float_blocks)
{
    BLOCK_CHECKS_f32[_i].run();
}
END_TEST

START_TEST(double_blocks)
{
    BLOCK_CHECKS_f64[_i].run();
}
END_TEST

/* Distance from the exact value in units of the float's last place. */
static double ulps(float got, double exact)
{
    if ((double)got == exact) return 0;
    int exponent = ilogb(exact);
    return fabs((double)got - exact) / ldexp(1, (exponent < -126 ? -126 : exponent) - 23);
}

/* SLEEF promises 1.0 ulp. `count` arguments evenly from `low` to `high`. */
static double worst_ulps(void (*function)(const float *, size_t, float *), double (*exact)(double), float low,
    float high, size_t count)
{
    float *x = malloc(count * sizeof *x), *y = malloc(count * sizeof *y);
    ck_assert(x && y);
    for (size_t i = 0; i < count; i++) x[i] = low + (high - low) * ((float)i / (float)count);
    function(x, count, y);
    double worst = 0;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, ulps(y[i], exact((double)x[i])));
    free(x);
    free(y);
    return worst;
}

START_TEST(elementary_functions)
{
    const size_t count = 1000003; /* odd: the last vector is not full */
    double of_exp = worst_ulps(vector_expf, exp, -9.3f, 2, count);
    double of_sin = worst_ulps(vector_sinf, sin, -130, 130, count);
    double of_cos = worst_ulps(vector_cosf, cos, -130, 130, count);
    double of_large_sin = worst_ulps(vector_sinf, sin, 120, 5000, count);
    double of_large_cos = worst_ulps(vector_cosf, cos, 120, 5000, count);
    printf("worst ulp: exp %.3f, sin %.3f, cos %.3f, of large arguments %.3f, %.3f\n", of_exp, of_sin, of_cos,
        of_large_sin, of_large_cos);
    ck_assert_double_le(of_exp, 1);
    ck_assert_double_le(of_sin, 1);
    ck_assert_double_le(of_cos, 1);
    ck_assert_double_le(of_large_sin, 1);
    ck_assert_double_le(of_large_cos, 1);

    const float x[] = {0, -0.0f, -200, 200};
    float y[4];
    vector_sinf(x, 2, y);
    ck_assert(y[0] == 0 && !signbit(y[0]) && y[1] == 0 && signbit(y[1]));
    vector_cosf(x, 2, y);
    ck_assert(y[0] == 1 && y[1] == 1);
    vector_expf(x, 4, y);
    ck_assert(y[0] == 1 && y[1] == 1 && y[2] == 0 && isinf(y[3]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layers");
    int count = 0, blocks = 0;
    while (LAYER_CHECKS_f32[count].name) count++;
    while (BLOCK_CHECKS_f32[blocks].name) blocks++;
    TCase *layers = tcase_create("layers");
    tcase_set_timeout(layers, 60);
    tcase_add_loop_test(layers, float_layers, 0, count);
    tcase_add_loop_test(layers, double_layers, 0, count);
    tcase_add_loop_test(layers, float_blocks, 0, blocks);
    tcase_add_loop_test(layers, double_blocks, 0, blocks);
    suite_add_tcase(suite, layers);
    TCase *functions = tcase_create("elementary functions");
    tcase_add_test(functions, elementary_functions);
    suite_add_tcase(suite, functions);
    return run_suite(suite);
}
