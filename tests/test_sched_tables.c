/*
 * The parts that schedules are made of, against what can be derived without any recorded run: closed forms,
 * counts, and properties.
 */
#include "sched/beta_distribution.h"
#include "sched/noise_schedule.h"
#include "sched/numpy_log.h"
#include "sched/sigma_kinds.h"
#include "sched/step_index.h"
#include "sched/thresholding.h"
#include "sched/timesteps.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- The beta distribution ---------------------------------------------------------------- */

static double ppf(double q, double a, double b)
{
    const struct beta_distribution distribution = beta_distribution(a, b);
    return beta_quantile(&distribution, q);
}

static double cdf(double x, double a, double b)
{
    const struct beta_distribution distribution = beta_distribution(a, b);
    return beta_cdf(&distribution, x);
}

/* I_x(1/2, 1/2) = 2/pi asin(sqrt(x)), the arcsine law; I_x(1, 1) = x; I_x(a, 1) = x^a. */
START_TEST(beta_distribution_in_closed_form)
{
    for (int i = 0; i <= 1000; i++) {
        double q = i / 1000.0, x = pow(sin(M_PI * q / 2), 2);
        ck_assert_double_eq_tol(ppf(q, 0.5, 0.5), x, 1e-14);
        ck_assert_double_eq_tol(cdf(x, 0.5, 0.5), q, 1e-14);
        ck_assert_double_eq_tol(ppf(q, 1, 1), q, 1e-15);
        ck_assert_double_eq_tol(ppf(q, 0.6, 1), pow(q, 1 / 0.6), 1e-14);
    }
}
END_TEST

START_TEST(beta_distribution_inverts_and_is_symmetric)
{
    for (int i = 1; i < 1000; i++) {
        double q = i / 1000.0, x = ppf(q, 0.6, 0.6);
        ck_assert_double_eq_tol(cdf(x, 0.6, 0.6), q, 1e-14);
        ck_assert_double_eq_tol(ppf(1 - q, 0.6, 0.6), 1 - x, 1e-14);
        ck_assert_double_gt(x, ppf(q - 0.001, 0.6, 0.6));
    }
    ck_assert(ppf(0, 0.6, 0.6) == 0 && ppf(1, 0.6, 0.6) == 1);
    /* Near 0 the law is x^a / (a B): the relative error stays small. */
    double tiny = 1e-30, expected = pow(tiny * 0.6 * tgamma(0.6) * tgamma(0.6) / tgamma(1.2), 1 / 0.6);
    ck_assert_double_eq_tol(ppf(tiny, 0.6, 0.6) / expected, 1, 1e-12);
}
END_TEST

/* --- Logarithm ---------------------------------------------------------------------------- */

START_TEST(numpy_log_is_a_logarithm)
{
    ck_assert(numpy_log(1.0f) == 0.0f);
    ck_assert(isinf(numpy_log(0.0f)) && numpy_log(0.0f) < 0);
    ck_assert(isnan(numpy_log(-1.0f)));
    float x = 1e-30f;
    for (int i = 0; i < 100000 && x < 1e30f; i++, x *= 1.00137f) {
        double exact = log((double)x);
        double ulp = (double)(nextafterf(fabsf((float)exact), INFINITY) - fabsf((float)exact));
        ck_assert_msg(fabs((double)numpy_log(x) - exact) <= 4 * ulp, "log(%.9g)", (double)x);
    }
}
END_TEST

/* --- Grids -------------------------------------------------------------------------------- */

static size_t grid(const char *name, int steps, bool extra_point, double *out, size_t room)
{
    const struct spacing spacing = {
        .timestep_spacing = name,
        .num_train_timesteps = 1000,
        .last_timestep = 1000,
        .num_inference_steps = steps,
        .steps_offset = 1,
        .extra_point = extra_point,
    };
    double *timesteps = NULL;
    size_t count = 0;
    struct error error = {""};
    ck_assert_msg(timesteps_spaced(&spacing, &timesteps, &count, &error) == STATUS_OK, "%s", error.message);
    ck_assert_uint_le(count, room);
    memcpy(out, timesteps, count * sizeof *out);
    free(timesteps);
    return count;
}

/* np.arange(1000, 0, -1000/N) has one number more than N for 62 of N = 1..1000, and then the last is -1. */
START_TEST(trailing_has_one_timestep_too_many)
{
    static const int first[] = {61, 103, 121, 122, 201, 206};
    double timesteps[1001];
    size_t found = 0;
    for (int n = 1; n <= 1000; n++) {
        size_t count = grid("trailing", n, false, timesteps, 1001);
        ck_assert(timesteps[0] == 999);
        if (count == (size_t)n) continue;
        ck_assert_uint_eq(count, (size_t)n + 1);
        ck_assert(timesteps[count - 1] == -1);
        if (found < 6) ck_assert_int_eq(n, first[found]);
        found++;
    }
    ck_assert_uint_eq(found, 62);
}
END_TEST

/* Halves go to the even neighbour: 499.5 to 500, 166.5 to 166. */
START_TEST(halves_round_to_even)
{
    double timesteps[8];
    ck_assert_uint_eq(grid("linspace", 5, false, timesteps, 8), 5);
    ck_assert(timesteps[0] == 999 && timesteps[2] == 500 && timesteps[4] == 0);
    ck_assert_uint_eq(grid("linspace", 7, false, timesteps, 8), 7);
    ck_assert(timesteps[5] == 166);
}
END_TEST

/* `leading` is two grids: T // N, and T // (N + 1) with the least noisy point dropped. */
START_TEST(leading_means_two_grids)
{
    double timesteps[20];
    ck_assert_uint_eq(grid("leading", 20, false, timesteps, 20), 20);
    ck_assert(timesteps[0] == 951 && timesteps[19] == 1);
    ck_assert_uint_eq(grid("leading", 20, true, timesteps, 20), 20);
    ck_assert(timesteps[0] == 941 && timesteps[19] == 48);
}
END_TEST

START_TEST(casts_to_integers)
{
    ck_assert(timestep_truncated(2.9) == 2 && timestep_truncated(-2.9) == -2);
    ck_assert(timestep_truncated((double)NAN) == -0x1p63 && timestep_truncated(1e30) == -0x1p63);
}
END_TEST

/* --- Sigmas ------------------------------------------------------------------------------- */

START_TEST(sigma_kinds_span_their_range)
{
    void (*const kinds[])(double, double, size_t, double *) = {
        sigmas_karras, sigmas_exponential, sigmas_beta};
    double sigmas[9];
    for (size_t kind = 0; kind < 3; kind++) {
        kinds[kind](0.03, 14.6, 9, sigmas);
        ck_assert_double_eq_tol(sigmas[0], 14.6, 1e-13);
        ck_assert_double_eq_tol(sigmas[8], 0.03, 1e-13);
        for (size_t i = 1; i < 9; i++) ck_assert_double_lt(sigmas[i], sigmas[i - 1]);
    }
    sigmas_lu(log(0.03), log(14.6), 9, sigmas);
    double exponential[9];
    sigmas_exponential(0.03, 14.6, 9, exponential);
    for (size_t i = 0; i < 9; i++) ck_assert_double_eq_tol(sigmas[i] / exponential[i], 1, 1e-14);
    /* Karras: equally spaced seventh roots. */
    sigmas_karras(0.03, 14.6, 9, sigmas);
    double middle = (pow(0.03, 1.0 / 7) + pow(14.6, 1.0 / 7)) / 2;
    ck_assert_double_eq_tol(sigmas[4], pow(middle, 7), 1e-12);
}
END_TEST

/* Without a shift flow sigmas are equally spaced; the shift moves 1/2 to shift / (1 + shift). */
START_TEST(flow_sigmas_are_shifted)
{
    double plain[4], shifted[4];
    sigmas_flow(1000, 1, 4, plain);
    for (size_t i = 0; i < 4; i++) ck_assert_double_eq_tol(plain[i], 0.999 * (double)(4 - i) / 4, 1e-15);
    sigmas_flow(1000, 3, 4, shifted);
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_eq_tol(shifted[i], 3 * plain[i] / (1 + 2 * plain[i]), 1e-15);
}
END_TEST

/* --- Thresholding ------------------------------------------------------------------------- */

START_TEST(thresholding_by_hand)
{
    const struct scheduler_config config = {.dynamic_thresholding_ratio = 0.75, .sample_max_value = 10};
    real sample[] = {-8, 1, 2, 4, 0, /* the 0.75 quantile of 0 1 2 4 8 is 4 */
        0, 0.5f, 0.25f, -0.5f, 0.125f /* below 1: left as it is */};
    const real expected[] = {-1, 0.25f, 0.5f, 1, 0, 0, 0.5f, 0.25f, -0.5f, 0.125f};
    struct error error = {""};
    ck_assert_int_eq(threshold_sample(&config, sample, 2, 5, &error), STATUS_OK);
    for (size_t i = 0; i < 10; i++) ck_assert(sample[i] == expected[i]);

    const struct scheduler_config limited = {.dynamic_thresholding_ratio = 0.75, .sample_max_value = 2};
    real clipped[] = {-8, 1, 2, 4, 0};
    const real half[] = {-1, 0.5f, 1, 1, 0};
    ck_assert_int_eq(threshold_sample(&limited, clipped, 1, 5, &error), STATUS_OK);
    for (size_t i = 0; i < 5; i++) ck_assert(clipped[i] == half[i]);

    const struct scheduler_config wrong = {.dynamic_thresholding_ratio = 1.5, .sample_max_value = 2};
    expect_error(threshold_sample(&wrong, clipped, 1, 5, &error), STATUS_BAD_INPUT, &error,
        "dynamic_thresholding_ratio", "1.5", NULL);
}
END_TEST

/* --- Step index --------------------------------------------------------------------------- */

START_TEST(where_a_run_stands)
{
    double timesteps[] = {999, 999, 500.25, 100};
    real sigmas[5] = {0};
    struct scheduler scheduler = {.timesteps = timesteps,
        .num_timesteps = 4,
        .timestep_dtype = TIMESTEP_FLOAT32,
        .sigmas = sigmas,
        .num_sigmas = 5,
        .step_index = -1,
        .begin_index = -1};
    struct error error = {""};
    size_t index = 0;
    ck_assert_int_eq(step_index_now(&scheduler, 999, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 1); /* of two the second */
    ck_assert_int_eq(step_index_now(&scheduler, 500.251, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 2); /* another machine's logarithm */
    ck_assert_int_eq(
        step_index_now(&scheduler, 300, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_BAD_INPUT);
    ck_assert_int_eq(step_index_now(&scheduler, 300, OFF_SCHEDULE_IS_LAST, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 3);
    scheduler.begin_index = 2;
    ck_assert_int_eq(step_index_now(&scheduler, 999, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 2);
    scheduler.step_index = 3; /* add_noise in the middle of a run: inpainting */
    ck_assert_int_eq(step_index_for_noise(&scheduler, 999, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 3);
    scheduler.begin_index = -1;
    ck_assert_int_eq(step_index_for_noise(&scheduler, 100, OFF_SCHEDULE_IS_ERROR, &index, &error), STATUS_OK);
    ck_assert_uint_eq(index, 3);
    scheduler.step_index = 5;
    expect_error(step_index_now(&scheduler, 0, OFF_SCHEDULE_IS_LAST, &index, &error), STATUS_BAD_INPUT,
        &error, "sigmas", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sched_tables");
    TCase *tcase = tcase_create("tables");
    tcase_add_test(tcase, beta_distribution_in_closed_form);
    tcase_add_test(tcase, beta_distribution_inverts_and_is_symmetric);
    tcase_add_test(tcase, numpy_log_is_a_logarithm);
    tcase_add_test(tcase, trailing_has_one_timestep_too_many);
    tcase_add_test(tcase, halves_round_to_even);
    tcase_add_test(tcase, leading_means_two_grids);
    tcase_add_test(tcase, casts_to_integers);
    tcase_add_test(tcase, sigma_kinds_span_their_range);
    tcase_add_test(tcase, flow_sigmas_are_shifted);
    tcase_add_test(tcase, thresholding_by_hand);
    tcase_add_test(tcase, where_a_run_stands);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
