/*
 * Paths as texts.
 */
#ifndef REF_PATHS_H
#define REF_PATHS_H

#include "sched/error.h"

#include <stdbool.h>

/* Whether the last characters of `path` are `ending`, in the same case. */
bool path_ends_with(const char *path, const char *ending);
/* Whether an `errno` says that nothing is there; any other says that nobody can tell. */
bool path_is_absent(int system_error);
/* Whether something is at `path`. Where nobody can tell (an I/O error, a folder that may not be looked into),
 * an error that names it: taken for absent, a file of settings would be passed over in silence. */
enum status path_look(const char *path, bool *there, struct error *error);
/* What follows the last '/'. */
const char *path_base_name(const char *path);

#endif
