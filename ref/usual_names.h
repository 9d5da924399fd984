/*
 * Names that other programs have for what Plumb calls otherwise, and for what it does not have: for messages.
 */
#ifndef REF_USUAL_NAMES_H
#define REF_USUAL_NAMES_H

#include <stddef.h>

/* The candidate that is most likely meant: what other programs call `name` (cfg: guidance-scale), or else
 * nearest_name(). NULL where there is none. */
const char *likely_name(const char *name, const char *const *candidates, size_t count);

/* Why Plumb has nothing of that name ("strength": it makes no pictures out of pictures); NULL where nothing
 * is known. */
const char *why_there_is_none(const char *name);

#endif
