/*
 * Room for the values of one run that have to wait for the next run: in memory where they are few, else in a
 * file that has no name and is gone with the program, so that the memory in use stays that of a run.
 */
#ifndef REF_VERIFY_KEPT_H
#define REF_VERIFY_KEPT_H

#include "sched/error.h"

struct verify_kept {
    unsigned char *data;
    size_t bytes;
    int is_mapped;
};

/* The file is in TMPDIR, else in /tmp, and has its whole size at once: a full disk is an error here and none
 * later. */
enum status verify_kept_open(size_t bytes, struct verify_kept *kept, struct error *error);
void verify_kept_close(struct verify_kept *kept); /* accepts an empty one */

#endif
