#include "rounded_math.h"

#include <stdbool.h>

/* A number as the sum of two doubles, the second at most half a unit in the last place of the first. */
struct pair {
    double hi, lo;
};

/* a b exactly (Dekker 1971), for factors far from overflow and underflow. */
static struct pair product(double a, double b)
{
    const double split = 134217729; /* 2^27 + 1 */
    const double a_split = split * a, b_split = split * b;
    const double a_hi = a_split - (a_split - a), b_hi = b_split - (b_split - b);
    const double a_lo = a - a_hi, b_lo = b - b_hi, hi = a * b;
    return (struct pair){hi, ((a_hi * b_hi - hi) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo};
}

/* a b, within 2^-101 of it. */
static struct pair times(struct pair a, struct pair b)
{
    const struct pair p = product(a.hi, b.hi);
    const double lo = p.lo + (a.hi * b.lo + a.lo * b.hi), hi = p.hi + lo;
    return (struct pair){hi, lo - (hi - p.hi)};
}

/* x^n in pairs of doubles, far quicker than powl. False where the power lies so near to the middle between
 * two doubles that the long double could round to the other one. */
static bool power_of_integer(double x, int n, double *power)
{
    struct pair result = {1, 0}, square = {x, 0};
    for (; n > 0; n /= 2) {
        if (n % 2) result = times(result, square);
        square = times(square, square);
    }
    *power = result.hi;
    return result.hi + result.lo * (1 + 0x1p-9) == result.hi; /* 2^-62 from the middle */
}

double rounded_pow(double x, double y)
{
    double power;
    const bool is_small_integer = y >= 2 && y <= 16 && y == (double)(int)y;
    if (is_small_integer && x > 0x1p-15 && x < 0x1p15 && power_of_integer(x, (int)y, &power)) return power;
    return (double)powl((long double)x, (long double)y);
}

float rounded_pow_float(double x, double y)
{
    /* The C library's power is good to a unit in the last place of a double, so float32 numbers that agree
     * this far around it are that of the long double too. */
    const double power = pow(x, y), margin = power * 0x1p-50;
    if ((float)(power - margin) == (float)(power + margin)) return (float)power;
    return (float)(double)powl((long double)x, (long double)y);
}
