/*
 * Marsaglia and Bray's polar method (SIAM Review 6, 1964): of points drawn in the square, those outside of
 * the disc are rejected; one inside, at (x, y) with r^2 = x^2 + y^2, gives the normals x f and y f with f =
 * sqrt(-2 log(r^2) / r^2). NumPy gives y's first and keeps x's (numpy/random: legacy_gauss).
 */
#include "numpy_mt19937.h"

#include <math.h>

void numpy_mt19937_seed(struct numpy_mt19937 *generator, uint32_t seed)
{
    torch_mt19937_seed(&generator->twister, seed);
    generator->has_second = false;
    generator->second = 0;
}

double numpy_mt19937_uniform(struct numpy_mt19937 *generator)
{
    const uint32_t high = torch_mt19937_next(&generator->twister) >> 5;
    const uint32_t low = torch_mt19937_next(&generator->twister) >> 6;
    return ((double)high * 0x1p26 + (double)low) * 0x1p-53;
}

double numpy_mt19937_normal(struct numpy_mt19937 *generator)
{
    if (generator->has_second) {
        generator->has_second = false;
        return generator->second;
    }
    double x, y, r2;
    do {
        x = 2 * numpy_mt19937_uniform(generator) - 1;
        y = 2 * numpy_mt19937_uniform(generator) - 1;
        r2 = x * x + y * y;
    } while (r2 >= 1 || r2 == 0);
    const double f = sqrt(-2 * log(r2) / r2);
    generator->second = f * x;
    generator->has_second = true;
    return f * y;
}
