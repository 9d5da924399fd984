#include "output_folder.h"

#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nothing there, or an empty folder. */
static enum status check_place(const char *path, struct error *error)
{
    struct stat info;
    if (lstat(path, &info) != 0) return STATUS_OK; /* making the folder says what is wrong */
    DIR *folder = opendir(path);
    if (!folder) return error_file(error, path, "cannot be written", errno == ENOTDIR ? EEXIST : errno);
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(folder)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(folder);
    if (empty) return STATUS_OK;
    return error_input(error, "%s: the folder is there already and is not empty", path);
}

/* PATH.partial-PID-N, made anew. */
static enum status make_partial(struct output_folder *folder, size_t size, struct error *error)
{
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(folder->partial, size, "%s.partial-%ld-%u", folder->path, (long)getpid(), i);
        faults_partial(folder->partial);
        if (mkdir(folder->partial, 0777) == 0) return STATUS_OK;
        faults_forget_partial(folder->partial);
        if (errno != EEXIST) break;
    }
    return error_file(error, folder->path, "cannot be written", errno);
}

static void forget(struct output_folder *folder)
{
    faults_forget_partial(folder->partial);
    free(folder->path);
    free(folder->partial);
    *folder = (struct output_folder){0};
}

enum status output_folder_open(struct output_folder *folder, const char *path, struct error *error)
{
    size_t length = strlen(path), size = length + 48;
    while (length > 1 && path[length - 1] == '/') length--;
    *folder = (struct output_folder){.partial = malloc(size), .path = strndup(path, length)};
    enum status status = STATUS_OK;
    if (!folder->partial || !folder->path) status = error_memory(error, size);
    if (status == STATUS_OK) status = check_place(folder->path, error);
    if (status == STATUS_OK) status = make_partial(folder, size, error);
    if (status != STATUS_OK) forget(folder);
    return status;
}

enum status output_folder_commit(struct output_folder *folder, struct error *error)
{
    enum status status = STATUS_OK;
    if (rename(folder->partial, folder->path) == 0)
        forget(folder);
    else if (errno == EEXIST || errno == ENOTEMPTY)
        status = error_input(error, "%s: the folder is there already and is not empty", folder->path);
    else
        status = error_file(error, folder->path, "cannot be written", errno);
    output_folder_abandon(folder);
    return status;
}

enum status output_folder_name(const struct output_folder *folder, enum status status, struct error *error)
{
    size_t length = folder->partial ? strlen(folder->partial) : 0;
    if (status == STATUS_OK || !error || length == 0) return status;
    if (strncmp(error->message, folder->partial, length) != 0) return status;
    memmove(error->message, error->message + length, strlen(error->message + length) + 1);
    return error_prefix(error, status, "%s", folder->path);
}

void output_folder_abandon(struct output_folder *folder)
{
    if (folder->partial) faults_remove(folder->partial);
    forget(folder);
}
