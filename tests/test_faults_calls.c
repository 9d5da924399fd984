/*
 * Each write and each read that a command makes fails, in each way that it can: the disk is full, the quota
 * is used up, an I/O error, part of it only, a signal in between. The command says so, names the file and
 * ends with status 3, or goes on to the same outcome; what was there before is there unchanged, and nothing
 * is left that is not whole. `make faults` fails each that differs from the others; here they are the first
 * of each command and kind, and some of the others.
 */
#include "faults/fault_commands.h"
#include "faults/fault_suite.h"

#include <errno.h>
#include <stdio.h>

static const struct way {
    const char *name;
    struct fault_plan plan;
} ways[] = {
    {"a write finds the disk full", {.point = POINT_WRITE, .error = ENOSPC}},
    {"no write finds room from one on", {.point = POINT_WRITE, .error = ENOSPC, .lasting = true}},
    {"a write has an I/O error", {.point = POINT_WRITE, .error = EIO}},
    {"a write finds the quota used up", {.point = POINT_WRITE, .error = EDQUOT}},
    {"a write is cut short", {.point = POINT_WRITE, .error = PART_OF_IT}},
    {"a write is interrupted", {.point = POINT_WRITE, .error = EINTR}},
    {"a read has an I/O error", {.point = POINT_READ, .error = EIO}},
    {"no read succeeds from one on", {.point = POINT_READ, .error = EIO, .lasting = true}},
    {"a read is cut short", {.point = POINT_READ, .error = PART_OF_IT}},
    {"a read is interrupted", {.point = POINT_READ, .error = EINTR}},
};

START_TEST(calls_fail)
{
    if (!injection_catches_calls()) {
        if (_i == 0)
            printf("faults of calls: skipped, this system has no seccomp filters to catch them with\n");
        return;
    }
    struct fault_plan plan = ways[_i].plan;
    struct sweep_counts counts = {0};
    const size_t each = 8; /* of the commands, in make check: the ways take turns */
    for (size_t i = 0; i < fault_command_count; i++)
        sweep_all(&fault_commands[i], (i + (size_t)_i) % each, &plan, &counts);
    sweep_report(ways[_i].name, &counts);
}
END_TEST

int main(int argc, char **argv)
{
    (void)argc;
    fault_suite_start(argv);
    Suite *suite = suite_create("faults of calls");
    TCase *cases = fault_suite_case(suite, "calls");
    tcase_add_loop_test(cases, calls_fail, 0, sizeof ways / sizeof *ways);
    return run_suite(suite);
}
