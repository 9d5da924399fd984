/* What the suites of faults share: how many points of a command are tried, and the line that says how it
 * went. */
#ifndef TESTS_FAULTS_FAULT_SUITE_H
#define TESTS_FAULTS_FAULT_SUITE_H

#include "fault_run.h"
#include "tests/file_support.h"

struct sweep_counts {
    size_t commands, points, made, failed, went_on, wrong;
};

/* Puts faults into the command at some points, the first ones and others at even distances. The variable
 * PLUMB_FAULTS says how many, or "all", or "paths": where each chain of calls that leads to a point does so
 * for the first and for the last time. Without it there are few, and only where `turn` is 0: a suite's sweeps
 * take turns with the commands. PLUMB_FAULTS_OF keeps to commands in which its text is found. */
void sweep_all(
    const struct fault_command *command, size_t turn, struct fault_plan *plan, struct sweep_counts *counts);
/* Prints the line; fails the test where something was wrong. */
void sweep_report(const char *what, const struct sweep_counts *counts);

/* To be called first in main(): starts the program anew where OpenBLAS has not yet been told to use one
 * thread and the kernels that plumb uses, since plumb would start itself anew. */
void fault_suite_start(char **argv);
TCase *fault_suite_case(Suite *suite, const char *name);

#endif
