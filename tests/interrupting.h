/*
 * The program as a process that is ended from outside, after times that a seed decides.
 */
#ifndef TESTS_INTERRUPTING_H
#define TESTS_INTERRUPTING_H

#include "program.h"

#include <sys/types.h>

/* Starts `plumb` (PLUMB, or build/plumb) with these arguments, the first being "plumb", up to a NULL. Its
 * standard error is the test's file `err`, its standard output goes nowhere, and signals end it as in a
 * terminal. */
pid_t start_program(const char *const *arguments);
/* Waits for its end; returns the status as waitpid() does. */
int end_of_program(pid_t child);

void wait_milliseconds(double milliseconds);
double milliseconds_now(void); /* of a clock that only goes forward */

/* 0 to 1; `*state` is any number, which goes on to the next. */
double random_fraction(unsigned *state);

/* Whether the test's folder has a file of this name. */
bool is_in_folder(const char *name);

#endif
