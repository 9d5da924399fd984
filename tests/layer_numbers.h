/*
 * A pass of its own for one check of a layer, and numbers for it. Compiled for both precisions.
 */
#ifndef TESTS_LAYER_NUMBERS_H
#define TESTS_LAYER_NUMBERS_H

#include "kernels/real.h"

#include "ref/arena.h"
#include "ref/forward.h"

#include <float.h>

#define begin KERNEL_NAME(begin)
#define end KERNEL_NAME(end)
#define number KERNEL_NAME(number)
#define numbers KERNEL_NAME(numbers)
#define at KERNEL_NAME(at)
#define check_shape KERNEL_NAME(check_shape)
#define layer_error KERNEL_NAME(layer_error)

/* Numbers here are small integers and quarters wherever a result is compared exactly: no sum of them
 * rounds. */
#define EPSILON (sizeof(real) == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON)

/* A pass with an arena; its message is `layer_error`, and end() fails the test where there is one. */
extern struct error layer_error;
struct forward begin(void);
void end(struct forward *f);

/* Quarters from -4 to 4, the same for the same seed; a tensor of them. */
double number(size_t i, unsigned seed);
struct tensor numbers(struct forward *f, int rank, const int64_t *shape, unsigned seed);

double at(struct tensor x, size_t i);
void check_shape(struct tensor x, int rank, const int64_t *shape);

#endif
