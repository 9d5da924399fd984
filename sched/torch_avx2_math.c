/*
 * PyTorch's AVX2 logarithm, sine and cosine in scalar C, and the transform of random numbers made of them.
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

enum { PAIRS = TORCH_AVX2_BLOCK / 2 };

/* The functions below take no branches, so that a compiler can make vectors of a loop over them. */

/* log x = e log 2 + log m, with x = 2^e m and m in [sqrt(1/2), sqrt 2); with r = m - 1,
 * log m = r - r^2/2 + r^3 P(r). */
static inline float log_of(float x)
{
    const float sqrt_half = 0.707106781186547524f;
    /* log 2 in two parts, the larger with few bits, so that its product with e is exact. */
    const float log2_high = 0.693359375f, log2_low = -2.12194440e-4f;

    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float exponent = (float)((int)(bits >> 23) - 127) + 1;
    bits = (bits & UINT32_C(0x007fffff)) | UINT32_C(0x3f000000); /* the mantissa, in [1/2, 1) */
    float mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    const bool low = mantissa < sqrt_half;
    exponent -= low ? 1.0f : 0.0f;
    const float r = mantissa - 1 + (low ? mantissa : 0);

    float r2 = r * r;
    /* P, written out: a loop over its coefficients would be in the way of a loop over x. */
    float y = 7.0376836292E-2f;
    y = fmaf(y, r, -1.1514610310E-1f);
    y = fmaf(y, r, 1.1676998740E-1f);
    y = fmaf(y, r, -1.2420140846E-1f);
    y = fmaf(y, r, 1.4249322787E-1f);
    y = fmaf(y, r, -1.6668057665E-1f);
    y = fmaf(y, r, 2.0000714765E-1f);
    y = fmaf(y, r, -2.4999993993E-1f);
    y = fmaf(y, r, 3.3333331174E-1f);
    y *= r;
    y = fmaf(y, r2, exponent * log2_low);
    y = fmaf(-r2, 0.5f, y);
    return fmaf(exponent, log2_high, r + y);
}

/* With j the even number of octants nearest above x, r = x - j pi/4 lies in [-pi/4, pi/4]; sine and cosine of
 * x are those of r, exchanged where j = 2 or 6, with the signs of the quadrant. */
static inline void sincos_of(float x, float *sine, float *cosine)
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

float torch_avx2_log(float x)
{
    return log_of(x);
}

void torch_avx2_sincos(float x, float *sine, float *cosine)
{
    sincos_of(x, sine, cosine);
}

/* --- Normal numbers ----------------------------------------------------------------------- */

static inline void transform(float *block)
{
    float radius[PAIRS];
    for (int j = 0; j < PAIRS; j++) radius[j] = -2 * log_of(1 - block[j]);
    for (int j = 0; j < PAIRS; j++) radius[j] = sqrtf(radius[j]);
    for (int j = 0; j < PAIRS; j++) {
        float sine, cosine;
        /* 2 pi is a float32 before the product. */
        sincos_of((float)(2 * M_PI) * block[j + PAIRS], &sine, &cosine);
        block[j] = radius[j] * cosine;
        block[j + PAIRS] = radius[j] * sine;
    }
}

#ifdef __x86_64__
/* The same where the machine has fmaf as an instruction: it is exact by definition, so the bits are the
 * same. */
__attribute__((target("avx2,fma"))) static void transform_with_fma(float *block, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) transform(block + i * TORCH_AVX2_BLOCK);
}
#endif

void torch_avx2_normals(float *block, size_t blocks)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        transform_with_fma(block, blocks);
        return;
    }
#endif
    for (size_t i = 0; i < blocks; i++) transform(block + i * TORCH_AVX2_BLOCK);
}
