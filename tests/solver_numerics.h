/*
 * What the small numerical parts of the solvers must be, in either arithmetic.
 */
#ifndef TESTS_SOLVER_NUMERICS_H
#define TESTS_SOLVER_NUMERICS_H

/* Systems whose solution is chosen first are solved to it, up to the rounding that their condition allows, in
 * both orders of operations; a system with two equal equations is refused. */
void check_linear_systems_f32(void);
void check_linear_systems_f64(void);

/* The weights of SA-Solver integrate what they must: x^k for every k below their order, times the
 * exponential. */
void check_sasolver_weights_f32(void);
void check_sasolver_weights_f64(void);

#endif
