/*
 * NumPy's .npz: a zip archive of .npy files (PKWARE, APPNOTE.TXT; sections in brackets below). np.savez
 * stores its entries, np.savez_compressed deflates them; both may use the zip64 extensions.
 *
 * Reading goes by the central directory at the end, and checks against it what stands before each entry's
 * data. Entries must not overlap, and none may unpack to more than deflate can reach from its bytes: so an
 * archive asks for memory in proportion to its own size.
 */
#include "deflate.h"
#include "tensor_files.h"
#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* --- The directory ------------------------------------------------------------------------ */

struct directory {
    uint64_t entries, offset, size;
};

/* The end record is the last thing in the file but for a comment of up to 65535 bytes. */
static enum status find_end(struct bytes file, size_t *end, struct error *error)
{
    for (size_t comment = 0; comment <= UINT16_MAX && comment + END_SIZE <= file.size; comment++) {
        const unsigned char *at = file.at + file.size - END_SIZE - comment;
        if (read_u32(at) != END_RECORD || read_u16(at + 20) != comment) continue;
        *end = file.size - END_SIZE - comment;
        return STATUS_OK;
    }
    return error_input(
        error, "expected a .npz file: the zip archive's end record is missing (a truncated file?)");
}

static enum status find_directory(struct bytes file, struct directory *directory, struct error *error)
{
    size_t end = 0;
    enum status status = find_end(file, &end, error);
    if (status != STATUS_OK) return status;
    const unsigned char *at = file.at + end;
    *directory = (struct directory){read_u16(at + 10), read_u32(at + 16), read_u32(at + 12)};
    if (directory->entries == UINT16_MAX || directory->offset == UINT32_MAX ||
        directory->size == UINT32_MAX) {
        uint64_t record = UINT64_MAX;
        if (end >= LOCATOR_SIZE64 && read_u32(at - LOCATOR_SIZE64) == END_LOCATOR64)
            record = read_u64(at - LOCATOR_SIZE64 + 8);
        if (record > end || end - record < END_SIZE64 + LOCATOR_SIZE64 ||
            read_u32(file.at + record) != END_RECORD64)
            return error_input(error, "zip archive: its zip64 end record is missing");
        at = file.at + record;
        *directory = (struct directory){read_u64(at + 32), read_u64(at + 48), read_u64(at + 40)};
        end = (size_t)record;
    } else if (read_u16(at + 4) != 0 || read_u16(at + 6) != 0) {
        return error_input(error, "zip archive: it is one of several disks");
    }
    if (directory->offset > end || directory->size > end - directory->offset ||
        directory->entries > directory->size / CENTRAL_SIZE)
        return error_input(error, "zip archive: its directory does not lie before its end record");
    return STATUS_OK;
}

/* [4.5.3] In the extra field with tag 1 stand, in this order, the 64-bit values of those whose 32 bits are
 * full. */
static bool read_zip64(struct zip_entry *entry, const unsigned char *extra, size_t length)
{
    uint64_t *values[] = {&entry->size, &entry->compressed, &entry->local};
    while (length >= 4) {
        size_t tag = read_u16(extra), size = read_u16(extra + 2);
        extra += 4, length -= 4;
        if (size > length) return false;
        for (size_t i = 0, used = 0; tag == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX) continue;
            if (used + 8 > size) return false;
            *values[i] = read_u64(extra + used);
            used += 8;
        }
        extra += size, length -= size;
    }
    return true;
}

/* Reads the entry at `*at` in the directory and moves on to the next. */
static enum status read_central(
    const unsigned char **at, const unsigned char *end, struct zip_entry *entry, struct error *error)
{
    const unsigned char *header = *at;
    if (end - header < CENTRAL_SIZE || read_u32(header) != CENTRAL_HEADER)
        return error_input(error, "zip archive: its directory is damaged");
    size_t extra = read_u16(header + 30), comment = read_u16(header + 32);
    *entry = (struct zip_entry){
        .name = (const char *)header + CENTRAL_SIZE,
        .name_length = read_u16(header + 28),
        .flags = read_u16(header + 8),
        .method = read_u16(header + 10),
        .crc = read_u32(header + 16),
        .compressed = read_u32(header + 20),
        .size = read_u32(header + 24),
        .local = read_u32(header + 42),
    };
    if ((size_t)(end - header) < CENTRAL_SIZE + entry->name_length + extra + comment ||
        !read_zip64(entry, header + CENTRAL_SIZE + entry->name_length, extra))
        return error_input(error, "zip archive: its directory is damaged");
    if (!text_is_utf8(entry->name, entry->name_length))
        return error_input(error, "zip archive: an entry's name is not UTF-8");
    *at = header + CENTRAL_SIZE + entry->name_length + extra + comment;
    return STATUS_OK;
}

/* --- Entries ------------------------------------------------------------------------------ */

/* What can be said of an entry before its data is looked at; fills in where its data ends. */
static enum status check_entry(
    struct bytes file, uint64_t limit, struct zip_entry *entry, struct error *error)
{
    if (entry->flags & FLAG_ENCRYPTED) return error_input(error, "the entry is encrypted");
    if (entry->method != STORED && entry->method != DEFLATED)
        return error_input(
            error, "compression method: expected 0 (stored) or 8 (deflated), got %u", entry->method);
    if (entry->name_length <= 4 || memcmp(entry->name + entry->name_length - 4, ".npy", 4) != 0)
        return error_input(error, "expected entries named *.npy (a PyTorch archive is no .npz file)");
    if (entry->local > limit || limit - entry->local < LOCAL_SIZE ||
        read_u32(file.at + entry->local) != LOCAL_HEADER)
        return error_input(error, "the archive has no such entry where its directory says");
    const unsigned char *header = file.at + entry->local;
    size_t name_length = read_u16(header + 26), extra = read_u16(header + 28);
    uint64_t start = entry->local + LOCAL_SIZE + name_length + extra;
    if (start > limit || name_length != entry->name_length || read_u16(header + 8) != entry->method ||
        memcmp(header + LOCAL_SIZE, entry->name, name_length) != 0)
        return error_input(error, "the entry is not as the archive's directory says");
    if (entry->compressed > limit - start)
        return error_input(error, "the entry reaches past the end of the archive's data");
    if (entry->method == STORED ? entry->size != entry->compressed
                                : entry->size / DEFLATE_LIMIT > entry->compressed)
        return error_input(error, "%llu bytes cannot come out of %llu", (unsigned long long)entry->size,
            (unsigned long long)entry->compressed);
    entry->end = start + entry->compressed;
    return STATUS_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    if (x->local != y->local) return x->local < y->local ? -1 : 1;
    return 0;
}

/* Unpacks exactly `size` bytes. zlib counts in 32 bits, so input and output are handed to it in pieces; it
 * moves its pointers itself. Without room it still reads the end mark, and returns Z_BUF_ERROR where there is
 * more. */
static enum status unpack(struct bytes packed, unsigned char *out, size_t size, struct error *error)
{
    const size_t piece = (size_t)1 << 30;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.at, .next_out = out};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return error_machine(error, "zlib: out of memory");
    int result;
    do {
        if (stream.avail_in == 0) {
            stream.avail_in = (uInt)(packed.size < piece ? packed.size : piece);
            packed.size -= stream.avail_in;
        }
        if (stream.avail_out == 0) {
            stream.avail_out = (uInt)(size < piece ? size : piece);
            size -= stream.avail_out;
        }
        result = inflate(&stream, Z_NO_FLUSH);
    } while (result == Z_OK);
    bool whole = result == Z_STREAM_END && size == 0 && stream.avail_out == 0 && packed.size == 0 &&
                 stream.avail_in == 0;
    inflateEnd(&stream);
    if (result == Z_MEM_ERROR) return error_machine(error, "zlib: out of memory");
    return whole ? STATUS_OK : error_input(error, "the compressed data is damaged");
}

/* The bytes of the entry's .npy file: where they lie, or unpacked into `*owned`. */
static enum status entry_bytes(
    struct bytes file, const struct zip_entry *entry, struct bytes *npy, void **owned, struct error *error)
{
    *owned = NULL;
    *npy = (struct bytes){file.at + (entry->end - entry->compressed), (size_t)entry->compressed};
    if (entry->method == DEFLATED) {
        size_t size = (size_t)entry->size;
        *owned = malloc(size ? size : 1);
        if (!*owned) return error_memory(error, size);
        enum status status = unpack(*npy, *owned, size, error);
        if (status != STATUS_OK) return status;
        *npy = (struct bytes){*owned, size};
    }
    if (crc32_z(0, npy->at, npy->size) != entry->crc)
        return error_input(error, "the CRC differs: the data is damaged");
    return STATUS_OK;
}

static enum status read_entry(
    struct tensor_set *set, struct bytes file, const struct zip_entry *entry, struct error *error)
{
    struct bytes npy;
    void *unpacked, *rows = NULL;
    struct tensor tensor;
    enum status status = entry_bytes(file, entry, &npy, &unpacked, error);
    if (status == STATUS_OK) status = npy_read(npy, &tensor, &rows, error);
    if (status != STATUS_OK || rows) {
        free(unpacked);
        unpacked = NULL;
    }
    if (status != STATUS_OK) return status;
    return tensor_set_append(
        set, entry->name, entry->name_length - strlen(".npy"), &tensor, rows ? rows : unpacked, error);
}

/* Puts the entry's name, or the start of a long one, in front of a message. */
static void name_entry(const struct zip_entry *entry, enum status status, struct error *error)
{
    int length = entry->name_length < 200 ? (int)entry->name_length : 200;
    error_prefix(error, status, "entry %.*s: ", length, entry->name);
}

static enum status read_entries(struct bytes file, struct directory directory, struct zip_entry *entries,
    struct tensor_set *set, struct error *error)
{
    const unsigned char *at = file.at + directory.offset, *end = at + directory.size;
    size_t count = (size_t)directory.entries;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = read_central(&at, end, &entries[i], error);
        if (status != STATUS_OK) return status;
        status = check_entry(file, directory.offset, &entries[i], error);
        name_entry(&entries[i], status, error);
    }
    if (status == STATUS_OK && at != end)
        status = error_input(error, "zip archive: its directory holds more than it says");
    if (status != STATUS_OK || count == 0) return status;

    qsort(entries, count, sizeof *entries, compare_places);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (i > 0 && entries[i].local < entries[i - 1].end)
            status = error_input(error, "it overlaps another entry");
        else
            status = read_entry(set, file, &entries[i], error);
        name_entry(&entries[i], status, error);
    }
    return status;
}

enum status npz_read(struct tensor_set *set, struct bytes file, struct error *error)
{
    struct directory directory = {0};
    enum status status = find_directory(file, &directory, error);
    if (status != STATUS_OK) return status;
    size_t bytes = ((size_t)directory.entries + 1) * sizeof(struct zip_entry);
    struct zip_entry *entries = malloc(bytes);
    if (!entries) return error_memory(error, bytes);
    status = read_entries(file, directory, entries, set, error);
    free(entries);
    return status;
}
