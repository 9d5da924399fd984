/*
 * torch.randn on a CPU: two algorithms, chosen by the number of elements, both Box and Muller's.
 *
 * - n < 16: float64 pairs, one value after another. The first uniform is the angle, the second the radius;
 *   the cosine is given and the sine kept for the next value, also across calls and dtypes. A float32 tensor
 *   holds the rounded float64.
 * - n >= 16: the tensor is filled with uniforms of its own dtype, then each block of 16 is transformed in
 *   place. u[j] is the radius and u[j + 8] the angle; the cosine goes to j and the sine to j + 8. Where 16
 *   does not divide n, the last 16 elements are filled with fresh uniforms and transformed again, over what
 *   was there.
 *
 * (ATen/native/cpu/DistributionTemplates.h: normal_fill; ATen/core/DistributionsHelper.h.) The float32 block
 * has two arithmetics. PyTorch's portable kernel calls libm; its AVX2 kernel, which ordinary x86 machines
 * run, has polynomials of its own (torch_avx2_math.c). They agree but for the last bits of a third of the
 * values.
 */
#include "torch_mt19937.h"

#include "torch_avx2_math.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { BLOCK = TORCH_AVX2_BLOCK, PAIRS = BLOCK / 2 };

/* One value of the path for small tensors. */
static double next_normal(struct torch_mt19937 *generator)
{
    if (generator->has_cached_normal) {
        generator->has_cached_normal = false;
        return generator->cached_normal;
    }
    double angle = 2 * PI * torch_mt19937_uniform_f64(generator);
    double radius = sqrt(-2 * log(1 - torch_mt19937_uniform_f64(generator)));
    generator->cached_normal = radius * sin(angle);
    generator->has_cached_normal = true;
    return radius * cos(angle);
}

static void transform_plain(float *block, size_t blocks)
{
    for (const float *end = block + blocks * BLOCK; block != end; block += BLOCK) {
        for (int j = 0; j < PAIRS; j++) {
            float radius = sqrtf(-2 * logf(1 - block[j]));
            /* The angle is rounded to float32 once, from a product in float64. */
            float angle = (float)(2 * PI * (double)block[j + PAIRS]);
            block[j] = radius * cosf(angle);
            block[j + PAIRS] = radius * sinf(angle);
        }
    }
}

static void transform_f64(double *block)
{
    for (int j = 0; j < PAIRS; j++) {
        double radius = sqrt(-2 * log(1 - block[j]));
        double angle = 2 * PI * block[j + PAIRS];
        block[j] = radius * cos(angle);
        block[j + PAIRS] = radius * sin(angle);
    }
}

void torch_randn_f32(struct torch_mt19937 *generator, bool avx2, float *out, size_t n)
{
    if (n < BLOCK) {
        for (size_t i = 0; i < n; i++) out[i] = (float)next_normal(generator);
        return;
    }
    void (*transform)(float *, size_t) = avx2 ? torch_avx2_normals : transform_plain;
    torch_mt19937_uniforms_f32(generator, out, n);
    transform(out, n / BLOCK);
    if (n % BLOCK != 0) {
        float *last = out + n - BLOCK;
        torch_mt19937_uniforms_f32(generator, last, BLOCK);
        transform(last, 1);
    }
}

void torch_randn_f64(struct torch_mt19937 *generator, double *out, size_t n)
{
    if (n < BLOCK) {
        for (size_t i = 0; i < n; i++) out[i] = next_normal(generator);
        return;
    }
    for (size_t i = 0; i < n; i++) out[i] = torch_mt19937_uniform_f64(generator);
    for (size_t i = 0; i + BLOCK <= n; i += BLOCK) transform_f64(out + i);
    if (n % BLOCK != 0) {
        double *last = out + n - BLOCK;
        for (int j = 0; j < BLOCK; j++) last[j] = torch_mt19937_uniform_f64(generator);
        transform_f64(last);
    }
}
