/*
 * What an `errno` means for the program's exit status.
 */
#ifndef REF_FILE_ERROR_H
#define REF_FILE_ERROR_H

#include "sched/error.h"

/* "PATH: WHAT: the system's words". STATUS_BAD_INPUT where the path is at fault (there is no such folder, it
 * may not be written), STATUS_MACHINE where the machine is (disk full, an I/O error, out of memory). */
enum status error_file(struct error *error, const char *path, const char *what, int system_error);

#endif
