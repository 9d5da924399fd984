/*
 * The elementary functions of the double build, from libm: the truth that the float ones are measured
 * against. All are written so that nothing cancels: with exp(-|x|), and with erfc where 1 + erf would lose
 * its digits.
 */
#ifndef KERNELS_ELEMENTARY_DOUBLE_H
#define KERNELS_ELEMENTARY_DOUBLE_H

#include <math.h>

static inline double element_exp2(double x)
{
    return exp2(x);
}

/* x sigmoid(z) */
static inline double times_sigmoid(double x, double z)
{
    double e = exp(-fabs(z));
    return x * (z < 0 ? e : 1) / (1 + e);
}

static inline double element_silu(double x)
{
    return times_sigmoid(x, x);
}

static inline double element_quick_gelu(double x)
{
    return times_sigmoid(x, 1.702 * x);
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3) */
static inline double element_gelu_tanh(double x)
{
    return times_sigmoid(x, 1.59576912160573071 * (x + 0.044715 * x * x * x));
}

/* (1 + erf(x / sqrt 2)) / 2 = erfc(-x / sqrt 2) / 2 */
static inline double element_gelu(double x)
{
    return 0.5 * x * erfc(-0.707106781186547524 * x);
}

#endif
