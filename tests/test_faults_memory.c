/*
 * Each allocation that a command makes finds no memory, once alone and once with all after it: the command
 * says so and ends with status 3, or does without and has the same outcome; nothing leaks, and no file is
 * half written. `make faults` fails each that differs from the others; here they are the first of each
 * command, and some of the others.
 */
#include "faults/fault_commands.h"
#include "faults/fault_suite.h"

static void fail_allocations(
    const struct fault_command *command, size_t turn, bool lasting, struct sweep_counts *counts)
{
    const size_t each = 3; /* of the commands, in make check */
    struct fault_plan plan = {.point = POINT_ALLOCATION, .lasting = lasting};
    sweep_all(command, turn % each, &plan, counts);
}

START_TEST(one_allocation_fails)
{
    struct sweep_counts counts = {0};
    for (size_t i = 0; i < fault_command_count; i++) fail_allocations(&fault_commands[i], i, false, &counts);
    sweep_report("one allocation finds no memory", &counts);
}
END_TEST

START_TEST(all_further_allocations_fail)
{
    struct sweep_counts counts = {0};
    for (size_t i = 0; i < fault_command_count; i++)
        fail_allocations(&fault_commands[i], i + 1, true, &counts);
    sweep_report("no allocation finds memory from one on", &counts);
}
END_TEST

START_TEST(allocations_of_each_class_and_case_fail)
{
    enum { ROOM = 256 };
    struct fault_command commands[ROOM] = {0};
    size_t count = fault_commands_of_classes(commands, ROOM);
    count += fault_commands_of_cases(commands + count, ROOM - count);
    struct sweep_counts counts = {0};
    for (size_t i = 0; i < count; i++) fail_allocations(&commands[i], i + 2, i % 2, &counts);
    fault_commands_free(commands, count);
    sweep_report("an allocation of a scheduler finds no memory", &counts);
}
END_TEST

int main(int argc, char **argv)
{
    (void)argc;
    fault_suite_start(argv);
    Suite *suite = suite_create("faults of memory");
    TCase *cases = fault_suite_case(suite, "memory");
    tcase_add_test(cases, one_allocation_fails);
    tcase_add_test(cases, all_further_allocations_fail);
    tcase_add_test(cases, allocations_of_each_class_and_case_fail);
    return run_suite(suite);
}
