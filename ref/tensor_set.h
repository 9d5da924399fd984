/*
 * Named tensors on disk, whatever the container: safetensors, .npy, .npz, raw elements with their shape in a
 * side file (raw_tensor.c), a folder of .npy and raw files. Read them all, write safetensors (the trace
 * format) and .npy/.npz for others' tools.
 *
 * Untrusted input: header length, JSON, dtypes, shapes, offsets, overlaps, gaps and file size are checked
 * before anything is used; nothing is allocated that the file's own size does not justify.
 */
#ifndef REF_TENSOR_SET_H
#define REF_TENSOR_SET_H

#include "tensor.h"

/* How many tensors a set may have: many times those of any checkpoint or trace, and few enough that a header
 * which is nothing but names costs memory in proportion to them. */
#define TENSOR_SET_MOST ((size_t)1 << 18)

struct tensor_set; /* opaque: owns its names, its metadata and either a mapping or its own memory */

/* Opens a file or folder by what it is (content first, then name). safetensors, .npy and raw elements are
 * memory-mapped, read-only. A single .npy or raw file is a set of one, named by the file without its
 * extension. */
enum status tensor_set_open(const char *path, struct tensor_set **out, struct error *error);

/* An empty set to add to, for writing. */
enum status tensor_set_create(struct tensor_set **out, struct error *error);
void tensor_set_free(struct tensor_set *set); /* accepts NULL */

size_t tensor_set_count(const struct tensor_set *set);
const char *tensor_set_name(
    const struct tensor_set *set, size_t i); /* in name order, unless added otherwise */
const struct tensor *tensor_set_at(const struct tensor_set *set, size_t i);
const struct tensor *tensor_set_find(
    const struct tensor_set *set, const char *name); /* NULL if there is none */

/* Whether the set is a single .npy or raw file, whose tensor has no name but the file's; and another name for
 * it. */
bool tensor_set_is_named_by_file(const struct tensor_set *set);
enum status tensor_set_rename_only(struct tensor_set *set, const char *name, struct error *error);

/* The string under a key of safetensors' `__metadata__`; NULL if there is none. */
const char *tensor_set_metadata(const struct tensor_set *set, const char *key);
enum status tensor_set_put_metadata(
    struct tensor_set *set, const char *key, const char *value, struct error *error);

/* Adds a copy of `tensor`; a name that is there already is an error. What tensor_set_at() and
 * tensor_set_find() gave before stays valid. */
enum status tensor_set_add(
    struct tensor_set *set, const char *name, const struct tensor *tensor, struct error *error);

/* Writes the set whole or not at all (beside its place, flushed, renamed): `.safetensors`, `.npz`, `.npy`
 * (one tensor) by the ending of `path`; safetensors for any other; a folder of .npy, which must not be there
 * yet or be empty, where it ends in '/'. BF16 goes into safetensors only. In safetensors, data are sorted by
 * element size, then name, and start on their natural alignment; metadata keys in order: so the bytes depend
 * on the content alone. */
enum status tensor_set_write(const struct tensor_set *set, const char *path, struct error *error);

#endif
