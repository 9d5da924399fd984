/*
 * log(2^e (1 + x)) = e log 2 + x P(x)/Q(x) with 1 + x in [sqrt(1/2), sqrt(2)]: a rational approximation of
 * degree (5, 5), every step of Horner's rule fused. The coefficients are NumPy's (npy_simd_data.h).
 */
#include "numpy_log.h"
#include "rounded_math.h"

#include <float.h>
#include <math.h>

float numpy_log(float number)
{
    static const float numerator[] = {0.0f, 9.999999999999998702752e-01f, 2.112677543073053063722e+00f,
        1.480000633576506585156e+00f, 3.808837741388407920751e-01f, 2.589979117907922693523e-02f};
    static const float denominator[] = {1.0f, 2.612677543073109236779e+00f, 2.453006071784736363091e+00f,
        9.864942958519418960339e-01f, 1.546476374983906719538e-01f, 5.875095403124574342950e-03f};
    if (!(number >= FLT_MIN && number <= FLT_MAX)) return (float)rounded_log((double)number);

    int exponent;
    float mantissa = frexpf(number, &exponent); /* [1/2, 1) */
    if (mantissa <= (float)M_SQRT1_2) {
        mantissa *= 2;
        exponent--;
    }
    float x = mantissa - 1, p = numerator[5], q = denominator[5];
    for (int i = 4; i >= 0; i--) {
        p = fmaf(p, x, numerator[i]);
        q = fmaf(q, x, denominator[i]);
    }
    return fmaf((float)exponent, (float)M_LN2, p / q);
}
