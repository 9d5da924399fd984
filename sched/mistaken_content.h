/*
 * What a file is whose bytes are not at all what its name says: for messages.
 */
#ifndef SCHED_MISTAKEN_CONTENT_H
#define SCHED_MISTAKEN_CONTENT_H

#include <stddef.h>

/* "a Git LFS pointer, not the file that it stands for (git lfs pull)", "an HTML page ...", "an empty file";
 * NULL where the first bytes are none of those. */
const char *mistaken_content(const void *bytes, size_t size);

/* Where a text stops being JSON, at `at`, why that may be: ": strings take double quotes", ": the text ends
 * here"; and where nothing is known what stands there. Written into `buffer`, which is returned. */
const char *explain_json(const char *text, size_t length, const char *at, char *buffer, size_t size);

#endif
