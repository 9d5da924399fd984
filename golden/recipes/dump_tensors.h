/*
 * The whole of a dump from C or C++: one function without a library behind it. Each tensor becomes two files
 * in a folder that is there already,
 *
 *     FOLDER/step.03.latents.f32     the elements, as they lie in memory
 *     FOLDER/step.03.latents.json    {"shape": [1, 4, 64, 64]}, the type being in the other name
 *
 * which `plumb verify CHECKPOINT FOLDER` reads. The names are those of golden/README.md; copy this file.
 */
#ifndef DUMP_TENSORS_H
#define DUMP_TENSORS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Writes the rank-dimensional row-major tensor at `data`, in the host's memory and little-endian, under
 * `name`. `dtype` is "f32", "f16", "bf16", "f64", "i64", "i32" or "u8". 0, or -1 where it is another, the
 * path is too long or a file could not be written. */
static inline int dump_tensor(
    const char *folder, const char *name, const char *dtype, const void *data, int rank, const int64_t *shape)
{
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}, {"i64", 8}, {"i32", 4}, {"u8", 1}};
    char path[1024];
    size_t count = 1, bytes = 0;
    int failed = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(dtype, types[i].name) == 0) bytes = types[i].bytes;
    if (bytes == 0) return -1;
    for (int i = 0; i < rank; i++) count *= (size_t)shape[i];

    if (snprintf(path, sizeof path, "%s/%s.%s", folder, name, dtype) >= (int)sizeof path) return -1;
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    failed |= fwrite(data, bytes, count, file) != count;
    failed |= fclose(file) != 0;

    if (snprintf(path, sizeof path, "%s/%s.json", folder, name) >= (int)sizeof path) return -1;
    file = fopen(path, "w");
    if (!file) return -1;
    fprintf(file, "{\"shape\": [");
    for (int i = 0; i < rank; i++) fprintf(file, "%s%lld", i ? ", " : "", (long long)shape[i]);
    failed |= fprintf(file, "]}\n") < 0;
    failed |= fclose(file) != 0;
    return failed ? -1 : 0;
}

#endif
