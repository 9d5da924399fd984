/*
 * The timesteps of every class, spacing and kind of sigmas for many counts of steps, as one text: the format
 * of golden/timesteps.txt, which golden/README.md explains.
 */
#ifndef REF_TIMESTEP_TABLES_H
#define REF_TIMESTEP_TABLES_H

#include "sched/error.h"

#include <stdio.h>

/* Writes the tables of all classes; schedules with the same block stand together in front of it. */
enum status timestep_tables_write(FILE *out, struct error *error);

#endif
