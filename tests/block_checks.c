#include "kernels/real.h"

#include "layer_checks.h"
#include "layer_numbers.h"

#include "ref/layers.h"
#include "ref/resnet.h"
#include "ref/timestep_embedding.h"
#include "ref/transformer.h"
#include "support.h"

#include <math.h>
#include <string.h>

#define BLOCK_CHECKS KERNEL_NAME(BLOCK_CHECKS)

/* Where every convolution is zero, a resnet is its input; where only the embedding speaks, it comes through
 * norm2 as nothing, a constant over each channel being what a norm with one channel a group removes. */
static void resnets(void)
{
    struct forward f = begin();
    enum { C = 2 };
    struct tensor x = numbers(&f, 4, (int64_t[]){1, C, 3, 3}, 1), temb = numbers(&f, 2, (int64_t[]){1, 5}, 2);
    struct tensor zeros = multiply(&f, numbers(&f, 1, (int64_t[]){C * C * 9}, 3), 0),
                  ones = forward_tensor(&f, 1, (int64_t[]){C});
    for (int i = 0; i < C; i++) ((real *)ones.data)[i] = 1;
    struct tensor channels = {DTYPE_REAL, 1, {C}, zeros.data},
                  kernel = {DTYPE_REAL, 4, {C, C, 3, 3}, zeros.data};
    struct norm norm = {.weight = ones, .bias = channels, .groups = C, .eps = 1e-5};
    struct conv2d silent = {kernel, channels, 1, 1, 1, 1, 1};
    struct resnet resnet = {.name = "unet.r", .norm1 = norm, .conv1 = silent, .norm2 = norm, .conv2 = silent};
    struct tensor y = resnet_forward(&f, &resnet, x, INPUT_KEPT, temb);
    for (size_t i = 0; i < 9 * C; i++) ck_assert(at(y, i) == at(x, i));

    resnet.time_emb_proj = (struct linear){.weight = numbers(&f, 2, (int64_t[]){C, 5}, 4), .bias = channels};
    resnet.conv2.weight = numbers(&f, 4, (int64_t[]){C, C, 3, 3}, 5);
    y = resnet_forward(&f, &resnet, x, INPUT_KEPT, temb);
    for (size_t i = 0; i < 9 * C; i++) ck_assert_double_eq_tol(at(y, i), at(x, i), 1e4 * EPSILON);

    resnet.conv_shortcut =
        (struct conv2d){numbers(&f, 4, (int64_t[]){C, C, 1, 1}, 6), channels, 1, 0, 0, 0, 0};
    resnet.conv2 = silent;
    y = resnet_forward(&f, &resnet, x, INPUT_KEPT, temb);
    for (size_t i = 0; i < 9 * C; i++) {
        double sum = 0;
        for (size_t c = 0; c < C; c++) sum += number(i / 9 * C + c, 6) * at(x, c * 9 + i % 9);
        ck_assert(at(y, i) == sum);
    }

    /* A spent input gives way, and the result is the same; with a shortcut it is written over besides. */
    for (int shortcut = 1; shortcut >= 0; shortcut--) {
        if (!shortcut) resnet.conv_shortcut = (struct conv2d){0};
        struct tensor expected = resnet_forward(&f, &resnet, x, INPUT_KEPT, temb);
        arena_restart_peak(f.arena);
        size_t before = arena_peak(f.arena);
        struct tensor spent = forward_tensor(&f, 2, (int64_t[]){1, 4096}); /* in no gap that is there */
        spent = (struct tensor){DTYPE_REAL, 4, {1, C, 3, 3}, memcpy(spent.data, x.data, tensor_bytes(&x))};
        y = resnet_forward(&f, &resnet, spent, INPUT_SPENT, temb);
        ck_assert_int_eq(memcmp(y.data, expected.data, tensor_bytes(&y)), 0);
        drop(&f, y);
        arena_restart_peak(f.arena);
        ck_assert_uint_eq(arena_peak(f.arena), before);
    }
    end(&f);
}

/* An upsampler's and a downsampler's sizes, odd ones too. */
static void resamplers(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 4, (int64_t[]){1, 2, 5, 4}, 1);
    struct tensor kernel = numbers(&f, 4, (int64_t[]){2, 2, 3, 3}, 2),
                  bias = numbers(&f, 1, (int64_t[]){2}, 3);
    struct resampler down = {.name = "unet.d", .conv = {kernel, bias, 2, 1, 1, 1, 1}};
    struct resampler up = {.name = "unet.u", .conv = {kernel, bias, 1, 1, 1, 1, 1}};
    struct tensor smaller = downsample_forward(&f, &down, x);
    check_shape(smaller, 4, (int64_t[]){1, 2, 3, 2});
    struct tensor expected = conv2d(&f, upsample_nearest(&f, smaller, 5, 4), &up.conv);
    struct tensor twice = upsample_forward(&f, &up, downsample_forward(&f, &down, x), 6, 4);
    check_shape(twice, 4, (int64_t[]){1, 2, 6, 4});
    struct tensor larger = upsample_forward(&f, &up, smaller, 5, 4);
    check_shape(larger, 4, (int64_t[]){1, 2, 5, 4});
    ck_assert_int_eq(memcmp(larger.data, expected.data, tensor_bytes(&expected)), 0);
    end(&f);
}
static void sinusoids(void)
{
    struct forward f = begin();
    struct tensor t = forward_tensor(&f, 1, (int64_t[]){4});
    const double times[] = {0, 1, 13.390401, 999};
    for (int i = 0; i < 4; i++) ((real *)t.data)[i] = (real)times[i];
    const int64_t dims[] = {8, 320, 7};
    for (int d = 0; d < 3; d++)
        for (int shift = 0; shift < 2; shift++) {
            int64_t dim = dims[d], half = dim / 2;
            struct sinusoid sinusoid = {dim, true, shift};
            struct tensor cosines_first = timestep_embedding(&f, t, &sinusoid);
            sinusoid.flip_sin_to_cos = false;
            struct tensor sines_first = timestep_embedding(&f, t, &sinusoid);
            check_shape(sines_first, 2, (int64_t[]){4, dim});
            for (int64_t n = 0; n < 4; n++)
                for (int64_t i = 0; i < half; i++) {
                    double c = at(cosines_first, (size_t)(n * dim + i));
                    double s = at(cosines_first, (size_t)(n * dim + half + i));
                    ck_assert(s == at(sines_first, (size_t)(n * dim + i)));
                    ck_assert(c == at(sines_first, (size_t)(n * dim + half + i)));
                    /* Frequency and product are single precision: off by up to 2 ulp of an angle below
                     * 1000. */
                    double angle = times[n] * exp(-log(10000) * (double)i / (double)(half - shift));
                    double tolerance = FLT_EPSILON * (1 + 10 * angle);
                    ck_assert_double_eq_tol(s, sin(angle), tolerance);
                    ck_assert_double_eq_tol(c, cos(angle), tolerance);
                }
            for (int64_t n = 0; dim % 2 == 1 && n < 4; n++)
                ck_assert(at(cosines_first, (size_t)(n * dim + dim - 1)) == 0);
        }
    end(&f);
}
const struct layer_check BLOCK_CHECKS[] = {
    {"resnet", resnets},
    {"resamplers", resamplers},
    {"timestep_embedding", sinusoids},
    {NULL, NULL},
};
