/*
 * Plumb's version: the one that the sampler's public header states, so that it stands once.
 */
#ifndef REF_VERSION_H
#define REF_VERSION_H

#include "sched/plumb_sched.h"

#define PLUMB_VERSION PLUMB_SCHED_VERSION

#endif
