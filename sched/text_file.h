/* Small files of text, read whole. */
#ifndef SCHED_TEXT_FILE_H
#define SCHED_TEXT_FILE_H

#include "error.h"

/* The whole file, with a zero after it: allocated, the caller's. A file of more than `most` bytes is refused
 * as one that no `what` is ("a.json: larger than 5 bytes, which no config is"). Errors name the path. */
enum status text_file_read(
    const char *path, size_t most, const char *what, char **text, size_t *length, struct error *error);

#endif
