/*
 * The layers of NumPy's float64 normal ziggurat (numpy_pcg64.c).
 *
 * Layer i, 1 <= i <= 255, is the rectangle from 0 to x[i] between the heights f(x[i]) and f(x[i-1]), where
 * f(x) = exp(-x^2/2), x[255] = R, and all areas are equal; layer 0 is the rectangle of height f(R) under the
 * curve's base together with the tail beyond R, stretched to the width x[0] = area / f(R).
 */
#ifndef SCHED_ZIGGURAT_TABLES_H
#define SCHED_ZIGGURAT_TABLES_H

#include <stdint.h>

#define ZIGGURAT_R 3.6541528853610087963519472518
#define ZIGGURAT_1_OVER_R 0.27366123732975827203338247596

extern const uint64_t ziggurat_inside[256]; /* 2^52 x[i-1]/x[i]: places below it lie under the curve */
extern const double ziggurat_width[256];    /* x[i] / 2^52 */
extern const double ziggurat_height[256];   /* f(x[i]), and 1 for layer 0 */

#endif
