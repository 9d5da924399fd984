/*
 * Names that are one of ours but for how they are written, and names of ours that somebody may have meant.
 */
#ifndef REF_NAME_LIKENESS_H
#define REF_NAME_LIKENESS_H

#include "known_tensors.h"

#define NEAREST_NAMES 3

struct name_finder; /* the known names, prepared */

/* `known` must outlive the finder. */
enum status name_finder_create(
    const struct known_tensors *known, struct name_finder **out, struct error *error);
void name_finder_free(struct name_finder *finder); /* accepts NULL */

/* The one known name that `name` is, with capitals, leading zeros of numbers and the choice between '.', '/',
 * '_', '-', ':' and a space left out of account, and with or without the `act.` before a module's, and
 * with or without `step.00.` before one of the first step's UNet; NULL where there is none, or more than
 * one. */
const struct known_tensor *name_finder_recognise(const struct name_finder *finder, const char *name);

/* The known names that are most like `name`, the nearest first, NULL after the last; none that has next to
 * nothing in common with it. How alike two names are is the mean of three numbers from 0 to 1: the share of
 * words that they have in common, of pairs of letters, and of letters that stay in an edit from one to the
 * other. */
void name_finder_nearest(
    const struct name_finder *finder, const char *name, const char *nearest[NEAREST_NAMES]);

#endif
