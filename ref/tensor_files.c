/*
 * Opening and writing a set of tensors: which container a file is, and the parts that the containers share.
 */
#include "tensor_files.h"

#include "faults.h"
#include "paths.h"
#include "output_file.h"

#include "sched/mistaken_content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

uint16_t read_u16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t read_u32(const unsigned char *at)
{
    return read_u16(at) | (uint32_t)read_u16(at + 2) << 16;
}

uint64_t read_u64(const unsigned char *at)
{
    return read_u32(at) | (uint64_t)read_u32(at + 4) << 32;
}

bool text_is_utf8(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t used = utf8proc_iterate(bytes + i, (utf8proc_ssize_t)(length - i), &codepoint);
        if (used <= 0 || codepoint == 0) return false;
        i += (size_t)used;
    }
    return true;
}

enum status tensor_set_map(struct tensor_set *set, const char *path, struct bytes *file, struct error *error)
{
    *file = (struct bytes){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not keep us waiting */
    if (descriptor < 0) return error_file(error, path, "cannot be read", errno);
    enum status status = STATUS_OK;
    struct stat info;
    void *address = NULL;
    size_t size = 0;
    if (fstat(descriptor, &info) != 0) {
        status = error_file(error, path, "cannot be read", errno);
    } else if (!S_ISREG(info.st_mode)) {
        status = error_input(error, "%s: expected a regular file", path);
    } else if (info.st_size > 0) { /* an empty file cannot be mapped; it stays a run of no bytes */
        size = (size_t)info.st_size;
        address = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (address == MAP_FAILED) status = error_file(error, path, "cannot be mapped", errno);
    }
    close(descriptor);
    if (status != STATUS_OK || size == 0) return status;

    if (set->mapping_count == set->mapping_capacity) {
        size_t capacity = set->mapping_capacity ? 2 * set->mapping_capacity : 4;
        struct bytes *larger = realloc(set->mappings, capacity * sizeof *larger);
        if (!larger) {
            munmap(address, size);
            return error_memory(error, capacity * sizeof *larger);
        }
        set->mappings = larger;
        set->mapping_capacity = capacity;
    }
    *file = set->mappings[set->mapping_count++] = (struct bytes){address, size};
    faults_mapped(address, size, path);
    return STATUS_OK;
}

static bool starts_with(struct bytes file, const char *magic, size_t length)
{
    return file.size >= length && memcmp(file.at, magic, length) == 0;
}

/* A set of one, named by the file without its folder and extension. */
static enum status read_single_npy(
    struct tensor_set *set, struct bytes file, const char *path, struct error *error)
{
    struct tensor tensor;
    void *owned;
    enum status status = npy_read(file, &tensor, &owned, error);
    if (status != STATUS_OK) return status;
    const char *name = path_base_name(path);
    size_t length = strlen(name) - (path_ends_with(name, ".npy") ? strlen(".npy") : 0);
    set->named_by_file = true;
    return tensor_set_append(set, name, length, &tensor, owned, error);
}

/* The ending of what torch.save() writes and no one else; NULL where the path has none. */
static const char *pickle_ending(const char *path)
{
    static const char *const endings[] = {".pt", ".pth", ".ckpt", ".pkl", ".bin"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (path_ends_with(path, endings[i])) return endings[i];
    return NULL;
}

static enum status read_file(struct tensor_set *set, const char *path, struct error *error)
{
    struct bytes file;
    size_t length;
    if (raw_tensor_is(path, &length)) {
        set->named_by_file = true;
        return raw_tensor_read(set, path, error);
    }
    enum status status = tensor_set_map(set, path, &file, error);
    if (status != STATUS_OK) return status;
    /* By its first bytes; where they say nothing, by its name, whose reader then says what is wrong. */
    const char *mistaken = mistaken_content(file.at, file.size), *pickle = pickle_ending(path);
    bool is_zip = starts_with(file, "PK\x03\x04", 4) || starts_with(file, "PK\x05\x06", 4);
    if (mistaken)
        status = error_input(error, "expected tensors, got %s", mistaken);
    else if (starts_with(file, "\x93NUMPY", 6))
        status = read_single_npy(set, file, path, error);
    else if (pickle || (is_zip && path_ends_with(path, ".safetensors")))
        status = error_input(error,
            "%s, which Plumb does not read: save it with safetensors.torch.save_file() or numpy.savez()",
            pickle ? "a pickle" : "a zip archive, as torch.save() writes it");
    else if (is_zip)
        status = npz_read(set, file, error);
    else if (path_ends_with(path, ".npy"))
        status = read_single_npy(set, file, path, error);
    else if (path_ends_with(path, ".npz"))
        status = npz_read(set, file, error);
    else if (path_ends_with(path, ".safetensors") || (file.size > 8 && file.at[8] == '{'))
        status = safetensors_read(set, file, error);
    else
        status = error_input(error, "expected a .safetensors, .npy, .npz or raw file (.f32 with .json) or a "
                                    "folder of .npy and raw files");
    return error_prefix(error, status, "%s: ", path);
}

enum status tensor_set_open(const char *path, struct tensor_set **out, struct error *error)
{
    *out = NULL;
    struct stat info;
    if (stat(path, &info) != 0) return error_file(error, path, "cannot be read", errno);
    struct tensor_set *set;
    enum status status = tensor_set_create(&set, error);
    if (status != STATUS_OK) return status;
    status = S_ISDIR(info.st_mode) ? npy_folder_read(set, path, error) : read_file(set, path, error);
    if (status == STATUS_OK) status = error_prefix(error, tensor_set_order(set, error), "%s: ", path);
    if (status == STATUS_OK)
        *out = set;
    else
        tensor_set_free(set);
    return status;
}

static enum status write_stream(
    const struct tensor_set *set, const char *path, FILE *stream, struct error *error)
{
    if (path_ends_with(path, ".npz")) return npz_write(set, stream, error);
    if (!path_ends_with(path, ".npy")) return safetensors_write(set, stream, error);
    if (set->count != 1)
        return error_input(error,
            "a .npy file holds one tensor, and there are %zu: write .safetensors, .npz or, with a '/' at the "
            "end, a folder",
            set->count);
    return npy_write(&set->entries[0]->tensor, stream, error);
}

enum status tensor_set_write(const struct tensor_set *set, const char *path, struct error *error)
{
    if (path_ends_with(path, "/")) return npy_folder_write(set, path, error);
    struct output_file file;
    enum status status = output_file_open(&file, path, error);
    if (status != STATUS_OK) return status;
    status = error_prefix(error, write_stream(set, path, file.stream, error), "%s: ", path);
    if (status == STATUS_OK) status = output_file_commit(&file, error);
    output_file_abandon(&file);
    return status;
}
