#include "output_file.h"

#include "faults.h"
#include "output_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A device, a pipe, whatever a shell has put behind standard output: written where it is, since a renamed
 * file would take its place instead of reaching it. */
bool output_file_is_special(const char *path)
{
    struct stat info;
    if (strcmp(path, "/dev/stdout") == 0 || strncmp(path, "/dev/fd/", strlen("/dev/fd/")) == 0) return true;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/* A link stays, and what it points to is written: the path of that, or a copy of `path`. */
static char *follow_link(const char *path)
{
    struct stat info;
    char *target = lstat(path, &info) == 0 && S_ISLNK(info.st_mode) ? realpath(path, NULL) : NULL;
    return target ? target : strdup(path);
}

/* A stream onto the descriptor, which is closed where there is no memory for one. */
static enum status open_stream(struct output_file *file, struct error *error)
{
    file->sink = output_stream_open(file->descriptor);
    if (file->sink) {
        file->stream = output_stream_file(file->sink);
        return STATUS_OK;
    }
    close(file->descriptor);
    return error_file(error, file->path, "cannot be written", ENOMEM);
}

static enum status open_special(struct output_file *file, struct error *error)
{
    file->descriptor = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->descriptor < 0) return error_file(error, file->path, "cannot be written", errno);
    return open_stream(file, error);
}

/* Refuses what rename() would let pass or would say too late: a folder, and a file that is there and
 * protected. */
static enum status check_target(const char *path, struct error *error)
{
    struct stat info;
    if (stat(path, &info) != 0) return STATUS_OK; /* opening the temporary file says what is wrong */
    if (S_ISDIR(info.st_mode)) return error_file(error, path, "cannot be written", EISDIR);
    if (access(path, W_OK) != 0) return error_file(error, path, "cannot be written", errno);
    return STATUS_OK;
}

/* PATH.partial-PID-N, made anew with the permissions that a plain open would give (mkstemp's would be
 * 0600). */
static enum status open_temporary(struct output_file *file, struct error *error)
{
    size_t size = strlen(file->path) + 48;
    file->temporary_path = malloc(size);
    if (!file->temporary_path) return error_memory(error, size);
    int descriptor = -1;
    for (unsigned i = 0; descriptor < 0 && i < 1000; i++) {
        snprintf(file->temporary_path, size, "%s.partial-%ld-%u", file->path, (long)getpid(), i);
        faults_partial(file->temporary_path);
        descriptor = open(file->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0) faults_forget_partial(file->temporary_path);
        if (descriptor < 0 && errno != EEXIST) break;
    }
    enum status status = STATUS_OK;
    file->descriptor = descriptor;
    if (descriptor < 0) {
        status = error_file(error, file->path, "cannot be written", errno);
    } else {
        status = open_stream(file, error);
        if (status != STATUS_OK) unlink(file->temporary_path);
    }
    if (status == STATUS_OK) return STATUS_OK;
    faults_forget_partial(file->temporary_path);
    free(file->temporary_path); /* there is no file of that name any more which is ours to remove */
    file->temporary_path = NULL;
    return status;
}

enum status output_file_open(struct output_file *file, const char *path, struct error *error)
{
    *file = (struct output_file){0};
    file->path = output_file_is_special(path) ? strdup(path) : follow_link(path);
    if (!file->path) return error_memory(error, strlen(path) + 1);

    enum status status;
    if (output_file_is_special(file->path)) {
        status = open_special(file, error);
    } else {
        status = check_target(file->path, error);
        if (status == STATUS_OK) status = open_temporary(file, error);
    }
    if (status != STATUS_OK) output_file_abandon(file);
    return status;
}

/* A rename is on the disk when its folder is. Where a file system cannot sync a folder, nothing is lost but
 * the promise across a power cut. */
static void sync_folder_of(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return;
    int descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    free(copy);
}

/* 0, or why it failed. */
static int sync_to_disk(int descriptor)
{
    while (fsync(descriptor) != 0)
        if (errno != EINTR) return errno;
    return 0;
}

enum status output_file_commit(struct output_file *file, struct error *error)
{
    bool temporary = file->temporary_path != NULL;
    int system_error = output_stream_finish(file->sink);
    if (system_error == 0 && temporary) system_error = sync_to_disk(file->descriptor);
    output_stream_close(file->sink);
    file->sink = NULL;
    /* Linux has closed the file even where a signal came in between. */
    if (close(file->descriptor) != 0 && errno != EINTR && system_error == 0) system_error = errno;
    if (system_error == 0 && temporary && rename(file->temporary_path, file->path) != 0) system_error = errno;

    enum status status = STATUS_OK;
    if (system_error != 0) {
        status = error_file(error, file->path, "cannot be written", system_error);
    } else if (temporary) {
        sync_folder_of(file->path);
        faults_forget_partial(file->temporary_path);
        free(file->temporary_path);
        file->temporary_path = NULL;
    }
    output_file_abandon(file);
    return status;
}

void output_file_abandon(struct output_file *file)
{
    if (file->sink) {
        output_stream_close(file->sink);
        close(file->descriptor);
    }
    if (file->temporary_path) unlink(file->temporary_path);
    faults_forget_partial(file->temporary_path);
    free(file->temporary_path);
    free(file->path);
    *file = (struct output_file){0};
}
