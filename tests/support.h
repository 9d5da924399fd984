/*
 * What the test programs share: where the golden files are, tensors out of them, and one way to run a suite.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "ref/compare.h"
#include "ref/tensor_set.h"
#include "sched/json.h"

#include <check.h>

/* An arena that every pass of a test fits in: address space, of which a test uses little. */
#define TEST_ARENA ((size_t)256 << 20)

/* Path of a file under golden/ (environment PLUMB_GOLDEN, or "golden"). It lives until the program ends. */
const char *golden_path(const char *format, ...) PRINTF_LIKE(1, 2);
/* Opens golden tensors, or reads golden JSON; fails the test where that fails. */
struct tensor_set *golden_tensors(const char *format, ...) PRINTF_LIKE(1, 2);
cJSON *golden_json(const char *format, ...) PRINTF_LIKE(1, 2);
/* The tensor `name`; fails the test where there is none. */
const struct tensor *need_tensor(const struct tensor_set *set, const char *format, ...) PRINTF_LIKE(2, 3);

/* A new temporary folder for one test, removed by remove_folder(). The path is allocated. */
char *temporary_folder(void);
void remove_folder(char *folder);

/* "<folder>/<format ...>". It lives until the program ends. */
const char *path_in(const char *folder, const char *format, ...) PRINTF_LIKE(2, 3);
/* Whole files; they fail the test where that fails. What read_bytes() returns is freed by the caller. */
void write_bytes(const char *path, const void *bytes, size_t size);
unsigned char *read_bytes(const char *path, size_t *size);
/* As read_bytes(), for a text: it ends in a zero. */
char *read_whole_text(const char *path);
/* Copies a folder with all that is in it to a place that is not there yet. */
void copy_folder(const char *from, const char *to);
/* How many entries a folder has: what a failure may not leave behind. */
size_t count_entries(const char *path);

/* Fails the test unless `status` is `expected` and the message holds each of the words, up to a NULL. */
void expect_error(enum status status, enum status expected, const struct error *error, ...)
    __attribute__((sentinel));

/* Runs a suite in Check's usual mode with a line a failure and the closing summary; returns main()'s exit
 * status. */
int run_suite(Suite *suite);

#endif
