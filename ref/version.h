/*
 * Plumb's version: the one that the sampler's public header states, so that it stands once. Its numbers are
 * those of semantic versioning: the first changes where a command line, a file or the library's interface
 * that was valid no longer is (or, while it is 0, the second), the second where something is added, the third
 * where something is put right. The shared library's name has SCHED_ABI of the Makefile, which changes where
 * a program that was linked with the library must be linked again.
 */
#ifndef REF_VERSION_H
#define REF_VERSION_H

#include "sched/plumb_sched.h"

#define PLUMB_VERSION PLUMB_SCHED_VERSION
/* The day of this version, which manual pages and packages show: they are the same whenever they are
 * built. */
#define PLUMB_DATE "2026-11-23"

#endif
