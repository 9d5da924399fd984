#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes a message; one that does not fit ends in "..." so that a reader sees that it was cut. */
static void set_message(struct error *error, const char *format, va_list arguments)
{
    if (!error) return;
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    if (length >= (int)sizeof error->message) memcpy(error->message + sizeof error->message - 4, "...", 4);
}

enum status error_input(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_message(error, format, arguments);
    va_end(arguments);
    return STATUS_BAD_INPUT;
}

enum status error_machine(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_message(error, format, arguments);
    va_end(arguments);
    return STATUS_MACHINE;
}

void error_write_memory(struct error *error, size_t bytes)
{
    error_machine(error, "out of memory (asked for %zu bytes)", bytes);
}

static bool path_is_at_fault(int system_error)
{
    switch (system_error) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
    case EINVAL:
    case ENODEV:
    case ENXIO:
    case ETXTBSY: return true;
    default: return false;
    }
}

enum status error_file(struct error *error, const char *path, const char *what, int system_error)
{
    if (path_is_at_fault(system_error))
        return error_input(error, "%s: %s: %s", path, what, strerror(system_error));
    return error_machine(error, "%s: %s: %s", path, what, strerror(system_error));
}

enum status error_prefix(struct error *error, enum status status, const char *format, ...)
{
    if (status == STATUS_OK || !error) return status;
    struct error old = *error;
    va_list arguments;
    va_start(arguments, format);
    set_message(error, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    int length = snprintf(error->message + used, sizeof error->message - used, "%s", old.message);
    if ((size_t)length >= sizeof error->message - used)
        memcpy(error->message + sizeof error->message - 4, "...", 4);
    return status;
}

void warnings_add(struct warnings *warnings, const char *format, ...)
{
    if (!warnings) return;
    if (warnings->count == warnings->capacity) {
        size_t capacity = warnings->capacity ? 2 * warnings->capacity : 8;
        char **items = realloc(warnings->items, capacity * sizeof *items);
        if (!items) return;
        warnings->items = items;
        warnings->capacity = capacity;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = strdup(text);
    if (copy) warnings->items[warnings->count++] = copy;
}

void warnings_free(struct warnings *warnings)
{
    if (!warnings) return;
    for (size_t i = 0; i < warnings->count; i++) free(warnings->items[i]);
    free(warnings->items);
    *warnings = (struct warnings){0};
}
