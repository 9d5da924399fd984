/*
 * The elementary functions of the float build: exp and the four activations, as one sequence of float
 * operations that is the same for one lane, four and eight. The includer provides the lanes (kernels/lanes.h,
 * x86/lanes.h, arm/lanes.h); a fused multiply-add is written vec_fma and nothing else is fused, so every
 * instruction set computes the same bits. No tables and no branches.
 *
 *   function            largest error (ulp, against the exact function of the float argument)
 *   element_exp         0.9
 *   element_silu        2.4
 *   element_quick_gelu  2.6
 *   element_gelu_tanh   2.9
 *   element_gelu        3.4
 *
 * These bounds hold for results down to the smallest subnormal, where an ulp is 2^-149.
 * tests/test_elementary.c measures and enforces them. NaN gives NaN; +infinity gives +infinity; -infinity
 * gives 0 in exp and, as in PyTorch, NaN in the activations (infinity times 0).
 */
#ifndef KERNELS_ELEMENTARY_H
#define KERNELS_ELEMENTARY_H

/* exp(x) = mantissa * 2^n, kept apart so that a product can be finished before 2^n makes it subnormal. 2^n is
 * two factors, each a normal number for every n in use. */
struct exponential {
    vec mantissa; /* in [0.70, 1.42] */
    vec scale, rest;
};

/* exp(x + low) for |x| <= 125 and |low| <= ulp(x).
 *
 * Range: n = round(x / ln 2), by adding and subtracting 1.5 * 2^23, whose ulp is 1; then r = x - n ln 2, in
 * [-ln2/2, ln2/2], with ln 2 as the sum of two floats: the first product and subtraction is exact.
 * Polynomial: exp(r) = 1 + r + r^2 q(r), q minimax of degree 4 for the relative error of exp (Remez, each
 * coefficient rounded to float before the next is fitted): 2^-27.7.
 * Scale: n + 512 is positive, so that its half can be taken by an unsigned shift; half is floor(n / 2) + 256.
 */
static inline struct exponential element_exponential(vec x, vec low)
{
    const float round = 0x1.8p23f;
    vec shifted = vec_fma(x, vec_all(0x1.715476p+0f), vec_all(round)); /* 1 / ln 2 */
    vec n = shifted - round;
    vec r = vec_fma(n, vec_all(-0x1.62e43p-1f), x); /* ln 2, rounded to 21 bits */
    r = vec_fma(n, vec_all(0x1.05c61p-29f), r) + low;

    vec q = vec_all(0x1.6feea4p-10f);
    q = vec_fma(q, r, vec_all(0x1.1257f6p-7f));
    q = vec_fma(q, r, vec_all(0x1.5552fep-5f));
    q = vec_fma(q, r, vec_all(0x1.555466p-3f));
    q = vec_fma(q, r, vec_all(0.5f));

    vec_bits power = vec_as_bits(shifted) - vec_as_bits(vec_all(round)) + 512u;
    vec_bits half = power >> 1;
    return (struct exponential){
        .mantissa = vec_fma(r * r, q, r) + 1.0f,
        .scale = vec_from_bits((half - 256u + 127u) << 23),
        .rest = vec_from_bits((power - half - 256u + 127u) << 23),
    };
}

/* `x` limited to [-limit, limit]; a NaN stays. */
static inline vec element_clamp(vec x, float limit)
{
    x = vec_if_less(x, vec_all(-limit), vec_all(-limit), x);
    return vec_if_less(vec_all(limit), x, vec_all(limit), x);
}

/* exp(x) overflows above 88.8 and is below half of the smallest subnormal under -104. */
static inline vec element_exp(vec x)
{
    struct exponential e = element_exponential(element_clamp(x, 125.0f), vec_all(0.0f));
    return e.mantissa * e.scale * e.rest;
}

/* x / (1 + exp(-(z + low))), with z + low the argument of the sigmoid to twice the precision of float.
 *
 * With e = exp(-|z|), which cannot overflow: x / (1 + e) for z >= 0 and x e / (1 + e) for z < 0. Where the
 * second is subnormal, the mantissa's part of e is multiplied and divided before its power of two, so that it
 * is rounded once in the subnormal range. Below z = -125 the result is zero for every finite x that comes
 * with such a z. */
static inline vec element_times_sigmoid(vec x, vec z, vec low)
{
    const vec zero = vec_all(0.0f);
    vec magnitude = vec_abs(element_clamp(z, 125.0f));
    struct exponential e = element_exponential(-magnitude, vec_if_less(z, zero, low, -low));
    vec divisor = e.mantissa * e.scale * e.rest + 1.0f;
    vec quotient = vec_if_less(z, zero, x * e.mantissa, x) / divisor;
    vec result = vec_if_less(z, zero, quotient * e.scale * e.rest, quotient);
    return vec_if_less(z, vec_all(-125.0f), x * 0.0f, result);
}

/* x sigmoid(x) */
static inline vec element_silu(vec x)
{
    return element_times_sigmoid(x, x, vec_all(0.0f));
}

/* x sigmoid(1.702 x). 1.702 is the sum of two floats; beyond |x| = 100 the sigmoid is 0 or 1. */
static inline vec element_quick_gelu(vec x)
{
    vec inside = element_clamp(x, 100.0f);
    vec factor = vec_all(0x1.b3b646p+0f);
    vec z = factor * inside;
    vec low = vec_fma(vec_all(-0x1.78d4fep-26f), inside, vec_fma(factor, inside, -z));
    return element_times_sigmoid(x, z, low);
}

/* x (1 + tanh(u)) / 2 = x sigmoid(2 u), 2 u = x (a + b x^2), a = 2 sqrt(2/pi), b = 0.044715 a.
 *
 * An error in 2 u is multiplied by up to 100 in exp(2 u), so 2 u is computed as a sum of two floats: products
 * by their rounded value and, by vec_fma, their exact remainder; the sum a + b x^2 likewise (Knuth's
 * two-sum). Beyond |x| = 12, where |2 u| > 140, the sigmoid is 0 or 1. */
static inline vec element_gelu_tanh(vec x)
{
    const vec a = vec_all(0x1.988454p+0f), a_low = vec_all(-0x1.857936p-25f);
    const vec b = vec_all(0x1.2444f2p-4f), b_low = vec_all(0x1.49b16ap-29f);
    vec inside = element_clamp(x, 12.0f);
    vec square = inside * inside;
    vec square_low = vec_fma(inside, inside, -square);
    vec product = b * square;
    vec product_low = vec_fma(b, square, -product) + vec_fma(b, square_low, b_low * square);
    vec sum = a + product;
    vec part = sum - a;
    vec sum_low = (a - (sum - part)) + (product - part) + (a_low + product_low);
    vec z = inside * sum;
    vec low = vec_fma(inside, sum, -z) + inside * sum_low;
    return element_times_sigmoid(x, z, low);
}

/* x Phi(x), Phi the normal distribution function: (1 + erf(x / sqrt 2)) / 2.
 *
 * 1 + erf cancels for negative x, so the tail Phi(-a), a = |x|, is computed itself:
 *   Phi(-a) = exp(-a^2/2) W(a),  W(a) = erfcx(a / sqrt 2) / 2,
 * W falling smoothly from 1/2 at 0 towards 1 / (a sqrt(2 pi)). On [0, 15] it is P(a) / Q(a) with P of degree
 * 4 and Q of degree 5, all coefficients positive, so that nothing cancels: relative error 2^-26.8 (least
 * squares with Lawson's weights, rounded to float one coefficient after the other). a^2 is a sum of two
 * floats, since its error is multiplied by up to 112 in the exponential. Beyond 15, a Phi(-a) is below the
 * smallest subnormal. x < 0: x Phi(-a), the power of two last;  x >= 0: x (1 - Phi(-a)). */
static inline vec element_gelu(vec x)
{
    vec a = vec_abs(element_clamp(x, 15.0f));
    vec square = a * a;
    vec square_low = vec_fma(a, a, -square);
    struct exponential e = element_exponential(square * -0.5f, square_low * -0.5f);

    vec p = vec_all(0x1.0df6a6p-8f);
    p = vec_fma(p, a, vec_all(0x1.4d3bcep-5f));
    p = vec_fma(p, a, vec_all(0x1.779c52p-3f));
    p = vec_fma(p, a, vec_all(0x1.c11a8cp-2f));
    p = vec_fma(p, a, vec_all(0.5f));
    vec q = vec_all(0x1.525868p-7f);
    q = vec_fma(q, a, vec_all(0x1.a1abf8p-4f));
    q = vec_fma(q, a, vec_all(0x1.e12e9ep-2f));
    q = vec_fma(q, a, vec_all(0x1.340af8p+0f));
    q = vec_fma(q, a, vec_all(0x1.accf74p+0f));
    q = vec_fma(q, a, vec_all(1.0f));

    vec tail = e.mantissa * (p / q); /* times 2^n */
    vec positive = x * (1.0f - tail * e.scale * e.rest);
    vec negative = x * tail * e.scale * e.rest;
    negative = vec_if_less(x, vec_all(-15.0f), x * 0.0f, negative);
    return vec_if_less(x, vec_all(0.0f), negative, positive);
}

#endif
