/*
 * PNG pictures through libpng: 8 bits, red, green, blue.
 */
#ifndef REF_PNG_FILE_H
#define REF_PNG_FILE_H

#include "sched/error.h"

#include <stddef.h>
#include <stdint.h>

/* A text chunk. The keyword is Latin-1, 1 to 79 characters; the text is UTF-8. It becomes a tEXt chunk where
 * it is ASCII, an iTXt chunk otherwise. */
struct png_text {
    char *key, *text;
};

/* Writes pixels [height, width, 3]; the file appears whole or not at all. The bytes depend on the arguments
 * and on the libpng and zlib in use alone: no time stamp. */
enum status png_write(const char *path, const uint8_t *pixels, int width, int height,
    const struct png_text *texts, size_t text_count, struct error *error);

/* The same into memory, without texts; free() it. */
enum status png_encode(
    const uint8_t *pixels, int width, int height, uint8_t **bytes, size_t *size, struct error *error);

struct picture {
    int width, height;
    uint8_t *pixels;        /* [height, width, 3]; allocated */
    struct png_text *texts; /* allocated, with their strings */
    size_t text_count;
};

/* Reads any PNG as 8-bit RGB: palettes and greys are expanded, 16 bits scaled to 8, transparency is laid over
 * white. Sides above 65536 are refused before anything is allocated for them, and so are more pixels than the
 * file's bytes can be unpacked to; texts of more than 64 MiB are passed over. */
enum status png_read(const char *path, struct picture *picture, struct error *error);
void picture_free(struct picture *picture); /* accepts what was half built */

#endif
