#include "text_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes room for a zero and one byte at least. */
static enum status grow(char **text, size_t length, size_t *capacity, struct error *error)
{
    if (*capacity - length >= 2) return STATUS_OK;
    size_t larger = *capacity ? 2 * *capacity : 4096;
    char *moved = realloc(*text, larger);
    if (!moved) return error_memory(error, larger);
    *text = moved;
    *capacity = larger;
    return STATUS_OK;
}

enum status text_file_read(
    const char *path, size_t most, const char *what, char **text, size_t *length, struct error *error)
{
    *text = NULL;
    *length = 0;
    FILE *file = fopen(path, "rb");
    if (!file) return error_file(error, path, "cannot be read", errno);
    size_t capacity = 0;
    bool more = true;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && more) {
        status = grow(text, *length, &capacity, error);
        if (status != STATUS_OK) break;
        size_t got = fread(*text + *length, 1, capacity - *length - 1, file);
        *length += got;
        bool interrupted = ferror(file) && errno == EINTR; /* a signal came in between: once more */
        if (interrupted)
            clearerr(file);
        else if (ferror(file))
            status = error_file(error, path, "cannot be read", errno);
        if (*length > most)
            status = error_input(error, "%s: larger than %zu bytes, which no %s is", path, most, what);
        more = got > 0 || interrupted;
    }
    fclose(file);
    if (status == STATUS_OK) {
        (*text)[*length] = '\0';
        return STATUS_OK;
    }
    free(*text);
    *text = NULL;
    return status;
}
