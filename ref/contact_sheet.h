/*
 * Several pictures side by side, enlarged, with their labels under them.
 */
#ifndef REF_CONTACT_SHEET_H
#define REF_CONTACT_SHEET_H

#include "sched/error.h"

#include <stddef.h>

struct sheet_item {
    const char *label; /* UTF-8; '\n' starts a new line */
    const char *path;  /* a PNG */
};

/* Writes the sheet: at most `across` pictures in a row (0: as many as make it about as wide as high), each
 * enlarged by the largest whole number that keeps it within `size` pixels; a pixel becomes a square, so that
 * what is seen is what is there. Pictures larger than `size` stay as they are. */
enum status contact_sheet_write(const char *path, const struct sheet_item *items, size_t count, int across,
    int size, struct error *error);

#endif
