/*
 * A component's weights on disk, streamed: a header made from names and shapes alone, then each tensor in
 * pieces through one buffer. Several files are split as huggingface_hub splits them: tensors in the model's
 * order, a new file where the next one would not fit; one that is larger than a file has its own.
 */
#include "synth.h"

#include "output_file.h"
#include "tensor_files.h"
#include "weights_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_ELEMENTS ((size_t)1 << 22)
#define NAME_SIZE 256

struct writing {
    const char *folder, *component;
    const struct synth_request *request;
    void *buffer; /* BUFFER_ELEMENTS of the request's type */
    uint64_t done, total;
};

/* --- One file ----------------------------------------------------------------------------- */

static void show_progress(const struct writing *writing)
{
    FILE *out = writing->request->progress;
    if (!out) return;
    fprintf(out, "\r%-14s %6.1f of %.1f MB", writing->component, (double)writing->done / 1e6,
        (double)writing->total / 1e6);
    if (writing->done == writing->total) fputc('\n', out);
    fflush(out);
}

static enum status write_tensor(
    void *context, const struct tensor_entry *entry, FILE *stream, struct error *error)
{
    struct writing *writing = context;
    const struct synth_request *request = writing->request;
    char name[2 * NAME_SIZE];
    if (snprintf(name, sizeof name, "%s.%s", writing->component, entry->name) >= (int)sizeof name)
        return error_input(error, "tensor %.60s...: the name is too long", entry->name);
    struct synth_values values = synth_values_of(name, request->seed, &entry->tensor);
    size_t count = tensor_count(&entry->tensor), size = dtype_size(request->dtype);
    for (size_t first = 0; first < count && !ferror(stream); first += BUFFER_ELEMENTS) {
        size_t n = count - first < BUFFER_ELEMENTS ? count - first : BUFFER_ELEMENTS;
        synth_values_fill(&values, first, n, request->dtype, writing->buffer);
        fwrite(writing->buffer, size, n, stream);
        writing->done += n * size;
        show_progress(writing);
    }
    return STATUS_OK;
}

static enum status write_file(
    struct writing *writing, const char *name, struct tensor_set *set, struct error *error)
{
    struct output_file file;
    struct tensor_writer writer = {write_tensor, writing};
    /* Which library's tensors these are: the hub's loaders ask. */
    enum status status = tensor_set_put_metadata(set, "format", "pt", error);
    if (status == STATUS_OK) status = tensor_set_order(set, error);
    if (status != STATUS_OK) return status;
    char *path = synth_path(writing->folder, name);
    if (!path) return error_memory(error, strlen(writing->folder));
    status = output_file_open(&file, path, error);
    free(path);
    if (status != STATUS_OK) return status;
    status = safetensors_stream(set, &writer, file.stream, error);
    if (status == STATUS_OK) status = output_file_commit(&file, error);
    output_file_abandon(&file);
    return status;
}

/* --- Files -------------------------------------------------------------------------------- */

/* Tensors [first, end) make the next file. */
static size_t end_of_shard(const struct tensor_set *tensors, size_t first, uint64_t limit)
{
    uint64_t bytes = 0;
    size_t i = first;
    for (; i < tensors->count; i++) {
        bytes += tensor_bytes(&tensors->entries[i]->tensor);
        if (bytes > limit && i > first) break;
    }
    return i;
}

static enum status write_part(struct writing *writing, const char *name, const struct tensor_set *tensors,
    size_t first, size_t end, cJSON *weight_map, struct error *error)
{
    struct tensor_set *set;
    enum status status = tensor_set_create(&set, error);
    for (size_t i = first; i < end && status == STATUS_OK; i++) {
        const struct tensor_entry *entry = tensors->entries[i];
        status = tensor_set_append(set, entry->name, strlen(entry->name), &entry->tensor, NULL, error);
        if (weight_map && !cJSON_AddStringToObject(weight_map, entry->name, name))
            status = error_machine(error, "out of memory");
    }
    if (status == STATUS_OK) status = write_file(writing, name, set, error);
    tensor_set_free(set);
    return status;
}

static enum status write_shards(struct writing *writing, const struct tensor_set *tensors, const char *stem,
    const char *variant, size_t count, struct error *error)
{
    uint64_t limit = writing->request->shard_size;
    char name[NAME_SIZE];
    cJSON *index = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(index, "metadata");
    cJSON *weight_map = cJSON_AddObjectToObject(index, "weight_map");
    enum status status = STATUS_OK;
    if (!weight_map || !cJSON_AddNumberToObject(metadata, "total_size", (double)writing->total))
        status = error_machine(error, "out of memory");
    for (size_t first = 0, end, i = 1; first < tensors->count && status == STATUS_OK; first = end, i++) {
        end = end_of_shard(tensors, first, limit);
        snprintf(name, sizeof name, "%s%s-%05zu-of-%05zu.safetensors", stem, variant, i, count);
        status = write_part(writing, name, tensors, first, end, weight_map, error);
    }
    snprintf(name, sizeof name, "%s.safetensors.index%s.json", stem, variant);
    if (status == STATUS_OK) status = synth_json(writing->folder, name, index, error);
    cJSON_Delete(index);
    return status;
}

enum status synth_weights(const char *folder, const char *component, const struct tensor_set *tensors,
    const struct synth_request *request, struct error *error)
{
    struct writing writing = {.folder = folder, .component = component, .request = request};
    const char *stem = weights_stem(component);
    char variant[NAME_SIZE / 2] = "", name[NAME_SIZE];
    if (request->variant) snprintf(variant, sizeof variant, ".%s", request->variant);
    size_t shards = 0;
    for (size_t first = 0; first < tensors->count; shards++)
        first = end_of_shard(tensors, first, request->shard_size);
    for (size_t i = 0; i < tensors->count; i++) writing.total += tensor_bytes(&tensors->entries[i]->tensor);

    size_t bytes = BUFFER_ELEMENTS * dtype_size(request->dtype);
    writing.buffer = malloc(bytes);
    if (!writing.buffer) return error_memory(error, bytes);
    enum status status;
    if (shards > 1) {
        status = write_shards(&writing, tensors, stem, variant, shards, error);
    } else {
        snprintf(name, sizeof name, "%s%s.safetensors", stem, variant);
        status = write_part(&writing, name, tensors, 0, tensors->count, NULL, error);
    }
    free(writing.buffer);
    return status;
}
