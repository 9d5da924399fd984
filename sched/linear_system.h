/*
 * Small systems of linear equations.
 */
#ifndef SCHED_LINEAR_SYSTEM_H
#define SCHED_LINEAR_SYSTEM_H

#include "real.h"
#include "error.h"

#include <stddef.h>

#define solve_linear_system REAL_NAME(solve_linear_system)

/* Solves `matrix` x = `right`, by elimination with partial pivoting, as LAPACK's gesv behind
 * torch.linalg.solve. `matrix` [n, n] (row i at matrix + i * n) is used up; `right` [n] becomes x. Refuses a
 * matrix with a pivot of exactly 0, as torch does. */
enum status solve_linear_system(real *matrix, real *right, size_t n, struct error *error);

#endif
