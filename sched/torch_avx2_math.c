/*
 * PyTorch's AVX2 logarithm, sine, cosine and exponential in scalar C.
 *
 * The kernel (ATen/native/cpu/DistributionTemplates.h: normal_fill_AVX2) takes them from avx_mathfun.h: the
 * single-precision functions of Moshier's Cephes library (netlib.org/cephes, logf.c and sinf.c), whose
 * published coefficients stand below. PyTorch compiles that file with fused multiply-add and the compiler
 * contracts its products and sums; which of them decides the last bit, so each contraction is written out
 * here as fmaf, since the sampler is compiled without any. That this is the whole truth was found by trying:
 * no difference in 5 seeds of 2^20 draws against PyTorch 1.13, where unfused arithmetic differs in 1 % of
 * them.
 */
#include "torch_avx2_math.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* log x = e log 2 + log m, with x = 2^e m and m in [sqrt(1/2), sqrt 2); with r = m - 1,
 * log m = r - r^2/2 + r^3 P(r). */
float torch_avx2_log(float x)
{
    static const float polynomial[] = {7.0376836292E-2f, -1.1514610310E-1f, 1.1676998740E-1f,
        -1.2420140846E-1f, 1.4249322787E-1f, -1.6668057665E-1f, 2.0000714765E-1f, -2.4999993993E-1f,
        3.3333331174E-1f};
    const float sqrt_half = 0.707106781186547524f;
    /* log 2 in two parts, the larger with few bits, so that its product with e is exact. */
    const float log2_high = 0.693359375f, log2_low = -2.12194440e-4f;

    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float exponent = (float)((int)(bits >> 23) - 127) + 1;
    bits = (bits & UINT32_C(0x007fffff)) | UINT32_C(0x3f000000); /* the mantissa, in [1/2, 1) */
    float mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    float r = mantissa - 1;
    if (mantissa < sqrt_half) {
        exponent -= 1;
        r += mantissa;
    }

    float r2 = r * r;
    float y = polynomial[0];
    for (int i = 1; i < 9; i++) y = fmaf(y, r, polynomial[i]);
    y *= r;
    y = fmaf(y, r2, exponent * log2_low);
    y = fmaf(-r2, 0.5f, y);
    return fmaf(exponent, log2_high, r + y);
}

/* With j the even number of octants nearest above x, r = x - j pi/4 lies in [-pi/4, pi/4]; sine and cosine of
 * x are those of r, exchanged where j = 2 or 6, with the signs of the quadrant. */
void torch_avx2_sincos(float x, float *sine, float *cosine)
{
    const float four_over_pi = 1.27323954473516f;
    /* pi/4 in three parts, for the reduction to be exact to more than a float's bits. */
    const float pi4_high = 0.78515625f, pi4_middle = 2.4187564849853515625e-4f,
                pi4_low = 3.77489497744594108e-8f;

    int octant = ((int)(x * four_over_pi) + 1) & ~1;
    float count = (float)octant;
    float r = fmaf(count, -pi4_high, x);
    r = fmaf(count, -pi4_middle, r);
    r = fmaf(count, -pi4_low, r);
    float r2 = r * r;

    float cos_r = 2.443315711809948E-005f;
    cos_r = fmaf(cos_r, r2, -1.388731625493765E-003f);
    cos_r = fmaf(cos_r, r2, 4.166664568298827E-002f);
    cos_r *= r2;
    cos_r = fmaf(cos_r, r2, -(r2 * 0.5f)) + 1;

    float sin_r = -1.9515295891E-4f;
    sin_r = fmaf(sin_r, r2, 8.3321608736E-3f);
    sin_r = fmaf(sin_r, r2, -1.6666654611E-1f);
    sin_r = fmaf(sin_r * r2, r, r);

    float s = octant & 2 ? cos_r : sin_r;
    float c = octant & 2 ? sin_r : cos_r;
    *sine = octant & 4 ? -s : s;
    *cosine = (octant + 2) & 4 ? -c : c;
}

/* exp(x) = 2^n exp(r) with n = x / log 2 rounded, |r| <= log 2 / 2, log 2 being taken off in two parts. */
float torch_avx2_exp(float x)
{
    if (x < -104) return 0;
    if (x > 100) return INFINITY;
    if (isnan(x)) return x;
    const float n = rintf(x * 1.44269504088896341f);
    float r = fmaf(n, -0.693145751953125f, x);
    r = fmaf(n, -1.428606765330187045e-06f, r);
    float p = 0.000198527617612853646278381f;
    p = fmaf(p, r, 0.00139304355252534151077271f);
    p = fmaf(p, r, 0.00833336077630519866943359f);
    p = fmaf(p, r, 0.0416664853692054748535156f);
    p = fmaf(p, r, 0.166666671633720397949219f);
    p = fmaf(p, r, 0.5f);
    return ldexpf(1 + fmaf(r * r, p, r), (int)n);
}

/* --- torch.sin: SLEEF's sinf_u10, whose last steps are in two floats, of which the sum is the number -------
 */

struct two_floats {
    float high, low;
};

/* a + b, with what rounding loses of it, for any a and b; and for |a| >= |b|. */
static struct two_floats sum_of_any(float a, float b)
{
    const float sum = a + b, of_b = sum - a;
    return (struct two_floats){sum, (a - (sum - of_b)) + (b - of_b)};
}
static struct two_floats sum_of(float a, float b)
{
    const float sum = a + b;
    return (struct two_floats){sum, a - sum + b};
}

static struct two_floats product_of(struct two_floats a, struct two_floats b)
{
    const float product = a.high * b.high, lost = fmaf(a.high, b.high, -product);
    return (struct two_floats){product, fmaf(a.high, b.low, fmaf(a.low, b.high, lost))};
}

static struct two_floats square_of(struct two_floats a)
{
    const float square = a.high * a.high, lost = fmaf(a.high, a.high, -square);
    return (struct two_floats){square, fmaf(a.high + a.high, a.low, lost)};
}

/* sin(x) = +- sin(r) with r = x - n pi, pi being taken off in three parts; sin(r) = r (1 + r^2 p(r^2)). */
float torch_avx2_sin(float x)
{
    const float n = rintf(x * 0.318309886183790671537767526745028724f);
    const struct two_floats two = sum_of_any(fmaf(n, -3.1414794921875f, x), n * -0.00011315941810607910156f);
    const float third = n * -1.9841872589410058936e-09f, sum = two.high + third;
    const struct two_floats r = {sum, (two.high - sum) + third + two.low};
    const struct two_floats square = square_of(r);
    float p = 2.6083159809786593541503e-06f;
    p = fmaf(p, square.high, -0.0001981069071916863322258f);
    p = fmaf(p, square.high, 0.00833307858556509017944336f);
    const struct two_floats tail = product_of(sum_of(-0.166666597127914428710938f, p * square.high), square);
    struct two_floats factor = sum_of(1, tail.high);
    factor.low += tail.low;
    const float sine = fmaf(r.high, factor.high, fmaf(r.low, factor.high, r.high * factor.low));
    return (int)n & 1 ? -sine : sine;
}

/* log(2^e m) = e log 2 + 2 artanh(x), x = (m - 1) / (m + 1), with m in [3/4, 3/2): 2 x + x^3 P(x^2). SLEEF
 * carries the sum and x in pairs of floats, for which double stands here; P and its argument are in single
 * precision, from the larger part of x, which is the product with a rounded reciprocal. */
float torch_avx2_log_u10(float number)
{
    if (number == 0) return -INFINITY;
    if (!(number > 0)) return NAN;
    if (isinf(number)) return number;
    const bool small = number < FLT_MIN;
    const float scaled = small ? number * 0x1p64f : number;
    const float scaled_up = scaled * (1 / 0.75f);
    const int exponent = isinf(scaled_up) ? FLT_MAX_EXP : ilogbf(scaled_up);
    const float m = ldexpf(scaled, -exponent);

    const double above = (double)m - 1, below = (double)m + 1, x = above / below;
    const float head = (float)above * (1 / (float)below), x2 = head * head;
    float p = 0.3027294874f;
    p = fmaf(p, x2, 0.3996108174f);
    p = fmaf(p, x2, 0.6666694880f);
    const double log2 = (double)0.69314718246459960938f + (double)-1.904654323148236017e-09f;
    return (float)(log2 * (exponent - (small ? 64 : 0)) + 2 * x + (double)(x2 * head * p));
}
