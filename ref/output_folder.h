/*
 * A folder that appears whole or not at all: filled beside its place, renamed over it. The one of files is
 * output_file.h; the files in the folder are written with it, so that they are on the disk before the folder
 * takes its name.
 *
 * Errors name the path: STATUS_BAD_INPUT where nothing can be put there (something is there already, no such
 * folder, not permitted), STATUS_MACHINE where the machine fails.
 */
#ifndef REF_OUTPUT_FOLDER_H
#define REF_OUTPUT_FOLDER_H

#include "sched/error.h"

struct output_folder {
    char *partial; /* fill this one */
    char *path;    /* its place, without '/' at the end */
};

/* Makes a folder beside `path`, where nothing may be but an empty folder, which gives way in the end. */
enum status output_folder_open(struct output_folder *folder, const char *path, struct error *error);
/* Renames. On failure the folder is gone, with all that is in it, and `path` is as it was. */
enum status output_folder_commit(struct output_folder *folder, struct error *error);
/* Where a message begins with a path in the folder that is being filled, puts the one that the file would
 * have had in its place. Returns `status`. */
enum status output_folder_name(const struct output_folder *folder, enum status status, struct error *error);
/* Removes the folder with all that is in it; does nothing after a commit or before an open. */
void output_folder_abandon(struct output_folder *folder);

#endif
