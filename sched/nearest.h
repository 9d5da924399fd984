/*
 * "Did you mean ...?"
 */
#ifndef SCHED_NEAREST_H
#define SCHED_NEAREST_H

#include <stddef.h>

/* The candidate that differs from `name` by the fewest inserted, removed, changed or swapped letters, NULL
 * where none is close enough to be a misspelling (at most a third of the letters). */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

#endif
