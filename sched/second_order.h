/*
 * The lists of the methods that call the model twice a step (Heun, DPM2, DPM-Solver SDE): the step from sigma
 * to sigma' stands in two entries, so that each call has an entry of its own.
 */
#ifndef SCHED_SECOND_ORDER_H
#define SCHED_SECOND_ORDER_H

#include "real.h"

#include <stddef.h>

/* Where entry `i` of such a list comes from, out of `count` > 0 entries: all of them stand twice but the
 * first, 0 1 1 2 2 3 3 ..., and past the end stands the last. */
static inline size_t second_order_place(size_t i, size_t count)
{
    size_t place = (i + 1) / 2;
    return place < count ? place : count - 1;
}

/* `places` > 0 entries so made of sigmas [count]: allocated; NULL where memory is out. */
#define second_order_sigmas REAL_NAME(second_order_sigmas)
real *second_order_sigmas(const real *sigmas, size_t count, size_t places);

/* The timesteps of the calls: the last step, to 0, takes only one. 2 count - 1 of them (none of none), so
 * made of timesteps [count], allocated; NULL where memory is out. */
#define second_order_timesteps REAL_NAME(second_order_timesteps)
double *second_order_timesteps(const double *timesteps, size_t count, size_t *places);

#endif
