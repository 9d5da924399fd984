/*
 * Paths, and what an `errno` on one of them means for the program's exit status.
 */
#ifndef REF_PATHS_H
#define REF_PATHS_H

#include "sched/error.h"

#include <stdbool.h>

/* "PATH: WHAT: the system's words". STATUS_BAD_INPUT where the path is at fault (there is no such folder, it
 * may not be written), STATUS_MACHINE where the machine is (disk full, an I/O error, out of memory). */
enum status error_file(struct error *error, const char *path, const char *what, int system_error);

/* Whether the last characters of `path` are `ending`, in the same case. */
bool path_ends_with(const char *path, const char *ending);
/* What follows the last '/'. */
const char *path_base_name(const char *path);

#endif
