/*
 * Four lanes of NEON: what kernels/elementary.h and kernels/vector_loops.h ask of a vector. The operators + -
 * * / of the compilers' vector types apply to each lane.
 */
#ifndef KERNELS_ARM_LANES_H
#define KERNELS_ARM_LANES_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VEC_WIDTH = 4 };
typedef float32x4_t vec;
typedef uint32x4_t vec_bits;
typedef float64x2_t vec_double;

static inline vec vec_all(float value)
{
    return vdupq_n_f32(value);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

static inline vec vec_abs(vec a)
{
    return vabsq_f32(a);
}

/* a > b ? a : b: so a NaN in b stays. */
static inline vec vec_larger(vec a, vec b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* a < b ? a : b: so a NaN in b stays. */
static inline vec vec_smaller(vec a, vec b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}

static inline vec_bits vec_as_bits(vec a)
{
    return vreinterpretq_u32_f32(a);
}

static inline vec vec_from_bits(vec_bits bits)
{
    return vreinterpretq_f32_u32(bits);
}

static inline vec vec_load(const float *x)
{
    return vld1q_f32(x);
}

static inline void vec_store(float *y, vec a)
{
    vst1q_f32(y, a);
}

/* Four binary16 or bfloat16 numbers from any address: loaded as bytes, which need no alignment. */
static inline vec vec_load_f16(const void *x)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(x)));
}

static inline vec vec_load_bf16(const void *x)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(x)), 16));
}

/* The first and the last half of the lanes as doubles, and back. */
static inline vec_double vec_low(vec a)
{
    return vcvt_f64_f32(vget_low_f32(a));
}

static inline vec_double vec_high(vec a)
{
    return vcvt_high_f64_f32(a);
}

static inline vec vec_narrow(vec_double low, vec_double high)
{
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}

static inline vec_double vec_double_all(double value)
{
    return vdupq_n_f64(value);
}

static inline vec_double vec_double_load(const double *x)
{
    return vld1q_f64(x);
}

static inline vec_double vec_double_fma(vec_double a, vec_double b, vec_double c)
{
    return vfmaq_f64(c, a, b);
}

/* The sum of the lanes: the last half added to the first, and so on. */
static inline double vec_double_fold(vec_double a)
{
    return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1);
}

static inline void vec_double_store(double *y, vec_double a)
{
    vst1q_f64(y, a);
}

/* y = x for n <= VEC_WIDTH numbers */
static inline void vec_copy_part(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i];
}

/* Rows become columns: twice, row i and row i + 2 are merged, lane by lane, to rows 2 i and 2 i + 1. */
static inline __attribute__((always_inline)) void vec_transpose(vec rows[VEC_WIDTH])
{
#pragma GCC unroll 8
    for (int stage = 0; stage < 2; stage++) {
        float32x4x2_t even = vzipq_f32(rows[0], rows[2]), odd = vzipq_f32(rows[1], rows[3]);
        rows[0] = even.val[0];
        rows[1] = even.val[1];
        rows[2] = odd.val[0];
        rows[3] = odd.val[1];
    }
}

#endif
