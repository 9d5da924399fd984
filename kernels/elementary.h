/*
 * The elementary functions of the float build: exp and the four activations, as one sequence of float
 * operations that is the same for one lane, four, eight and sixteen (SiLU, GELU and its two approximations:
 * Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2). The includer provides the lanes
 * (kernels/lanes.h, x86/lanes.h, x86_512/lanes.h, arm/lanes.h); a fused multiply-add is written vec_fma and
 * nothing else is fused, so every instruction set computes the same bits. No tables and no branches.
 *
 *   function            largest error (ulp, against the exact function of the float argument)
 *   element_exp2        0.81 for -126 <= x <= 0
 *   element_silu        2.5
 *   element_quick_gelu  2.5
 *   element_gelu_tanh   2.5
 *   element_gelu        2.6 for x >= -1, 6.6 in the tail below
 *
 * These bounds hold for results down to 2^-120; smaller ones may be zeros of their sign. Of one float in 211,
 * all over the range, the largest errors are 0.79, 2.14, 2.01, 2.08, 2.44 and 4.84 ulp.
 * tests/test_elementary.c measures and enforces the bounds over a stride of all floats. NaN gives NaN;
 * +infinity gives +infinity; -infinity gives 0 in element_exp2 and, as in PyTorch, NaN in the activations
 * (infinity times 0).
 */
#ifndef KERNELS_ELEMENTARY_H
#define KERNELS_ELEMENTARY_H

/* 2^x for x <= 0: what a softmax needs. Below 2^-126.5 the result is 0, below 2^-126 it is subnormal.
 *
 * n = round(x), by adding a number whose ulp is 1; r = x - n, exact, in [-1/2, 1/2]. 127 is part of what is
 * added, so that the low bits of the sum are 2^n's exponent as a float holds it, 0 (and 2^n then 0) for all x
 * that are limited to -127. 2^r = 1 + r p(r), p minimax of degree 5 for the relative error (Lawson's weights,
 * each coefficient rounded to float before the next is fitted): 2^-28.3. */
static inline vec element_exp2(vec x)
{
    const float round = 0x1.8p23f + 127;
    x = vec_larger(vec_all(-127.0f), x);
    vec shifted = x + vec_all(round);
    vec r = x - (shifted - vec_all(round));

    vec p = vec_all(0x1.416b5cp-13f);
    p = vec_fma(p, r, vec_all(0x1.5f0830p-10f));
    p = vec_fma(p, r, vec_all(0x1.3b2de0p-7f));
    p = vec_fma(p, r, vec_all(0x1.c6af7cp-5f));
    p = vec_fma(p, r, vec_all(0x1.ebfbdcp-3f));
    p = vec_fma(p, r, vec_all(0x1.62e430p-1f));
    p = vec_fma(p, r, vec_all(1.0f));
    return p * vec_from_bits(vec_as_bits(shifted) << 23);
}

/* exp(x + low) = mantissa * scale, kept apart so that further factors can come before the scale. */
struct exponential {
    vec mantissa; /* in [0.70, 1.42] */
    vec scale;    /* 2^n; 0 for n = -127 and infinity for n = 128 */
};

/* For -88.03 <= x <= 88.72 and |low| <= ulp(x).
 *
 * n = round(x / ln 2), with its exponent at hand, as in element_exp2; r = x - n ln 2, in [-ln2/2, ln2/2],
 * with ln 2 as the sum of two floats: the first product and subtraction is exact. exp(r) = 1 + r + r^2 q(r),
 * q minimax of degree 4 for the relative error of exp (Remez, each coefficient rounded to float before the
 * next is fitted): 2^-27.7. */
static inline struct exponential element_exponential(vec x, vec low)
{
    const float round = 0x1.8p23f + 127;
    vec shifted = vec_fma(x, vec_all(0x1.715476p+0f), vec_all(round)); /* 1 / ln 2 */
    vec n = shifted - vec_all(round);
    vec rest = vec_fma(n, vec_all(0x1.05c61p-29f), low);
    vec r = vec_fma(n, vec_all(-0x1.62e43p-1f), x) + rest; /* ln 2, rounded to 21 bits */

    vec p = vec_all(0x1.6feea4p-10f);
    p = vec_fma(p, r, vec_all(0x1.1257f6p-7f));
    p = vec_fma(p, r, vec_all(0x1.5552fep-5f));
    p = vec_fma(p, r, vec_all(0x1.555466p-3f));
    p = vec_fma(p, r, vec_all(0.5f));
    p = vec_fma(p, r, vec_all(1.0f));
    return (struct exponential){
        .mantissa = vec_fma(p, r, vec_all(1.0f)),
        .scale = vec_from_bits(vec_as_bits(shifted) << 23),
    };
}

/* `x` limited to [low, high]; a NaN stays. */
static inline vec element_clamp(vec x, float low, float high)
{
    return vec_smaller(vec_all(high), vec_larger(vec_all(low), x));
}

/* x / (1 + exp(-(z + low))), with z + low the argument of the sigmoid to twice the precision of float. Below
 * z = -88.38 the exponential is infinite and the result a zero. */
static inline vec element_times_sigmoid(vec x, vec z, vec low)
{
    struct exponential e = element_exponential(element_clamp(-z, -88.03f, 88.72f), -low);
    return x / vec_fma(e.mantissa, e.scale, vec_all(1.0f));
}

/* x sigmoid(x) */
static inline vec element_silu(vec x)
{
    return element_times_sigmoid(x, x, vec_all(0.0f));
}

/* x sigmoid(1.702 x). 1.702 is the sum of two floats; beyond |x| = 100 the sigmoid is 0 or 1. */
static inline vec element_quick_gelu(vec x)
{
    vec inside = element_clamp(x, -100.0f, 100.0f);
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
    vec inside = element_clamp(x, -12.0f, 12.0f);
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

/* exp(-a^2/2) W(a) = Phi(-a), the tail of the normal distribution, for 0 <= a <= 13.27.
 *
 * W(a) = erfcx(a / sqrt 2) / 2 falls smoothly from 1/2 towards 1 / (a sqrt(2 pi)). It is P(a) / Q(a), P of
 * degree 4 and Q of degree 5, all coefficients positive, so that nothing cancels: relative error 2^-26.8
 * (least squares with Lawson's weights, rounded to float one coefficient after the other). a^2 is a sum of
 * two floats, since its error is multiplied by up to 88 in the exponential. */
static inline struct exponential element_normal_tail(vec a)
{
    vec square = a * a;
    vec square_low = vec_fma(a, a, -square);
    struct exponential tail = element_exponential(square * vec_all(-0.5f), square_low * vec_all(-0.5f));

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
    tail.mantissa = tail.mantissa * p / q;
    return tail;
}

/* Phi(x) for |x| <= 1: 1/2 + x R(x^2), R minimax of degree 5 (Remez, as above), relative error 2^-25, which
 * is that of the rounded 1 / sqrt(2 pi). */
static inline vec element_normal_middle(vec x)
{
    vec square = x * x;
    vec r = vec_all(-0x1.b3da2p-17f);
    r = vec_fma(r, square, vec_all(0x1.0a479p-13f));
    r = vec_fma(r, square, vec_all(-0x1.3a204ap-10f));
    r = vec_fma(r, square, vec_all(0x1.46f2d2p-7f));
    r = vec_fma(r, square, vec_all(-0x1.1058c8p-4f));
    r = vec_fma(r, square, vec_all(0x1.988454p-2f));
    return vec_fma(r, x, vec_all(0.5f));
}

/* x Phi(x), Phi the normal distribution function, (1 + erf(x / sqrt 2)) / 2. The sum cancels for negative x,
 * so away from 0 the tail is computed itself: |x| < 1: x Phi(x);   x >= 1: x (1 - Phi(-x));   x <= -1: x
 * Phi(x), its power of two last. From |x| = 13.24 on the tail is 0, where x Phi(-|x|) is below 2^-126. */
static inline vec element_gelu(vec x)
{
    vec a = vec_smaller(vec_all(13.27f), vec_abs(x));
    struct exponential tail = element_normal_tail(a);
    vec left = x * tail.mantissa * tail.scale;
    vec right = x * vec_fma(-tail.mantissa, tail.scale, vec_all(1.0f));
    vec outside = vec_if_less(x, vec_all(0.0f), left, right);
    return vec_if_less(a, vec_all(1.0f), x * element_normal_middle(x), outside);
}

#endif
