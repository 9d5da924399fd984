#include "output_names.h"

#include "paths.h"

#include <stddef.h>
#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const other_pictures[] = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".svg", ".pdf", ".ppm", ".safetensors", ".json"};
static const char *const other_tensors[] = {
    ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".onnx", ".gguf", ".h5", ".json", ".csv", ".txt", ".png", ".zip"};

static enum status check_ending(const char *option, const char *path, const char *const *others, size_t count,
    const char *expected, struct error *error)
{
    for (size_t i = 0; path && i < count; i++)
        if (path_ends_with(path, others[i]))
            return error_input(error, "%s: expected %s, got \"%.200s\"", option, expected, path);
    return STATUS_OK;
}

enum status check_picture_name(const char *option, const char *path, struct error *error)
{
    return check_ending(option, path, other_pictures, COUNT(other_pictures),
        "a name that ends in .png, which is written", error);
}

enum status check_tensors_name(const char *option, const char *path, struct error *error)
{
    return check_ending(option, path, other_tensors, COUNT(other_tensors),
        "a name that ends in .safetensors or .npz, or a folder's with a '/' at the end", error);
}

enum status check_input_is_kept(const char *output_option, const char *output, const char *input_option,
    const char *input, struct error *error)
{
    struct stat written, read;
    if (!output || !input || stat(output, &written) != 0 || stat(input, &read) != 0) return STATUS_OK;
    if (written.st_dev != read.st_dev || written.st_ino != read.st_ino) return STATUS_OK;
    return error_input(error,
        "%s: expected another file than that of %s, which would be lost, got \"%.200s\"", output_option,
        input_option, output);
}
