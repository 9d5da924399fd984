#include "fault_suite.h"

#include "kernels/cpu.h"
#include "ref/library_threads.h"
#include "tests/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_POINTS = 6, MANY_POINTS = 64 };

static const char *wish(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

static size_t wanted_points(const struct fault_command *command)
{
    const char *wanted = wish("PLUMB_FAULTS");
    if (!wanted) return command->is_long ? USUAL_POINTS / 2 : USUAL_POINTS;
    if (strcmp(wanted, "all") != 0) return strtoul(wanted, NULL, 10);
    return command->is_long ? MANY_POINTS : SIZE_MAX;
}

void sweep_all(
    const struct fault_command *command, size_t turn, struct fault_plan *plan, struct sweep_counts *counts)
{
    const char *only = wish("PLUMB_FAULTS_OF");
    if (only && !strstr(command->arguments, only)) return;
    if (!only && !wish("PLUMB_FAULTS") && turn != 0) return;
    const bool measures = command->is_long && command->varies; /* for seconds: not in make check */
    if (measures && !wish("PLUMB_FAULTS")) return;
    struct sweep sweep;
    sweep_begin(&sweep, command, plan);
    const size_t wanted = wanted_points(command), first = wanted / 2;
    const size_t stride = sweep.points <= wanted ? 1 : (sweep.points - first) / (wanted - first);
    for (plan->at = 1; plan->at <= sweep.points; plan->at += plan->at < first ? 1 : stride)
        sweep_run(&sweep, plan, plan->at % 2);
    counts->commands++;
    counts->points += sweep.points;
    counts->made += sweep.made;
    counts->failed += sweep.failed;
    counts->went_on += sweep.went_on;
    counts->wrong += sweep.wrong;
    sweep_end(&sweep);
}

void sweep_report(const char *what, const struct sweep_counts *counts)
{
    printf("%s: %zu of %zu points of %zu commands: %zu ended with a message and status 3, %zu did without, "
           "%zu wrong\n",
        what, counts->made, counts->points, counts->commands, counts->failed, counts->went_on, counts->wrong);
    fflush(stdout);
    if (!wish("PLUMB_FAULTS_OF")) ck_assert_uint_gt(counts->made, 0);
    ck_assert_uint_eq(counts->wrong, 0);
}

void fault_suite_start(char **argv)
{
    const char *core = kernels_common_blas_core();
    if (core && !getenv("OPENBLAS_CORETYPE")) {
        setenv("OPENBLAS_CORETYPE", core, 1);
        unsetenv("OPENBLAS_NUM_THREADS"), unsetenv("OMP_WAIT_POLICY");
    }
    library_threads_settle(argv);
}

TCase *fault_suite_case(Suite *suite, const char *name)
{
    const double hours = 6; /* for all points; each run has its own limit */
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    tcase_set_timeout(tcase, hours * 3600);
    suite_add_tcase(suite, tcase);
    return tcase;
}
