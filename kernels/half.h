/*
 * Floats with fewer bits, one number at a time: rounding a float to the nearest number of a format, and the
 * two half-width types of checkpoints, to a float, which is exact, and from one, which rounds. Nothing
 * branches in the roundings, so that a loop over them becomes vectors.
 */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t f32_as_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A float's bits without the last `count`, which are rounded to nearest, ties to even. A carry into the
 * exponent is right, up to infinity. Not for a NaN. */
static inline uint32_t f32_bits_rounded(uint32_t bits, unsigned count)
{
    uint32_t odd = bits >> count & 1u;
    return (bits + (1u << (count - 1)) - 1u + odd) >> count << count;
}

/* `rounded`, unless `bits` are a NaN's: then that NaN, made quiet, with as much of it as the format has. */
static inline float f32_rounded_or_nan(uint32_t bits, uint32_t rounded, unsigned count)
{
    uint32_t quiet = (bits | 0x400000u) >> count << count;
    return f32_from_bits((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* The nearest number of binary16: 11 bits from 2^-14 on, multiples of 2^-24 below; from 65520 on infinity. */
static inline float f32_to_nearest_f16(float value)
{
    uint32_t bits = f32_as_bits(value), sign = bits & 0x80000000u, magnitude = bits & 0x7fffffffu;
    uint32_t normal = f32_bits_rounded(magnitude, 13);
    /* The sum has steps of 2^-24, and the difference is exact. */
    uint32_t small = f32_as_bits((f32_from_bits(magnitude) + 0.5f) - 0.5f);
    uint32_t rounded = magnitude < 0x38800000u ? small : normal; /* 2^-14 */
    rounded = rounded >= 0x47800000u ? 0x7f800000u : rounded;    /* 2^16 */
    return f32_rounded_or_nan(bits, sign | rounded, 13);
}

/* The nearest number of bfloat16, a float's upper half. */
static inline float f32_to_nearest_bf16(float value)
{
    uint32_t bits = f32_as_bits(value);
    return f32_rounded_or_nan(bits, f32_bits_rounded(bits, 16), 16);
}

/* The nearest number of TF32: binary16's fraction with a float's exponents. */
static inline float f32_to_nearest_tf32(float value)
{
    uint32_t bits = f32_as_bits(value);
    return f32_rounded_or_nan(bits, f32_bits_rounded(bits, 13), 13);
}

/* binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static inline float f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 0x3ffu;
    if (exponent == 31) { /* infinity or NaN; a NaN comes out quiet */
        return f32_from_bits(sign | 0x7f800000u | fraction << 13 | (fraction != 0 ? 0x400000u : 0));
    }
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return f32_from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

/* To the nearest binary16. A NaN stays one. */
static inline uint16_t f16_from_f32(float value)
{
    uint32_t bits = f32_as_bits(f32_to_nearest_f16(value));
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) return (uint16_t)(sign | 0x7c00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude < 0x38800000u) /* below 2^-14: so many times 2^-24 */
        return (uint16_t)(sign | (uint32_t)(f32_from_bits(magnitude) * 0x1p24f));
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

/* bfloat16 is the upper half of a float. */
static inline float bf16_to_f32(uint16_t bits)
{
    return f32_from_bits((uint32_t)bits << 16);
}

/* To the nearest bfloat16. A NaN stays one. */
static inline uint16_t bf16_from_f32(float value)
{
    return (uint16_t)(f32_as_bits(f32_to_nearest_bf16(value)) >> 16);
}

#endif
