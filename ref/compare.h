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
    double rms;     /* root mean square of a - b, over elements finite on both sides */
    double peak;    /* largest |b|: b is the reference */
    double max_rel_peak; /* max_abs / peak (0 where both are 0) */
    double max_rel;      /* largest |a - b| / |b| over elements with b other than 0; infinite as max_abs is */
    double max_ulp;      /* in units of the last place; 0 for equal elements, infinite as max_abs is */
    double median_ulp, p99_ulp; /* no more than this in half, in 99 of 100 of all elements (nearest rank, to
                                   24 bits); NaN where not asked for */
    double cosine;              /* of the two as vectors; 1 where both are zero */
    size_t worst;               /* flat index of the largest |a - b| */
    double worst_a, worst_b;
};

/* Any two dtypes, the same number of elements (the caller has checked shapes). Units of the last place are
 * those of b's float type (of float32 where b is an integer type). One pass over the elements, some
 * nanoseconds each. */
struct difference tensor_difference(const struct tensor *a, const struct tensor *b);

/* The same with the quantiles, which may take a second pass, and with units of the last place of `ulp_type`:
 * what a backend in float32 is off from an exact answer in float64 is counted in float32's. */
enum status tensor_difference_quantiles(const struct tensor *a, const struct tensor *b, enum dtype ulp_type,
    struct difference *difference, struct error *error);

/* The peak signal-to-noise ratio in decibels, 20 log10(range / rms), of pictures whose values span `range`:
 * infinite where the two are equal, -infinity where an element is finite on one side only. */
double difference_psnr(const struct difference *difference, double range);
/* The range of what is a picture by its name in a trace: 255 of `image_u8`, 2 of `image` (the decoder's,
 * about -1..1); 0 of any other tensor. */
double picture_range(const char *name);

/* When do two elements agree: |a - b| <= atol + rtol * |b|, or at most `ulp` units in the last place
 * apart. */
struct tolerance {
    double rtol, atol, ulp;
};
/* Number of elements outside the tolerance (a non-finite value on one side alone is outside any). */
size_t tensor_disagreements(
    const struct tensor *a, const struct tensor *b, const struct tolerance *tolerance);

#endif
