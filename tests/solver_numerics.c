#include "sched/real.h"

#include "sched/linear_system.h"
#include "sched/sasolver_coefficients.h"
#include "tests/solver_numerics.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define check_linear_systems REAL_NAME(check_linear_systems)
#define check_sasolver_weights REAL_NAME(check_sasolver_weights)

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

/* Lambdas of a schedule where data and noise are of one size; the corrector's first node is the step's end.
 */
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
