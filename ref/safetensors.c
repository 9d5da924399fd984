/*
 * The safetensors container (huggingface/safetensors, README "Format"):
 *
 *     8 bytes   N, the header's length, little-endian, at most 100,000,000
 *     N bytes   a JSON object: name -> {"dtype", "shape", "data_offsets": [begin, end]}, and `__metadata__`,
 *               an object of strings; may end in spaces
 *     the rest  the data; offsets count from its start
 *
 * The format asks that the data be covered without holes and without overlaps, so that no byte of a file is
 * beyond what a reader checks; both are errors here.
 */
#include "tensor_files.h"

#include "sched/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LIMIT ((size_t)100000000)

/* --- Reading ------------------------------------------------------------------------------ */

/* cJSON would end a string at an escaped zero, and two names could become one. */
static bool holds_escaped_zero(const char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        if (text[i] != '\\') continue;
        i++; /* what follows a backslash starts no escape of its own */
        if (text[i] == 'u' && length - i > 4 && memcmp(text + i, "u0000", 5) == 0) return true;
    }
    return false;
}

static enum status read_header(struct bytes file, cJSON **out, struct bytes *data, struct error *error)
{
    *out = NULL;
    if (file.size < 8)
        return error_input(error, "header length: expected 8 bytes, the file has %zu", file.size);
    uint64_t length = read_u64(file.at);
    if (length > HEADER_LIMIT)
        return error_input(error,
            "header length: expected at most %zu, got %" PRIu64 " (no safetensors file?)", HEADER_LIMIT,
            length);
    if (length > file.size - 8)
        return error_input(error, "header length: %" PRIu64 " bytes, but only %zu follow (a truncated file?)",
            length, file.size - 8);
    const char *text = (const char *)file.at + 8;
    size_t size = (size_t)length;
    if (!text_is_utf8(text, size) || holds_escaped_zero(text, size))
        return error_input(error, "header: expected UTF-8 text without zero bytes");
    cJSON *header;
    enum status status = json_parse(text, size, "header", &header, error);
    if (status != STATUS_OK) return status;
    if (!cJSON_IsObject(header)) {
        cJSON_Delete(header);
        return error_input(error, "header: expected a JSON object");
    }
    *out = header;
    *data = (struct bytes){file.at + 8 + size, file.size - 8 - size};
    return STATUS_OK;
}

enum status json_get_sides(const cJSON *object, const char *key, size_t minimum, size_t maximum,
    int64_t *values, size_t *count, struct error *error)
{
    *count = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    if (!cJSON_IsArray(list)) return error_input(error, "%s: expected a list of integers", key);
    cJSON_ArrayForEach(item, list)
    {
        if (*count == maximum) return error_input(error, "%s: expected at most %zu integers", key, maximum);
        double number = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
        if (!(number >= 0.0 && number <= 0x1p53) || number != (double)(int64_t)number) {
            char shown[64];
            return error_input(error, "%s[%zu]: expected an integer from 0 to 2^53, got %s", key, *count,
                json_show(item, shown, sizeof shown));
        }
        values[(*count)++] = (int64_t)number;
    }
    if (*count < minimum)
        return error_input(error, "%s: expected %zu integers, got %zu", key, minimum, *count);
    return STATUS_OK;
}

/* Where a tensor's data lies, for the check that all of them together cover the data. */
struct span {
    size_t begin, end;
    const char *name;
};

static enum status read_tensor(
    const cJSON *item, struct bytes data, struct tensor *tensor, struct span *span, struct error *error)
{
    if (!cJSON_IsObject(item))
        return error_input(error, "expected an object with dtype, shape, data_offsets");
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    *tensor = (struct tensor){0};
    if (!cJSON_IsString(dtype) || !dtype_parse(dtype->valuestring, &tensor->dtype)) {
        char shown[64] = "nothing";
        if (dtype) json_show(dtype, shown, sizeof shown);
        return error_input(error,
            "dtype: expected F32, F64, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8 or BOOL, got %s",
            shown);
    }
    size_t rank, count, pair;
    int64_t offsets[2];
    enum status status = json_get_sides(item, "shape", 0, TENSOR_MAX_RANK, tensor->shape, &rank, error);
    if (status == STATUS_OK) status = json_get_sides(item, "data_offsets", 2, 2, offsets, &pair, error);
    if (status != STATUS_OK) return status;
    tensor->rank = (int)rank;

    char shape[256];
    tensor_show_shape(tensor, shape, sizeof shape);
    if (!tensor_shape_count(tensor->shape, tensor->rank, tensor->dtype, &count))
        return error_input(
            error, "shape: %s of %s is more than memory can hold", shape, dtype_name(tensor->dtype));
    if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > data.size)
        return error_input(error,
            "data_offsets: expected begin <= end <= %zu, the size of the data, got [%" PRId64 ", %" PRId64
            "]%s",
            data.size, offsets[0], offsets[1], offsets[0] <= offsets[1] ? " (a truncated file?)" : "");
    if ((size_t)(offsets[1] - offsets[0]) != count * dtype_size(tensor->dtype))
        return error_input(error, "data_offsets: %" PRId64 " bytes, but %s of %s takes %zu",
            offsets[1] - offsets[0], shape, dtype_name(tensor->dtype), count * dtype_size(tensor->dtype));
    tensor->data = (void *)(uintptr_t)(data.at + offsets[0]); /* read-only; nobody writes to an open set */
    span->begin = (size_t)offsets[0];
    span->end = (size_t)offsets[1];
    span->name = item->string;
    return STATUS_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The spans, in order, must follow each other from 0 to the end of the data. */
static enum status check_coverage(struct span *spans, size_t count, size_t size, struct error *error)
{
    if (count > 0) qsort(spans, count, sizeof *spans, compare_spans);
    size_t covered = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin < covered)
            return error_input(error, "tensor %.200s: data_offsets: [%zu, %zu] overlaps tensor %.200s",
                spans[i].name, spans[i].begin, spans[i].end, spans[i - 1].name);
        if (spans[i].begin > covered)
            return error_input(error,
                "tensor %.200s: data_offsets: a gap of %zu bytes before it (the format has the data covered "
                "without holes)",
                spans[i].name, spans[i].begin - covered);
        covered = spans[i].end;
    }
    if (covered != size)
        return error_input(error,
            "the last %zu bytes belong to no tensor (the format has the data covered without holes)",
            size - covered);
    return STATUS_OK;
}

static enum status read_metadata(struct tensor_set *set, const cJSON *object, struct error *error)
{
    if (!cJSON_IsObject(object)) return error_input(error, "__metadata__: expected an object of strings");
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item))
            return error_input(error, "__metadata__: %.200s: expected a string", item->string);
        enum status status = tensor_set_append_metadata(set, item->string, item->valuestring, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status safetensors_read(struct tensor_set *set, struct bytes file, struct error *error)
{
    cJSON *header = NULL;
    struct bytes data = {0};
    enum status status = read_header(file, &header, &data, error);
    if (status != STATUS_OK) return status;
    size_t capacity = (size_t)cJSON_GetArraySize(header), count = 0;
    struct span *spans = malloc((capacity ? capacity : 1) * sizeof *spans);
    if (!spans) status = error_memory(error, capacity * sizeof *spans);

    const cJSON *item = header ? header->child : NULL;
    for (; item && status == STATUS_OK; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            status = read_metadata(set, item, error);
            continue;
        }
        struct tensor tensor;
        status = read_tensor(item, data, &tensor, &spans[count], error);
        if (status == STATUS_OK) {
            count++;
            status = tensor_set_append(set, item->string, strlen(item->string), &tensor, NULL, error);
        }
        error_prefix(error, status, "tensor %.200s: ", item->string);
    }
    if (status == STATUS_OK) status = check_coverage(spans, count, data.size, error);
    free(spans);
    cJSON_Delete(header);
    return status;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Larger elements first, then by name: each tensor then starts on a multiple of its element's size. */
static int compare_for_writing(const void *a, const void *b)
{
    const struct tensor_entry *x = *(struct tensor_entry *const *)a, *y = *(struct tensor_entry *const *)b;
    size_t size_x = dtype_size(x->tensor.dtype), size_y = dtype_size(y->tensor.dtype);
    if (size_x != size_y) return size_x > size_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool add_metadata(cJSON *header, const struct tensor_set *set)
{
    if (set->metadata_count == 0) return true;
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");
    for (size_t i = 0; i < set->metadata_count; i++)
        if (!cJSON_AddStringToObject(object, set->metadata[i].key, set->metadata[i].value)) return false;
    return true;
}

static bool add_number(cJSON *list, double number)
{
    return cJSON_AddItemToArray(list, cJSON_CreateNumber(number));
}

static bool add_tensor(cJSON *header, const struct tensor_entry *entry, size_t begin, size_t end)
{
    cJSON *object = cJSON_AddObjectToObject(header, entry->name);
    cJSON *dtype = cJSON_AddStringToObject(object, "dtype", dtype_name(entry->tensor.dtype));
    cJSON *shape = cJSON_AddArrayToObject(object, "shape");
    cJSON *offsets = cJSON_AddArrayToObject(object, "data_offsets");
    if (!object || !dtype || !shape || !offsets) return false;
    for (int i = 0; i < entry->tensor.rank; i++)
        if (!add_number(shape, (double)entry->tensor.shape[i])) return false;
    return add_number(offsets, (double)begin) && add_number(offsets, (double)end);
}

/* The header's text, allocated by cJSON; NULL where memory is out. */
static char *make_header(const struct tensor_set *set, struct tensor_entry *const *entries)
{
    cJSON *header = cJSON_CreateObject();
    bool made = header && add_metadata(header, set);
    size_t offset = 0;
    for (size_t i = 0; made && i < set->count; i++) {
        size_t end = offset + tensor_bytes(&entries[i]->tensor);
        made = add_tensor(header, entries[i], offset, end);
        offset = end;
    }
    char *text = made ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

/* Writes the length and the header, filled with spaces to a multiple of 8. */
static enum status write_header(const char *header, FILE *stream, struct error *error)
{
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    if (padded > HEADER_LIMIT)
        return error_input(
            error, "header: %zu bytes, more than the %zu that the format allows", padded, HEADER_LIMIT);
    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    fwrite(size, 1, sizeof size, stream);
    fwrite(header, 1, length, stream);
    fwrite("       ", 1, padded - length, stream);
    return STATUS_OK;
}

enum status safetensors_stream(
    const struct tensor_set *set, const struct tensor_writer *writer, FILE *stream, struct error *error)
{
    if (tensor_set_find(set, "__metadata__"))
        return error_input(error, "tensor __metadata__: the format keeps this name for itself");
    size_t bytes = (set->count ? set->count : 1) * sizeof(struct tensor_entry *);
    struct tensor_entry **entries = malloc(bytes);
    if (!entries) return error_memory(error, bytes);
    if (set->count > 0) {
        memcpy(entries, set->entries, set->count * sizeof(struct tensor_entry *));
        qsort(entries, set->count, sizeof(struct tensor_entry *), compare_for_writing);
    }
    char *header = make_header(set, entries);
    enum status status = header ? write_header(header, stream, error) : error_machine(error, "out of memory");
    for (size_t i = 0; i < set->count && status == STATUS_OK; i++)
        status = writer->write(writer->context, entries[i], stream, error);
    cJSON_free(header);
    free(entries);
    return status;
}

static enum status write_from_memory(
    void *context, const struct tensor_entry *entry, FILE *stream, struct error *error)
{
    (void)context, (void)error;
    fwrite(entry->tensor.data, 1, tensor_bytes(&entry->tensor), stream);
    return STATUS_OK;
}

enum status safetensors_write(const struct tensor_set *set, FILE *stream, struct error *error)
{
    return safetensors_stream(set, &(struct tensor_writer){.write = write_from_memory}, stream, error);
}
