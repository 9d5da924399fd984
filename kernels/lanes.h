/*
 * One lane: what kernels/elementary.h asks of a vector, for a plain float. kernels/x86/lanes.h,
 * kernels/x86_512/lanes.h and kernels/arm/lanes.h are the same for eight lanes, sixteen and four.
 */
#ifndef KERNELS_LANES_H
#define KERNELS_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float vec;
typedef uint32_t vec_bits;

static inline vec vec_all(float value)
{
    return value;
}

/* a * b + c, rounded once. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return fmaf(a, b, c);
}

static inline vec vec_abs(vec a)
{
    return fabsf(a);
}

/* a > b ? a : b: so a NaN in b stays. */
static inline vec vec_larger(vec a, vec b)
{
    return a > b ? a : b;
}

/* a < b ? a : b: so a NaN in b stays. */
static inline vec vec_smaller(vec a, vec b)
{
    return a < b ? a : b;
}

/* a < b ? yes : no; a comparison with NaN is false. */
static inline vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return a < b ? yes : no;
}

static inline vec_bits vec_as_bits(vec a)
{
    vec_bits bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static inline vec vec_from_bits(vec_bits bits)
{
    vec a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

#endif
