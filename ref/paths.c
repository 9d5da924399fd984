#include "paths.h"

#include <errno.h>
#include <string.h>

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

bool path_ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), ending_length = strlen(ending);
    return length >= ending_length && strcmp(path + length - ending_length, ending) == 0;
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
