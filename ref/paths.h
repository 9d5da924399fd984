/*
 * Paths as texts.
 */
#ifndef REF_PATHS_H
#define REF_PATHS_H

#include <stdbool.h>

/* Whether the last characters of `path` are `ending`, in the same case. */
bool path_ends_with(const char *path, const char *ending);
/* Whether an `errno` says that nothing is there. With any other there may be something, which whoever opens
 * it tells about. */
bool path_is_absent(int system_error);
/* What follows the last '/'. */
const char *path_base_name(const char *path);

#endif
