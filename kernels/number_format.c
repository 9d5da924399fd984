#include "number_format.h"

#include "half.h"

#include <float.h>
#include <string.h>

const char *const number_format_names[NUMBER_FORMATS] = {"f32", "f16", "bf16", "tf32"};

const struct number_limits number_format_limits[NUMBER_FORMATS] = {
    [FORMAT_F32] = {FLT_MAX, 0x1.ffffffp127, 0x1p-126, 0x1p-149, 0x1p-24},
    [FORMAT_F16] = {65504, 65520, 0x1p-14, 0x1p-24, 0x1p-11},
    [FORMAT_BF16] = {0x1.fep127, 0x1.ffp127, 0x1p-126, 0x1p-133, 0x1p-8},
    [FORMAT_TF32] = {0x1.ffcp127, 0x1.ffep127, 0x1p-126, 0x1p-136, 0x1p-11},
};

float number_format_round(enum number_format format, float x)
{
    switch (format) {
    case FORMAT_F16: return f32_to_nearest_f16(x);
    case FORMAT_BF16: return f32_to_nearest_bf16(x);
    case FORMAT_TF32: return f32_to_nearest_tf32(x);
    default: return x;
    }
}

void number_format_round_all(enum number_format format, const float *x, size_t n, float *y)
{
    switch (format) {
    case FORMAT_F16:
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = f32_to_nearest_f16(x[i]);
        break;
    case FORMAT_BF16:
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = f32_to_nearest_bf16(x[i]);
        break;
    case FORMAT_TF32:
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = f32_to_nearest_tf32(x[i]);
        break;
    default:
        if (y != x) memmove(y, x, n * sizeof *y);
    }
}
