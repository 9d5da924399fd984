/*
 * Norms as a backend computes them that rounds after each operation and has few of them. Ours are in double
 * and rounded once. Where the numbers of a group differ by little from their mean, what is left of x w/s + (b
 * - m w/s) in float32 is less than of (x - m) w/s + b in double, and as right.
 */
#ifndef REF_FLOAT_NORM_H
#define REF_FLOAT_NORM_H

#include "verify_variation.h"

/* Such norms in the place of ours, in a run in single precision. */
extern const struct kernel_replacement float_norms_f32;

#endif
