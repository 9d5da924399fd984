/*
 * The series (Abramowitz and Stegun 1964, 26.5.4 with 15.1.1; DLMF 8.17.7)
 *
 *     B_x(a, b) = x^a [ 1/a + sum_{n>=1} (1-b)(2-b)...(n-b) / n! * x^n / (a+n) ]
 *
 * has only positive terms for b <= 1, so nothing cancels, and for x <= 1/2 each is less than half of the one
 * before. Above 1/2 the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) brings x down. The inverse is Newton's method
 * on the same half, where the function is concave: with the C library's quick pow() until nine digits stand,
 * which are then cut to 30 bits, so that another library's last bits cannot show, and one step with the
 * rounded one.
 */
#include "beta_distribution.h"
#include "rounded_math.h"

#include <math.h>
#include <stdbool.h>

struct beta_distribution beta_distribution(double a, double b)
{
    struct beta_distribution d = {
        .a = a, .b = b, .beta = (double)(tgammal(a) * tgammal(b) / tgammal((long double)a + b))};
    d.at_half = beta_cdf(&d, 0.5);
    return d;
}

/* The same distribution seen from the other end: of 1 - x. */
static struct beta_distribution mirrored(const struct beta_distribution *d)
{
    return (struct beta_distribution){.a = d->b, .b = d->a, .beta = d->beta, .at_half = 1 - d->at_half};
}

/* I_x(a, b) for 0 <= x <= 1/2, from x^a. */
static double lower_half(const struct beta_distribution *d, double x, double x_to_a)
{
    double product = 1, sum = 1 / d->a;
    for (int n = 1; n < 200; n++) {
        product *= (n - d->b) / n * x;
        double term = product / (d->a + n);
        sum += term;
        if (term < sum * 1e-17) break;
    }
    return x_to_a * sum / d->beta;
}

double beta_cdf(const struct beta_distribution *d, double x)
{
    if (x <= 0.5) return lower_half(d, x, rounded_pow(x, d->a));
    const struct beta_distribution other = mirrored(d);
    return 1 - lower_half(&other, 1 - x, rounded_pow(1 - x, other.a));
}

/* One of Newton's steps towards the x with I_x(a, b) = q. An error of the derivative only slows it down. */
static double approach(const struct beta_distribution *d, double q, double x, double x_to_a)
{
    double density = x_to_a / x * pow(1 - x, d->b - 1) / d->beta;
    double next = fmin(x - (lower_half(d, x, x_to_a) - q) / density, 0.5);
    return next > 0 ? next : x / 2;
}

/* x with 30 bits. */
static double cut(double x)
{
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(rint(ldexp(fraction, 30)), exponent - 30);
}

/* The x <= 1/2 with I_x(a, b) = q. In y = x^a the function is I = y (1/a + O(x)) / B: nearly a straight line,
 * on which Newton's steps converge from the line's own solution. */
static double invert_lower_half(const struct beta_distribution *d, double q)
{
    if (q <= 0) return 0;
    double x = fmin(pow(q * d->a * d->beta, 1 / d->a), 0.5);
    if (!(x > 0)) return 0;
    for (int i = 0; i < 60; i++) {
        double next = approach(d, q, x, pow(x, d->a));
        bool near = fabs(next - x) <= 1e-5 * x; /* so the next is within 1e-10 */
        x = next;
        if (near) break;
    }
    x = cut(x);
    return approach(d, q, x, rounded_pow(x, d->a));
}

double beta_quantile(const struct beta_distribution *d, double q)
{
    if (q <= d->at_half) return invert_lower_half(d, q);
    const struct beta_distribution other = mirrored(d);
    return 1 - invert_lower_half(&other, 1 - q);
}
