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

/* --- Which points ------------------------------------------------------------------------- */

struct choice {
    size_t *at; /* counted from 1 */
    size_t count;
};

/* The first ones, and others at even distances. */
static struct choice choose_some(size_t points, size_t wanted)
{
    struct choice choice = {malloc((points + 1) * sizeof *choice.at), 0};
    ck_assert_ptr_nonnull(choice.at);
    const size_t first = wanted / 2, stride = points <= wanted ? 1 : (points - first) / (wanted - first);
    for (size_t at = 1; at <= points; at += at < first ? 1 : stride) choice.at[choice.count++] = at;
    return choice;
}

struct located {
    uint64_t path;
    size_t at;
};

static int compare_located(const void *left, const void *right)
{
    const struct located *a = left, *b = right;
    if (a->path != b->path) return a->path < b->path ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Of each way to come to a point the first time and the last. */
static struct choice choose_of_each_path(const uint64_t *paths, size_t points)
{
    struct choice choice = {malloc((points + 1) * sizeof *choice.at), 0};
    struct located *located = malloc((points + 1) * sizeof *located);
    ck_assert(choice.at && located);
    for (size_t i = 0; i < points; i++) located[i] = (struct located){paths[i], i + 1};
    qsort(located, points, sizeof *located, compare_located);
    for (size_t i = 0; i < points; i++) {
        const bool is_first = i == 0 || located[i].path != located[i - 1].path;
        const bool is_last = i + 1 == points || located[i].path != located[i + 1].path;
        if (is_first || is_last) choice.at[choice.count++] = located[i].at;
    }
    free(located);
    return choice;
}

/* What is not the same in every run has its points at other places the next time: some must do. */
static bool is_by_path(const struct fault_command *command)
{
    const char *wanted = wish("PLUMB_FAULTS");
    return wanted && strcmp(wanted, "paths") == 0 && !(command->is_long && command->varies);
}

static struct choice choose(const struct sweep *sweep)
{
    const struct fault_command *command = sweep->command;
    const char *wanted = wish("PLUMB_FAULTS");
    if (is_by_path(command))
        return choose_of_each_path(sweep->paths, sweep->points < SWEEP_PATHS ? sweep->points : SWEEP_PATHS);
    size_t most = command->is_long ? USUAL_POINTS / 2 : USUAL_POINTS;
    if (wanted && strcmp(wanted, "all") == 0)
        most = SIZE_MAX;
    else if (wanted)
        most = strcmp(wanted, "paths") == 0 ? MANY_POINTS : strtoul(wanted, NULL, 10);
    return choose_some(sweep->points, most);
}

/* --- A sweep ------------------------------------------------------------------------------ */

void sweep_all(
    const struct fault_command *command, size_t turn, struct fault_plan *plan, struct sweep_counts *counts)
{
    const char *only = wish("PLUMB_FAULTS_OF");
    if (only && !strstr(command->arguments, only)) return;
    if (!only && !wish("PLUMB_FAULTS") && turn != 0) return;
    const bool measures = command->is_long && command->varies; /* for seconds: not in make check */
    if (measures && !wish("PLUMB_FAULTS")) return;
    struct sweep sweep;
    sweep_begin(&sweep, command, plan, is_by_path(command));
    struct choice choice = choose(&sweep);
    for (size_t i = 0; i < choice.count; i++) {
        plan->at = choice.at[i];
        sweep_run(&sweep, plan, plan->at % 2);
    }
    free(choice.at);
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
