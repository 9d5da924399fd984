/*
 * Sums of earlier predictions with weights, as the multistep solvers take them. A loop over the elements
 * inside of one over the terms is what compilers make vectors of; so they go by blocks, whose sums stay in
 * the nearest cache.
 */
#ifndef SCHED_WEIGHTED_SUM_H
#define SCHED_WEIGHTED_SUM_H

#include "real.h"

#include <stddef.h>

enum { SUM_BLOCK = 512 };

/* How many elements the block that begins at element `from` of n has. */
static inline size_t sum_block(size_t from, size_t n)
{
    return n - from < SUM_BLOCK ? n - from : SUM_BLOCK;
}

/* sums[i] += weights[0] terms[0][from + i], then weights[1] terms[1][from + i] .., for the `size` <=
 * SUM_BLOCK elements of a block: each product and each sum is rounded. */
static inline void add_weighted(
    const real *weights, const real *const *terms, size_t count, size_t from, size_t size, real *sums)
{
    for (size_t k = 0; k < count; k++) {
        const real weight = weights[k], *term = terms[k] + from;
        for (size_t i = 0; i < size; i++) sums[i] += weight * term[i];
    }
}

#endif
