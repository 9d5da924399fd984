/*
 * The solvers with lambda as the time, from first principles: no recorded number.
 *
 * For Gaussian data N(mu, s^2) everything is known (test_convergence.c has the formulas): the best
 * prediction, the exact solution of the ODE, and the mean and variance of every level, which a stochastic
 * solver must keep. The training schedules are made for the purpose: lambda linear in the timestep, from
 * sigma 1000, where the solution is a straight line, so that the low orders of the first steps cost nothing,
 * to 0.3, in the middle of the data, so that what one half of a run loses the other does not win back.
 */
#include "sampler_run.h"
#include "sampler_support.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUANTILES = 5 };
static const double quantiles[QUANTILES] = {-2, -0.7, 0, 0.4, 1.5};
static const double mu = 0.3, s = 0.5;

static double variance(double a)
{
    return a * s * s + 1 - a;
}

static struct prediction gaussian_model(const void *context, double a, double x)
{
    (void)context;
    const double centred = (x - sqrt(a) * mu) / variance(a);
    return (struct prediction){
        .epsilon = sqrt(1 - a) * centred,
        .original = mu + sqrt(a) * s * s * centred,
    };
}

static double gaussian_solution(const void *context, double a, double z)
{
    (void)context;
    return sqrt(a) * mu + sqrt(variance(a)) * z;
}

/* `count` training timesteps, lambda linear in them. */
static cJSON *config_of(const char *class_name, const char *options, int count)
{
    cJSON *config = config_from("{\"_class_name\": \"%s\"%s%s}", class_name, *options ? ", " : "", options);
    double betas[1025], before = 1;
    for (int t = 0; t < count; t++) {
        const double sigma = 0.3 * pow(1000 / 0.3, (double)t / (count - 1)), a = 1 / (1 + sigma * sigma);
        betas[t] = 1 - a / before;
        before = a;
    }
    cJSON_AddItemToObject(config, "trained_betas", cJSON_CreateDoubleArray(betas, count));
    cJSON_AddNumberToObject(config, "num_train_timesteps", count);
    return config;
}

/* The end of a run of n steps from each quantile's solution; returns the last level. */
static double run(const cJSON *config, int n, size_t size, const double *z, const double *noise, double *end)
{
    const struct sampler_run sampler_run = {
        .config = config,
        .request = {.has_num_inference_steps = true, .num_inference_steps = n},
        .options = STEP_OPTIONS_DEFAULT,
        .batch = 1,
        .size = size,
        .noise = noise,
        .model = gaussian_model,
        .solution = gaussian_solution,
    };
    return run_sampler_f64(&sampler_run, z, end);
}

/* --- Orders of convergence ---------------------------------------------------------------- */

static double error_of(const cJSON *config, int n)
{
    static const double no_noise[1024 * QUANTILES];
    double end[QUANTILES], worst = 0;
    const double last = run(config, n, QUANTILES, quantiles, no_noise, end);
    for (int j = 0; j < QUANTILES; j++)
        worst = fmax(worst, fabs(end[j] - gaussian_solution(NULL, last, quantiles[j])));
    return worst;
}

#define TO_SIGMA_MIN "\"final_sigmas_type\": \"sigma_min\""
#define UNIPC TO_SIGMA_MIN ", \"lower_order_final\": false, "
#define SASOLVER "\"lower_order_final\": false, "
#define DOCUMENTED "\"_semantics\": \"documented\", "

/* The slope of the last halving; blocks of three steps need counts that 3 divides, and SA-Solver's tau is 0
 * below timestep 200. */
static const struct {
    const char *class_name, *options;
    int train, steps; /* timesteps of training; the larger count of steps, the other is half of it */
    double order;
} orders[] = {
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 1", 1025, 512, 1},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 2", 1025, 512, 2},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 2, \"solver_type\": \"heun\"", 1025,
        512, 2},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 2, \"algorithm_type\": \"dpmsolver\"",
        1025, 512, 2},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 3", 769, 384, 3},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 3, \"solver_type\": \"heun\"", 769,
        384, 3},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 3, \"algorithm_type\": \"dpmsolver\"",
        769, 384, 3},
    {"DPMSolverSinglestepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 3, \"algorithm_type\": \"dpmsolver\", \"solver_type\": \"heun\"",
        769, 384, 3},
    {"DEISMultistepScheduler", "\"solver_order\": 1", 1025, 512, 1},
    {"DEISMultistepScheduler", "\"solver_order\": 2", 1025, 512, 2},
    {"DEISMultistepScheduler", "\"solver_order\": 3", 1025, 512, 3},
    /* With the corrector the order is one more than the predictor's. */
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 1", 1025, 512, 2},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 2", 1025, 512, 3},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 2, \"solver_type\": \"bh1\"", 1025, 512, 3},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 2, \"predict_x0\": false", 1025, 512, 3},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 3, \"predict_x0\": false", 1025, 512, 4},
    {"SASolverScheduler",
        SASOLVER "\"predictor_order\": 1, \"corrector_order\": 1, \"algorithm_type\": \"noise_prediction\"",
        193, 192, 1},
    {"SASolverScheduler", SASOLVER "\"predictor_order\": 1, \"corrector_order\": 2", 193, 192, 2},
    {"SASolverScheduler", SASOLVER "\"predictor_order\": 2, \"corrector_order\": 2", 193, 192, 2},
    {"SASolverScheduler", SASOLVER "\"predictor_order\": 2, \"corrector_order\": 3", 193, 192, 3},
    {"SASolverScheduler",
        SASOLVER "\"predictor_order\": 2, \"corrector_order\": 3, \"algorithm_type\": \"noise_prediction\"",
        193, 192, 3},
    {"SASolverScheduler",
        SASOLVER "\"predictor_order\": 3, \"corrector_order\": 4, \"algorithm_type\": \"noise_prediction\"",
        193, 192, 4},
    {"DPMSolverMultistepInverseScheduler", "\"solver_order\": 1", 1025, 512, 1},
    {"DPMSolverMultistepInverseScheduler", "\"solver_order\": 2", 1025, 512, 2},
    {"DPMSolverMultistepInverseScheduler", "\"solver_order\": 2, \"algorithm_type\": \"dpmsolver\"", 1025,
        512, 2},
    /* Half of a term is left out, and order 2 is left; with all of it, order 3. */
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN ", \"solver_order\": 3, \"algorithm_type\": \"dpmsolver\"",
        1025, 512, 2},
    {"DPMSolverMultistepScheduler",
        DOCUMENTED TO_SIGMA_MIN ", \"solver_order\": 3, \"algorithm_type\": \"dpmsolver\"", 1025, 512, 3},
    {"DPMSolverMultistepScheduler", DOCUMENTED TO_SIGMA_MIN ", \"solver_order\": 3", 1025, 512, 3},
};

START_TEST(order_of_convergence)
{
    cJSON *config = config_of(orders[_i].class_name, orders[_i].options, orders[_i].train);
    const double coarse = error_of(config, orders[_i].steps / 2), fine = error_of(config, orders[_i].steps);
    const double order = log2(coarse / fine);
    ck_assert_msg(fabs(order - orders[_i].order) <= 0.2, "%s, %s: order %.3f, not %g; errors %.3g, %.3g",
        orders[_i].class_name, orders[_i].options, order, orders[_i].order, coarse, fine);
    cJSON_Delete(config);
}
END_TEST

/* --- One algorithm under two names -------------------------------------------------------- */

/* The predictors of UniPC of orders 1 to 3 are DPM-Solver++'s, its third with the whole term (Zhao et al.
 * 2023, section 3.4: order 2 with B(h) = e^hh - 1 is the `midpoint` form); DEIS of order 3 is the
 * noise-predicting DPM-Solver's, log rho being -lambda; the singlestep solver of order 1 is both. */
static const struct {
    const char *first, *first_options, *second, *second_options;
} twins[] = {
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 1", "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 1"},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 2", "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 2"},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 3", "DPMSolverMultistepScheduler",
        DOCUMENTED TO_SIGMA_MIN ", \"solver_order\": 3"},
    {"UniPCMultistepScheduler", UNIPC "\"solver_order\": 2, \"predict_x0\": false",
        "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 2, \"algorithm_type\": \"dpmsolver\""},
    {"DEISMultistepScheduler", "\"solver_order\": 1", "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 1, \"algorithm_type\": \"dpmsolver\""},
    {"DEISMultistepScheduler", "\"solver_order\": 2", "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 2, \"algorithm_type\": \"dpmsolver\", \"solver_type\": \"heun\""},
    {"DEISMultistepScheduler", "\"solver_order\": 3", "DPMSolverMultistepScheduler",
        DOCUMENTED TO_SIGMA_MIN
        ", \"solver_order\": 3, \"algorithm_type\": \"dpmsolver\", \"solver_type\": \"heun\""},
    {"DPMSolverSinglestepScheduler", TO_SIGMA_MIN ", \"solver_order\": 1", "DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"solver_order\": 1"},
};

START_TEST(twins_agree)
{
    double first_end[QUANTILES], second_end[QUANTILES], no_corrector[64];
    cJSON *first = config_of(twins[_i].first, twins[_i].first_options, 1025);
    cJSON *second = config_of(twins[_i].second, twins[_i].second_options, 1025);
    for (int i = 0; i < 64; i++) no_corrector[i] = i;
    if (strstr(twins[_i].first, "UniPC"))
        cJSON_AddItemToObject(first, "disable_corrector", cJSON_CreateDoubleArray(no_corrector, 64));
    run(first, 64, QUANTILES, quantiles, NULL, first_end);
    run(second, 64, QUANTILES, quantiles, NULL, second_end);
    for (int j = 0; j < QUANTILES; j++) ck_assert_double_eq_tol(first_end[j], second_end[j], 1e-11);
    cJSON_Delete(first);
    cJSON_Delete(second);
}
END_TEST

/* --- Stochastic solvers ------------------------------------------------------------------- */

static const struct {
    const char *class_name, *options;
} stochastic[] = {
    {"DPMSolverSinglestepScheduler",
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 1"},
    {"DPMSolverSinglestepScheduler",
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 2"},
    {"DPMSolverSinglestepScheduler",
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 3"},
    {"DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver\", \"solver_order\": 2"},
    {"DPMSolverMultistepScheduler",
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 2"},
    {"DPMSolverMultistepScheduler",
        DOCUMENTED TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 3"},
    {"DPMSolverMultistepScheduler",
        DOCUMENTED TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver\", \"solver_order\": 3"},
    {"DPMSolverSinglestepScheduler", DOCUMENTED TO_SIGMA_MIN
        ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 3, \"solver_type\": \"heun\""},
    {"SASolverScheduler", "\"predictor_order\": 2, \"corrector_order\": 2"},
    {"SASolverScheduler", "\"predictor_order\": 3, \"corrector_order\": 3"},
    {"SASolverScheduler",
        "\"predictor_order\": 2, \"corrector_order\": 2, \"algorithm_type\": \"noise_prediction\""},
};

enum { SDE_STEPS = 256, SDE_SIZE = SDE_STEPS + 2 };

struct moments {
    double a, mean, variance; /* the end's level, and the moments there */
};

/* On Gaussian data the end is linear in the start's quantile and in each draw: element 0 has the quantile 1,
 * element i the draw 1 in step i - 1, the last nothing. So mean and variance of the end after n steps are
 * known without a sample. */
static struct moments moments_of(const cJSON *config, int n)
{
    const size_t size = (size_t)n + 2;
    double *noise = calloc((size_t)n * size, sizeof *noise), z[SDE_SIZE] = {1}, end[SDE_SIZE];
    ck_assert_ptr_nonnull(noise);
    for (size_t i = 0; i < (size_t)n; i++) noise[i * size + i + 1] = 1;
    struct moments moments = {.a = run(config, n, size, z, noise, end)};
    moments.mean = end[size - 1];
    for (size_t j = 0; j + 1 < size; j++) moments.variance += pow(end[j] - moments.mean, 2);
    free(noise);
    return moments;
}

/* The distance of the moments from the target's, the mean's in standard deviations. */
static double distance_of(const struct moments *moments)
{
    const double mean = (moments->mean - sqrt(moments->a) * mu) / sqrt(variance(moments->a));
    return fmax(fabs(mean), fabs(moments->variance / variance(moments->a) - 1));
}

/* The moments become those of the target as steps become small, at least in proportion to them. */
START_TEST(moments_converge)
{
    cJSON *config = config_of(stochastic[_i].class_name, stochastic[_i].options, 1025);
    const struct moments coarse = moments_of(config, SDE_STEPS / 2), fine = moments_of(config, SDE_STEPS);
    const double before = distance_of(&coarse), after = distance_of(&fine);
    ck_assert_msg(after <= 0.08 && before / after >= 1.8, "%s, %s: %.3g away, then %.3g",
        stochastic[_i].class_name, stochastic[_i].options, before, after);
    cJSON_Delete(config);
}
END_TEST

/* Diffusers' third order for SDEs has a wrong sign, whose term is of order 1: the variance's error, which
 * changes its sign on the way, is larger with 256 steps than with 128. With the right sign the error is
 * divided by more than 4. */
START_TEST(third_order_of_sde)
{
    static const char *const options =
        TO_SIGMA_MIN ", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 3";
    for (int documented = 0; documented < 2; documented++) {
        cJSON *config = config_of("DPMSolverMultistepScheduler", options, 1025);
        cJSON_AddStringToObject(config, "_semantics", documented ? "documented" : "diffusers");
        const struct moments coarse = moments_of(config, 128), fine = moments_of(config, 256);
        if (documented)
            ck_assert_double_ge(distance_of(&coarse), 4 * distance_of(&fine));
        else
            ck_assert_double_ge(distance_of(&fine), 1.5 * distance_of(&coarse));
        cJSON_Delete(config);
    }
}
END_TEST

enum { SAMPLES = 100000, SAMPLE_STEPS = 16 };

/* 1e5 samples have the moments that were found without any, within four standard errors. */
START_TEST(moments_of_samples)
{
    double *noise = malloc(sizeof *noise * SAMPLES * SAMPLE_STEPS), *z = malloc(sizeof *z * SAMPLES);
    double *end = malloc(sizeof *end * SAMPLES), mean = 0, squares = 0;
    ck_assert(noise && z && end);
    fill_normals("5", noise, (size_t)SAMPLES * SAMPLE_STEPS);
    fill_normals("6", z, SAMPLES);
    cJSON *config = config_of(stochastic[_i].class_name, stochastic[_i].options, 1025);
    const struct moments expected = moments_of(config, SAMPLE_STEPS);
    run(config, SAMPLE_STEPS, SAMPLES, z, noise, end);
    for (int i = 0; i < SAMPLES; i++) mean += end[i] / SAMPLES;
    for (int i = 0; i < SAMPLES; i++) squares += (end[i] - mean) * (end[i] - mean) / (SAMPLES - 1);
    ck_assert_double_eq_tol(mean, expected.mean, 4 * sqrt(expected.variance / SAMPLES));
    ck_assert_double_eq_tol(squares / expected.variance, 1, 4 * sqrt(2.0 / SAMPLES));
    cJSON_Delete(config);
    free(noise);
    free(z);
    free(end);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dpmsolver family");
    TCase *tcase = tcase_create("solvers");
    tcase_add_loop_test(tcase, order_of_convergence, 0, sizeof orders / sizeof *orders);
    tcase_add_loop_test(tcase, twins_agree, 0, sizeof twins / sizeof *twins);
    tcase_add_loop_test(tcase, moments_converge, 0, sizeof stochastic / sizeof *stochastic);
    tcase_add_test(tcase, third_order_of_sde);
    tcase_add_loop_test(tcase, moments_of_samples, 0, sizeof stochastic / sizeof *stochastic);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
