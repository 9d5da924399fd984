/*
 * Inside of tensor_set.h: what the containers (safetensors.c, npy.c, npz.c) and the set share.
 *
 * The readers get the bytes of a file, mapped, and append what they find; the writers get a stream whose
 * errors the caller looks at. Their messages do not name the file: the caller puts that in front.
 */
#ifndef REF_TENSOR_FILES_H
#define REF_TENSOR_FILES_H

#include "tensor_set.h"

#include <stdio.h>

struct bytes {
    const unsigned char *at;
    size_t size;
};

struct tensor_entry {
    char *name;
    struct tensor tensor;
    void *owned; /* memory of the entry's own that holds its data; NULL where that is in a mapping */
};

struct metadata {
    char *key, *value;
};

struct tensor_set {
    /* Entries have an address of their own, which stays while the set grows. */
    struct tensor_entry **entries; /* in the order of tensor_set_at() */
    struct tensor_entry **by_name; /* the same, in the order of their names */
    size_t count, capacity;
    struct metadata *metadata; /* in the order of the keys */
    size_t metadata_count, metadata_capacity;
    struct bytes *mappings;
    size_t mapping_count, mapping_capacity;
    bool named_by_file; /* a single .npy or raw file */
};

/* Maps a regular file, read-only. The mapping belongs to the set. */
enum status tensor_set_map(struct tensor_set *set, const char *path, struct bytes *file, struct error *error);

/* For readers, who append everything and then put it in order: linear and n log n, where one tensor_set_add()
 * after the other would move n^2 pointers. `name` need not end in a zero byte. Takes `owned` over, also where
 * it fails. */
enum status tensor_set_append(struct tensor_set *set, const char *name, size_t name_length,
    const struct tensor *tensor, void *owned, struct error *error);
enum status tensor_set_append_metadata(
    struct tensor_set *set, const char *key, const char *value, struct error *error);
/* Into the order of names and keys; two tensors of one name are an error. */
enum status tensor_set_order(struct tensor_set *set, struct error *error);

/* All tensors of a mapped file into the set, without a copy; the set as a file, its bytes decided by its
 * content. */
enum status safetensors_read(struct tensor_set *set, struct bytes file, struct error *error);
enum status safetensors_write(const struct tensor_set *set, FILE *stream, struct error *error);
/* The same for tensors that need not be in memory: `write` puts the data of one after the other, in the
 * file's order, into the stream. It may leave out what would follow an error of the stream. */
struct tensor_writer {
    enum status (*write)(void *context, const struct tensor_entry *entry, FILE *stream, struct error *error);
    void *context;
};
enum status safetensors_stream(
    const struct tensor_set *set, const struct tensor_writer *writer, FILE *stream, struct error *error);

/* One array out of the bytes of a .npy file. Its data is in those bytes, or, stored in Fortran's order, in
 * `*owned`, which the caller frees (NULL otherwise). */
enum status npy_read(struct bytes file, struct tensor *tensor, void **owned, struct error *error);
#define NPY_HEADER_SIZE 256
/* Writes what stands before the data in a .npy file into `header` and its length into `*size`. */
enum status npy_header(
    const struct tensor *tensor, char header[NPY_HEADER_SIZE], size_t *size, struct error *error);
enum status npy_write(const struct tensor *tensor, FILE *stream, struct error *error);

/* All arrays of a mapped .npz, unpacked where they are packed; the set as one, stored. */
enum status npz_read(struct tensor_set *set, struct bytes file, struct error *error);
enum status npz_write(const struct tensor_set *set, FILE *stream, struct error *error);

/* A list of `minimum` to `maximum` integers from 0 to 2^53, where doubles are exact, under a key of a JSON
 * object. */
struct cJSON;
enum status json_get_sides(const struct cJSON *object, const char *key, size_t minimum, size_t maximum,
    int64_t *values, size_t *count, struct error *error);

/* Raw elements (raw_tensor.c): whether a file is one by its name, and reading it. `*length` is that of the
 * name without the extension. */
bool raw_tensor_is(const char *path, size_t *length);
enum status raw_tensor_read(struct tensor_set *set, const char *path, struct error *error);

/* Every .npy and raw file in a folder. `npy_folder_write` makes the folder, which must not be there, or be
 * empty. */
enum status npy_folder_read(struct tensor_set *set, const char *path, struct error *error);
enum status npy_folder_write(const struct tensor_set *set, const char *path, struct error *error);

/* Whether the bytes are UTF-8 without a zero byte. */
bool text_is_utf8(const char *text, size_t length);

/* Little-endian numbers at any address. */
uint16_t read_u16(const unsigned char *at);
uint32_t read_u32(const unsigned char *at);
uint64_t read_u64(const unsigned char *at);

#endif
