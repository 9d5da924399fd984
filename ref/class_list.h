/*
 * The scheduler classes with what each one takes: `plumb schedule --list`. All of it is read from the
 * solvers' own tables (sched/solver.h).
 */
#ifndef REF_CLASS_LIST_H
#define REF_CLASS_LIST_H

#include "sched/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes the classes named, with or without "Scheduler", or all of them and those that are not covered where
 * `count` is 0. As a table, or as JSON: {"classes": [...], "not_covered": [...]}. */
enum status class_list_write(char *const *names, size_t count, bool as_json, FILE *out, struct error *error);

#endif
