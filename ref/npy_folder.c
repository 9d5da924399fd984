/*
 * A folder of .npy files: each file's name without its extension is a tensor's name. Other files in the
 * folder, and hidden ones, are let be.
 */
#include "tensor_files.h"

#include "paths.h"
#include "output_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "<folder>/<name><ending>", allocated. */
static char *join(const char *folder, const char *name, const char *ending)
{
    size_t size = strlen(folder) + strlen(name) + strlen(ending) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s%s", folder, name, ending);
    return path;
}

static enum status read_one(
    struct tensor_set *set, const char *folder, const char *file_name, struct error *error)
{
    char *path = join(folder, file_name, "");
    if (!path) return error_memory(error, strlen(folder) + strlen(file_name) + 2);
    struct bytes file;
    struct tensor tensor;
    void *owned;
    enum status status = tensor_set_map(set, path, &file, error);
    if (status == STATUS_OK)
        status = error_prefix(error, npy_read(file, &tensor, &owned, error), "%s: ", path);
    if (status == STATUS_OK)
        status = tensor_set_append(set, file_name, strlen(file_name) - strlen(".npy"), &tensor, owned, error);
    free(path);
    return status;
}

enum status npy_folder_read(struct tensor_set *set, const char *path, struct error *error)
{
    DIR *folder = opendir(path);
    if (!folder) return error_file(error, path, "cannot be read", errno);
    enum status status = STATUS_OK;
    struct dirent *entry;
    while (status == STATUS_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' || !path_ends_with(entry->d_name, ".npy")) continue;
        status = read_one(set, path, entry->d_name, error);
    }
    if (status == STATUS_OK && errno != 0) status = error_file(error, path, "cannot be read", errno);
    closedir(folder);
    if (status == STATUS_OK && set->count == 0)
        status = error_input(error, "%s: the folder holds no .npy file", path);
    return status;
}

/* --- Writing: into a folder beside, which takes its place when it is whole ---------------- */

static enum status check_name(const char *name, struct error *error)
{
    if (*name == '\0' || *name == '.' || strchr(name, '/'))
        return error_input(error, "tensor %.200s: a file in a folder of .npy cannot have this name", name);
    return STATUS_OK;
}

static enum status write_one(const struct tensor_entry *entry, const char *folder, struct error *error)
{
    enum status status = check_name(entry->name, error);
    if (status != STATUS_OK) return status;
    char *path = join(folder, entry->name, ".npy");
    if (!path) return error_memory(error, strlen(folder) + strlen(entry->name) + 6);
    struct output_file file;
    status = output_file_open(&file, path, error);
    if (status == STATUS_OK) {
        status = error_prefix(
            error, npy_write(&entry->tensor, file.stream, error), "tensor %.200s: ", entry->name);
        if (status == STATUS_OK) status = output_file_commit(&file, error);
        output_file_abandon(&file);
    }
    free(path);
    return status;
}

/* PATH.partial-PID-N, made anew. */
static enum status make_partial(const char *place, char *partial, size_t size, struct error *error)
{
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(partial, size, "%s.partial-%ld-%u", place, (long)getpid(), i);
        if (mkdir(partial, 0777) == 0) return STATUS_OK;
        if (errno != EEXIST) break;
    }
    return error_file(error, place, "cannot be written", errno);
}

/* Removes the first `count` files of the set from a folder that is not to stay, and the folder. Asks for no
 * memory, which may be what was missing. */
static void remove_partial(const struct tensor_set *set, const char *path, size_t count)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX + 1]; /* they were written, so they fit */
        snprintf(name, sizeof name, "%s.npy", set->by_name[i]->name);
        unlinkat(folder, name, 0);
    }
    close(folder);
    rmdir(path);
}

enum status npy_folder_write(const struct tensor_set *set, const char *path, struct error *error)
{
    size_t length = strlen(path), size = length + 48;
    while (length > 1 && path[length - 1] == '/') length--;
    char *place = strndup(path, length), *partial = malloc(size);
    enum status status = STATUS_OK;
    size_t written = 0;
    bool made = false;
    if (!place || !partial) {
        status = error_memory(error, size);
        goto end;
    }
    status = make_partial(place, partial, size, error);
    made = status == STATUS_OK;
    while (status == STATUS_OK && written < set->count) {
        status = write_one(set->by_name[written], partial, error);
        if (status == STATUS_OK) written++;
    }
    /* An empty folder gives way to the new one; anything else is an error, and stays. */
    if (status == STATUS_OK && rename(partial, place) != 0) {
        if (errno == EEXIST || errno == ENOTEMPTY)
            status = error_input(error, "%s: the folder is there already and is not empty", place);
        else
            status = error_file(error, place, "cannot be written", errno);
    }
    if (status != STATUS_OK && made) remove_partial(set, partial, written);
end:
    free(partial);
    free(place);
    return status;
}
