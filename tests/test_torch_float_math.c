/*
 * PyTorch's float32 exp, expm1, log, sin and power: bits that PyTorch 1.13 gave (its AVX2 kernels), half of
 * them at arguments where the correctly rounded value is another; and how far they are from the truth
 * anywhere.
 */
#include "sched/torch_float_math.h"
#include "support.h"

#include <math.h>
#include <string.h>

struct recorded {
    float x, y;
};

static void check_bits(
    const char *name, float (*function)(float), const struct recorded *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float y = function(values[i].x);
        ck_assert_msg(memcmp(&y, &values[i].y, sizeof y) == 0, "%s(%a): PyTorch has %a, we have %a", name,
            (double)values[i].x, (double)values[i].y, (double)y);
    }
}

START_TEST(recorded_bits)
{
    static const struct recorded exp_values[] = {
        {-0x1.fc377p+0f, 0x1.194b18p-3f},
        {-0x1.3ab0b8p+0f, 0x1.2b878cp-2f},
        {0x1.ef3e2ep+1f, 0x1.7f3038p+5f},
        {0x1.1191dcp+2f, 0x1.1f628p+6f},
        {-0x1.41619cp-2f, 0x1.76151p-1f},
        {0x1p-1f, 0x1.a61298p+0f},
        {-0x1p+0f, 0x1.78b564p-2f},
        {-0x1.5ep+6f, 0x1.b2cafp-127f},
        {-0x1.9ep+6f, 0x1p-149f},
        {0x1.62p+6f, 0x1.99b988p+127f},
    };
    static const struct recorded expm1_values[] = {
        {-0x1.2348d2p+0f, -0x1.5be59ep-1f},
        {-0x1.f3e4bep-2f, -0x1.8b86aep-2f},
        {0x1.4aa91ap+1f, 0x1.87b2bep+3f},
        {-0x1.6a9bap-3f, -0x1.4c521ep-3f},
        {-0x1.f66852p-2f, -0x1.8d113p-2f},
        {0x1p-1f, 0x1.4c2532p-1f},
        {-0x1p+0f, -0x1.43a54ep-1f},
        {-0x1.08p+4f, -0x1.fffffep-1f},
        {0x1.a36e2ep-14f, 0x1.a3738cp-14f},
        {0x1.62p+6f, 0x1.99b988p+127f},
    };
    static const struct recorded log_values[] = {
        {0x1.6fe8cap-6f, -0x1.e5eaaap+1f},
        {0x1.214d64p+0f, 0x1.f4eb56p-4f},
        {0x1.85f1bep-1f, -0x1.16db3cp-2f},
        {0x1.7b455ep-1f, -0x1.334688p-2f},
        {0x1.3c2b9p-1f, -0x1.ed9cf4p-2f},
        {0x1p-1f, -0x1.62e43p-1f},
        {0x1.d3ab3p+3f, 0x1.574c92p+1f},
        {0x1.16c2p-133f, -0x1.7069e4p+6f},
        {0x1.ff933cp+127f, 0x1.62e356p+6f},
        {0x1.fffffep-1f, -0x1p-24f},
    };
    static const struct recorded sin_values[] = {
        {0x1.ad519ep+0f, 0x1.fd1d2p-1f},
        {0x1.46de08p+0f, 0x1.ea092p-1f},
        {0x1.f4a2eep-1f, 0x1.a89678p-1f},
        {-0x1.1636f2p+2f, 0x1.de381ep-1f},
        {-0x1.b814b4p+1f, 0x1.2b39acp-2f},
        {0x1p-1f, 0x1.eaee88p-2f},
        {-0x1p+0f, -0x1.aed548p-1f},
        {0x1.921fb6p+1f, -0x1.777a5cp-24f},
        {0x1.9p+6f, -0x1.03425cp-1f},
        {0x1.a36e2ep-14f, 0x1.a36e2ep-14f},
    };
    check_bits("exp", torch_float_exp, exp_values, sizeof exp_values / sizeof *exp_values);
    check_bits("expm1", torch_float_expm1, expm1_values, sizeof expm1_values / sizeof *expm1_values);
    check_bits("log", torch_float_log, log_values, sizeof log_values / sizeof *log_values);
    check_bits("sin", torch_float_sin, sin_values, sizeof sin_values / sizeof *sin_values);
}
END_TEST

START_TEST(special_values)
{
    ck_assert(torch_float_exp(-INFINITY) == 0 && isinf(torch_float_exp(INFINITY)));
    ck_assert(torch_float_exp(-0.0f) == 1 && isnan(torch_float_exp(NAN)));
    ck_assert(torch_float_expm1(-INFINITY) == -1 && isinf(torch_float_expm1(INFINITY)));
    ck_assert(signbit(torch_float_expm1(-0.0f)) && isnan(torch_float_expm1(NAN)));
    ck_assert(torch_float_log(0) == -INFINITY && isinf(torch_float_log(INFINITY)));
    ck_assert(isnan(torch_float_log(-1)) && isnan(torch_float_log(NAN)) && torch_float_log(1) == 0);
}
END_TEST

/* The C library's powf() says what C's standard says of each pair. */
START_TEST(special_powers)
{
    static const float values[] = {0, 0x1p-149f, 1e-38f, 0.5f, 1, 2, 3e38f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                const float x = values[i], y = (float)sign * values[k];
                const float power = torch_float_pow(x, y), truth = powf(x, y);
                const bool same = isnormal(truth) ? fabsf(power - truth) <= 2e-7f * truth
                                  : isnan(power)  ? isnan(truth)
                                                  : power == truth;
                ck_assert_msg(same, "%a to the power of %a: %a, not %a", (double)x, (double)y, (double)power,
                    (double)truth);
            }
        }
    }
}
END_TEST

/* The distance of y from the truth, in units of the last place of y. */
static double ulps(float y, long double truth)
{
    const float magnitude = fabsf(y);
    const long double unit = (long double)nextafterf(magnitude, INFINITY) - (long double)magnitude;
    return (double)(fabsl((long double)y - truth) / unit);
}

/* SLEEF promises 1 ulp for each of them. A coefficient with a wrong digit is further off than that. */
START_TEST(within_one_ulp)
{
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        const float x = -87.0f + (float)i * 0.000875f;
        worst = fmax(worst, ulps(torch_float_exp(x), expl((long double)x)));
        if (x > -16) worst = fmax(worst, ulps(torch_float_expm1(x), expm1l((long double)x)));
        const float positive = ldexpf(1 + (float)(i % 1000) / 1000, i / 1000 - 100);
        worst = fmax(worst, ulps(torch_float_log(positive), logl((long double)positive)));
        worst = fmax(worst, ulps(torch_float_sin(x), sinl((long double)x)));
        worst = fmax(worst, ulps(torch_float_pow(positive, 1.1f), powl((long double)positive, 1.1f)));
    }
    ck_assert_double_le(worst, 1);
    ck_assert_double_gt(worst, 0.5); /* they are not the correctly rounded ones */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torch_float_math");
    TCase *tcase = tcase_create("functions");
    tcase_add_test(tcase, recorded_bits);
    tcase_add_test(tcase, special_values);
    tcase_add_test(tcase, special_powers);
    tcase_add_test(tcase, within_one_ulp);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
