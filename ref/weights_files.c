/*
 * Which files hold a component's weights, in the order in which diffusers 0.35.1 (models/modeling_utils.py,
 * from_pretrained) looks:
 *
 *     <stem>.safetensors.index.json               shards
 *     <stem>.safetensors.index.<variant>.json     shards of a variant, or, as older versions wrote it,
 *     <stem>.safetensors.<variant>.index.json
 *     <stem>.safetensors                          one file
 *     <stem>.<variant>.safetensors                one file of a variant
 *
 * For the text encoders, which the transformers library loads, the one file comes before the shards.
 * Diffusers takes the plain file where a component has no file of the variant that was asked for; a reference
 * must not compute with other weights than it was told to, so that is an error here.
 */
#include "weights_files.h"

#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- Choosing ----------------------------------------------------------------------------- */

#define FILE_NAME_SIZE 256

/* A link counts even where it leads nowhere, as in a cache that lost its files: opening it says so. */
static enum status look_for(const char *path, bool *listed, struct error *error)
{
    struct stat info;
    const int failure = lstat(path, &info) == 0 ? 0 : errno;
    *listed = failure == 0 && !S_ISDIR(info.st_mode);
    if (failure == 0 || path_is_absent(failure)) return STATUS_OK;
    return error_file(error, path, "cannot be read", failure);
}

const char *weights_stem(const char *component)
{
    bool text_encoder = strncmp(component, "text_encoder", strlen("text_encoder")) == 0;
    return text_encoder ? "model" : "diffusion_pytorch_model";
}

/* The names to look for, in order. Returns how many. */
static size_t candidate_names(const char *component, const char *variant, char names[3][FILE_NAME_SIZE])
{
    const char *stem = weights_stem(component);
    bool single_first = strcmp(stem, "model") == 0;
    char single[FILE_NAME_SIZE];
    size_t n = 0;
    if (variant)
        snprintf(single, sizeof single, "%s.%s.safetensors", stem, variant);
    else
        snprintf(single, sizeof single, "%s.safetensors", stem);
    if (single_first) memcpy(names[n++], single, sizeof single);
    if (variant) {
        snprintf(names[n++], FILE_NAME_SIZE, "%s.safetensors.index.%s.json", stem, variant);
        snprintf(names[n++], FILE_NAME_SIZE, "%s.safetensors.%s.index.json", stem, variant);
    } else {
        snprintf(names[n++], FILE_NAME_SIZE, "%s.safetensors.index.json", stem);
    }
    if (!single_first) memcpy(names[n++], single, sizeof single);
    return n;
}

/* What a folder holds instead of what was looked for. */
struct found {
    bool plain, shards; /* of no variant; `shards` are plain, too */
    /* Of each kind the first one, in order; empty where there is none. */
    char variant[64], safetensors[FILE_NAME_SIZE], pickle[FILE_NAME_SIZE], foreign[FILE_NAME_SIZE];
};

static void keep_first(char *kept, const char *name, size_t size)
{
    if (!*kept || strcmp(name, kept) < 0) snprintf(kept, size, "%s", name);
}

static void note_file(struct found *found, const char *name, const char *stem)
{
    if (path_ends_with(name, ".bin")) keep_first(found->pickle, name, sizeof found->pickle);
    if (path_ends_with(name, ".onnx") || path_ends_with(name, ".msgpack") || path_ends_with(name, ".gguf"))
        keep_first(found->foreign, name, sizeof found->foreign);
    if (!path_ends_with(name, ".safetensors")) return;
    keep_first(found->safetensors, name, sizeof found->safetensors);
    size_t stem_length = strlen(stem);
    if (strncmp(name, stem, stem_length) != 0) return;
    /* "<stem>.safetensors", "<stem>-00001-of-00002.safetensors"; "<stem>.fp16.safetensors",
     * "<stem>.fp16-00001-of-00002.safetensors" */
    const char *rest = name + stem_length;
    if (strcmp(rest, ".safetensors") == 0 || *rest == '-') found->plain = true;
    if (*rest == '-') found->shards = true;
    if (*rest != '.' || strcmp(rest, ".safetensors") == 0) return;
    char variant[sizeof found->variant];
    snprintf(variant, sizeof variant, "%.*s", (int)strcspn(rest + 1, "-."), rest + 1);
    keep_first(found->variant, variant, sizeof found->variant);
}

static enum status say_what_is_there(
    const char *folder_path, const char *component, const char *variant, struct error *error)
{
    DIR *folder = opendir(folder_path);
    if (!folder) return error_file(error, folder_path, "cannot be read", errno);
    struct found found = {0};
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) note_file(&found, entry->d_name, weights_stem(component));
    closedir(folder);

    char wanted[FILE_NAME_SIZE];
    snprintf(wanted, sizeof wanted, "%s%s%s.safetensors", weights_stem(component), variant ? "." : "",
        variant ? variant : "");
    if (found.plain && *found.variant && variant)
        return error_input(error,
            "%s: there is no %s, but the variant %s, and the plain weights: leave --variant out", folder_path,
            wanted, found.variant);
    if (found.plain && variant)
        return error_input(
            error, "%s: there is no %s, but the plain weights: leave --variant out", folder_path, wanted);
    if (*found.variant)
        return error_input(error, "%s: there is no %s, but the variant %s: ask for it with --variant %s",
            folder_path, wanted, found.variant, found.variant);
    if (found.shards && !variant)
        return error_input(error, "%s: there are shards, but no %s.index.json that says what is in which",
            folder_path, wanted);
    if (*found.pickle)
        return error_input(error,
            "%s: there is no %s, but %s, a pickle, which Plumb does not read: save it with "
            "safe_serialization=True",
            folder_path, wanted, found.pickle);
    if (*found.foreign)
        return error_input(error, "%s: there is no %s, but %s, which Plumb does not read", folder_path,
            wanted, found.foreign);
    return error_input(error, "%s: there is no %s%s%s", folder_path, wanted,
        *found.safetensors ? ", only " : "", found.safetensors);
}

/* The path of the file or the index, allocated. */
static enum status choose(const struct checkpoint *checkpoint, const char *component, const char *variant,
    char **path, struct error *error)
{
    *path = NULL;
    if (variant && (strchr(variant, '/') || strlen(variant) > 60 || !*variant))
        return error_input(error, "variant: expected a name such as \"fp16\", got \"%.80s\"", variant);
    char names[3][FILE_NAME_SIZE];
    size_t count = candidate_names(component, variant, names);
    for (size_t i = 0; i < count; i++) {
        *path = checkpoint_path(checkpoint, component, names[i]);
        if (!*path) return error_memory(error, strlen(checkpoint->folder) + FILE_NAME_SIZE);
        bool listed;
        enum status status = look_for(*path, &listed, error);
        if (status == STATUS_OK && listed) return STATUS_OK;
        free(*path);
        *path = NULL;
        if (status != STATUS_OK) return status;
    }
    char *folder = checkpoint_path(checkpoint, component, NULL);
    if (!folder) return error_memory(error, strlen(checkpoint->folder));
    enum status status = say_what_is_there(folder, component, variant, error);
    free(folder);
    return status;
}

/* --- Opening ------------------------------------------------------------------------------ */

static enum status open_file(struct weights_files *files, char *path, struct error *error)
{
    struct weights_file *file = &files->items[files->count];
    file->path = path;
    if (!path) return error_memory(error, FILE_NAME_SIZE);
    files->count++;
    return tensor_set_open(path, &file->tensors, error);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the shards in `weight_map`, each once, in order. `names` has room for one a tensor. */
static enum status shard_names(
    const cJSON *weight_map, const char **names, size_t *count, struct error *error)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, weight_map)
    {
        const char *name = item->valuestring;
        if (!cJSON_IsString(item) || !path_ends_with(name, ".safetensors") || *name == '.' ||
            strchr(name, '/')) {
            char shown[120];
            return error_input(error,
                "weight_map: %.200s: expected a .safetensors file of the same folder, got %s", item->string,
                json_show(item, shown, sizeof shown));
        }
        names[n++] = name;
    }
    if (n == 0) return error_input(error, "weight_map: expected at least one tensor");
    qsort(names, n, sizeof *names, compare_strings);
    *count = 1;
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i], names[*count - 1]) != 0) names[(*count)++] = names[i];
    return STATUS_OK;
}

static enum status open_shards(const struct checkpoint *checkpoint, const char *component,
    struct weights_files *files, struct error *error)
{
    enum status status = json_read_file(files->source, &files->index, error);
    if (status != STATUS_OK) return status;
    files->weight_map = cJSON_GetObjectItemCaseSensitive(files->index, "weight_map");
    if (!cJSON_IsObject(files->weight_map))
        return error_input(
            error, "%s: weight_map: expected an object of tensors and their shards", files->source);
    size_t count = (size_t)cJSON_GetArraySize(files->weight_map);
    const char **names = malloc((count ? count : 1) * sizeof *names);
    if (!names) return error_memory(error, count * sizeof *names);
    status = error_prefix(error, shard_names(files->weight_map, names, &count, error), "%s: ", files->source);
    if (status == STATUS_OK) {
        files->items = calloc(count, sizeof *files->items);
        if (!files->items) status = error_memory(error, count * sizeof *files->items);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        char *path = checkpoint_path(checkpoint, component, names[i]);
        struct stat info;
        if (path && stat(path, &info) != 0 && errno == ENOENT) {
            status =
                error_input(error, "%s: cannot be read: %s, and the index names it (an incomplete download?)",
                    path, strerror(ENOENT));
            free(path);
        } else {
            status = open_file(files, path, error);
        }
    }
    free(names);
    return status;
}

enum status weights_files_open(const struct checkpoint *checkpoint, const char *component,
    const char *variant, struct weights_files *files, struct error *error)
{
    *files = (struct weights_files){0};
    enum status status = choose(checkpoint, component, variant, &files->source, error);
    if (status != STATUS_OK) return status;
    if (path_ends_with(files->source, ".json")) return open_shards(checkpoint, component, files, error);
    files->items = calloc(1, sizeof *files->items);
    if (!files->items) return error_memory(error, sizeof *files->items);
    return open_file(files, strdup(files->source), error);
}

void weights_files_close(struct weights_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].path);
        tensor_set_free(files->items[i].tensors);
    }
    free(files->items);
    free(files->source);
    cJSON_Delete(files->index);
    *files = (struct weights_files){0};
}
