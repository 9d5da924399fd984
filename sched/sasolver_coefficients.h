/*
 * The weights of SA-Solver's model outputs: integrals of Lagrange polynomials times an exponential (Xue et
 * al. 2023, arXiv:2309.05019, eqs. 10 and 14; sasolver.c).
 */
#ifndef SCHED_SASOLVER_COEFFICIENTS_H
#define SCHED_SASOLVER_COEFFICIENTS_H

#include "real.h"

#include <stdbool.h>

#define sasolver_weigh REAL_NAME(sasolver_weigh)

enum { SASOLVER_MAX_ORDER = 4 };

/* With l_i the Lagrange polynomial that is 1 at nodes[i] and 0 at the others, `weights` [order] become
 *
 *     integral from start to end of e^((1 + tau^2) x) l_i(x) dx     where the model predicts data,
 *     integral from start to end of e^-x l_i(x) dx                  where it predicts noise.
 *
 * order is 1 to SASOLVER_MAX_ORDER, the nodes (lambdas) [order] are distinct. The integrals are differences
 * of antiderivatives, whose terms cancel: in float32, order 4 can leave three digits. */
void sasolver_weigh(bool data, int order, real start, real end, int tau, const real *nodes, real *weights);

#endif
