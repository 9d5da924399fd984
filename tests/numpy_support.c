#include "numpy_support.h"

#include <string.h>
#include <zlib.h>

struct buffer make_npy(int major, const char *dict, const void *data, size_t size)
{
    struct buffer b = {.size = 0};
    size_t start = major == 1 ? 10 : 12, length = (start + strlen(dict) + 1 + 63) / 64 * 64 - start;
    put(&b, "\x93NUMPY", 6);
    put_number(&b, (uint64_t)major, 1);
    put_number(&b, 0, 1);
    put_number(&b, length, major == 1 ? 2 : 4);
    put(&b, dict, strlen(dict));
    while (b.size < start + length - 1) put(&b, " ", 1);
    put(&b, "\n", 1);
    put(&b, data, size);
    return b;
}

/* zlib's raw deflate of a small input. */
static struct buffer deflated(const struct buffer *in)
{
    struct buffer out;
    z_stream stream = {0};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)in->bytes;
    stream.avail_in = (uInt)in->size;
    stream.next_out = out.bytes;
    stream.avail_out = sizeof out.bytes;
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.size = sizeof out.bytes - stream.avail_out;
    deflateEnd(&stream);
    return out;
}

void add_entry(struct zip *zip, const char *name, const struct buffer *npy, int how)
{
    struct buffer packed = how & DEFLATE ? deflated(npy) : *npy;
    uint64_t crc = crc32(0, npy->bytes, (uInt)npy->size), flags = how & DESCRIPTOR ? 8 : 0;
    uint64_t method = how & DEFLATE ? 8 : 0, offset = zip->file.size, silent = how & DESCRIPTOR ? 0 : 1;
    put_number(&zip->file, 0x04034b50, 4);
    put_number(&zip->file, 45, 2);
    put_number(&zip->file, flags, 2);
    put_number(&zip->file, method, 2);
    put_number(&zip->file, 0, 4);
    put_number(&zip->file, silent * crc, 4);
    put_number(&zip->file, how & ZIP64 ? UINT32_MAX : silent * packed.size, 4);
    put_number(&zip->file, how & ZIP64 ? UINT32_MAX : silent * npy->size, 4);
    put_number(&zip->file, strlen(name), 2);
    put_number(&zip->file, how & ZIP64 ? 20 : 0, 2);
    put(&zip->file, name, strlen(name));
    if (how & ZIP64) {
        put_number(&zip->file, 1, 2);
        put_number(&zip->file, 16, 2);
        put_number(&zip->file, npy->size, 8);
        put_number(&zip->file, packed.size, 8);
    }
    put(&zip->file, packed.bytes, packed.size);
    if (how & DESCRIPTOR) {
        put_number(&zip->file, 0x08074b50, 4);
        put_number(&zip->file, crc, 4);
        put_number(&zip->file, packed.size, 4);
        put_number(&zip->file, npy->size, 4);
    }
    struct buffer *d = &zip->directory;
    put_number(d, 0x02014b50, 4);
    put_number(d, 45, 2);
    put_number(d, 45, 2);
    put_number(d, flags, 2);
    put_number(d, method, 2);
    put_number(d, 0, 4);
    put_number(d, crc, 4);
    put_number(d, how & ZIP64 ? UINT32_MAX : packed.size, 4);
    put_number(d, how & ZIP64 ? UINT32_MAX : npy->size, 4);
    put_number(d, strlen(name), 2);
    put_number(d, how & ZIP64 ? 28 : 0, 2);
    put_number(d, 0, 6); /* comment, disk, attributes */
    put_number(d, 0, 4);
    put_number(d, how & ZIP64 ? UINT32_MAX : offset, 4);
    put(d, name, strlen(name));
    if (how & ZIP64) {
        put_number(d, 1, 2);
        put_number(d, 24, 2);
        put_number(d, npy->size, 8);
        put_number(d, packed.size, 8);
        put_number(d, offset, 8);
    }
    zip->count++;
}

struct buffer finish_zip(const struct zip *zip, bool zip64, const char *comment)
{
    struct buffer b = zip->file;
    size_t start = b.size, end;
    put(&b, zip->directory.bytes, zip->directory.size);
    end = b.size;
    if (zip64) {
        put_number(&b, 0x06064b50, 4);
        put_number(&b, 44, 8);
        put_number(&b, 45, 2);
        put_number(&b, 45, 2);
        put_number(&b, 0, 8);
        put_number(&b, zip->count, 8);
        put_number(&b, zip->count, 8);
        put_number(&b, zip->directory.size, 8);
        put_number(&b, start, 8);
        put_number(&b, 0x07064b50, 4);
        put_number(&b, 0, 4);
        put_number(&b, end, 8);
        put_number(&b, 1, 4);
    }
    put_number(&b, 0x06054b50, 4);
    put_number(&b, 0, 4);
    put_number(&b, zip64 ? UINT16_MAX : zip->count, 2);
    put_number(&b, zip64 ? UINT16_MAX : zip->count, 2);
    put_number(&b, zip64 ? UINT32_MAX : zip->directory.size, 4);
    put_number(&b, zip64 ? UINT32_MAX : start, 4);
    put_number(&b, strlen(comment), 2);
    put(&b, comment, strlen(comment));
    return b;
}
