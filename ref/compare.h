/*
 * How far two tensors are apart, and two sets of them: the numbers behind `plumb compare` and behind the
 * tests.
 */
#ifndef REF_COMPARE_H
#define REF_COMPARE_H

#include "tensor_set.h"

struct difference {
    size_t count;   /* elements */
    size_t unequal; /* elements that differ in value (NaN equals NaN, -0 equals 0) */
    size_t nonfinite_a, nonfinite_b;
    double max_abs; /* largest |a - b| over elements finite on both sides; infinite where only one side is
                       finite */
    double rms;     /* root mean square of a - b */
    double peak;    /* largest |b|: b is the reference */
    double max_rel_peak; /* max_abs / peak (0 where both are 0) */
    double max_ulp;      /* in units of b's float type (of float32 where b is an integer type); 0 for equal
                            elements */
    double cosine;       /* of the two as vectors; 1 where both are zero */
    size_t worst;        /* flat index of the largest |a - b| */
    double worst_a, worst_b;
};

/* Any two dtypes, the same number of elements (the caller has checked shapes). */
struct difference tensor_difference(const struct tensor *a, const struct tensor *b);

/* When do two elements agree: |a - b| <= atol + rtol * |b|, or at most `ulp` units in the last place apart.
 */
struct tolerance {
    double rtol, atol, ulp;
};
/* Number of elements outside the tolerance (a non-finite value on one side alone is outside any). */
size_t tensor_disagreements(
    const struct tensor *a, const struct tensor *b, const struct tolerance *tolerance);

#endif
