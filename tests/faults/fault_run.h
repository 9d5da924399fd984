/*
 * A command run in a forked process with a fault of a plan in it, and what must be so afterwards: it ends in
 * the outcome that it has without the fault, whole, or with status 3 and one line that says what failed; no
 * file is neither as it was before nor as it is to be; nothing leaks.
 *
 * A command is written as a shell would take it, without quotes. @NAME is a file of the test's folder that
 * the command writes; a run finds nothing there, or (`old_outputs`) a file with other content. +NAME is a
 * folder that it makes; -NAME is an input, which an earlier command has put there.
 *
 * Of a command that goes on (`run --resume`, and lists of runs) a failure may leave each file as it was, as
 * it is to be, or a journal that can be read; and the same command without the fault must then come to the
 * outcome.
 */
#ifndef TESTS_FAULTS_FAULT_RUN_H
#define TESTS_FAULTS_FAULT_RUN_H

#include "injection.h"

struct fault_command {
    const char *arguments; /* without "plumb" */
    const char *inputs;    /* another command, which makes this one's inputs; NULL: it needs none */
    bool varies;           /* what it prints is not the same in every run: times, the machine's state */
    bool is_long;          /* it takes a second or more, with hundreds of thousands of points */
    bool goes_on;          /* with what `inputs`, which are interrupted, or a failure of its own has left */
};

/* The outcome of one run. */
struct fault_run {
    int status; /* as waitpid() gives it */
    char *out, *err;
    size_t out_size;
    struct fault_report *report; /* shared memory */
};

/* What a folder holds: a number for each entry and all that is in it; of a command that goes on, for each
 * file at any depth. */
struct folder_state {
    size_t count;
    struct folder_entry {
        char name[256];
        uint64_t digest;
    } entries[24];
};

struct sweep {
    const struct fault_command *command;
    struct fault_run run;
    struct folder_state before[2], whole; /* without old outputs, with them; and after a sound run */
    char *saved; /* a folder with what the inputs left, where the command changes it; NULL: it does not */
    char *out;
    size_t out_size;
    int status;
    size_t points;   /* of the plan's kind, in a sound run */
    uint64_t *paths; /* of the first of them, as in the plan; NULL: not asked for */
    /* counted over the sweep */
    size_t made, failed, went_on, wrong;
};

/* Runs the command soundly, counting the plan's points, and noting their paths where they are asked for.
 * Check's fixtures must have made the test's folder. */
enum { SWEEP_PATHS = 1 << 20 };
void sweep_begin(
    struct sweep *sweep, const struct fault_command *command, const struct fault_plan *plan, bool with_paths);
/* Runs it with the fault and judges the outcome; what is wrong is printed, and counted in `wrong`. */
void sweep_run(struct sweep *sweep, const struct fault_plan *plan, bool old_outputs);
void sweep_end(struct sweep *sweep);

#endif
