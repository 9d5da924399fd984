#include "checkpoint_fingerprint.h"

#include "checksum.h"
#include "paths.h"
#include "weights_files.h"

#include "sched/text_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status add_file(struct checksum *sum, const char *path, struct error *error)
{
    char *text;
    size_t length;
    enum status status = text_file_read(path, JSON_MAX_FILE, "text", &text, &length, error);
    if (status == STATUS_OK) checksum_add(sum, text, length);
    free(text);
    return status;
}

static int is_text(const struct dirent *entry)
{
    return path_ends_with(entry->d_name, ".json") || path_ends_with(entry->d_name, ".txt");
}

/* Configs, vocabularies, merges: by their names, in order. */
static enum status add_texts(
    struct checksum *sum, const struct checkpoint *checkpoint, const char *component, struct error *error)
{
    struct dirent **entries = NULL;
    char *folder = checkpoint_path(checkpoint, component, NULL);
    if (!folder) return error_memory(error, strlen(component));
    int count = scandir(folder, &entries, is_text, alphasort);
    enum status status = count < 0 ? error_file(error, folder, "cannot be read", errno) : STATUS_OK;
    for (int i = 0; i < count; i++) {
        char *path = checkpoint_path(checkpoint, component, entries[i]->d_name);
        checksum_add(sum, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
        if (status == STATUS_OK) status = path ? add_file(sum, path, error) : error_memory(error, 0);
        free(path);
        free(entries[i]);
    }
    free(entries);
    free(folder);
    return status;
}

static enum status add_weights(struct checksum *sum, const struct checkpoint *checkpoint,
    const char *component, const char *variant, struct error *error)
{
    struct weights_files files = {0};
    enum status status = weights_files_open(checkpoint, component, variant, &files, error);
    for (size_t i = 0; i < files.count && status == STATUS_OK; i++) {
        const struct tensor_set *set = files.items[i].tensors;
        for (size_t k = 0; k < tensor_set_count(set); k++) {
            const struct tensor *tensor = tensor_set_at(set, k);
            char shape[160];
            tensor_show_shape(tensor, shape, sizeof shape);
            checksum_add(sum, tensor_set_name(set, k), strlen(tensor_set_name(set, k)) + 1);
            checksum_add(sum, dtype_name(tensor->dtype), strlen(dtype_name(tensor->dtype)) + 1);
            checksum_add(sum, shape, strlen(shape) + 1);
            checksum_add(sum, tensor->data, tensor_bytes(tensor));
        }
    }
    weights_files_close(&files);
    return status;
}

static enum status put_sum(cJSON *object, const char *name, struct checksum *sum, struct error *error)
{
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, checksum_end(sum));
    return cJSON_AddStringToObject(object, name, digits) ? STATUS_OK : error_memory(error, 0);
}

enum status checkpoint_fingerprint(
    const struct checkpoint *checkpoint, const char *variant, cJSON **out, struct error *error)
{
    static const struct {
        const char *name;
        bool has_weights;
    } components[] = {{"scheduler", false}, {"tokenizer", false}, {"tokenizer_2", false},
        {"text_encoder", true}, {"text_encoder_2", true}, {"unet", true}, {"vae", true}};
    struct checksum sum;
    char *index = checkpoint_path(checkpoint, NULL, "model_index.json");
    cJSON *object = cJSON_CreateObject();
    enum status status = index && object ? STATUS_OK : error_memory(error, 0);
    checksum_begin(&sum);
    if (status == STATUS_OK) status = add_file(&sum, index, error);
    if (status == STATUS_OK) status = put_sum(object, "model_index.json", &sum, error);
    for (size_t i = 0; i < sizeof components / sizeof *components && status == STATUS_OK; i++) {
        const char *name = components[i].name;
        if (!checkpoint_has(checkpoint, name)) continue;
        checksum_begin(&sum);
        status = add_texts(&sum, checkpoint, name, error);
        if (status == STATUS_OK && components[i].has_weights)
            status = add_weights(&sum, checkpoint, name, variant, error);
        if (status == STATUS_OK) status = put_sum(object, name, &sum, error);
    }
    free(index);
    *out = status == STATUS_OK ? object : NULL;
    if (status != STATUS_OK) cJSON_Delete(object);
    return status;
}
