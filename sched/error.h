/*
 * Errors and warnings as values.
 *
 * A function that can fail returns a `enum status` and, when that is not STATUS_OK, has filled the caller's
 * `struct error` with one sentence that says what, where, and what would be right. Nothing here prints.
 * The numeric values of the statuses are the program's exit statuses.
 */
#ifndef SCHED_ERROR_H
#define SCHED_ERROR_H

#include <stddef.h>

enum status {
    STATUS_OK = 0,
    STATUS_DISAGREE = 1,  /* a comparison was made, and the two sides differ */
    STATUS_BAD_INPUT = 2, /* the command line, a file or a combination of options is wrong */
    STATUS_MACHINE = 3,   /* the machine failed: memory, disk */
};

struct error {
    char message[1024]; /* UTF-8, NUL-terminated, cut with "..." where longer */
};

#define PRINTF_LIKE(string, arguments) __attribute__((format(printf, string, arguments)))

/* Fill `error` (which may be NULL) and return the status named by the function. */
enum status error_input(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);
enum status error_machine(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* "out of memory (asked for N bytes)". Here, so that who reads one file alone, as a compiler does, sees that
 * it is never STATUS_OK. */
void error_write_memory(struct error *error, size_t bytes);
static inline enum status error_memory(struct error *error, size_t bytes)
{
    error_write_memory(error, bytes);
    return STATUS_MACHINE;
}

/* "PATH: WHAT: the system's words". STATUS_BAD_INPUT where the path is at fault (there is no such folder, it
 * may not be written), STATUS_MACHINE where the machine is (disk full, an I/O error, out of memory). */
enum status error_file(struct error *error, const char *path, const char *what, int system_error);

/* Puts text in front of a message: error_prefix(e, "%s: ", path) turns "a[1]: expected ..." into "path: a[1]:
 * ...". Does nothing when `status` is STATUS_OK; returns `status`, so that it can end a function. */
enum status error_prefix(struct error *error, enum status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* Warnings: things that a caller should read but that stop nothing (an option that a class ignores). */
struct warnings {
    char **items;
    size_t count, capacity;
};

/* `warnings` may be NULL: then nothing is kept. A warning that cannot be stored for lack of memory is
 * dropped. */
void warnings_add(struct warnings *warnings, const char *format, ...) PRINTF_LIKE(2, 3);
void warnings_free(struct warnings *warnings);

#endif
