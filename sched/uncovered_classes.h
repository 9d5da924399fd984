/*
 * The scheduler classes of diffusers 0.40.0 that Plumb does not have, and why.
 */
#ifndef SCHED_UNCOVERED_CLASSES_H
#define SCHED_UNCOVERED_CLASSES_H

#include <stddef.h>

struct uncovered_class {
    const char *class_name;
    const char *reason; /* what it is for, in a few words */
};

/* How many there are; the i-th of them, i below that, in the order of the alphabet. */
size_t uncovered_class_count(void);
const struct uncovered_class *uncovered_class_at(size_t i);

/* Why there is no such class, or NULL where diffusers has none of this name either. */
const char *why_not_covered(const char *class_name);

#endif
