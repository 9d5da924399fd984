/*
 * exp, expm1, log, pow, cos and atan of a double, rounded from long double's.
 *
 * The C library's own for double take fused instructions where the CPU has them, and differ in the last bit
 * where it has not. Those for long double have eleven bits more (x86), or sixty (aarch64), so what is left
 * after rounding to double is the correctly rounded value in all but about one in a thousand arguments, and
 * the same one on every CPU.
 */
#ifndef SCHED_ROUNDED_MATH_H
#define SCHED_ROUNDED_MATH_H

#include <math.h>

/* Arguments and special values as the C library's functions of these names. */
static inline double rounded_exp(double x)
{
    return (double)expl((long double)x);
}
static inline double rounded_expm1(double x)
{
    return (double)expm1l((long double)x);
}
static inline double rounded_log(double x)
{
    return (double)logl((long double)x);
}
/* (The small whole powers that Karras sigmas take, and powers that a float32 is made of, have a quicker way
 * to the same bits: rounded_pow.c.) */
double rounded_pow(double x, double y);
float rounded_pow_float(double x, double y); /* (float)rounded_pow(x, y) */
static inline double rounded_sin(double x)
{
    return (double)sinl((long double)x);
}
static inline double rounded_atan2(double y, double x)
{
    return (double)atan2l((long double)y, (long double)x);
}
static inline double rounded_cos(double x)
{
    return (double)cosl((long double)x);
}
static inline double rounded_atan(double x)
{
    return (double)atanl((long double)x);
}

#endif
