/*
 * A PNG: refused, or a picture that, written once more, has the same pixels. The checksums of the
 * chunks are put right first, without which no change of a valid file would come any further.
 */
#include "fuzz.h"

#include "ref/png_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, FRAME = 12 /* a chunk's length, type and checksum */, MOST_SIDE = 512 };

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_number_at(uint8_t *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void repair(uint8_t *bytes, size_t size)
{
    for (size_t at = SIGNATURE; size - at >= FRAME;) {
        const size_t length = number_at(bytes + at);
        if (length > size - at - FRAME) return;
        put_number_at(bytes + at + 8 + length, (uint32_t)crc32(0, bytes + at + 4, (uInt)(4 + length)));
        at += FRAME + length;
    }
}

/* Whether a small file is a large picture, which would take all of the time. */
static bool is_large(const uint8_t *bytes, size_t size)
{
    const uint8_t *sides = bytes + SIGNATURE + 8;
    return size >= SIGNATURE + 16 && (number_at(sides) > MOST_SIDE || number_at(sides + 4) > MOST_SIDE);
}

static void check(const struct picture *picture)
{
    struct picture again;
    struct error error = {""};
    const char *path = fuzz_file("again.png", "", 0);
    const int width = picture->width, height = picture->height;
    fuzz_require(width >= 1 && height >= 1, "no pixels");
    for (size_t i = 0; i < picture->text_count; i++)
        fuzz_require(
            strlen(picture->texts[i].key) < 80 && strlen(picture->texts[i].text) < INT_MAX, "a text");
    fuzz_require(png_write(path, picture->pixels, width, height, NULL, 0, &error) == STATUS_OK &&
                     png_read(path, &again, &error) == STATUS_OK,
        "%s", error.message);
    fuzz_require(again.width == width && again.height == height &&
                     memcmp(again.pixels, picture->pixels, (size_t)width * (size_t)height * 3) == 0,
        "other pixels");
    picture_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = calloc(size + 1, 1);
    struct picture picture;
    struct error error = {""};
    fuzz_require(bytes, "out of memory");
    if (size > 0) memcpy(bytes, data, size);
    if (size > SIGNATURE) repair(bytes, size);
    const char *path = fuzz_file("picture.png", bytes, size);
    if (!is_large(bytes, size) && fuzz_accepted(png_read(path, &picture, &error), &error)) {
        check(&picture);
        picture_free(&picture);
    }
    free(bytes);
    return 0;
}
