/*
 * The solvers that step through sigmas (Euler ancestral, Heun, LMS, DPM2, flow matching), from first
 * principles: orders of convergence, distributions, identities. No recorded number here.
 */
#include "sched/beta_distribution.h"
#include "sched/lms_coefficients.h"
#include "tests/sampler_support.h"
#include "tests/sigma_run.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Orders of convergence ---------------------------------------------------------------- */

enum { QUANTILES = 5, TIMESTEPS = 16384 };
static const double quantiles[QUANTILES] = {-2, -0.7, 0, 0.4, 1.5};

/* A training schedule with sigma = top (t + 1) / T, on which a `trailing` grid of N steps is N equal ones
 * from top down to 0; or with log sigma linear from 0.01 to top, on which a `linspace` grid is N - 1 equal
 * ones in log sigma. */
static cJSON *config_with_schedule(const char *class_name, const char *options, bool logarithmic, double top)
{
    double betas[TIMESTEPS], before = 1;
    cJSON *config = config_from(
        "{\"_class_name\": \"%s\", \"num_train_timesteps\": %d, %s}", class_name, TIMESTEPS, options);
    for (int t = 0; t < TIMESTEPS; t++) {
        const double share = (double)t / (TIMESTEPS - 1);
        const double sigma = logarithmic ? 0.01 * pow(top / 0.01, share) : top * (t + 1) / TIMESTEPS;
        const double a = 1 / (1 + sigma * sigma);
        betas[t] = 1 - a / before;
        before = a;
    }
    cJSON_AddItemToObject(config, "trained_betas", cJSON_CreateDoubleArray(betas, TIMESTEPS));
    return config;
}

/* The largest error of a run over the quantiles. */
static double error_of(struct sigma_run *run)
{
    double out[QUANTILES], worst = 0;
    run->n = QUANTILES;
    run->mu = 0.3;
    const struct sigma_end end = run_sigmas_f64(run, quantiles, out);
    const double size = sqrt(end.alpha * end.alpha * run->s * run->s + end.sigma * end.sigma);
    for (int j = 0; j < QUANTILES; j++)
        worst = fmax(worst, fabs(out[j] - (end.alpha * run->mu + size * quantiles[j])));
    return worst;
}

struct convergence {
    const char *class_name, *options;
    bool logarithmic;
    double top; /* 0: a flow, which brings its own range */
    int lms_order;
    size_t calls_left;
    int first, count; /* numbers of steps: first, 2 first, ... */
    double order;
};

#define TRAILING "\"timestep_spacing\": \"trailing\""
#define LINSPACE "\"timestep_spacing\": \"linspace\""

static const struct convergence cases[] = {
    {"LMSDiscreteScheduler", TRAILING, false, 64, 1, 0, 256, 4, 1},
    {"LMSDiscreteScheduler", TRAILING, false, 64, 2, 0, 256, 4, 2},
    /* The first steps have lower orders, so from some number of steps on the order is 2. But they are taken
     * where the solution is nearly straight (its curvature at sigma = 64 is 4e-6), and that number is beyond
     * these. */
    {"LMSDiscreteScheduler", TRAILING, false, 64, 3, 0, 4096, 3, 3},
    {"LMSDiscreteScheduler", TRAILING, false, 64, 4, 0, 1024, 4, 4},
    {"HeunDiscreteScheduler", TRAILING, false, 32, 4, 0, 64, 5, 2},
    {"HeunDiscreteScheduler", LINSPACE, true, 64, 4, 1, 64, 4, 2},
    /* The last step goes to 0, where its middle would lie: compared is what comes before it. */
    {"KDPM2DiscreteScheduler", LINSPACE, true, 64, 4, 1, 64, 4, 2},
    {"FlowMatchEulerDiscreteScheduler", "\"shift\": 1.0", false, 0, 4, 0, 64, 4, 1},
    {"FlowMatchHeunDiscreteScheduler", "\"shift\": 1.0", false, 0, 4, 1, 64, 4, 2},
};

START_TEST(order_of_convergence)
{
    const struct convergence *c = &cases[_i];
    cJSON *config = c->top > 0 ? config_with_schedule(c->class_name, c->options, c->logarithmic, c->top)
                               : config_from("{\"_class_name\": \"%s\", %s}", c->class_name, c->options);
    double errors[8], slope = 0, spread = 0;
    for (int i = 0; i < c->count; i++) {
        struct sigma_run run = {
            .config = config,
            .request = {.has_num_inference_steps = true, .num_inference_steps = c->first << i},
            .options = STEP_OPTIONS_DEFAULT,
            .calls_left = c->calls_left,
            .s = c->top > 0
                     ? 1
                     : 0.4, /* of a flow's data: with 1 its two ends would be alike, and errors cancel */
        };
        run.options.order = c->lms_order;
        errors[i] = error_of(&run);
        const double x = i - (c->count - 1) / 2.0;
        slope -= x * log2(errors[i]);
        spread += x * x;
    }
    const double order = slope / spread;
    ck_assert_msg(fabs(order - c->order) <= 0.2,
        "%s, order %d: order of convergence %.3f, not %g; errors %.3g to %.3g", c->class_name, c->lms_order,
        order, c->order, errors[0], errors[c->count - 1]);
    cJSON_Delete(config);
}
END_TEST

/* --- Distributions ------------------------------------------------------------------------ */

struct stochastic {
    const char *class_name, *options;
    int steps;
    bool consistent;
};

/* A consistency model is exact in any number of steps; what the others do to mean and variance in N steps
 * falls as 1/N, and is below the statistical error with these. */
static const struct stochastic stochastic[] = {
    {"EulerAncestralDiscreteScheduler", LINSPACE, 0, false},
    {"KDPM2AncestralDiscreteScheduler", LINSPACE, 0, false},
    {"FlowMatchLCMScheduler", "\"shift\": 3.0", 4, true},
    {"FlowMatchEulerDiscreteScheduler", "\"shift\": 2.0, \"stochastic_sampling\": true", 5, true},
};

START_TEST(mean_and_variance_of_the_data)
{
    enum { SAMPLES = 100000, STEPS = 1200 };
    const struct stochastic *c = &stochastic[_i];
    cJSON *config = c->steps ? config_from("{\"_class_name\": \"%s\", %s}", c->class_name, c->options)
                             : config_with_schedule(c->class_name, c->options, true, 40);
    double *z = malloc(SAMPLES * sizeof *z), *out = malloc(SAMPLES * sizeof *out);
    ck_assert(z != NULL && out != NULL);
    fill_normals("11", z, SAMPLES);
    const struct sigma_run run = {
        .config = config,
        .request = {.has_num_inference_steps = true, .num_inference_steps = c->steps ? c->steps : STEPS},
        .options = STEP_OPTIONS_DEFAULT,
        .mu = 0.7,
        .s = 0.5,
        .n = SAMPLES,
        .consistent = c->consistent,
        .seed = "12",
    };
    run_sigmas_f64(&run, z, out);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < SAMPLES; i++) mean += out[i] / SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) variance += (out[i] - mean) * (out[i] - mean) / (SAMPLES - 1);
    /* Four standard errors: of the mean s / sqrt(n), of the variance s^2 sqrt(2 / n). */
    const double mean_error = run.s / sqrt(SAMPLES), variance_error = run.s * run.s * sqrt(2.0 / SAMPLES);
    printf("%s: mean %+.2f, variance %+.2f standard errors off\n", c->class_name,
        (mean - run.mu) / mean_error, (variance - run.s * run.s) / variance_error);
    ck_assert_double_eq_tol(mean, run.mu, 4 * mean_error);
    ck_assert_double_eq_tol(variance, run.s * run.s, 4 * variance_error);
    free(z);
    free(out);
    cJSON_Delete(config);
}
END_TEST

/* --- Coefficients of the multistep methods ------------------------------------------------ */

/* With equal steps they are Adams' and Bashforth's (Hairer, Norsett and Wanner 1993, table III.1.1). */
START_TEST(equal_steps_are_adams_bashforth)
{
    static const double classical[4][4] = {
        {1}, {1.5, -0.5}, {23.0 / 12, -16.0 / 12, 5.0 / 12}, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
    for (size_t order = 1; order <= 4; order++) {
        double nodes[4];
        for (size_t k = 0; k < order; k++) nodes[k] = 3 + 0.25 * (double)k;
        for (size_t k = 0; k < order; k++)
            ck_assert_double_eq_tol(
                lms_coefficient(nodes, order, k, 2.75), -0.25 * classical[order - 1][k], 1e-15);
    }
}
END_TEST

/* With any steps the coefficients integrate every polynomial of a degree below the order. */
START_TEST(any_steps_integrate_polynomials)
{
    static const double nodes[] = {1.3, 1.9, 2.05, 3.7, 4.4, 6.1, 9.5, 14.6}, end = 0.85;
    for (size_t order = 1; order <= 8; order++)
        for (size_t degree = 0; degree < order; degree++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < order; k++) {
                const double term = lms_coefficient(nodes, order, k, end) * pow(nodes[k], (double)degree);
                sum += term;
                size += fabs(term);
            }
            const double exponent = (double)degree + 1;
            const double exact = (pow(end, exponent) - pow(nodes[0], exponent)) / exponent;
            ck_assert_double_eq_tol(sum, exact, 1e-14 * size);
        }
}
END_TEST

/* Against the quadrature that SciPy does: 21 nodes of Gauss and Kronrod are exact for these degrees, so any
 * exact rule stands for them; here Gauss's of 4 nodes, in float32 as diffusers evaluates the integrand. The
 * difference is rounding, and stays below what lms_discrete.c says. */
START_TEST(float32_quadrature_is_near)
{
    static const double node[] = {0.3399810435848563, 0.8611363115940526};
    static const double weight[] = {0.6521451548625461, 0.3478548451374538};
    double worst = 0;
    for (int steps = 5; steps <= 100; steps += 5) {
        for (int i = 3; i < steps - 1; i++) {
            float sigmas[5];
            double nodes[4];
            for (int k = 0; k < 5; k++) /* Karras's: i + 1, i, ..., i - 3 */
                sigmas[k] = (float)pow(2.45 + (i + 1 - k) / (double)steps * (0.6 - 2.45), 7) / 36;
            for (int k = 0; k < 4; k++) nodes[k] = (double)sigmas[k + 1];
            for (size_t current = 0; current < 4; current++) {
                const double half = ((double)sigmas[0] - nodes[0]) / 2, middle = nodes[0] + half;
                double sum = 0;
                for (int g = 0; g < 4; g++) {
                    const float tau = (float)(middle + half * (g % 2 ? -node[g / 2] : node[g / 2]));
                    float product = 1;
                    for (size_t k = 0; k < 4; k++)
                        if (k != current)
                            product *= (tau - sigmas[k + 1]) / (sigmas[current + 1] - sigmas[k + 1]);
                    sum += half * weight[g / 2] * (double)product;
                }
                const double exact = lms_coefficient(nodes, 4, current, (double)sigmas[0]);
                worst = fmax(worst, fabs(sum - exact) / nodes[0]);
            }
        }
    }
    printf("LMS coefficients: a quadrature in float32 is %.2g of sigma away\n", worst);
    ck_assert_double_lt(worst, 4e-7);
}
END_TEST

/* --- Beta quantiles ----------------------------------------------------------------------- */

/* The integral of u^(a-1) (1-u)^(b-1) from 0 to x <= 1/2 by the double exponential rule (Takahasi and Mori
 * 1974), which takes the singularity at 0 as it is. */
static double incomplete_beta(double x, double a, double b)
{
    const long double step = 0.03125L, half_pi = acosl(0);
    long double sum = 0;
    for (int k = -140; k <= 140; k++) {
        const long double t = (long double)k * step, inner = half_pi * sinhl(t);
        const long double share = 1 / (1 + expl(-2 * inner)); /* of x, without loss near 0 */
        const long double slope = half_pi * coshl(t) * 2 * share / (1 + expl(2 * inner));
        const long double u = (long double)x * share;
        if (u > 0 && slope > 0)
            sum += slope * (long double)x * powl(u, (long double)a - 1) * powl(1 - u, (long double)b - 1);
    }
    return (double)(sum * step);
}

/* Of the quantiles that beta sigmas are made of, whether the distribution up to them, integrated numerically,
 * is what was asked for: within 1e-13, which is 1e-13 / density or less in the quantile, and the density is
 * above 0.5. */
START_TEST(beta_quantiles_by_quadrature)
{
    const double a = 0.6, whole = 2 * incomplete_beta(0.5, a, a);
    const struct beta_distribution distribution = beta_distribution(a, a);
    for (int i = 1; i < 200; i++) {
        const double q = i / 200.0, x = beta_quantile(&distribution, q);
        const double lower = x <= 0.5 ? incomplete_beta(x, a, a) : whole - incomplete_beta(1 - x, a, a);
        ck_assert_double_eq_tol(lower / whole, q, 1e-13);
        ck_assert_double_eq_tol(beta_cdf(&distribution, x), lower / whole, 1e-13);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sigma_solvers");
    TCase *orders = tcase_create("orders"), *stochastics = tcase_create("distributions");
    TCase *numbers = tcase_create("numbers");
    tcase_add_loop_test(orders, order_of_convergence, 0, sizeof cases / sizeof *cases);
    tcase_set_timeout(orders, 60);
    tcase_add_loop_test(
        stochastics, mean_and_variance_of_the_data, 0, sizeof stochastic / sizeof *stochastic);
    tcase_set_timeout(stochastics, 120);
    tcase_add_test(numbers, equal_steps_are_adams_bashforth);
    tcase_add_test(numbers, any_steps_integrate_polynomials);
    tcase_add_test(numbers, float32_quadrature_is_near);
    tcase_add_test(numbers, beta_quantiles_by_quadrature);
    suite_add_tcase(suite, orders);
    suite_add_tcase(suite, stochastics);
    suite_add_tcase(suite, numbers);
    return run_suite(suite);
}
