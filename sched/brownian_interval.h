/*
 * A Brownian path W over an interval of time that a seed decides: torchsde 0.2.6's BrownianInterval with
 * halfway_tree (Kidger et al. 2021, arXiv:2105.13493, section 4), as diffusers' BrownianTreeNoiseSampler
 * makes it: tol 1e-6, pool_size 24, PyTorch's AVX2 normals. The same bits as theirs for a seed.
 *
 * The increment over the whole interval is normal with the interval's length as its variance. Where an
 * interval is halved, the increment of the left half, given that w of the whole, is normal too (Levy's
 * bridge): its mean is w times the left half's share, its variance the product of the two lengths over the
 * whole one; the right half has the rest. Whatever is asked of the path is put together from halves of
 * halves, and each halving has a seed of its own, from the path's and its place in the tree. So an answer
 * does not depend on what was asked before, nothing needs to be kept, and increments of neighbours add up.
 *
 * Times are rounded to multiples of 1e-6, the smallest interval there is.
 */
#ifndef SCHED_BROWNIAN_INTERVAL_H
#define SCHED_BROWNIAN_INTERVAL_H

#include "real.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct brownian_interval {
    uint64_t seed;     /* torchsde's entropy */
    double start, end; /* start <= end */
};

/* W(to) - W(from), of a path in n dimensions: [n]. Times outside of the interval are taken as its ends;
 * from <= to. Refuses an interval too long for 64 halvings, and, as torchsde does by endless recursion, two
 * different times that are rounded to one where no halving meets it. */
#define brownian_increment REAL_NAME(brownian_increment)
enum status brownian_increment(const struct brownian_interval *interval, double from, double to, size_t n,
    real *increment, struct error *error);

/* Brownian noise as a sampler takes it that goes from one sigma to another on paths over [sigma_min,
 * sigma_max]: the increment of the path from sigma to sigma_next, over the root of their distance, so that
 * each number has variance 1. Neighbouring steps are independent, overlapping ones are not. With one seed
 * there is one path for the batch, else one for each picture: [batch, sample_size]. Refuses another number of
 * seeds. */
struct brownian_noise {
    const uint64_t *seeds;
    size_t count;
    real sigma_min, sigma_max;
};
#define brownian_noise_between REAL_NAME(brownian_noise_between)
enum status brownian_noise_between(const struct brownian_noise *paths, real sigma, real sigma_next,
    size_t batch, size_t sample_size, real *noise, struct error *error);

#endif
