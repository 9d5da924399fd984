/*
 * Eight lanes of AVX2 with FMA and F16C: what kernels/elementary.h and kernels/vector_loops.h ask of a
 * vector. The operators + - * / of the compilers' vector types apply to each lane.
 */
#ifndef KERNELS_X86_LANES_H
#define KERNELS_X86_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { VEC_WIDTH = 8 };
typedef __m256 vec;
typedef uint32_t vec_bits __attribute__((vector_size(32)));
typedef __m256d vec_double;

static inline vec vec_all(float value)
{
    return _mm256_set1_ps(value);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* a > b ? a : b: so a NaN in b stays. */
static inline vec vec_larger(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

/* a < b ? a : b: so a NaN in b stays. */
static inline vec vec_smaller(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

static inline vec_bits vec_as_bits(vec a)
{
    return (vec_bits)a;
}

static inline vec vec_from_bits(vec_bits bits)
{
    return (vec)bits;
}

static inline vec vec_load(const float *x)
{
    return _mm256_loadu_ps(x);
}

static inline void vec_store(float *y, vec a)
{
    _mm256_storeu_ps(y, a);
}

/* Eight binary16 or bfloat16 numbers from any address. */
static inline vec vec_load_f16(const void *x)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(x));
}

static inline vec vec_load_bf16(const void *x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(x)), 16));
}

/* The first and the last half of the lanes as doubles, and back. */
static inline vec_double vec_low(vec a)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(a));
}

static inline vec_double vec_high(vec a)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}

static inline vec vec_narrow(vec_double low, vec_double high)
{
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}

static inline vec_double vec_double_all(double value)
{
    return _mm256_set1_pd(value);
}

static inline vec_double vec_double_load(const double *x)
{
    return _mm256_loadu_pd(x);
}

static inline vec_double vec_double_fma(vec_double a, vec_double b, vec_double c)
{
    return _mm256_fmadd_pd(a, b, c);
}

/* The sum of the lanes: the last half added to the first, and so on. */
static inline double vec_double_fold(vec_double a)
{
    __m128d half = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(half) + _mm_cvtsd_f64(_mm_unpackhi_pd(half, half));
}

static inline void vec_double_store(double *y, vec_double a)
{
    _mm256_storeu_pd(y, a);
}

/* y = x for n <= VEC_WIDTH numbers */
static inline void vec_copy_part(const float *x, size_t n, float *y)
{
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i lanes = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), numbers);
    _mm256_maskstore_ps(y, lanes, _mm256_maskload_ps(x, lanes));
}

/* Rows become columns: pairs of rows inside each half, then pairs of pairs, then the halves. */
static inline __attribute__((always_inline)) void vec_transpose(vec rows[VEC_WIDTH])
{
    vec pairs[VEC_WIDTH], fours[VEC_WIDTH];
#pragma GCC unroll 8
    for (int i = 0; i < VEC_WIDTH; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < VEC_WIDTH; i += 4) {
#pragma GCC unroll 8
        for (int j = 0; j < 2; j++) {
            fours[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0x44);
            fours[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0xee);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < VEC_WIDTH / 2; i++) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        rows[i + VEC_WIDTH / 2] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}

#endif
