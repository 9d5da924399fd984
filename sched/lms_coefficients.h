/*
 * The coefficients of linear multistep methods with steps of any length (Adams and Bashforth): the derivative
 * is replaced by the polynomial through its last values, and that is integrated over the step.
 */
#ifndef SCHED_LMS_COEFFICIENTS_H
#define SCHED_LMS_COEFFICIENTS_H

#include <stddef.h>

enum { MAX_LMS_ORDER = 64 };

/* What the derivative at nodes[current] weighs in a step from nodes[0] to `end`, where nodes[k] is where the
 * step k steps ago began, k < order <= MAX_LMS_ORDER:
 *
 *     integral from nodes[0] to end of the product over k != current of
 *         (tau - nodes[k]) / (nodes[current] - nodes[k]) dtau.
 *
 * The integrand is a polynomial, which is expanded and integrated term by term. Where the nodes and `end`
 * stand in order all terms have one sign, so nothing cancels: the relative error is below 4 order units of
 * 2^-53. Two equal nodes give NaN, as the quadrature of SciPy does. */
double lms_coefficient(const double *nodes, size_t order, size_t current, double end);

#endif
