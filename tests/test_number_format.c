/*
 * Rounding to narrower floats (kernels/number_format.h) against the definition: the nearest of the format's
 * numbers, listed one by one, the even one of two that are as near, and infinity from half a step beyond the
 * largest on.
 */
#include "support.h"

#include "kernels/half.h"
#include "kernels/number_format.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All that tells a format from others. */
struct definition {
    enum number_format format;
    int bits;         /* of the significand, the implied one included */
    int min_exponent; /* of the smallest normal number */
    int max_exponent; /* of the largest number */
};

static const struct definition definitions[] = {
    {FORMAT_F16, 11, -14, 15},
    {FORMAT_BF16, 8, -126, 127},
    {FORMAT_TF32, 11, -126, 127},
};
enum { DEFINITIONS = sizeof definitions / sizeof *definitions };

/* A number of the format: significand * 2^exponent. Which they are is IEEE 754's definition (section 3.3). */
struct number {
    long significand;
    int exponent;
};

/* The number after one that is not negative; past the largest the one that would follow. */
static struct number next(const struct definition *d, struct number x)
{
    x.significand++;
    if (x.significand == 1L << d->bits) {
        x.significand /= 2;
        x.exponent++;
    }
    return x;
}

static double value_of(struct number x)
{
    return ldexp((double)x.significand, x.exponent);
}

static bool is_beyond(const struct definition *d, struct number x)
{
    return value_of(x) >= ldexp(1, d->max_exponent + 1);
}

static void expect(const struct definition *d, float x, double want)
{
    double got = (double)number_format_round(d->format, x);
    ck_assert_msg(got == want && signbit(got) == signbit(want), "%s: %a became %a, and not %a",
        number_format_names[d->format], (double)x, got, want);
}

/* Both signs. */
static void expect_both(const struct definition *d, double x, double want)
{
    ck_assert((double)(float)x == x);
    expect(d, (float)x, want);
    expect(d, -(float)x, -want);
}

/* Each number of the format, the middle to the next one, and the floats on either side of both. Where float
 * has no finer steps (its own subnormal numbers, for bfloat16 and TF32 too) there still are 13 bits more. */
START_TEST(every_number_and_every_middle)
{
    const struct definition *d = &definitions[_i];
    struct number x = {0, d->min_exponent - d->bits + 1};
    size_t count = 0;
    for (; !is_beyond(d, x); x = next(d, x), count++) {
        struct number after = next(d, x);
        double here = value_of(x), there = value_of(after), middle = here / 2 + there / 2;
        double above = is_beyond(d, after) ? (double)INFINITY : there;
        expect_both(d, here, here);
        expect_both(d, middle, x.significand % 2 == 0 ? here : above);
        expect_both(d, (double)nextafterf((float)middle, 0), here);
        expect_both(d, (double)nextafterf((float)middle, INFINITY), above);
        expect_both(d, (double)nextafterf((float)here, INFINITY), here);
        if (there < ldexp(1, 128)) expect_both(d, (double)nextafterf((float)there, 0), above);
    }
    /* Subnormal numbers and zero, then as many of each exponent. */
    size_t of_exponent = (size_t)1 << (d->bits - 1);
    ck_assert_uint_eq(count, of_exponent * (size_t)(1 + d->max_exponent - d->min_exponent + 1));
}
END_TEST

START_TEST(no_numbers)
{
    const struct definition *d = &definitions[_i];
    expect_both(d, (double)INFINITY, (double)INFINITY);
    expect_both(d, (double)FLT_MAX, (double)INFINITY);
    uint32_t nans[] = {0x7fc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu, 0x7f801000u};
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        uint32_t got = f32_as_bits(number_format_round(d->format, f32_from_bits(nans[i])));
        ck_assert_msg((got & 0x7fc00000u) == 0x7fc00000u, "%08x became %08x", nans[i], got);
        ck_assert_uint_eq(got & 0x80000000u, nans[i] & 0x80000000u);
        ck_assert_uint_eq(got & ((1u << (24 - d->bits)) - 1), 0); /* it is one of the format's */
    }
}
END_TEST

/* What is said of a format is what its numbers are. */
START_TEST(what_is_said_of_them)
{
    const struct definition *d = &definitions[_i];
    const struct number_limits *said = &number_format_limits[d->format];
    double step = ldexp(1, d->max_exponent - d->bits + 1);
    ck_assert_double_eq(said->largest, ldexp(1, d->max_exponent + 1) - step);
    ck_assert_double_eq(said->overflow, said->largest + step / 2);
    ck_assert_double_eq(said->smallest_normal, ldexp(1, d->min_exponent));
    ck_assert_double_eq(said->smallest, ldexp(1, d->min_exponent - d->bits + 1));
    ck_assert_double_eq(said->unit_roundoff, ldexp(1, -d->bits));
    expect_both(d, said->largest, said->largest);
    expect_both(d, said->overflow, (double)INFINITY);
    expect_both(d, (double)nextafterf((float)said->overflow, 0), said->largest);
    expect_both(d, said->smallest, said->smallest);
    expect_both(d, said->smallest / 2, 0);
}
END_TEST

/* Floats of all exponents: an array gives what one number does, at any length and in place. */
START_TEST(arrays)
{
    enum { COUNT = 1 << 16 };
    static float x[COUNT], y[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) x[i] = f32_from_bits(i << 16 | (i * 40503u & 0xffffu));
    for (enum number_format format = FORMAT_F32; format < NUMBER_FORMATS; format++)
        for (size_t n = 0; n <= COUNT; n = n < 40 ? n + 1 : n * 40) {
            memset(y, 0x5a, sizeof y);
            number_format_round_all(format, x, n, y);
            for (size_t i = 0; i < n; i++) {
                float want = number_format_round(format, x[i]);
                ck_assert_msg(memcmp(&y[i], &want, sizeof want) == 0, "%s: %a became %a, and not %a",
                    number_format_names[format], (double)x[i], (double)y[i], (double)want);
            }
            if (n < COUNT) ck_assert_uint_eq(f32_as_bits(y[n]), 0x5a5a5a5au);
            memcpy(y, x, sizeof y);
            number_format_round_all(format, y, n, y);
            for (size_t i = 0; i < n; i++)
                ck_assert(isnan(y[i]) || y[i] == number_format_round(format, x[i]));
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("number formats");
    TCase *cases = tcase_create("definition");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, every_number_and_every_middle, 0, DEFINITIONS);
    tcase_add_loop_test(cases, no_numbers, 0, DEFINITIONS);
    tcase_add_loop_test(cases, what_is_said_of_them, 0, DEFINITIONS);
    tcase_add_test(cases, arrays);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
