/*
 * "Did you mean ...?"
 */
#ifndef SCHED_NEAREST_H
#define SCHED_NEAREST_H

#include <stddef.h>

/* The candidate that is most likely meant by `name`; NULL where none is near. Capitals, '-' and '_' make no
 * difference. In this order: one letter inserted, removed, changed or swapped with its neighbour; the
 * shortest that has the name at its beginning or as one of its words ("karras": use_karras_sigmas); the
 * fewest such letters, up to a third. */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

/* Writes " (did you mean NAME?)" into the buffer, with `before` ("--", "") in front of the name, or nothing
 * where `nearest` is NULL. Returns `buffer`. */
const char *did_you_mean(const char *nearest, const char *before, char *buffer, size_t size);

#endif
