/*
 * Elements and nothing else, as fwrite() leaves them: little-endian, row by row. What they are stands beside
 * them in a file of the same name that ends in .json:
 *
 *     step.03.latents.f32     1024 bytes
 *     step.03.latents.json    {"dtype": "F32", "shape": [1, 4, 8, 8]}
 *
 * The ending names the type, as safetensors does in small letters: .f32, .f64, .f16, .bf16, .i64, .i32, .i16,
 * .i8, .u64, .u32, .u16, .u8, .bool; "dtype" may then be left out, and must agree where it stands. A file
 * that ends in .bin is one of these where there is such a side file, which must then say the type; a .bin
 * without is something else, and let be.
 */
#include "tensor_files.h"

#include "paths.h"
#include "sched/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A dtype, eight sides of 19 digits and spaces between them: no side file comes near this. */
#define SIDE_FILE_LIMIT ((size_t)4096)

/* The type that the ending of a path names, which is `*length` bytes before the end; DTYPES for .bin; false
 * for any other. */
static bool parse_ending(const char *path, enum dtype *dtype, size_t *length)
{
    char name[8];
    const char *dot = strrchr(path_base_name(path), '.');
    if (!dot || strlen(dot + 1) >= sizeof name) return false;
    *length = (size_t)(dot - path);
    *dtype = DTYPES;
    if (strcmp(dot, ".bin") == 0) return true;
    size_t used = 0;
    for (const char *c = dot + 1; *c; c++) {
        if (*c >= 'A' && *c <= 'Z') return false;
        name[used++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    name[used] = '\0';
    return dtype_parse(name, dtype);
}

/* "<path without its ending>.json", allocated. */
static char *side_path(const char *path, size_t length)
{
    char *side = malloc(length + sizeof ".json");
    if (side) snprintf(side, length + sizeof ".json", "%.*s.json", (int)length, path);
    return side;
}

bool raw_tensor_is(const char *path, size_t *length)
{
    enum dtype dtype;
    struct stat info;
    if (!parse_ending(path, &dtype, length)) return false;
    if (dtype != DTYPES) return true;
    char *side = side_path(path, *length);
    bool there = side && stat(side, &info) == 0;
    free(side);
    return there;
}

static enum status read_dtype(const cJSON *json, enum dtype named, enum dtype *dtype, struct error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "dtype");
    char shown[64] = "nothing";
    *dtype = named;
    if (!item && named != DTYPES) return STATUS_OK;
    if (item) json_show(item, shown, sizeof shown);
    const char *name = cJSON_GetStringValue(item);
    if (!name || !dtype_parse(name, dtype))
        return error_input(error,
            "dtype: expected F32, F64, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8 or BOOL, got %s",
            shown);
    if (named != DTYPES && *dtype != named)
        return error_input(
            error, "dtype: expected %s, which the file's ending names, got %s", dtype_name(named), shown);
    return STATUS_OK;
}

static enum status read_side(const cJSON *json, enum dtype named, struct tensor *tensor, struct error *error)
{
    char shown[64];
    const cJSON *item;
    size_t rank;
    if (!cJSON_IsObject(json))
        return error_input(error, "expected a JSON object with dtype and shape, got %s",
            json_show(json, shown, sizeof shown));
    cJSON_ArrayForEach(item, json)
    {
        if (strcmp(item->string, "dtype") != 0 && strcmp(item->string, "shape") != 0)
            return error_input(error, "%.100s: expected dtype and shape and nothing else", item->string);
    }
    enum status status = read_dtype(json, named, &tensor->dtype, error);
    if (status == STATUS_OK)
        status = json_get_sides(json, "shape", 0, TENSOR_MAX_RANK, tensor->shape, &rank, error);
    if (status == STATUS_OK) tensor->rank = (int)rank;
    return status;
}

/* Reads what the side file says. It is mapped like the data, so that it must be a regular file too. */
static enum status open_side(struct tensor_set *set, const char *path, size_t length, enum dtype named,
    struct tensor *tensor, struct error *error)
{
    char *side = side_path(path, length);
    if (!side) return error_memory(error, length + sizeof ".json");
    struct bytes text;
    cJSON *json = NULL;
    enum status status = tensor_set_map(set, side, &text, error);
    if (status == STATUS_OK && text.size > SIDE_FILE_LIMIT)
        status = error_input(error, "%s: expected at most %zu bytes, which hold a dtype and a shape, got %zu",
            side, SIDE_FILE_LIMIT, text.size);
    const char *json_text = text.size > 0 ? (const char *)text.at : ""; /* an empty file has no address */
    if (status == STATUS_OK) status = json_parse(json_text, text.size, side, &json, error);
    if (status == STATUS_OK)
        status = error_prefix(error, read_side(json, named, tensor, error), "%s: ", side);
    cJSON_Delete(json);
    free(side);
    return status;
}

enum status raw_tensor_read(struct tensor_set *set, const char *path, struct error *error)
{
    struct tensor tensor = {0};
    struct bytes data;
    enum dtype named = DTYPES;
    size_t length = 0, count;
    char shape[256];
    parse_ending(path, &named, &length);
    enum status status = tensor_set_map(set, path, &data, error);
    if (status == STATUS_OK)
        status = error_prefix(error, open_side(set, path, length, named, &tensor, error), "%s: ", path);
    if (status != STATUS_OK) return status;
    tensor_show_shape(&tensor, shape, sizeof shape);
    if (!tensor_shape_count(tensor.shape, tensor.rank, tensor.dtype, &count))
        return error_input(
            error, "%s: shape: %s of %s is more than memory can hold", path, shape, dtype_name(tensor.dtype));
    if (count * dtype_size(tensor.dtype) != data.size)
        return error_input(error, "%s: %zu bytes, but %s of %s takes %zu", path, data.size, shape,
            dtype_name(tensor.dtype), count * dtype_size(tensor.dtype));
    tensor.data = (void *)(uintptr_t)data.at;
    const char *name = path_base_name(path);
    return tensor_set_append(set, name, length - (size_t)(name - path), &tensor, NULL, error);
}
