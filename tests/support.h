/*
 * What the test programs share: where the golden files are, tensors out of them, and one way to run a suite.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "ref/compare.h"
#include "ref/tensor_set.h"
#include "sched/json.h"

#include <check.h>

/* Path of a file under golden/ (environment PLUMB_GOLDEN, or "golden"); in one of a few static buffers. */
const char *golden_path(const char *format, ...) PRINTF_LIKE(1, 2);
/* Opens golden tensors, or reads golden JSON; fails the test where that fails. */
struct tensor_set *golden_tensors(const char *format, ...) PRINTF_LIKE(1, 2);
cJSON *golden_json(const char *format, ...) PRINTF_LIKE(1, 2);
/* The tensor `name`; fails the test where there is none. */
const struct tensor *need_tensor(const struct tensor_set *set, const char *format, ...) PRINTF_LIKE(2, 3);

/* A new temporary folder for one test, removed by remove_folder(). The path is allocated. */
char *temporary_folder(void);
void remove_folder(char *folder);

/* Runs a suite in Check's usual mode with a line a failure and the closing summary; returns main()'s exit
 * status. */
int run_suite(Suite *suite);

#endif
