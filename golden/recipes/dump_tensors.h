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

/* Writes the rank-dimensional row-major tensor at `data`, in the host's memory and little-endian, under
 * `name`. `dtype` is "f32", "f16", "bf16", "f64", "i64", "i32" or "u8". 0, or -1 where a file could not be
 * written. */
static inline int dump_tensor(
    const char *folder, const char *name, const char *dtype, const void *data, int rank, const int64_t *shape)
{
    char path[1024];
    size_t count = 1, bits = 0;
    int failed = 0;
    sscanf(dtype, "%*[a-z]%zu", &bits); /* the digits of "bf16" */
    for (int i = 0; i < rank; i++) count *= (size_t)shape[i];

    snprintf(path, sizeof path, "%s/%s.%s", folder, name, dtype);
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    failed |= fwrite(data, bits / 8, count, file) != count;
    failed |= fclose(file) != 0;

    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    file = fopen(path, "w");
    if (!file) return -1;
    fprintf(file, "{\"shape\": [");
    for (int i = 0; i < rank; i++) fprintf(file, "%s%lld", i ? ", " : "", (long long)shape[i]);
    failed |= fprintf(file, "]}\n") < 0;
    failed |= fclose(file) != 0;
    return failed ? -1 : 0;
}

#endif
