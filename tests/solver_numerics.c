#include "sched/real.h"

#include "sched/dpmsolver.h"
#include "sched/linear_system.h"
#include "sched/sasolver_coefficients.h"
#include "tests/solver_numerics.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define check_linear_systems REAL_NAME(check_linear_systems)
#define check_sasolver_weights REAL_NAME(check_sasolver_weights)
#define check_dpm_coefficients REAL_NAME(check_dpm_coefficients)

/* Half a unit in the last place of 1. */
#define ROUNDING (PLUMB_REAL_IS_DOUBLE ? DBL_EPSILON / 2 : (double)FLT_EPSILON / 2)

/* --- Linear systems ----------------------------------------------------------------------- */

enum { MOST_EQUATIONS = 8 };

/* Vandermonde's matrix of r_i = -(i + 1)/2 and, last, 1, as UniPC has it. */
static void fill_vandermonde(real *matrix, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double r = i + 1 == n ? 1 : -(double)(i + 1) / 2;
        for (size_t k = 0; k < n; k++) matrix[k * n + i] = (real)pow(r, (double)k);
    }
}

/* The unknowns are 1, 2, 3 ... */
static void check_system(size_t n, bool contiguous)
{
    real matrix[MOST_EQUATIONS * MOST_EQUATIONS], right[MOST_EQUATIONS];
    struct error error = {""};
    fill_vandermonde(matrix, n);
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)matrix[k * n + i] * (double)(i + 1);
        right[k] = (real)sum;
    }
    ck_assert_int_eq(solve_linear_system(matrix, right, n, contiguous, &error), STATUS_OK);
    /* The matrix's condition is 10^(n - 1) or less. */
    const double bound = 8 * ROUNDING * pow(10, (double)n - 1) * (double)n;
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)right[i] - (double)(i + 1)) <= bound,
            "%zu equations: unknown %zu is %.9g, bound %g", n, i, (double)right[i], bound);
}

void check_linear_systems(void)
{
    for (size_t n = 1; n <= MOST_EQUATIONS; n++) {
        check_system(n, false);
        check_system(n, true);
    }
    real singular[9] = {1, 2, 3, 1, 2, 3, 0, 1, 5}, right[3] = {1, 1, 1};
    struct error error = {""};
    ck_assert_int_eq(solve_linear_system(singular, right, 3, false, &error), STATUS_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(error.message, "not independent"));
}

/* --- SA-Solver ---------------------------------------------------------------------------- */

/* integral from a to b of e^(rate x) x^power dx, by Simpson's rule with 2000 intervals: its error is below
 * 1e-13 here. */
static double integral(double rate, int power, double a, double b)
{
    const int intervals = 2000;
    double sum = 0;
    for (int i = 0; i <= intervals; i++) {
        const double x = a + (b - a) * i / intervals;
        const double weight = i == 0 || i == intervals ? 1 : i % 2 ? 4 : 2;
        sum += weight * exp(rate * x) * pow(x, power);
    }
    return sum * (b - a) / intervals / 3;
}

/* Lambdas of a schedule where data and noise are of one size; the corrector's first node is the step's
 * end. */
static void check_weights(bool data, int tau, int order, bool corrects)
{
    static const real schedule[] = {(real)0.75, (real)0.25, (real)-0.5, (real)-1, (real)-1.25};
    const real end = schedule[0], start = schedule[1], *nodes = corrects ? schedule : schedule + 1;
    real weights[SASOLVER_MAX_ORDER];
    sasolver_weigh(data, order, start, end, tau, nodes, weights);
    for (int power = 0; power < order; power++) {
        const double rate = data ? 1 + tau * tau : -1;
        const double expected = integral(rate, power, (double)start, (double)end);
        double sum = 0, terms = 0;
        for (int i = 0; i < order; i++) {
            const double term = (double)weights[i] * pow((double)nodes[i], power);
            sum += term;
            terms += fabs(term);
        }
        /* The antiderivatives cancel some two digits, the polynomials as many. */
        const double bound = 1e-12 + 2e4 * ROUNDING * fmax(terms, fabs(expected));
        ck_assert_msg(fabs(sum - expected) <= bound, "%s, tau %d, order %d, x^%d: %.12g, expected %.12g",
            data ? "data" : "noise", tau, order, power, sum, expected);
    }
}

void check_sasolver_weights(void)
{
    for (int order = 1; order <= SASOLVER_MAX_ORDER; order++)
        for (int variant = 0; variant < 8; variant++)
            check_weights(variant & 1, variant >> 1 & 1, order, variant >> 2 & 1);
}

/* --- DPM-Solver --------------------------------------------------------------------------- */

static void check_coefficient(const char *what, real got, double expected, double bound)
{
    ck_assert_msg(
        fabs((double)got - expected) <= bound, "%s: %.12g, expected %.12g", what, (double)got, expected);
}

/* Between two levels, which may be of any process (alpha and sigma are independent): equations 4 and 5 of
 * sched/README.md with ((l - lambda) / h)^n / n! in the place of the prediction. */
static void check_step(enum dpm_algorithm algorithm, double tau, struct level s, struct level t)
{
    const double h = log((double)t.alpha / (double)t.sigma) - log((double)s.alpha / (double)s.sigma);
    const bool data = dpm_predicts_data(algorithm);
    const double k = 1 + tau * tau, alpha = (double)t.alpha, sigma = (double)t.sigma;
    s.lambda = 0; /* so l runs from 0 to h */
    t.lambda = (real)h;
    const struct dpm_coefficients c = dpm_coefficients_of(algorithm, t, s, false, true);
    const real got[] = {c.d0, c.d1, c.d2};
    double factorial = 1;
    for (int n = 0; n < 3; n++) {
        factorial *= n ? n : 1;
        const double scale = 1 / (pow(h, n) * factorial);
        /* With alpha for sigma e^lambda' only differences of lambda are left. */
        const double expected = data ? k * alpha * exp(-k * h) * scale * integral(k, n, 0, h)
                                     : -k * sigma * exp(h) * scale * integral(-1, n, 0, h);
        /* Of the terms that the coefficient is the difference of, the largest has this size; Simpson's rule
         * is good for ten digits of it. */
        const double size = k * (data ? alpha : sigma * exp(h)) / fmin(pow(h, n), 1);
        check_coefficient("coefficient", got[n], expected, (1e-10 + 16 * (1 + h) * ROUNDING) * size);
    }
    const double sample = data ? sigma / (double)s.sigma * exp(-tau * tau * h) : alpha / (double)s.alpha;
    const double noise =
        data ? sigma * sqrt(1 - exp(-2 * tau * tau * h)) : tau * sigma * sqrt(exp(2 * h) - 1);
    check_coefficient("of the sample", c.sample, sample, 16 * (1 + h) * ROUNDING * sample);
    check_coefficient("of the noise", c.noise, noise, 16 * (1 + h) * ROUNDING * (noise + sigma));
}

void check_dpm_coefficients(void)
{
    static const struct {
        enum dpm_algorithm algorithm;
        double tau;
    } algorithms[] = {{DPMSOLVER, 0}, {DPMSOLVER_PP, 0}, {SDE_DPMSOLVER, 1}, {SDE_DPMSOLVER_PP, 1}};
    static const struct level levels[] = {{(real)0.07, 1, 0}, {(real)0.3, (real)0.95, 0},
        {(real)0.6, (real)0.8, 0}, {1, (real)0.5, 0}, {(real)0.9, (real)0.05, 0}};
    enum { LEVELS = sizeof levels / sizeof *levels };
    for (int a = 0; a < 4; a++)
        for (int i = 0; i < LEVELS; i++)
            for (int j = i + 1; j < LEVELS; j++)
                check_step(algorithms[a].algorithm, algorithms[a].tau, levels[i], levels[j]);
}
