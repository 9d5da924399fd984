/*
 * EDMEuler, EDMDPMSolverMultistep, CosineDPMSolverMultistep and DPMSolverSDE from first principles: orders of
 * convergence on the probability flow of Gaussian data, and the mean and variance that the stochastic ones
 * reach; and what documented semantics change, with both values.
 */
#include "tests/edm_run.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Orders ------------------------------------------------------------------------------- */

/* sigma is a smooth function of the step's number, so halving the steps halves every one of them. The
 * schedules end at sigma_min, in a last step of no length. */
#define EDM                                                                                                  \
    "\"sigma_min\": 0.05, \"sigma_max\": 20, \"sigma_data\": 0.7, \"final_sigmas_type\": \"sigma_min\""

static const struct {
    const char *config;
    double order;
} orders[] = {
    {"{\"_class_name\": \"EDMEulerScheduler\", " EDM "}", 1},
    {"{\"_class_name\": \"EDMEulerScheduler\", \"sigma_schedule\": \"exponential\", " EDM "}", 1},
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"solver_order\": 1, " EDM "}", 1},
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"solver_order\": 2, " EDM "}", 2},
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"solver_order\": 2, \"solver_type\": \"heun\", "
     "\"euler_at_final\": true, "
     "\"sigma_schedule\": \"exponential\", " EDM "}",
        2},
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"solver_order\": 3, \"euler_at_final\": true, "
     "\"_semantics\": \"documented\", " EDM "}",
        3},
    {"{\"_class_name\": \"EDMEulerScheduler\", \"prediction_type\": \"sample\", \"_semantics\": "
     "\"documented\", " EDM "}",
        1},
};
enum { ORDERS = sizeof orders / sizeof *orders };

START_TEST(orders_of_convergence)
{
    enum { COUNTS = 4 };
    static const double z[] = {-2, -0.7, 0.4, 1.5};
    double out[4], slope = 0, before = 0;
    for (int k = 0; k < COUNTS; k++) {
        const struct gaussian_run run = {.config = orders[_i].config,
            .steps = (64 << k) + 1,
            .mu = 0.3,
            .s = 1,
            .options = STEP_OPTIONS_DEFAULT};
        const double last = run_gaussian(&run, z, 4, out);
        double worst = 0;
        for (int j = 0; j < 4; j++)
            worst = fmax(worst, fabs(out[j] - run.mu - sqrt(run.s * run.s + last * last) * z[j]));
        if (k) slope += log2(before / worst) / (COUNTS - 1);
        before = worst;
    }
    ck_assert_msg(fabs(slope - orders[_i].order) < 0.2, "%s: order %.3f", orders[_i].config, slope);
}
END_TEST

/* --- Moments ------------------------------------------------------------------------------ */

/* DPMSolverSDE starts from sigma 1.35 here, so that 16 steps of two calls are enough. */
static const struct {
    const char *config;
    int steps;
} stochastic[] = {
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\", "
     "\"sigma_data\": 0.5}",
        160},
    {"{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\", "
     "\"solver_order\": 3, \"_semantics\": \"documented\", \"sigma_data\": 0.5}",
        160},
    {"{\"_class_name\": \"CosineDPMSolverMultistepScheduler\", \"sigma_min\": 0.02, \"sigma_max\": 2, "
     "\"sigma_data\": 0.5, \"prediction_type\": \"epsilon\"}",
        30},
    {"{\"_class_name\": \"DPMSolverSDEScheduler\", \"beta_start\": 0.00005, \"beta_end\": 0.002, "
     "\"use_karras_sigmas\": true}",
        16},
};
enum { STOCHASTIC = sizeof stochastic / sizeof *stochastic };

/* The mean and variance of the data, from 10^5 samples. A stochastic solver has a bias of its own beside the
 * statistical error: for these numbers of steps it is held to half of a per cent of the variance. */
START_TEST(mean_and_variance)
{
    enum { SAMPLES = 100000 };
    double *z = calloc(2 * SAMPLES, sizeof *z), *out = z + SAMPLES, sum = 0, squares = 0;
    ck_assert_ptr_nonnull(z);
    fill_normals("11", z, SAMPLES);
    const struct gaussian_run run = {.config = stochastic[_i].config,
        .steps = stochastic[_i].steps,
        .mu = 0.3,
        .s = 0.6,
        .options = STEP_OPTIONS_DEFAULT,
        .seed = "4"};
    run_gaussian(&run, z, SAMPLES, out);
    for (int i = 0; i < SAMPLES; i++) sum += out[i];
    const double mean = sum / SAMPLES;
    for (int i = 0; i < SAMPLES; i++) squares += pow(out[i] - mean, 2);
    const double ratio = squares / SAMPLES / (run.s * run.s);
    printf("  %.60s...: mean %.4f of 0.3, variance %.4f of the data's\n", run.config, mean, ratio);
    ck_assert_msg(fabs(mean - run.mu) < 4 * run.s / sqrt(SAMPLES), "the mean is %g", mean);
    ck_assert_msg(fabs(ratio - 1) < 4 * sqrt(2.0 / SAMPLES) + 0.005, "the variance is %g of it", ratio);
    free(z);
}
END_TEST

/* --- Documented semantics ----------------------------------------------------------------- */

START_TEST(sigmas_are_a_ramp)
{
    static const double given[] = {1, 0.5};
    double sigmas[3];
    sigmas_made_of("{\"_class_name\": \"EDMEulerScheduler\"}", given, 2, sigmas);
    ck_assert_double_eq_tol(sigmas[0], 0.002, 1e-15);   /* the ramp's end */
    ck_assert_double_eq_tol(sigmas[1], 2.515219, 1e-6); /* its middle */
    ck_assert_double_eq(sigmas[2], 0);
    sigmas_made_of(
        "{\"_class_name\": \"EDMEulerScheduler\", \"_semantics\": \"documented\"}", given, 2, sigmas);
    ck_assert_double_eq(sigmas[0], 1);
    ck_assert_double_eq(sigmas[1], 0.5);
    ck_assert_double_eq(sigmas[2], 0);
}
END_TEST

/* The default range, at which torchsde recurses without end, runs with documented semantics; and so does a
 * final sigma of sigma_min, which is 0/0. */
START_TEST(documented_last_step_of_cosine)
{
    static const char *const configs[] = {
        "{\"_class_name\": \"CosineDPMSolverMultistepScheduler\", \"sigma_data\": 1.0, \"prediction_type\": "
        "\"epsilon\", \"_semantics\": \"documented\"}",
        "{\"_class_name\": \"CosineDPMSolverMultistepScheduler\", \"sigma_data\": 1.0, \"prediction_type\": "
        "\"epsilon\", \"final_sigmas_type\": \"sigma_min\", \"_semantics\": \"documented\"}"};
    static const double z[] = {-1, 0.5, 2};
    double out[3];
    const struct gaussian_run run = {
        .config = configs[_i], .steps = 5, .mu = 0.3, .s = 1, .options = STEP_OPTIONS_DEFAULT, .seed = "3"};
    run_gaussian(&run, z, 3, out);
    for (int i = 0; i < 3; i++) ck_assert_msg(fabs(out[i] - 0.3) < 6, "%g", out[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edm solvers");
    TCase *tcase = tcase_create("solvers");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, orders_of_convergence, 0, ORDERS);
    tcase_add_loop_test(tcase, mean_and_variance, 0, STOCHASTIC);
    tcase_add_test(tcase, sigmas_are_a_ramp);
    tcase_add_loop_test(tcase, documented_last_step_of_cosine, 0, 2);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
