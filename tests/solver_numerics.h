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

/* The coefficients of the DPM-Solvers, orders 1 to 3, are the integrals of sched/README.md (equations 4 to 6)
 * with tau 0 and 1, for predicted noise and data, between levels of any process. */
void check_dpm_coefficients_f32(void);
void check_dpm_coefficients_f64(void);

#endif
