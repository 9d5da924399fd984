/*
 * The Adams-Bashforth formulas of orders 1 to 4 for equal steps, which are PNDM's linear multistep (Liu et
 * al. 2022, arXiv:2202.09778, eq. 12) and IPNDM's.
 */
#ifndef SCHED_ADAMS_BASHFORTH_H
#define SCHED_ADAMS_BASHFORTH_H

#include "history.h"

enum { ADAMS_BASHFORTH_ORDER = 4 };

/* The combination of the newest derivatives, as many as there are up to four: at least one; combined
 * [size]. */
#define adams_bashforth REAL_NAME(adams_bashforth)
void adams_bashforth(const struct history *derivatives, real *combined);

#endif
