/*
 * Small systems of linear equations.
 */
#ifndef SCHED_LINEAR_SYSTEM_H
#define SCHED_LINEAR_SYSTEM_H

#include "real.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>

#define solve_linear_system REAL_NAME(solve_linear_system)

enum { MAX_EQUATIONS = 20 };

/* Solves `matrix` x = `right`, 1 <= n <= MAX_EQUATIONS, as torch.linalg.solve does: bit for bit, for float32
 * up to 8 equations at least. `matrix` [n, n] (row i at matrix + i * n) is used up; `right` [n] becomes x.
 * torch factors the transpose of a matrix that is `contiguous`, and one that is a part of a larger one as it
 * is. Refuses a matrix with a pivot of exactly 0, as torch does. */
enum status solve_linear_system(real *matrix, real *right, size_t n, bool contiguous, struct error *error);

#endif
