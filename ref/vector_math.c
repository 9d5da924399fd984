/*
 * Method of sin and cos (N. Shibata and F. Petrogalli, "SLEEF: A Portable Vectorized Library of C Standard
 * Mathematical Functions", IEEE TPDS 2020; arXiv:2001.09258):
 *
 *   1. Reduction.  sin(x) = (-1)^k sin(t), t = x - k pi, k the integer nearest to x / pi.
 *                  cos(x) = -(-1)^((m-1)/2) sin(t), t = x - m pi/2, m the nearest odd integer.
 *      t in [-pi/2, pi/2] is held as the unevaluated sum of two floats. Where all eight arguments of a vector
 * are below 125 in magnitude, pi is subtracted in three parts (Cody and Waite); otherwise SLEEF multiplies by
 * a stored 2/pi (Payne and Hanek), which gives t to more bits than the pair can hold, and so does the double
 * arithmetic here.
 *   2. sin(t) = t (1 + s (c1 + s (c2 + s (c3 + s c4)))), s = t^2: c2 to c4 in single precision, the rest in
 * pairs.
 */
#include "vector_math.h"

#include <math.h>
#include <stdbool.h>

#define VECTOR 8 /* floats in an AVX2 register */

/* --- Unevaluated sums of two floats ------------------------------------------------------- */

struct pair {
    float high, low;
};

/* Exact sum of two floats (Knuth). */
static struct pair two_sum(float x, float y)
{
    float sum = x + y, y_used = sum - x;
    return (struct pair){sum, (x - (sum - y_used)) + (y - y_used)};
}

/* x + y where |x| >= |y| (Dekker). */
static struct pair fast_two_sum(float x, float y)
{
    float sum = x + y;
    return (struct pair){sum, (x - sum) + y};
}

static struct pair pair_add(struct pair x, float y)
{
    struct pair sum = two_sum(x.high, y);
    return (struct pair){sum.high, sum.low + x.low};
}

/* x + y where |x| >= |y|. */
static struct pair pair_fast_add(struct pair x, float y)
{
    float sum = x.high + y;
    return (struct pair){sum, ((x.high - sum) + y) + x.low};
}

static struct pair float_fast_add(float x, struct pair y)
{
    float sum = x + y.high;
    return (struct pair){sum, ((x - sum) + y.high) + y.low};
}

static struct pair pair_square(struct pair x)
{
    float square = x.high * x.high;
    return (struct pair){square, fmaf(x.high + x.high, x.low, fmaf(x.high, x.high, -square))};
}

static struct pair pair_multiply(struct pair x, struct pair y)
{
    float product = x.high * y.high;
    float low = fmaf(x.low, y.high, fmaf(x.high, y.high, -product));
    return (struct pair){product, fmaf(x.high, y.low, low)};
}

/* The product rounded to one float. */
static float pair_multiply_round(struct pair x, struct pair y)
{
    return fmaf(x.high, y.high, fmaf(x.low, y.high, x.high * y.low));
}

/* --- Sine and cosine ---------------------------------------------------------------------- */

/* pi = PI_A + PI_B + PI_C to within 1e-16; k PI_A is exact for the k that occur. */
static const float PI_A = 3.1414794921875f, PI_B = 0.00011315941810607910156f,
                   PI_C = 1.9841872589410058936e-09f;
/* pi = PI_HIGH + PI_LOW to within 1e-32. */
static const double PI_HIGH = 3.141592653589793116, PI_LOW = 1.2246467991473532e-16;
static const float ONE_OVER_PI = (float)0.318309886183790671537767526745028724;
static const float LARGEST_FOR_CODY_WAITE = 125;

/* sin(t) for |t| <= pi/2. */
static float sine_of_reduced(struct pair t)
{
    struct pair s = pair_square(t);
    float u = 2.6083159809786593541503e-06f;
    u = fmaf(u, s.high, -0.0001981069071916863322258f);
    u = fmaf(u, s.high, 0.00833307858556509017944336f);
    struct pair series = fast_two_sum(-0.166666597127914428710938f, u * s.high);
    return pair_multiply_round(t, float_fast_add(1, pair_multiply(series, s)));
}

/* x - k pi for a `k` that may be half an integer, from double arithmetic. */
static struct pair subtract_multiple(float x, double k)
{
    double t = fma(-k, PI_LOW, fma(-k, PI_HIGH, (double)x));
    float high = (float)t;
    return (struct pair){high, (float)(t - (double)high)};
}

static float sine(float x, bool small)
{
    if (!small) {
        double k = rint((double)x / PI_HIGH);
        float y = sine_of_reduced(subtract_multiple(x, k));
        return fmod(k, 2) != 0 ? -y : y;
    }
    if (x == 0) return x; /* keeps the sign of zero */
    float k = rintf(x * ONE_OVER_PI);
    struct pair t = two_sum(fmaf(k, -PI_A, x), k * -PI_B);
    float y = sine_of_reduced(pair_fast_add(t, k * -PI_C));
    return fmodf(k, 2) != 0 ? -y : y;
}

static float cosine(float x, bool small)
{
    if (!small) {
        double half_turns = rint((double)x / PI_HIGH - 0.5);
        float y = sine_of_reduced(subtract_multiple(x, half_turns + 0.5));
        return fmod(half_turns, 2) != 0 ? y : -y;
    }
    float half_turns = rintf(fmaf(x, ONE_OVER_PI, -0.5f));
    float m = fmaf(half_turns, 2, 1);
    struct pair t = two_sum(x, m * (-PI_A * 0.5f));
    t = pair_add(t, m * (-PI_B * 0.5f));
    t = pair_add(t, m * (-PI_C * 0.5f));
    float y = sine_of_reduced(t);
    return fmodf(half_turns, 2) != 0 ? y : -y;
}

/* Applies `function` vector by vector. */
static void for_each_vector(float (*function)(float, bool), const float *x, size_t n, float *y)
{
    for (size_t start = 0; start < n; start += VECTOR) {
        size_t end = n - start < VECTOR ? n : start + VECTOR;
        bool small = true;
        for (size_t i = start; i < end; i++) small = small && fabsf(x[i]) < LARGEST_FOR_CODY_WAITE;
        for (size_t i = start; i < end; i++) y[i] = function(x[i], small);
    }
}

void vector_sinf(const float *x, size_t n, float *y)
{
    for_each_vector(sine, x, n, y);
}

void vector_cosf(const float *x, size_t n, float *y)
{
    for_each_vector(cosine, x, n, y);
}

/* --- Exponential -------------------------------------------------------------------------- */

/* exp(x) = 2^q exp(s), s = x - q ln 2 in [-ln2/2, ln2/2]; exp(s) = 1 + (s + s^2 (1/2 + s/6 + ...)). */
static float exponential(float x)
{
    const float log2_e = 1.442695040888963407359924681001892137426645954152985934135449406931f;
    const float ln2_high = 0.693145751953125f, ln2_low = 1.428606765330187045e-06f;
    float q = rintf(x * log2_e);
    float s = fmaf(q, -ln2_high, x);
    s = fmaf(q, -ln2_low, s);

    float u = 0.000198527617612853646278381f;
    u = fmaf(u, s, 0.00139304355252534151077271f);
    u = fmaf(u, s, 0.00833336077630519866943359f);
    u = fmaf(u, s, 0.0416664853692054748535156f);
    u = fmaf(u, s, 0.166666671633720397949219f);
    u = fmaf(u, s, 0.5f);
    u = 1 + fmaf(s * s, u, s);

    if (x < -104) return 0;
    if (x > 100) return INFINITY;
    return ldexpf(u, (int)q);
}

void vector_expf(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = exponential(x[i]);
}
