/*
 * Sixteen lanes of AVX-512 (F, BW, DQ and VL): what kernels/elementary.h and kernels/vector_loops.h ask of a
 * vector. The operators + - * / of the compilers' vector types apply to each lane.
 */
#ifndef KERNELS_X86_512_LANES_H
#define KERNELS_X86_512_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { VEC_WIDTH = 16 };
typedef __m512 vec;
typedef uint32_t vec_bits __attribute__((vector_size(64)));
typedef __m512d vec_double;

static inline vec vec_all(float value)
{
    return _mm512_set1_ps(value);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_abs(vec a)
{
    return _mm512_abs_ps(a);
}

/* a > b ? a : b: so a NaN in b stays. */
static inline vec vec_larger(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

/* a < b ? a : b: so a NaN in b stays. */
static inline vec vec_smaller(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
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
    return _mm512_loadu_ps(x);
}

static inline void vec_store(float *y, vec a)
{
    _mm512_storeu_ps(y, a);
}

/* Sixteen binary16 or bfloat16 numbers from any address. */
static inline vec vec_load_f16(const void *x)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(x));
}

static inline vec vec_load_bf16(const void *x)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(x)), 16));
}

/* The first and the last half of the lanes as doubles, and back. */
static inline vec_double vec_low(vec a)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(a));
}

static inline vec_double vec_high(vec a)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}

static inline vec vec_narrow(vec_double low, vec_double high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

static inline vec_double vec_double_all(double value)
{
    return _mm512_set1_pd(value);
}

static inline vec_double vec_double_load(const double *x)
{
    return _mm512_loadu_pd(x);
}

static inline vec_double vec_double_fma(vec_double a, vec_double b, vec_double c)
{
    return _mm512_fmadd_pd(a, b, c);
}

/* The sum of the lanes: the last half added to the first, and so on. */
static inline double vec_double_fold(vec_double a)
{
    __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d quarter = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
    return _mm_cvtsd_f64(quarter) + _mm_cvtsd_f64(_mm_unpackhi_pd(quarter, quarter));
}

static inline void vec_double_store(double *y, vec_double a)
{
    _mm512_storeu_pd(y, a);
}

/* y = x for n <= VEC_WIDTH numbers */
static inline void vec_copy_part(const float *x, size_t n, float *y)
{
    __mmask16 lanes = (__mmask16)((1u << n) - 1);
    _mm512_mask_storeu_ps(y, lanes, _mm512_maskz_loadu_ps(lanes, x));
}

/* Rows become columns: four times, row i and row i + 8 are merged, lane by lane, to rows 2 i and 2 i + 1,
 * which moves the highest bit of the number of a row to the lowest of its lanes' and theirs to the row's. */
static inline __attribute__((always_inline)) void vec_transpose(vec rows[VEC_WIDTH])
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    vec merged[VEC_WIDTH];
#pragma GCC unroll 8
    for (int stage = 0; stage < 2; stage++) {
#pragma GCC unroll 8
        for (int i = 0; i < VEC_WIDTH / 2; i++) {
            merged[2 * i] = _mm512_permutex2var_ps(rows[i], low, rows[i + VEC_WIDTH / 2]);
            merged[2 * i + 1] = _mm512_permutex2var_ps(rows[i], high, rows[i + VEC_WIDTH / 2]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < VEC_WIDTH / 2; i++) {
            rows[2 * i] = _mm512_permutex2var_ps(merged[i], low, merged[i + VEC_WIDTH / 2]);
            rows[2 * i + 1] = _mm512_permutex2var_ps(merged[i], high, merged[i + VEC_WIDTH / 2]);
        }
    }
}

#endif
