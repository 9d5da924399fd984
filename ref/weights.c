/*
 * The weights of one component: which files they are (as diffusers 0.35.1 chooses them), the tensors in them
 * by name, and the bookkeeping that says in the end whether files and model are of one mind.
 */
#include "checkpoint.h"

#include "paths.h"
#include "weights_files.h"

#include "kernels/cpu.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weight {
    const char *name;
    size_t file;
    const struct tensor *tensor;
    bool taken, ignored;
};

struct weights {
    struct weights_files files;
    struct weights_maker maker; /* in place of files; `make` is NULL where there are any */
    struct weight *items;       /* in the order of their names */
    size_t count;
    bool leave_values_unread;
    struct weights_size taken;
    enum status status; /* the first failure, and its message */
    struct error error;
};

/* --- Opening ------------------------------------------------------------------------------ */

static int compare_weights(const void *a, const void *b)
{
    return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

static enum status gather(struct weights *w, struct error *error)
{
    size_t total = 0;
    for (size_t f = 0; f < w->files.count; f++) total += tensor_set_count(w->files.items[f].tensors);
    w->items = calloc(total ? total : 1, sizeof *w->items);
    if (!w->items) return error_memory(error, total * sizeof *w->items);
    for (size_t f = 0; f < w->files.count; f++) {
        const struct tensor_set *set = w->files.items[f].tensors;
        for (size_t i = 0; i < tensor_set_count(set); i++)
            w->items[w->count++] =
                (struct weight){.name = tensor_set_name(set, i), .file = f, .tensor = tensor_set_at(set, i)};
    }
    if (w->count > 0) qsort(w->items, w->count, sizeof *w->items, compare_weights);
    for (size_t i = 1; i < w->count; i++)
        if (compare_weights(&w->items[i - 1], &w->items[i]) == 0)
            return error_input(error, "%s: tensor %.200s: it is in %s, too",
                w->files.items[w->items[i].file].path, w->items[i].name,
                w->files.items[w->items[i - 1].file].path);
    return STATUS_OK;
}

static struct weight *find(const struct weights *w, const char *name)
{
    struct weight key = {.name = name};
    if (w->count == 0) return NULL;
    return bsearch(&key, w->items, w->count, sizeof *w->items, compare_weights);
}

/* What the index lists must be where it says. */
static enum status check_index(const struct weights *w, struct error *error)
{
    const cJSON *item = w->files.weight_map ? w->files.weight_map->child : NULL;
    for (; item; item = item->next) {
        const struct weight *weight = find(w, item->string);
        const char *file = weight ? path_base_name(w->files.items[weight->file].path) : NULL;
        if (!file)
            return error_input(
                error, "%s: weight_map: tensor %.200s is in no shard", w->files.source, item->string);
        if (strcmp(file, item->valuestring) != 0)
            return error_input(error, "%s: weight_map: tensor %.200s: listed in %.200s, but it is in %s",
                w->files.source, item->string, item->valuestring, file);
    }
    return STATUS_OK;
}

enum status weights_open(const struct checkpoint *checkpoint, const char *component, const char *variant,
    struct weights **out, struct error *error)
{
    *out = NULL;
    struct weights *w = calloc(1, sizeof *w);
    if (!w) return error_memory(error, sizeof *w);
    w->leave_values_unread = checkpoint->leave_values_unread;
    enum status status = weights_files_open(checkpoint, component, variant, &w->files, error);
    if (status == STATUS_OK) status = gather(w, error);
    if (status == STATUS_OK) status = check_index(w, error);
    if (status == STATUS_OK)
        *out = w;
    else
        weights_close(w);
    return status;
}

enum status weights_create(
    const char *name, const struct weights_maker *maker, struct weights **out, struct error *error)
{
    *out = NULL;
    struct weights *w = calloc(1, sizeof *w);
    if (!w) return error_memory(error, sizeof *w);
    w->maker = *maker;
    w->files.source = strdup(name);
    if (!w->files.source) {
        weights_close(w);
        return error_memory(error, strlen(name) + 1);
    }
    *out = w;
    return STATUS_OK;
}

void weights_close(struct weights *weights)
{
    if (!weights) return;
    weights_files_close(&weights->files);
    free(weights->items);
    free(weights);
}

/* --- Taking ------------------------------------------------------------------------------- */

#define NAME_SIZE 512

static const char *file_of(const struct weights *w, const struct weight *weight)
{
    return w->files.items[weight->file].path;
}

static enum status take(
    struct weights *w, struct tensor *out, const struct tensor *wanted, const char *name, struct error *error)
{
    char expected[256], got[256];
    tensor_show_shape(wanted, expected, sizeof expected);
    struct weight *weight = find(w, name);
    if (!weight)
        return error_input(error, "%s: tensor %s: expected one of shape %s, and it is missing",
            w->files.source, name, expected);
    const struct tensor *tensor = weight->tensor;
    if (!tensor_same_shape(tensor, wanted))
        return error_input(error, "%s: tensor %s: expected shape %s, got %s", file_of(w, weight), name,
            expected, tensor_show_shape(tensor, got, sizeof got));
    if (tensor->dtype != DTYPE_F32 && tensor->dtype != DTYPE_F16 && tensor->dtype != DTYPE_BF16)
        return error_input(error, "%s: tensor %s: expected F32, F16 or BF16, got %s", file_of(w, weight),
            name, dtype_name(tensor->dtype));
    weight->taken = true;
    *out = *tensor;
    return STATUS_OK;
}

void weights_take(
    struct weights *weights, struct tensor *out, int rank, const int64_t *shape, const char *name_format, ...)
{
    *out = (struct tensor){.rank = rank};
    memcpy(out->shape, shape, (size_t)rank * sizeof *shape);
    if (weights->status != STATUS_OK) return;
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, name_format);
    int length = vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    struct tensor wanted = *out;
    struct error *error = &weights->error;
    if (length >= (int)sizeof name)
        weights->status = error_input(error, "%s: tensor %.60s...: the name is longer than %d bytes",
            weights->files.source, name, NAME_SIZE - 1);
    else if (weights->maker.make)
        weights->status = weights->maker.make(weights->maker.context, name, out, error);
    else
        weights->status = take(weights, out, &wanted, name, error);
    if (weights->status != STATUS_OK) return;
    weights->taken.parameters += tensor_count(out);
    weights->taken.bytes += tensor_bytes(out);
    weights->taken.has_dtype[out->dtype] = true;
}

bool weights_has(const struct weights *weights, const char *name_format, ...)
{
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, name_format);
    int length = vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    return length < (int)sizeof name && find(weights, name) != NULL;
}

void weights_ignore(struct weights *weights, const char *glob)
{
    for (size_t i = 0; i < weights->count; i++)
        if (fnmatch(glob, weights->items[i].name, FNM_NOESCAPE) == 0) weights->items[i].ignored = true;
}

/* --- Finishing ---------------------------------------------------------------------------- */

static enum status check_unexpected(const struct weights *w, struct error *error)
{
    const struct weight *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->items[i].taken || w->items[i].ignored) continue;
        if (first)
            more++;
        else
            first = &w->items[i];
    }
    if (!first) return STATUS_OK;
    char others[48] = "";
    if (more > 0) snprintf(others, sizeof others, " (and %zu more like it)", more);
    return error_input(error, "%s: tensor %.200s: the model that config.json describes has no such tensor%s",
        file_of(w, first), first->name, others);
}

/* The flat index of the first infinity or NaN; the number of elements where there is none. Their exponent
 * bits are all ones. */
static size_t first_nonfinite(const struct tensor *tensor)
{
    size_t count = tensor_count(tensor);
    const unsigned char *data = tensor->data;
    if (tensor->dtype == DTYPE_F32) {
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, data + i * sizeof bits, sizeof bits);
            if ((bits & 0x7f800000) == 0x7f800000) return i;
        }
        return count;
    }
    const uint16_t exponent = tensor->dtype == DTYPE_F16 ? 0x7c00 : 0x7f80;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, data + i * sizeof bits, sizeof bits);
        if ((bits & exponent) == exponent) return i;
    }
    return count;
}

/* Of several, the first in the order of names is reported, whoever finds it. */
static enum status check_finite(const struct weights *w, struct error *error)
{
    size_t worst = SIZE_MAX, missing = kernels_start(false);
    if (missing > 0) return error_memory(error, missing);
#pragma omp parallel for schedule(dynamic) reduction(min : worst) num_threads(kernels_threads())
    for (size_t i = 0; i < w->count; i++)
        if (w->items[i].taken && i < worst &&
            first_nonfinite(w->items[i].tensor) < tensor_count(w->items[i].tensor))
            worst = i;
    if (worst == SIZE_MAX) return STATUS_OK;
    const struct weight *weight = &w->items[worst];
    size_t index = first_nonfinite(weight->tensor);
    return error_input(error, "%s: tensor %.200s: element %zu: expected a finite number, got %f",
        file_of(w, weight), weight->name, index, tensor_get_double(weight->tensor, index));
}

enum status weights_finish(struct weights *weights, struct error *error)
{
    if (weights->status == STATUS_OK) weights->status = check_unexpected(weights, &weights->error);
    if (weights->status == STATUS_OK && !weights->leave_values_unread)
        weights->status = check_finite(weights, &weights->error);
    if (weights->status != STATUS_OK && error) *error = weights->error;
    return weights->status;
}

struct weights_size weights_size(const struct weights *weights)
{
    return weights->taken;
}

/* --- For reports -------------------------------------------------------------------------- */

size_t weights_file_count(const struct weights *weights)
{
    return weights->files.count;
}

const char *weights_file_name(const struct weights *weights, size_t i)
{
    return weights->files.items[i].path;
}

size_t weights_tensor_count(const struct weights *weights)
{
    return weights->count;
}

const char *weights_tensor_at(const struct weights *weights, size_t i, struct tensor *tensor)
{
    *tensor = *weights->items[i].tensor;
    return weights->items[i].name;
}
