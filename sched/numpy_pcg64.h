/*
 * np.random.Generator(np.random.PCG64(seed)): raw words, uniforms and float64 standard normals, bit for bit.
 */
#ifndef SCHED_NUMPY_PCG64_H
#define SCHED_NUMPY_PCG64_H

#include <stddef.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 uint128;

struct numpy_pcg64 {
    uint128 state;
    uint128 increment; /* odd: it selects the stream */
};

/* PCG64(seed) for the seed's `count` >= 1 words, the lowest first. */
void numpy_pcg64_seed(struct numpy_pcg64 *generator, const uint32_t *words, size_t count);

uint64_t numpy_pcg64_next(struct numpy_pcg64 *generator);  /* random_raw() */
double numpy_pcg64_uniform(struct numpy_pcg64 *generator); /* random(): [0, 1) in steps of 2^-53 */
double numpy_pcg64_normal(struct numpy_pcg64 *generator); /* standard_normal(): one word in 98.5 % of calls */

#endif
