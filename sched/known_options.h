/*
 * The names of options: which ones any scheduler class of diffusers 0.35.1 has, and what a misspelt one
 * meant.
 */
#ifndef SCHED_KNOWN_OPTIONS_H
#define SCHED_KNOWN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether any scheduler class of diffusers has an option of this name. `*nearest` (may be NULL) becomes the
 * name itself, or the known name that looks most like it, or NULL where none is near. */
bool scheduler_option_is_known(const char *name, const char **nearest);

/* All of these names, in the order of the alphabet. */
const char *const *scheduler_known_options(size_t *count);

#endif
