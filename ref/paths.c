#include "paths.h"

#include <errno.h>
#include <string.h>

bool path_ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), ending_length = strlen(ending);
    return length >= ending_length && strcmp(path + length - ending_length, ending) == 0;
}

bool path_is_absent(int system_error)
{
    return system_error == ENOENT || system_error == ENOTDIR || system_error == ENAMETOOLONG;
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
