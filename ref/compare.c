/*
 * Distances are taken in double, in which every element but a large 64-bit integer is exact.
 *
 * Units in the last place are counted on the reference's own scale: the numbers of a binary floating-point
 * type, in order, are given the integers as ordinals (0 is 0, the smallest subnormal 1, ...), what lies
 * between two of them has a fraction, linearly; the distance of a and b is the difference of their ordinals.
 * For two numbers of that type it is the number of steps from one to the other, across powers of two and
 * across zero; for a reference in float32 and a candidate in float64, 0.3 means a third of a rounding.
 */
#include "compare.h"

#include <math.h>
#include <string.h>

/* precision: bits of the significand with the hidden one; min_exponent: of the smallest normal number. */
struct float_format {
    int precision, min_exponent;
};

static struct float_format format_of(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F16: return (struct float_format){11, -14};
    case DTYPE_BF16: return (struct float_format){8, -126};
    case DTYPE_F64: return (struct float_format){53, -1022};
    default: return (struct float_format){24, -126};
    }
}

/* The ordinal of a finite |x| of a type narrower than double. Each binade 2^e..2^(e+1) above the subnormal
 * numbers, which are one more, holds 2^(p-1) steps of 2^(e-p+1). */
static double magnitude_ordinal(double x, struct float_format format)
{
    int exponent;
    frexp(x, &exponent); /* |x| = f 2^exponent with f in [1/2, 1) */
    int binade = exponent - 1 - format.min_exponent;
    if (x == 0.0 || binade < 0) binade = 0;
    double steps = ldexp(fabs(x), format.precision - 1 - (binade + format.min_exponent));
    return steps + ldexp((double)binade, format.precision - 1);
}

/* Ordinals of doubles do not fit in a double; their bits, without the sign, are ordinals. */
static double double_steps(double a, double b)
{
    uint64_t x, y;
    a = fabs(a), b = fabs(b);
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x > y ? (double)(x - y) : (double)(y - x);
}

/* a and b finite. */
static double ulp_distance(double a, double b, enum dtype dtype)
{
    bool across_zero = (a < 0.0) != (b < 0.0);
    if (dtype == DTYPE_F64)
        return across_zero ? double_steps(a, 0.0) + double_steps(b, 0.0) : double_steps(a, b);
    double i = magnitude_ordinal(a, format_of(dtype)), j = magnitude_ordinal(b, format_of(dtype));
    return across_zero ? i + j : fabs(i - j);
}

/* One pair of elements. */
struct pair {
    double a, b;
    bool equal;      /* in value; NaN equals NaN */
    double distance; /* |a - b|, 0 where equal, infinite where not both are finite */
};

/* Above 2^53 integers run together as doubles: their difference where they do. Both wrap alike (tensor.h). */
static double hidden_distance(const struct tensor *a, const struct tensor *b, size_t i)
{
    if (dtype_is_float(a->dtype) || dtype_is_float(b->dtype)) return 0.0;
    uint64_t x = (uint64_t)tensor_get_int(a, i), y = (uint64_t)tensor_get_int(b, i);
    return (double)(x - y < y - x ? x - y : y - x);
}

static struct pair pair_at(const struct tensor *a, const struct tensor *b, size_t i)
{
    struct pair pair = {.a = tensor_get_double(a, i), .b = tensor_get_double(b, i)};
    if (pair.a == pair.b)
        pair.distance = hidden_distance(a, b, i);
    else if (isnan(pair.a) && isnan(pair.b))
        pair.distance = 0.0;
    else if (!isfinite(pair.a) || !isfinite(pair.b))
        pair.distance = INFINITY;
    else
        pair.distance = fabs(pair.a - pair.b);
    pair.equal = pair.distance == 0.0;
    return pair;
}

static double pair_ulp(const struct pair *pair, enum dtype dtype)
{
    if (pair->equal) return 0.0;
    return isinf(pair->distance) ? INFINITY : ulp_distance(pair->a, pair->b, dtype);
}

struct difference tensor_difference(const struct tensor *a, const struct tensor *b)
{
    struct difference d = {.count = tensor_count(b)};
    /* Sums of squares over the elements that are finite on both sides. long double has the room for squares
     * of large doubles, and 11 bits more for long sums. */
    long double squares = 0, aa = 0, bb = 0, ab = 0;
    size_t finite = 0;
    double furthest = -1.0;
    for (size_t i = 0; i < d.count; i++) {
        struct pair pair = pair_at(a, b, i);
        d.unequal += !pair.equal;
        if (!isfinite(pair.a)) d.nonfinite_a++;
        if (!isfinite(pair.b)) d.nonfinite_b++;
        d.max_ulp = fmax(d.max_ulp, pair_ulp(&pair, b->dtype));
        if (pair.distance > furthest) {
            furthest = pair.distance;
            d.worst = i, d.worst_a = pair.a, d.worst_b = pair.b;
        }
        if (isfinite(pair.b)) d.peak = fmax(d.peak, fabs(pair.b));
        if (!isfinite(pair.a) || !isfinite(pair.b)) continue;
        finite++;
        squares += (long double)pair.distance * pair.distance;
        aa += (long double)pair.a * pair.a;
        bb += (long double)pair.b * pair.b;
        ab += (long double)pair.a * pair.b;
    }
    d.max_abs = fmax(furthest, 0.0);
    d.max_rel_peak = d.max_abs == 0.0 ? 0.0 : d.max_abs / d.peak;
    d.rms = finite ? (double)sqrtl(squares / (long double)finite) : 0.0;
    if (aa == 0 && bb == 0)
        d.cosine = 1.0;
    else if (aa == 0 || bb == 0)
        d.cosine = 0.0;
    else
        d.cosine = fmin(1.0, fmax(-1.0, (double)(ab / (sqrtl(aa) * sqrtl(bb)))));
    return d;
}

size_t tensor_disagreements(const struct tensor *a, const struct tensor *b, const struct tolerance *tolerance)
{
    size_t outside = 0, count = tensor_count(b);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = pair_at(a, b, i);
        if (pair.equal) continue;
        bool near =
            isfinite(pair.distance) && (pair.distance <= tolerance->atol + tolerance->rtol * fabs(pair.b) ||
                                           pair_ulp(&pair, b->dtype) <= tolerance->ulp);
        outside += !near;
    }
    return outside;
}
