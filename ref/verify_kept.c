#include "verify_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Up to here it is not worth a file. */
#define IN_MEMORY ((size_t)32 << 20)

static int open_nameless(const char *folder)
{
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return file;
    /* A file system without nameless files. */
    char *path = NULL;
    if (asprintf(&path, "%s/plumb-XXXXXX", folder) < 0) return -1;
    file = mkostemp(path, O_CLOEXEC);
    if (file >= 0) unlink(path);
    free(path);
    return file;
}

static enum status map_file(size_t bytes, struct verify_kept *kept, struct error *error)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !folder[0]) folder = "/tmp";
    int file = open_nameless(folder);
    if (file < 0)
        return error_machine(
            error, "%s: no file for %zu bytes can be made there: %s", folder, bytes, strerror(errno));
    int failure = posix_fallocate(file, 0, (off_t)bytes);
    void *data = MAP_FAILED;
    if (failure == 0) {
        data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (data == MAP_FAILED) failure = errno;
    }
    close(file);
    if (failure != 0)
        return error_machine(error, "%s: no room for %zu bytes: %s", folder, bytes, strerror(failure));
    *kept = (struct verify_kept){data, bytes, 1};
    return STATUS_OK;
}

enum status verify_kept_open(size_t bytes, struct verify_kept *kept, struct error *error)
{
    *kept = (struct verify_kept){0};
    if (bytes > IN_MEMORY) return map_file(bytes, kept, error);
    kept->data = calloc(1, bytes ? bytes : 1);
    if (!kept->data) return error_memory(error, bytes);
    kept->bytes = bytes;
    return STATUS_OK;
}

void verify_kept_close(struct verify_kept *kept)
{
    if (kept->is_mapped)
        munmap(kept->data, kept->bytes);
    else
        free(kept->data);
    *kept = (struct verify_kept){0};
}
