/*
 * A file that appears whole or not at all: written beside its place, flushed to the disk, renamed over it.
 * What is no regular file (/dev/stdout, a pipe) is written where it is. A symbolic link stays, and its target
 * is replaced.
 *
 * Errors name the path: STATUS_BAD_INPUT where nothing can be written there (no such folder, not permitted),
 * STATUS_MACHINE where writing fails (disk full, an I/O error).
 */
#ifndef REF_OUTPUT_FILE_H
#define REF_OUTPUT_FILE_H

#include "sched/error.h"

#include <stdbool.h>
#include <stdio.h>

struct output_file {
    FILE *stream; /* write here; errors are gathered until the end */
    char *path, *temporary_path;
    int descriptor; /* of the file that is written */
    struct output_stream *sink;
};

/* Whether the path is no regular file (nor a place for one): a device, a pipe, /dev/stdout. */
bool output_file_is_special(const char *path);

/* Opens a temporary file in the folder of `path`. */
enum status output_file_open(struct output_file *file, const char *path, struct error *error);
/* Flushes, syncs and renames. On failure (disk full, ...) the temporary file is gone and `path` is as it
 * was. */
enum status output_file_commit(struct output_file *file, struct error *error);
/* Removes the temporary file; does nothing after a commit or before an open. */
void output_file_abandon(struct output_file *file);

#endif
