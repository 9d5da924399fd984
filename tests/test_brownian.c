/*
 * The Brownian path from which DPMSolverSDE and CosineDPMSolverMultistep take their noise: against what such
 * a path must be, and against increments that torchsde 0.2.6 gave.
 */
#include "sched/brownian_interval.h"
#include "tests/brownian_checks.h"
#include "tests/support.h"

#include <math.h>

/* torchsde.BrownianInterval(t0, t1, size=(n,), entropy=seed, tol=1e-6, pool_size=24, halfway_tree=True) on
 * PyTorch 1.13 (AVX2): elements 0, 1 and n - 1 of the increment over [from, to]. */
START_TEST(increments_of_torchsde)
{
    static const struct {
        struct brownian_interval interval;
        float from, to;
        size_t n;
        float first, second, last;
    } known[] = {
        {{0, 0, 1}, 0, 1, 3, -0x1.b22044p-2f, 0x1.f198ccp-1f, -0x1.e407a2p-2f},
        {{0, 0, 1}, 0.25f, 0.5f, 3, -0x1.6a660cp-4f, -0x1.b1af5p-2f, -0x1.820816p-2f},
        {{2487854446, 0.0291675f, 14.6146f}, 0.1f, 7.3f, 20, -0x1.2cea6p+0f, -0x1.c6294p+1f, 0x1.08572p-6f},
        {{INT64_MAX, 0.3f, 500}, 0.7f, 431, 20, -0x1.9ac7b8p+3f, 0x1.bbc57p+1f, -0x1.0009a6p-1f},
        {{UINT64_C(1) << 40, 0.2f, 200}, 199, 200, 17, -0x1.bcf6cp-2f, 0x1.6d615cp+0f, -0x1.2d9f0cp-3f},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        float increment[20];
        struct error error = {""};
        ck_assert_msg(brownian_increment(&known[i].interval, (double)known[i].from, (double)known[i].to,
                          known[i].n, increment, &error) == STATUS_OK,
            "%s", error.message);
        ck_assert_msg(increment[0] == known[i].first && increment[1] == known[i].second &&
                          increment[known[i].n - 1] == known[i].last,
            "increment %zu: %a, %a ... %a", i, (double)increment[0], (double)increment[1],
            (double)increment[known[i].n - 1]);
    }
}
END_TEST

/* Times outside are the ends, a time to itself is nothing, and what is nearer than 1e-6 is one time. */
START_TEST(ends_and_rounding)
{
    const struct brownian_interval path = {.seed = 7, .start = 1, .end = 2};
    float inside[4], outside[4];
    struct error error = {""};
    ck_assert(brownian_increment(&path, 1, 2, 4, inside, &error) == STATUS_OK);
    ck_assert(brownian_increment(&path, 0, 30, 4, outside, &error) == STATUS_OK);
    ck_assert_mem_eq(inside, outside, sizeof inside);
    ck_assert(brownian_increment(&path, 1.25, 1.25, 4, outside, &error) == STATUS_OK);
    for (int i = 0; i < 4; i++) ck_assert(outside[i] == 0);
    ck_assert(brownian_increment(&path, 1.2000001, 1.7000004, 4, inside, &error) == STATUS_OK);
    ck_assert(brownian_increment(&path, 1.2, 1.7, 4, outside, &error) == STATUS_OK);
    ck_assert_mem_eq(inside, outside, sizeof inside);
    ck_assert(brownian_increment(&path, 1.2, 1.700001, 4, inside, &error) == STATUS_OK);
    ck_assert(inside[0] != outside[0]);
}
END_TEST

START_TEST(refusals)
{
    const struct brownian_interval wide = {.seed = 7, .start = 0, .end = 1e14};
    /* Halving [0.3, 0.300001] gives 0.3000005, which as a double is nearer to 0.300001. */
    const struct brownian_interval endless = {.seed = 7, .start = 0.3, .end = 500};
    float increment[4];
    struct error error = {""};
    expect_error(brownian_increment(&wide, 1, 2, 4, increment, &error), STATUS_BAD_INPUT, &error,
        "too long for steps of 1e-6", NULL);
    expect_error(brownian_increment(&endless, 0.3, 0.30000001, 4, increment, &error), STATUS_BAD_INPUT,
        &error, "recurses without end at 0.29999999999999999, ", NULL);
}
END_TEST

START_TEST(increments_add_up)
{
    check_brownian_sums_f32();
    check_brownian_sums_f64();
}
END_TEST

START_TEST(mean_variance_covariance)
{
    check_brownian_moments_f32();
    check_brownian_moments_f64();
}
END_TEST

START_TEST(a_seed_a_picture)
{
    check_brownian_seeds_f32();
    check_brownian_seeds_f64();
}
END_TEST

/* Both arithmetics follow the same path: it goes through a few units of 2^-24 times the path's size. */
START_TEST(one_path_in_both_arithmetics)
{
    enum { COUNT = 140 };
    double narrow[COUNT], wide[COUNT];
    brownian_sample_f32(narrow, COUNT);
    brownian_sample_f64(wide, COUNT);
    for (int i = 0; i < COUNT; i++) ck_assert_double_le(fabs(narrow[i] - wide[i]), 16 * 0x1p-24 * 15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("brownian");
    TCase *tcase = tcase_create("path");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, increments_of_torchsde);
    tcase_add_test(tcase, ends_and_rounding);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, increments_add_up);
    tcase_add_test(tcase, mean_variance_covariance);
    tcase_add_test(tcase, a_seed_a_picture);
    tcase_add_test(tcase, one_path_in_both_arithmetics);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
