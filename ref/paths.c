#include "paths.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool path_ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), ending_length = strlen(ending);
    return length >= ending_length && strcmp(path + length - ending_length, ending) == 0;
}

bool path_is_absent(int system_error)
{
    return system_error == ENOENT || system_error == ENOTDIR || system_error == ENAMETOOLONG;
}

enum status path_look(const char *path, bool *there, struct error *error)
{
    *there = access(path, F_OK) == 0;
    if (*there || path_is_absent(errno)) return STATUS_OK;
    return error_file(error, path, "cannot be read", errno);
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
