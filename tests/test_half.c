/*
 * The two half-width types (kernels/half.h), every number of them: to a float and back, and the roundings
 * between neighbours.
 */
#include "support.h"

#include "kernels/half.h"

#include <float.h>
#include <math.h>

static bool is_nan16(uint32_t bits, uint32_t infinity)
{
    return (bits & 0x7fffu) > infinity;
}

struct half {
    float (*to)(uint16_t bits);
    uint16_t (*from)(float value);
    uint32_t infinity;
};

static const struct half halves[] = {
    {f16_to_f32, f16_from_f32, 0x7c00u},
    {bf16_to_f32, bf16_from_f32, 0x7f80u},
};

START_TEST(every_number_comes_back)
{
    const struct half *half = &halves[_i];
    for (uint32_t bits = 0; bits < 0x10000u; bits++) {
        uint16_t back = half->from(half->to((uint16_t)bits));
        if (is_nan16(bits, half->infinity))
            ck_assert_msg(is_nan16(back, half->infinity), "NaN %04x became %04x", bits, back);
        else
            ck_assert_msg(back == bits, "%04x became %04x", bits, back);
    }
}
END_TEST

/* Half-way between neighbours the even one is taken, and a float's breadth away the nearer one. The exact
 * middle is a float: it has one bit more than the narrow type. The neighbour of the largest number is taken
 * to be one step on, which is what its rounding to infinity goes by. */
START_TEST(ties_go_to_even)
{
    const struct half *half = &halves[_i];
    for (uint32_t bits = 0; bits < half->infinity; bits++) {
        float here = half->to((uint16_t)bits);
        float step = bits + 1 < half->infinity ? half->to((uint16_t)(bits + 1)) - here
                                               : here - half->to((uint16_t)(bits - 1));
        float middle = here + step / 2;
        uint32_t even = bits % 2 == 0 ? bits : bits + 1;
        if (middle > here) {
            ck_assert_msg(half->from(middle) == even, "after %04x: %04x", bits, half->from(middle));
            ck_assert_uint_eq(half->from(nextafterf(middle, 0)), bits);
            ck_assert_uint_eq(half->from(nextafterf(middle, INFINITY)), bits + 1);
            ck_assert_uint_eq(half->from(-middle), 0x8000u | even);
        }
    }
    ck_assert_uint_eq(half->from(INFINITY), half->infinity);
    ck_assert_uint_eq(half->from(-FLT_MAX), 0x8000u | half->infinity);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("half-width numbers");
    TCase *cases = tcase_create("both types");
    tcase_add_loop_test(cases, every_number_comes_back, 0, 2);
    tcase_add_loop_test(cases, ties_go_to_even, 0, 2);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
