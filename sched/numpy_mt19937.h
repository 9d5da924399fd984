/*
 * np.random.RandomState(seed): NumPy's legacy generator, whose stream is frozen (NEP 19).
 */
#ifndef SCHED_NUMPY_MT19937_H
#define SCHED_NUMPY_MT19937_H

#include "torch_mt19937.h"

#include <stdbool.h>
#include <stdint.h>

struct numpy_mt19937 {
    struct torch_mt19937 twister; /* the words are the same */
    bool has_second;              /* a pair's second normal waits for the next draw */
    double second;
};

/* RandomState(seed) */
void numpy_mt19937_seed(struct numpy_mt19937 *generator, uint32_t seed);

double numpy_mt19937_uniform(struct numpy_mt19937 *generator); /* random_sample(): 53 bits of two words */
double numpy_mt19937_normal(
    struct numpy_mt19937 *generator); /* one of randn(), by Marsaglia and Bray's polar method */

#endif
