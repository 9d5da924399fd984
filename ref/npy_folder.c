/*
 * A folder of .npy and raw files: each file's name without its extension is a tensor's name. Other files in
 * the folder, and hidden ones, are let be.
 */
#include "tensor_files.h"

#include "paths.h"
#include "output_file.h"
#include "output_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* "<folder>/<name><ending>", allocated. */
static char *join(const char *folder, const char *name, const char *ending)
{
    size_t size = strlen(folder) + strlen(name) + strlen(ending) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s%s", folder, name, ending);
    return path;
}

static enum status read_npy(
    struct tensor_set *set, const char *path, const char *name, size_t length, struct error *error)
{
    struct bytes file;
    struct tensor tensor;
    void *owned;
    enum status status = tensor_set_map(set, path, &file, error);
    if (status == STATUS_OK)
        status = error_prefix(error, npy_read(file, &tensor, &owned, error), "%s: ", path);
    if (status != STATUS_OK) return status;
    return tensor_set_append(set, name, length, &tensor, owned, error);
}

static enum status read_one(
    struct tensor_set *set, const char *folder, const char *file_name, struct error *error)
{
    size_t length = strlen(file_name), raw_length;
    enum status status = STATUS_OK;
    char *path = join(folder, file_name, "");
    if (!path) return error_memory(error, strlen(folder) + length + 2);
    bool npy = path_ends_with(file_name, ".npy"), raw = !npy && raw_tensor_is(path, &raw_length);
    if ((npy || raw) && !text_is_utf8(file_name, length))
        status = error_input(error, "%s: its name is not UTF-8", path);
    else if (npy)
        status = read_npy(set, path, file_name, length - strlen(".npy"), error);
    else if (raw)
        status = raw_tensor_read(set, path, error);
    free(path);
    return status;
}

/* A folder with nothing to read: what lies in it instead. `other` is the first set of tensors that is a file
 * of its own, or "". */
static enum status refuse_empty(const char *path, bool is_checkpoint, const char *other, struct error *error)
{
    char hint[NAME_MAX + 32] = "";
    if (is_checkpoint)
        snprintf(hint, sizeof hint, "; it is a checkpoint");
    else if (*other)
        snprintf(hint, sizeof hint, "; %s is a file to name", other);
    return error_input(
        error, "%s: the folder holds no .npy file and no raw one (.f32 with .json)%s", path, hint);
}

enum status npy_folder_read(struct tensor_set *set, const char *path, struct error *error)
{
    DIR *folder = opendir(path);
    if (!folder) return error_file(error, path, "cannot be read", errno);
    enum status status = STATUS_OK;
    bool is_checkpoint = false;
    char other[NAME_MAX + 1] = "";
    struct dirent *entry;
    while (status == STATUS_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (*name == '.') continue;
        status = read_one(set, path, name, error);
        is_checkpoint = is_checkpoint || strcmp(name, "model_index.json") == 0;
        bool is_set = path_ends_with(name, ".safetensors") || path_ends_with(name, ".npz");
        if (is_set && (!*other || strcmp(name, other) < 0)) snprintf(other, sizeof other, "%s", name);
    }
    if (status == STATUS_OK && errno != 0) status = error_file(error, path, "cannot be read", errno);
    closedir(folder);
    if (status == STATUS_OK && set->count == 0) status = refuse_empty(path, is_checkpoint, other, error);
    return status;
}

/* --- Writing ------------------------------------------------------------------------------ */

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

enum status npy_folder_write(const struct tensor_set *set, const char *path, struct error *error)
{
    struct output_folder folder;
    enum status status = output_folder_open(&folder, path, error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; status == STATUS_OK && i < set->count; i++)
        status = write_one(set->by_name[i], folder.partial, error);
    output_folder_name(&folder, status, error);
    if (status == STATUS_OK) status = output_folder_commit(&folder, error);
    output_folder_abandon(&folder);
    return status;
}
