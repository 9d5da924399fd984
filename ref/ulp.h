/*
 * Distances in units of the last place, and their quantiles.
 *
 * The numbers of a binary floating-point type, in order, are given the integers as ordinals (0 is 0, the
 * smallest subnormal 1, ...); what lies between two of them has a fraction, linearly. The distance of a and b
 * is the difference of their ordinals. For two numbers of that type it is the number of steps from one to the
 * other, across powers of two and across zero; on the scale of float32, 0.3 between two doubles means a third
 * of a rounding to float32.
 */
#ifndef REF_ULP_H
#define REF_ULP_H

#include "tensor.h"

/* Of two finite numbers on the scale of `type`; float32's where that is an integer type. */
double ulp_distance(double a, double b, enum dtype type);
/* The same for many pairs, none of them infinite or NaN. */
void ulp_distances(const double *a, const double *b, size_t count, enum dtype type, double *out);

/*
 * Quantiles without sorting and without memory that grows with the count: a distance rounded to float32 is
 * a number of 31 bits whose order is that of the distances, so they are counted by the upper 15 bits as
 * they come. What a quantile's bin holds is one single number where the distances are integers up to 255;
 * where it is not, the distances are gone through once more, and those of the bin are counted by the lower
 * 16 bits. Rounding keeps the order, so the result is the quantile itself, rounded to float32.
 */
#define ULP_QUANTILES 2
struct ulp_quantiles; /* half a megabyte; a megabyte in a second pass */

/* Which quantiles: each in (0, 1], as nearest ranks: the smallest distance such that at least this part of
 * all distances is no larger. Counted from now on is nothing. */
enum status ulp_quantiles_create(
    const double parts[ULP_QUANTILES], struct ulp_quantiles **out, struct error *error);
void ulp_quantiles_free(struct ulp_quantiles *quantiles); /* accepts NULL */
/* Distances from 0 to infinity, none NaN. In the second pass the same ones as in the first. */
void ulp_quantiles_count(struct ulp_quantiles *quantiles, const double *distances, size_t count);
/* Whether a second pass is needed; after true the distances are counted once more, and then it is false. */
enum status ulp_quantiles_again(struct ulp_quantiles *quantiles, bool *again, struct error *error);
/* The i-th quantile; 0 where nothing was counted. */
double ulp_quantiles_get(const struct ulp_quantiles *quantiles, size_t i);

#endif
