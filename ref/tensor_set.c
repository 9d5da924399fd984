/*
 * The set in memory: names, tensors, metadata, and what owns the bytes. Files are in tensor_files.c.
 */
#include "tensor_files.h"

#include "faults.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* --- The set ------------------------------------------------------------------------------ */

enum status tensor_set_create(struct tensor_set **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    return *out ? STATUS_OK : error_memory(error, sizeof **out);
}

static void entry_free(struct tensor_entry *entry)
{
    if (!entry) return;
    free(entry->name);
    free(entry->owned);
    free(entry);
}

void tensor_set_free(struct tensor_set *set)
{
    if (!set) return;
    for (size_t i = 0; i < set->count; i++) entry_free(set->entries[i]);
    for (size_t i = 0; i < set->metadata_count; i++) {
        free(set->metadata[i].key);
        free(set->metadata[i].value);
    }
    for (size_t i = 0; i < set->mapping_count; i++) {
        faults_forget_mapped(set->mappings[i].at);
        munmap((void *)(uintptr_t)set->mappings[i].at, set->mappings[i].size);
    }
    free(set->entries);
    free(set->by_name);
    free(set->metadata);
    free(set->mappings);
    free(set);
}

size_t tensor_set_count(const struct tensor_set *set)
{
    return set->count;
}

const char *tensor_set_name(const struct tensor_set *set, size_t i)
{
    return set->entries[i]->name;
}

const struct tensor *tensor_set_at(const struct tensor_set *set, size_t i)
{
    return &set->entries[i]->tensor;
}

/* Where `name` stands in by_name, or would stand. */
static size_t name_position(const struct tensor_set *set, const char *name, bool *found)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(set->by_name[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < set->count && strcmp(set->by_name[low]->name, name) == 0;
    return low;
}

const struct tensor *tensor_set_find(const struct tensor_set *set, const char *name)
{
    bool found;
    size_t position = name_position(set, name, &found);
    return found ? &set->by_name[position]->tensor : NULL;
}

bool tensor_set_is_named_by_file(const struct tensor_set *set)
{
    return set->named_by_file;
}

enum status tensor_set_rename_only(struct tensor_set *set, const char *name, struct error *error)
{
    char *copy = strdup(name);
    if (!copy) return error_memory(error, strlen(name) + 1);
    free(set->entries[0]->name);
    set->entries[0]->name = copy;
    return STATUS_OK;
}

/* Room for one more entry in both orders. */
static enum status reserve(struct tensor_set *set, struct error *error)
{
    if (set->count == TENSOR_SET_MOST)
        return error_input(error, "expected at most %zu tensors", TENSOR_SET_MOST);
    if (set->count < set->capacity) return STATUS_OK;
    size_t capacity = set->capacity ? 2 * set->capacity : 64;
    struct tensor_entry **entries = realloc(set->entries, capacity * sizeof(struct tensor_entry *));
    if (entries) set->entries = entries;
    struct tensor_entry **by_name = realloc(set->by_name, capacity * sizeof(struct tensor_entry *));
    if (by_name) set->by_name = by_name;
    if (!entries || !by_name) return error_memory(error, capacity * sizeof(struct tensor_entry *));
    set->capacity = capacity;
    return STATUS_OK;
}

enum status tensor_set_append(struct tensor_set *set, const char *name, size_t name_length,
    const struct tensor *tensor, void *owned, struct error *error)
{
    enum status status = reserve(set, error);
    struct tensor_entry *entry = NULL;
    if (status == STATUS_OK) {
        entry = calloc(1, sizeof *entry);
        if (entry) entry->name = strndup(name, name_length);
        if (!entry || !entry->name) status = error_memory(error, sizeof *entry + name_length + 1);
    }
    if (status != STATUS_OK) {
        free(owned);
        entry_free(entry);
        return status;
    }
    entry->tensor = *tensor;
    entry->owned = owned;
    set->entries[set->count++] = entry;
    return STATUS_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(struct tensor_entry *const *)a)->name, (*(struct tensor_entry *const *)b)->name);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct metadata *)a)->key, ((const struct metadata *)b)->key);
}

enum status tensor_set_order(struct tensor_set *set, struct error *error)
{
    if (set->metadata_count > 0)
        qsort(set->metadata, set->metadata_count, sizeof(struct metadata), compare_keys);
    if (set->count == 0) return STATUS_OK;
    qsort(set->entries, set->count, sizeof(struct tensor_entry *), compare_names);
    memcpy(set->by_name, set->entries, set->count * sizeof(struct tensor_entry *));
    for (size_t i = 1; i < set->count; i++)
        if (compare_names(&set->entries[i - 1], &set->entries[i]) == 0)
            return error_input(error, "tensor %.200s: the name stands twice", set->entries[i]->name);
    return STATUS_OK;
}

enum status tensor_set_add(
    struct tensor_set *set, const char *name, const struct tensor *tensor, struct error *error)
{
    if (!text_is_utf8(name, strlen(name)))
        return error_input(error, "tensor %.200s: its name is not UTF-8", name);
    bool found;
    size_t position = name_position(set, name, &found);
    if (found) return error_input(error, "tensor %.200s: there is already one of this name", name);

    size_t bytes = tensor_bytes(tensor);
    void *data = malloc(bytes ? bytes : 1);
    if (!data) return error_memory(error, bytes);
    if (bytes) memcpy(data, tensor->data, bytes);
    struct tensor copy = *tensor;
    copy.data = data;
    enum status status = tensor_set_append(set, name, strlen(name), &copy, data, error);
    if (status != STATUS_OK) return status;

    struct tensor_entry **place = set->by_name + position;
    memmove(place + 1, place, (set->count - 1 - position) * sizeof(struct tensor_entry *));
    *place = set->entries[set->count - 1];
    return STATUS_OK;
}

/* --- Metadata ----------------------------------------------------------------------------- */

static size_t key_position(const struct tensor_set *set, const char *key, bool *found)
{
    size_t low = 0, high = set->metadata_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(set->metadata[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < set->metadata_count && strcmp(set->metadata[low].key, key) == 0;
    return low;
}

const char *tensor_set_metadata(const struct tensor_set *set, const char *key)
{
    bool found;
    size_t position = key_position(set, key, &found);
    return found ? set->metadata[position].value : NULL;
}

enum status tensor_set_append_metadata(
    struct tensor_set *set, const char *key, const char *value, struct error *error)
{
    if (set->metadata_count == set->metadata_capacity) {
        size_t capacity = set->metadata_capacity ? 2 * set->metadata_capacity : 8;
        struct metadata *larger = realloc(set->metadata, capacity * sizeof *larger);
        if (!larger) return error_memory(error, capacity * sizeof *larger);
        set->metadata = larger;
        set->metadata_capacity = capacity;
    }
    struct metadata pair = {strdup(key), strdup(value)};
    if (!pair.key || !pair.value) {
        free(pair.key);
        free(pair.value);
        return error_memory(error, strlen(key) + strlen(value) + 2);
    }
    set->metadata[set->metadata_count++] = pair;
    return STATUS_OK;
}

enum status tensor_set_put_metadata(
    struct tensor_set *set, const char *key, const char *value, struct error *error)
{
    if (!text_is_utf8(key, strlen(key)) || !text_is_utf8(value, strlen(value)))
        return error_input(error, "metadata %.200s: the text is not UTF-8", key);
    bool found;
    size_t position = key_position(set, key, &found);
    if (found) {
        char *copy = strdup(value);
        if (!copy) return error_memory(error, strlen(value) + 1);
        free(set->metadata[position].value);
        set->metadata[position].value = copy;
        return STATUS_OK;
    }
    enum status status = tensor_set_append_metadata(set, key, value, error);
    if (status != STATUS_OK) return status;
    struct metadata *place = set->metadata + position, last = set->metadata[set->metadata_count - 1];
    memmove(place + 1, place, (set->metadata_count - 1 - position) * sizeof *place);
    *place = last;
    return STATUS_OK;
}
