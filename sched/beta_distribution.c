/*
 * The series (Abramowitz and Stegun 1964, 26.5.4 with 15.1.1; DLMF 8.17.7)
 *
 *     B_x(a, b) = x^a [ 1/a + sum_{n>=1} (1-b)(2-b)...(n-b) / n! * x^n / (a+n) ]
 *
 * has only positive terms for b <= 1, so nothing cancels, and for x <= 1/2 each is less than half of the one
 * before. Above 1/2 the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) brings x down. The inverse is Newton's method
 * on the same half, where the function is concave.
 */
#include "beta_distribution.h"
#include "rounded_math.h"

#include <math.h>
#include <stdbool.h>

static double beta_function(double a, double b)
{
    return (double)(tgammal(a) * tgammal(b) / tgammal((long double)a + b));
}

/* I_x(a, b) for 0 <= x <= 1/2. */
static double lower_half(double x, double a, double b)
{
    double product = 1, sum = 1 / a;
    for (int n = 1; n < 200; n++) {
        product *= (n - b) / n * x;
        double term = product / (a + n);
        sum += term;
        if (term < sum * 1e-17) break;
    }
    return rounded_pow(x, a) * sum / beta_function(a, b);
}

double beta_cdf(double x, double a, double b)
{
    return x <= 0.5 ? lower_half(x, a, b) : 1 - lower_half(1 - x, b, a);
}

/* The x <= 1/2 with I_x(a, b) = q. In y = x^a the function is I = y (1/a + O(x)) / B: nearly a straight line,
 * on which Newton's steps converge from the line's own solution. */
static double invert_lower_half(double q, double a, double b)
{
    if (q <= 0) return 0;
    double x = fmin(rounded_pow(q * a * beta_function(a, b), 1 / a), 0.5);
    for (int i = 0; i < 60; i++) {
        double density = rounded_pow(x, a - 1) * rounded_pow(1 - x, b - 1) / beta_function(a, b);
        double next = fmin(x - (lower_half(x, a, b) - q) / density, 0.5);
        if (!(next > 0)) next = x / 2;
        if (fabs(next - x) <= 1e-16 * x) return next;
        x = next;
    }
    return x;
}

double beta_ppf(double q, double a, double b)
{
    bool lower = q <= lower_half(0.5, a, b);
    return lower ? invert_lower_half(q, a, b) : 1 - invert_lower_half(1 - q, b, a);
}
