/*
 * Writing NumPy's .npz: a zip archive of .npy files, stored, as np.savez does. The order is that of the names
 * and the time that of no clock, so that the bytes depend on the content alone.
 */
#include "tensor_files.h"
#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct record {
    unsigned char bytes[CENTRAL_SIZE];
    size_t size;
};

/* Appends the low `width` bytes of a number. */
static void put(struct record *record, uint64_t number, int width)
{
    for (int i = 0; i < width; i++) record->bytes[record->size++] = (unsigned char)(number >> 8 * i);
}

/* What the local header and the directory say alike: versions, flags, time, CRC, sizes, the name's length.
 * The time is the first that the format has, the first of January 1980, so that the bytes depend on the
 * content alone. */
static void put_common(struct record *record, const struct zip_entry *entry)
{
    put(record, 20, 2); /* version 2.0 is needed */
    put(record, entry->flags, 2);
    put(record, STORED, 2);
    put(record, 0, 2);          /* 00:00:00 */
    put(record, 1 << 5 | 1, 2); /* month 1, day 1 */
    put(record, entry->crc, 4);
    put(record, entry->size, 4);
    put(record, entry->size, 4);
    put(record, entry->name_length + strlen(".npy"), 2);
    put(record, 0, 2); /* no extra field */
}

static void write_name(const struct zip_entry *entry, FILE *stream)
{
    fwrite(entry->name, 1, entry->name_length, stream);
    fwrite(".npy", 1, strlen(".npy"), stream);
}

static enum status write_entry(
    const struct tensor *tensor, struct zip_entry *entry, uint64_t *offset, FILE *stream, struct error *error)
{
    char header[NPY_HEADER_SIZE];
    size_t header_size, data_size = tensor_bytes(tensor);
    enum status status = npy_header(tensor, header, &header_size, error);
    if (status != STATUS_OK) return status;
    entry->local = *offset;
    entry->size = header_size + (uint64_t)data_size;
    *offset += LOCAL_SIZE + entry->name_length + strlen(".npy") + entry->size;
    if (*offset >= UINT32_MAX || entry->name_length + strlen(".npy") > UINT16_MAX)
        return error_input(error, "a .npz file is written up to 4 GiB: write .safetensors");
    entry->crc = (uint32_t)crc32_z(0, (const unsigned char *)header, header_size);
    entry->crc = (uint32_t)crc32_z(entry->crc, tensor->data, data_size);

    struct record local = {.size = 0};
    put(&local, LOCAL_HEADER, 4);
    put_common(&local, entry);
    fwrite(local.bytes, 1, local.size, stream);
    write_name(entry, stream);
    fwrite(header, 1, header_size, stream);
    fwrite(tensor->data, 1, data_size, stream);
    return STATUS_OK;
}

/* The directory and the end record. */
static enum status write_directory(
    const struct zip_entry *entries, size_t count, uint64_t start, FILE *stream, struct error *error)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        struct record central = {.size = 0};
        put(&central, CENTRAL_HEADER, 4);
        put(&central, 3 << 8 | 20, 2); /* made on Unix, version 2.0 */
        put_common(&central, &entries[i]);
        put(&central, 0, 2);                       /* no comment */
        put(&central, 0, 2);                       /* disk 0 */
        put(&central, 0, 2);                       /* binary */
        put(&central, (uint64_t)0100644 << 16, 4); /* a regular file, rw-r--r-- */
        put(&central, entries[i].local, 4);
        fwrite(central.bytes, 1, central.size, stream);
        write_name(&entries[i], stream);
        size += CENTRAL_SIZE + entries[i].name_length + strlen(".npy");
    }
    if (start + size >= UINT32_MAX)
        return error_input(error, "a .npz file is written up to 4 GiB: write .safetensors");
    struct record end = {.size = 0};
    put(&end, END_RECORD, 4);
    put(&end, 0, 4); /* disk 0, twice */
    put(&end, count, 2);
    put(&end, count, 2);
    put(&end, size, 4);
    put(&end, start, 4);
    put(&end, 0, 2); /* no comment */
    fwrite(end.bytes, 1, end.size, stream);
    return STATUS_OK;
}

enum status npz_write(const struct tensor_set *set, FILE *stream, struct error *error)
{
    if (set->count >= UINT16_MAX)
        return error_input(error, "a .npz file is written with up to 65534 tensors: write .safetensors");
    size_t bytes = (set->count + 1) * sizeof(struct zip_entry);
    struct zip_entry *entries = calloc(1, bytes);
    if (!entries) return error_memory(error, bytes);
    uint64_t offset = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < set->count && status == STATUS_OK; i++) {
        const char *name = set->by_name[i]->name;
        entries[i].name = name;
        entries[i].name_length = strlen(name);
        for (const char *c = name; *c; c++)
            if ((unsigned char)*c >= 0x80) entries[i].flags = FLAG_UTF8;
        status = write_entry(&set->by_name[i]->tensor, &entries[i], &offset, stream, error);
        error_prefix(error, status, "tensor %.200s: ", name);
    }
    if (status == STATUS_OK) status = write_directory(entries, set->count, offset, stream, error);
    free(entries);
    return status;
}
