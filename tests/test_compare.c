/*
 * The element types and the distances between tensors, against their definitions.
 */
#include "support.h"

#include "kernels/half.h"
#include "ref/ulp.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tensor vector(enum dtype dtype, void *data, size_t count)
{
    return (struct tensor){.dtype = dtype, .rank = 1, .shape = {(int64_t)count}, .data = data};
}

static struct difference difference_of(enum dtype dtype_a, void *a, enum dtype dtype_b, void *b, size_t count)
{
    struct tensor x = vector(dtype_a, a, count), y = vector(dtype_b, b, count);
    return tensor_difference(&x, &y);
}

/* --- Element types ------------------------------------------------------------------------ */

/* IEEE 754's definition of a binary format with `fraction_bits`, bias and 5 or 8 bits of exponent. */
static double definition(unsigned bits, int fraction_bits, int bias)
{
    int exponent_mask = (1 << (15 - fraction_bits)) - 1;
    int exponent = (int)(bits >> fraction_bits) & exponent_mask;
    double fraction = ldexp((double)(bits & ((1U << fraction_bits) - 1)), -fraction_bits);
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == exponent_mask) return fraction != 0.0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias);
    return sign * ldexp(1.0 + fraction, exponent - bias);
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b);
}

START_TEST(every_half_is_what_its_format_says)
{
    for (unsigned bits = 0; bits <= UINT16_MAX; bits++) {
        ck_assert_msg(same((double)f16_to_f32((uint16_t)bits), definition(bits, 10, 15)), "F16 0x%04x", bits);
        ck_assert_msg(
            same((double)bf16_to_f32((uint16_t)bits), definition(bits, 7, 127)), "BF16 0x%04x", bits);
    }
}
END_TEST

START_TEST(elements_are_read_at_any_address)
{
    unsigned char bytes[64];
    int64_t i64[2] = {-3, INT64_MIN};
    memcpy(bytes + 1, i64, sizeof i64);
    struct tensor t = vector(DTYPE_I64, bytes + 1, 2);
    ck_assert_int_eq(tensor_get_int(&t, 0), -3);
    ck_assert_int_eq(tensor_get_int(&t, 1), INT64_MIN);
    ck_assert_double_eq(tensor_get_double(&t, 1), -0x1p63);
    t = vector(DTYPE_U8, (unsigned char[]){255}, 1);
    ck_assert_int_eq(tensor_get_int(&t, 0), 255);
    t.dtype = DTYPE_I8;
    ck_assert_int_eq(tensor_get_int(&t, 0), -1);
    t.dtype = DTYPE_BOOL;
    ck_assert_int_eq(tensor_get_int(&t, 0), 1);
    t = vector(DTYPE_U32, (uint32_t[]){UINT32_MAX}, 1);
    ck_assert_int_eq(tensor_get_int(&t, 0), (int64_t)UINT32_MAX);
    t.dtype = DTYPE_I32;
    ck_assert_int_eq(tensor_get_int(&t, 0), -1);
    t = vector(DTYPE_U64, (uint64_t[]){UINT64_MAX}, 1);
    ck_assert_double_eq(tensor_get_double(&t, 0), 0x1p64);
    t = vector(DTYPE_F64, (double[]){-2.75, (double)NAN, 1e300, -(double)INFINITY}, 4);
    ck_assert_int_eq(tensor_get_int(&t, 0), -2);
    ck_assert_int_eq(tensor_get_int(&t, 1), 0);
    ck_assert_int_eq(tensor_get_int(&t, 2), INT64_MAX);
    ck_assert_int_eq(tensor_get_int(&t, 3), INT64_MIN);
}
END_TEST

START_TEST(shapes_are_counted_without_overflow)
{
    size_t count;
    ck_assert(tensor_shape_count((int64_t[]){2, 3, 4}, 3, DTYPE_F32, &count) && count == 24);
    ck_assert(tensor_shape_count(NULL, 0, DTYPE_F64, &count) && count == 1);
    ck_assert(tensor_shape_count((int64_t[]){5, 0}, 2, DTYPE_F32, &count) && count == 0);
    ck_assert(!tensor_shape_count((int64_t[]){-1}, 1, DTYPE_U8, &count));
    ck_assert(!tensor_shape_count((int64_t[]){INT64_C(1) << 32, INT64_C(1) << 32}, 2, DTYPE_U8, &count));
    ck_assert(!tensor_shape_count((int64_t[]){INT64_C(1) << 60, 1}, 2, DTYPE_F64, &count));
    ck_assert(!tensor_shape_count((int64_t[]){0, INT64_MAX, 4}, 3, DTYPE_F32, &count));
    /* 3 * 6148914691236517206 is 2 modulo 2^64. */
    ck_assert(!tensor_shape_count((int64_t[]){3, INT64_C(6148914691236517206)}, 2, DTYPE_U8, &count));
}
END_TEST

/* --- Units in the last place -------------------------------------------------------------- */

START_TEST(neighbouring_numbers_are_one_ulp_apart)
{
    /* All finite F16 numbers from the most negative to the largest: in order of value, the negative ones by
     * falling bits. -0 and 0 are one number. */
    uint16_t order[2 * 0x7c00];
    size_t n = 0;
    for (unsigned bits = 0x7bff; bits > 0; bits--) order[n++] = (uint16_t)(0x8000 | bits);
    for (unsigned bits = 0; bits < 0x7c00; bits++) order[n++] = (uint16_t)bits;
    for (size_t i = 1; i < n; i++) {
        struct difference up = difference_of(DTYPE_F16, &order[i], DTYPE_F16, &order[i - 1], 1);
        struct difference down = difference_of(DTYPE_F16, &order[i - 1], DTYPE_F16, &order[i], 1);
        ck_assert_msg(up.max_ulp == 1.0 && down.max_ulp == 1.0, "0x%04x and the next: %g and %g",
            order[i - 1], up.max_ulp, down.max_ulp);
    }
    struct difference ends = difference_of(DTYPE_F16, &order[0], DTYPE_F16, &order[n - 1], 1);
    ck_assert_double_eq(ends.max_ulp, (double)(n - 1));
}
END_TEST

START_TEST(steps_are_counted_in_the_type_of_the_reference)
{
    float f = 1.0F, g = nextafterf(1.0F, 0.0F), least = FLT_TRUE_MIN, minus_least = -FLT_TRUE_MIN;
    ck_assert_double_eq(difference_of(DTYPE_F32, &g, DTYPE_F32, &f, 1).max_ulp, 1.0);
    ck_assert_double_eq(difference_of(DTYPE_F32, &least, DTYPE_F32, &minus_least, 1).max_ulp, 2.0);
    double d = 1.0, e = nextafter(nextafter(1.0, 0.0), 0.0), least_d = DBL_TRUE_MIN, minus_d = -DBL_TRUE_MIN;
    ck_assert_double_eq(difference_of(DTYPE_F64, &e, DTYPE_F64, &d, 1).max_ulp, 2.0);
    ck_assert_double_eq(difference_of(DTYPE_F64, &least_d, DTYPE_F64, &minus_d, 1).max_ulp, 2.0);
    uint16_t one = 0x3f80, next = 0x3f81; /* BF16: 1 and 1 + 2^-7 */
    ck_assert_double_eq(difference_of(DTYPE_BF16, &next, DTYPE_BF16, &one, 1).max_ulp, 1.0);

    /* A third of a float's step, in double; and the same pair the other way round, in steps of a double. */
    double third = 1.0 + 0x1p-23 * 0.375;
    ck_assert_double_eq(difference_of(DTYPE_F64, &third, DTYPE_F32, &f, 1).max_ulp, 0.375);
    ck_assert_double_eq(difference_of(DTYPE_F32, &f, DTYPE_F64, &third, 1).max_ulp, 0.375 * 0x1p29);
    /* Beyond what F16 holds the scale goes on: 65504 + 32 is where infinity would be. */
    double large = 65536.0;
    uint16_t largest = 0x7bff;
    ck_assert_double_eq(difference_of(DTYPE_F64, &large, DTYPE_F16, &largest, 1).max_ulp, 1.0);
    /* An integer reference is measured in float32's steps: at 2 they are 2^-22. */
    int32_t two = 2;
    double near = 2.0 + 0x1p-22;
    ck_assert_double_eq(difference_of(DTYPE_F64, &near, DTYPE_I32, &two, 1).max_ulp, 1.0);
}
END_TEST

/* --- Differences -------------------------------------------------------------------------- */

START_TEST(numbers_of_a_small_example)
{
    float a[] = {1.0F, 2.5F, -3.0F, 0.0F}, b[] = {1.0F, 2.0F, -4.0F, -0.0F};
    struct difference d = difference_of(DTYPE_F32, a, DTYPE_F32, b, 4);
    ck_assert_uint_eq(d.count, 4);
    ck_assert_uint_eq(d.unequal, 2);
    ck_assert_uint_eq(d.nonfinite_a + d.nonfinite_b, 0);
    ck_assert_double_eq(d.max_abs, 1.0);
    ck_assert_double_eq_tol(d.rms, sqrt(1.25 / 4.0), 1e-15);
    ck_assert_double_eq(d.peak, 4.0);
    ck_assert_double_eq(d.max_rel_peak, 0.25);
    ck_assert_uint_eq(d.worst, 2);
    ck_assert_double_eq(d.worst_a, -3.0);
    ck_assert_double_eq(d.worst_b, -4.0);
    ck_assert_double_eq_tol(d.cosine, (1.0 + 5.0 + 12.0) / sqrt((1.0 + 6.25 + 9.0) * 21.0), 1e-15);
}
END_TEST

START_TEST(not_numbers_and_infinities)
{
    float nan = NAN, inf = INFINITY;
    float a[] = {nan, inf, -inf, 1.0F}, b[] = {nan, inf, -inf, 1.5F};
    struct difference d = difference_of(DTYPE_F32, a, DTYPE_F32, b, 4);
    ck_assert_uint_eq(d.unequal, 1);
    ck_assert_uint_eq(d.nonfinite_a, 3);
    ck_assert_uint_eq(d.nonfinite_b, 3);
    ck_assert_double_eq(d.max_abs, 0.5);
    ck_assert_double_eq(d.rms, 0.5);
    ck_assert_double_eq(d.peak, 1.5);
    ck_assert_uint_eq(d.worst, 3);

    const float pairs[][2] = {{nan, 1.0F}, {1.0F, nan}, {inf, 1.0F}, {inf, -inf}, {nan, inf}, {1.0F, -inf}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        float x[] = {2.0F, pairs[i][0]}, y[] = {1.0F, pairs[i][1]};
        d = difference_of(DTYPE_F32, x, DTYPE_F32, y, 2);
        ck_assert_uint_eq(d.unequal, 2);
        ck_assert(isinf(d.max_abs) && isinf(d.max_ulp) && isinf(d.max_rel_peak));
        ck_assert_uint_eq(d.worst, 1);
        ck_assert_double_eq(d.rms, 1.0); /* of the elements that are finite on both sides */
        struct tensor tx = vector(DTYPE_F32, x, 2), ty = vector(DTYPE_F32, y, 2);
        struct tolerance wide = {.rtol = 1e9, .atol = 1e9, .ulp = 1e9};
        ck_assert_uint_eq(tensor_disagreements(&tx, &ty, &wide), 1);
    }
}
END_TEST

START_TEST(zeros_and_nothing)
{
    float zero[] = {0.0F, 0.0F}, some[] = {0.0F, 2.0F};
    struct difference d = difference_of(DTYPE_F32, zero, DTYPE_F32, zero, 2);
    ck_assert_double_eq(d.cosine, 1.0);
    ck_assert_double_eq(d.max_rel_peak, 0.0);
    d = difference_of(DTYPE_F32, some, DTYPE_F32, zero, 2);
    ck_assert_double_eq(d.cosine, 0.0);
    ck_assert(isinf(d.max_rel_peak));
    d = difference_of(DTYPE_F32, zero, DTYPE_F32, zero, 0);
    ck_assert_uint_eq(d.count, 0);
    ck_assert_double_eq(d.max_abs, 0.0);
    ck_assert_double_eq(d.rms, 0.0);
    ck_assert_double_eq(d.cosine, 1.0);
}
END_TEST

START_TEST(large_integers_do_not_run_together)
{
    int64_t a = (INT64_C(1) << 53) + 1, b = INT64_C(1) << 53;
    struct difference d = difference_of(DTYPE_I64, &a, DTYPE_I64, &b, 1);
    ck_assert_uint_eq(d.unequal, 1);
    ck_assert_double_eq(d.max_abs, 1.0);
    uint64_t u = UINT64_MAX, v = UINT64_MAX - 3;
    ck_assert_double_eq(difference_of(DTYPE_U64, &u, DTYPE_U64, &v, 1).max_abs, 3.0);
    int64_t minus = -1;
    ck_assert_double_eq(difference_of(DTYPE_U64, &u, DTYPE_I64, &minus, 1).max_abs, 0x1p64);
}
END_TEST

START_TEST(large_doubles_do_not_overflow_the_sums)
{
    double a[] = {1e300, -1e300}, b[] = {1e300, -2e300};
    struct difference d = difference_of(DTYPE_F64, a, DTYPE_F64, b, 2);
    ck_assert_double_eq_tol(d.rms / 1e300, sqrt(0.5), 1e-15);
    ck_assert_double_eq_tol(d.cosine, 3.0 / sqrt(10.0), 1e-15);
}
END_TEST

START_TEST(any_two_types_compare)
{
    int64_t i64[] = {999, 0, -5};
    float f32[] = {999.0F, 0.0F, -5.5F};
    uint8_t u8[] = {0, 1, 7}, boolean[] = {0, 1, 1};
    ck_assert_double_eq(difference_of(DTYPE_I64, i64, DTYPE_F32, f32, 3).max_abs, 0.5);
    ck_assert_uint_eq(difference_of(DTYPE_U8, u8, DTYPE_BOOL, boolean, 3).unequal, 1);
    uint16_t f16[] = {0x3c00, 0xc000}; /* 1, -2 */
    float same_numbers[] = {1.0F, -2.0F};
    ck_assert_uint_eq(difference_of(DTYPE_F16, f16, DTYPE_F32, same_numbers, 2).unequal, 0);
}
END_TEST

START_TEST(tolerances)
{
    float a[] = {1.0F, 100.5F, 0.0F, 0.0F}, b[] = {1.0F, 100.0F, 1e-3F, 0.0F};
    a[3] = nextafterf(nextafterf(8.0F, 9.0F), 9.0F), b[3] = 8.0F;
    struct tensor x = vector(DTYPE_F32, a, 4), y = vector(DTYPE_F32, b, 4);
    const struct {
        struct tolerance tolerance;
        size_t outside;
    } cases[] = {
        {{0.0, 0.0, 0.0}, 3},
        {{0.0, 0.0, 1.0}, 3},
        {{0.0, 0.0, 2.0}, 2},   /* two steps above 8 */
        {{0.005, 0.0, 0.0}, 1}, /* 100 +- 0.5; the zero has no relative room */
        {{0.004, 0.0, 0.0}, 2},
        {{0.0, 1.1e-3, 0.0}, 1},
        {{0.005, 1.1e-3, 0.0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_uint_eq(tensor_disagreements(&x, &y, &cases[i].tolerance), cases[i].outside);
}
END_TEST

/* --- Many elements ------------------------------------------------------------------------ */

/* More than some blocks of elements, and no multiple of one. */
#define MANY 5003

/* Numbers of very different sizes, deterministic. */
static double any_number(uint32_t *state, int exponents)
{
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    double fraction = ((double)*state - 0x1p31) * 0x1p-31;
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return ldexp(fraction, (int)(*state >> 16) % (2 * exponents + 1) - exponents);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distance of one pair; that of finite numbers has tests of its own above. */
static double one_ulp(const struct tensor *a, const struct tensor *b, size_t i, enum dtype type)
{
    double x = tensor_get_double(a, i), y = tensor_get_double(b, i);
    if (x == y || (isnan(x) && isnan(y))) return 0;
    return isfinite(x) && isfinite(y) ? ulp_distance(x, y, type) : (double)INFINITY;
}

/* Each number of a difference by its definition, from a list sorted. */
static void expect_definitions(const struct tensor *a, const struct tensor *b, enum dtype ulp_type)
{
    static double ulps[MANY];
    static const struct tolerance tolerance = {.rtol = 1e-7, .atol = 1e-9, .ulp = 3};
    size_t count = tensor_count(b), unequal = 0, worst = 0, finite = 0, nonfinite = 0, outside = 0;
    long double squares = 0, aa = 0, bb = 0, ab = 0;
    double max_abs = -1, max_rel = 0, peak = 0;
    struct difference d, plain = tensor_difference(a, b);
    ck_assert_int_eq(tensor_difference_quantiles(a, b, ulp_type, &d, NULL), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        double x = tensor_get_double(a, i), y = tensor_get_double(b, i), distance = fabs(x - y);
        if (x == y || (isnan(x) && isnan(y))) distance = 0;
        if (isnan(distance)) distance = INFINITY;
        ulps[i] = one_ulp(a, b, i, ulp_type);
        unequal += distance > 0;
        if (distance > 0)
            outside += isinf(distance) || (distance > tolerance.atol + tolerance.rtol * fabs(y) &&
                                              one_ulp(a, b, i, b->dtype) > tolerance.ulp);
        if (distance > max_abs) max_abs = distance, worst = i;
        if (isfinite(y)) peak = fmax(peak, fabs(y));
        if (y != 0 && distance > 0) max_rel = fmax(max_rel, isinf(distance) ? distance : distance / fabs(y));
        nonfinite += isfinite(x) ? 0 : 1;
        if (!isfinite(x) || !isfinite(y)) continue;
        finite++;
        squares += (long double)distance * distance;
        aa += (long double)x * x, bb += (long double)y * y, ab += (long double)x * y;
    }
    qsort(ulps, count, sizeof *ulps, by_size);
    ck_assert_uint_eq(d.count, count);
    ck_assert_uint_eq(d.unequal, unequal);
    ck_assert_uint_eq(d.nonfinite_a, nonfinite);
    ck_assert_uint_eq(d.worst, worst);
    ck_assert_uint_eq(tensor_disagreements(a, b, &tolerance), outside);
    ck_assert_double_eq(d.max_abs, max_abs);
    ck_assert_double_eq(d.max_rel, max_rel);
    ck_assert_double_eq(d.peak, peak);
    /* Sums of a block are in double: some hundred roundings at most, which do not add up in one direction. */
    double rms = (double)sqrtl(squares / (long double)finite);
    ck_assert_double_le(fabs(d.rms - rms), 1e-14 * rms);
    ck_assert_double_eq_tol(d.cosine, (double)(ab / sqrtl(aa) / sqrtl(bb)), 1e-14);
    ck_assert_double_eq(d.max_ulp, ulps[count - 1]);
    /* Nearest ranks, counted from 1, rounded to float. */
    ck_assert_double_eq(d.median_ulp, (double)(float)ulps[(count + 1) / 2 - 1]);
    ck_assert_double_eq(d.p99_ulp, (double)(float)ulps[(99 * count + 99) / 100 - 1]);
    ck_assert(isnan(plain.median_ulp) && isnan(plain.p99_ulp));
    ck_assert_uint_eq(plain.worst, worst);
    ck_assert_double_eq(plain.rms, d.rms);
}

START_TEST(many_elements_are_what_the_definitions_say)
{
    static float a[MANY], b[MANY];
    static double exact[MANY], huge[MANY];
    const size_t counts[] = {MANY, 1, 2, 99, 100, 101, 200, 512, 513};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (int steps = 1; steps <= 4096; steps *= 16) {
            uint32_t state = (uint32_t)steps + (uint32_t)k;
            for (size_t i = 0; i < counts[k]; i++) {
                exact[i] = any_number(&state, 30);
                b[i] = (float)exact[i];
                a[i] = (float)(exact[i] + any_number(&state, 4) * steps * 0x1p-26 * exact[i]);
                huge[i] = exact[i] * 1e290;
            }
            struct tensor x = vector(DTYPE_F32, a, counts[k]), y = vector(DTYPE_F32, b, counts[k]);
            struct tensor z = vector(DTYPE_F64, exact, counts[k]), w = vector(DTYPE_F64, huge, counts[k]);
            expect_definitions(&x, &y, DTYPE_F32); /* integers */
            expect_definitions(&x, &z, DTYPE_F32); /* fractions */
            expect_definitions(&x, &z, DTYPE_F16);
            expect_definitions(&x, &z, DTYPE_BF16);
            expect_definitions(&z, &w, DTYPE_F64); /* squares overflow */
        }
}
END_TEST

START_TEST(what_is_not_finite_spoils_its_own_element_only)
{
    static float a[MANY], b[MANY];
    uint32_t state = 7;
    for (size_t i = 0; i < MANY; i++) {
        b[i] = (float)any_number(&state, 3);
        a[i] = (float)(b[i] * (1 + any_number(&state, 2) * 1e-6));
    }
    struct tensor x = vector(DTYPE_F32, a, MANY), y = vector(DTYPE_F32, b, MANY);
    a[700] = b[700] = NAN;
    a[2000] = b[2000] = INFINITY;
    expect_definitions(&x, &y, DTYPE_F32);
    a[4100] = -INFINITY;
    expect_definitions(&x, &y, DTYPE_F32);
    struct difference d;
    /* One in fifty, so the 99 % quantile is among them and the median is not. */
    for (size_t i = 0; i < MANY; i += 50) a[i] = NAN, b[i] = 1;
    ck_assert_int_eq(tensor_difference_quantiles(&x, &y, DTYPE_F32, &d, NULL), STATUS_OK);
    ck_assert(isinf(d.p99_ulp) && isfinite(d.median_ulp) && isinf(d.max_rel));
}
END_TEST

START_TEST(relative_differences_leave_zeros_out)
{
    float a[] = {1.0F, 2.5F, -3.0F, 1.0F}, b[] = {1.0F, 2.0F, -4.0F, -0.0F};
    struct difference d = difference_of(DTYPE_F32, a, DTYPE_F32, b, 4);
    ck_assert_double_eq(d.max_rel, 0.25);
    a[0] = b[1] = (float)INFINITY;
    ck_assert(isinf(difference_of(DTYPE_F32, a, DTYPE_F32, b, 4).max_rel));
}
END_TEST

START_TEST(quantiles_of_nothing)
{
    float nothing[1] = {0};
    struct tensor t = vector(DTYPE_F32, nothing, 0);
    struct difference d;
    ck_assert_int_eq(tensor_difference_quantiles(&t, &t, DTYPE_F32, &d, NULL), STATUS_OK);
    ck_assert_double_eq(d.median_ulp, 0);
    ck_assert_double_eq(d.p99_ulp, 0);
}
END_TEST

START_TEST(pictures_have_a_signal_to_noise_ratio)
{
    uint8_t a[] = {0, 255, 10, 20}, b[] = {0, 254, 11, 21};
    struct difference d = difference_of(DTYPE_U8, a, DTYPE_U8, b, 4);
    /* MSE 3/4: 10 log10(255^2 / 0.75) */
    ck_assert_double_eq_tol(difference_psnr(&d, picture_range("image_u8")), 49.380190, 1e-5);
    d = difference_of(DTYPE_U8, a, DTYPE_U8, a, 4);
    ck_assert(difference_psnr(&d, 255) > 0 && isinf(difference_psnr(&d, 255)));
    float x[] = {0.5F, -0.5F}, y[] = {0.4F, -0.5F}, bad[] = {NAN, -0.5F};
    d = difference_of(DTYPE_F32, x, DTYPE_F32, y, 2);
    ck_assert_double_eq_tol(difference_psnr(&d, picture_range("image")), 20 * log10(2 / 0.1 * sqrt(2)), 1e-5);
    d = difference_of(DTYPE_F32, bad, DTYPE_F32, y, 2);
    ck_assert(difference_psnr(&d, 2) < 0 && isinf(difference_psnr(&d, 2)));
    ck_assert_double_eq(picture_range("latents.final"), 0);
}
END_TEST

START_TEST(elements_are_named_by_their_place)
{
    struct tensor t = {.rank = 4, .shape = {2, 4, 64, 48}};
    char text[64];
    ck_assert_str_eq(
        tensor_show_index(&t, ((1 * 4 + 3) * 64 + 17) * 48 + 40, text, sizeof text), "[1, 3, 17, 40]");
    ck_assert_str_eq(tensor_show_index(&t, 0, text, sizeof text), "[0, 0, 0, 0]");
    t.rank = 0;
    ck_assert_str_eq(tensor_show_index(&t, 0, text, sizeof text), "[]");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare");
    TCase *types = tcase_create("element types");
    tcase_add_test(types, every_half_is_what_its_format_says);
    tcase_add_test(types, elements_are_read_at_any_address);
    tcase_add_test(types, shapes_are_counted_without_overflow);
    suite_add_tcase(suite, types);
    TCase *ulps = tcase_create("units in the last place");
    tcase_add_test(ulps, neighbouring_numbers_are_one_ulp_apart);
    tcase_add_test(ulps, steps_are_counted_in_the_type_of_the_reference);
    suite_add_tcase(suite, ulps);
    TCase *differences = tcase_create("differences");
    tcase_add_test(differences, numbers_of_a_small_example);
    tcase_add_test(differences, not_numbers_and_infinities);
    tcase_add_test(differences, zeros_and_nothing);
    tcase_add_test(differences, large_integers_do_not_run_together);
    tcase_add_test(differences, large_doubles_do_not_overflow_the_sums);
    tcase_add_test(differences, any_two_types_compare);
    tcase_add_test(differences, tolerances);
    suite_add_tcase(suite, differences);
    TCase *many = tcase_create("many elements");
    tcase_add_test(many, many_elements_are_what_the_definitions_say);
    tcase_add_test(many, what_is_not_finite_spoils_its_own_element_only);
    tcase_add_test(many, relative_differences_leave_zeros_out);
    tcase_add_test(many, quantiles_of_nothing);
    tcase_add_test(many, pictures_have_a_signal_to_noise_ratio);
    tcase_add_test(many, elements_are_named_by_their_place);
    suite_add_tcase(suite, many);
    return run_suite(suite);
}
