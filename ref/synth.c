/* A checkpoint's folder from an architecture: the configs as they stand in it, tokenizers and weights
 * made. */
#include "synth.h"

#include "output_file.h"
#include "output_folder.h"
#include "paths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* --- Files -------------------------------------------------------------------------------- */

char *synth_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

enum status synth_json(const char *folder, const char *name, const cJSON *json, struct error *error)
{
    struct output_file file;
    char *path = synth_path(folder, name), *text = cJSON_Print(json);
    enum status status =
        path && text ? output_file_open(&file, path, error) : error_memory(error, strlen(folder));
    if (status == STATUS_OK) {
        fprintf(file.stream, "%s\n", text);
        status = output_file_commit(&file, error);
    }
    free(path);
    cJSON_free(text);
    return status;
}

/* Makes "<folder>/<part>"; the path is allocated. */
static enum status make_part(const char *folder, const char *part, char **path, struct error *error)
{
    *path = synth_path(folder, part);
    if (!*path) return error_memory(error, strlen(folder));
    return mkdir(*path, 0777) == 0 ? STATUS_OK : error_file(error, *path, "cannot be written", errno);
}

/* --- Parts -------------------------------------------------------------------------------- */

static enum status write_scheduler(
    const struct architecture *architecture, const char *folder, struct error *error)
{
    return synth_json(folder, "scheduler_config.json", architecture_part(architecture, "scheduler"), error);
}

/* As large as its text encoder's table. */
static enum status write_tokenizer(
    const struct architecture *architecture, const char *part, const char *folder, struct error *error)
{
    bool second = path_ends_with(part, "_2");
    const cJSON *encoder = architecture_part(architecture, second ? "text_encoder_2" : "text_encoder");
    const char *pad_token = "<|endoftext|>";
    int64_t size = 49408;
    enum status status =
        json_get_string(architecture_part(architecture, part), "pad_token", &pad_token, NULL, error);
    if (status == STATUS_OK) status = json_get_int(encoder, "vocab_size", 1, 1 << 30, &size, NULL, error);
    if (status == STATUS_OK) status = synth_tokenizer(folder, (size_t)size, pad_token, error);
    return status;
}

static enum status write_model(const struct architecture *architecture, const char *part, const char *folder,
    const struct synth_request *request, struct error *error)
{
    struct tensor_set *tensors = NULL;
    enum status status = architecture_tensors(architecture, part, request->dtype, &tensors, error);
    if (status == STATUS_OK)
        status = synth_json(folder, "config.json", architecture_part(architecture, part), error);
    if (status == STATUS_OK) status = synth_weights(folder, part, tensors, request, error);
    tensor_set_free(tensors);
    return status;
}

static enum status write_part(const struct architecture *architecture, const char *part, const char *folder,
    const struct synth_request *request, struct error *error)
{
    char *path;
    enum status status = make_part(folder, part, &path, error);
    if (status != STATUS_OK)
        ;
    else if (strcmp(part, "scheduler") == 0)
        status = write_scheduler(architecture, path, error);
    else if (strncmp(part, "tokenizer", strlen("tokenizer")) == 0)
        status = write_tokenizer(architecture, part, path, error);
    else
        status = write_model(architecture, part, path, request, error);
    free(path);
    return status;
}

/* A disk that is full after ten minutes would have told in the first second. The small files are not
 * counted. */
static enum status check_room(const struct architecture *architecture, const struct output_folder *folder,
    enum dtype dtype, struct error *error)
{
    struct statvfs disk;
    uint64_t needed = 0;
    if (statvfs(folder->partial, &disk) != 0)
        return error_file(error, folder->path, "cannot be written", errno);
    for (size_t i = 0; i < ARCHITECTURE_MODELS; i++) {
        struct tensor_set *tensors = NULL;
        if (!architecture_part(architecture, architecture_models[i])) continue;
        enum status status =
            architecture_tensors(architecture, architecture_models[i], dtype, &tensors, error);
        if (status != STATUS_OK) return status;
        for (size_t t = 0; t < tensor_set_count(tensors); t++)
            needed += tensor_bytes(tensor_set_at(tensors, t));
        tensor_set_free(tensors);
    }
    const uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (needed <= free_bytes || disk.f_blocks == 0) return STATUS_OK; /* some file systems do not count */
    return error_machine(error,
        "%s: cannot be written: the weights take %" PRIu64 " bytes, and the disk has %" PRIu64 " free",
        folder->path, needed, free_bytes);
}

enum status synth_write(
    const struct architecture *architecture, const struct synth_request *request, struct error *error)
{
    static const char *const parts[] = {
        "scheduler", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "vae", "unet"};
    struct output_folder folder;
    enum status status = output_folder_open(&folder, request->folder, error);
    if (status != STATUS_OK) return status;
    status = check_room(architecture, &folder, request->dtype, error);
    if (status == STATUS_OK)
        status = synth_json(
            folder.partial, "model_index.json", architecture_part(architecture, "model_index"), error);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == STATUS_OK; i++)
        if (architecture_part(architecture, parts[i]))
            status = write_part(architecture, parts[i], folder.partial, request, error);
    output_folder_name(&folder, status, error);
    if (status == STATUS_OK) status = output_folder_commit(&folder, error);
    output_folder_abandon(&folder);
    return status;
}
