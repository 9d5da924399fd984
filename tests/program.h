/*
 * The program as a user meets it: a command run as a process in the test's folder, what it printed, and its
 * exit status. PLUMB names the program (build/plumb).
 */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include "file_support.h"

/* Check's fixtures: make_test_folder() before each test, this after it. */
void drop_program_folder(void);

/* What the last command printed on standard output and on standard error; NULL before the first. */
extern char *out, *err;

/* Runs `plumb` with arguments as a shell takes them; a redirection of standard output among them wins. The
 * two outputs are files of the test's folder, `out` and `err`. Returns the exit status; fails the test where
 * a signal ended the program. */
int plumb(const char *format, ...) PRINTF_LIKE(1, 2);

void expect_in(const char *text, const char *part);

/* Two files of the test's folder have the same bytes; `what` is for the message. */
void expect_same_bytes(const char *a, const char *b, const char *what);

/* The last command, which returned `status`, must have failed with `expected`: standard error ends in its one
 * line "error: ..." that holds each of the words, up to a NULL; standard output is empty; and the test's
 * folder holds the `inputs` entries that the test put there and nothing more. */
void expect_failure(int status, enum status expected, size_t inputs, ...) __attribute__((sentinel));

/* Fails the test unless there is a picture of that size at `path` with something drawn in it. */
void expect_picture(const char *path, int width, int height);

#endif
