#include "png_file.h"

#include "deflate.h"
#include "output_file.h"

#include "sched/json.h"

#include <errno.h>
#include <png.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_SIDE 65536 /* as of a recipe's pictures */

/* libpng reports a failure by a call that must not return; this one notes the message and jumps back. */
struct failure {
    char message[200];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct failure *failure = png_get_error_ptr(png);
    snprintf(failure->message, sizeof failure->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

/* Warnings are about chunks that Plumb does not read. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* What cannot be written now is found by output_file_commit(), which looks at the stream's error mark. */
static void write_bytes(png_structp png, png_bytep bytes, size_t length)
{
    (void)!fwrite(bytes, 1, length, png_get_io_ptr(png));
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text > 126) return false;
    return true;
}

/* The part that libpng may leave by longjmp: nothing here is allocated but by libpng itself. */
static bool write_png(png_structp png, png_infop info, FILE *stream, const uint8_t *pixels, int width,
    int height, png_textp texts, size_t text_count)
{
    if (setjmp(png_jmpbuf(png))) return false;
    errno = 0;
    png_set_write_fn(png, stream, write_bytes, flush_bytes);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
        PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (text_count) png_set_text(png, info, texts, (int)text_count);
    png_write_info(png, info);
    for (int row = 0; row < height; row++) png_write_row(png, pixels + (size_t)row * 3 * (size_t)width);
    png_write_end(png, NULL);
    return errno != ENOMEM; /* libpng goes on without some of the memory that it asks for, to other bytes */
}

/* `name` is for messages. */
static enum status write_to(FILE *stream, const char *name, const uint8_t *pixels, int width, int height,
    const struct png_text *texts, size_t text_count, struct error *error)
{
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return error_input(
            error, "%s: a picture of %d x %d pixels: sides go from 1 to %d", name, width, height, MAX_SIDE);
    struct failure failure = {"out of memory"};
    png_infop info = NULL;
    png_textp chunks = calloc(text_count ? text_count : 1, sizeof *chunks);
    if (!chunks) return error_memory(error, text_count * sizeof *chunks);
    for (size_t i = 0; i < text_count; i++) {
        bool ascii = is_ascii(texts[i].text);
        chunks[i].compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        chunks[i].key = texts[i].key; /* libpng copies them */
        chunks[i].text = texts[i].text;
    }
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
    enum status status = STATUS_OK;
    info = png ? png_create_info_struct(png) : NULL;
    if (!info || !write_png(png, info, stream, pixels, width, height, chunks, text_count))
        status =
            error_machine(error, "%s: libpng: %s", name, errno == ENOMEM ? "out of memory" : failure.message);
    png_destroy_write_struct(&png, &info);
    free(chunks);
    return status;
}

enum status png_write(const char *path, const uint8_t *pixels, int width, int height,
    const struct png_text *texts, size_t text_count, struct error *error)
{
    struct output_file file = {0};
    enum status status = output_file_open(&file, path, error);
    if (status == STATUS_OK)
        status = write_to(file.stream, path, pixels, width, height, texts, text_count, error);
    if (status == STATUS_OK) status = output_file_commit(&file, error);
    output_file_abandon(&file);
    return status;
}

enum status png_encode(
    const uint8_t *pixels, int width, int height, uint8_t **bytes, size_t *size, struct error *error)
{
    char *memory = NULL;
    *bytes = NULL;
    FILE *stream = open_memstream(&memory, size);
    if (!stream) return error_memory(error, 0);
    enum status status = write_to(stream, "a picture in memory", pixels, width, height, NULL, 0, error);
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed || !memory; /* the last realloc() of all shows only so */
    if (failed && status == STATUS_OK) status = error_memory(error, *size);
    if (status == STATUS_OK)
        *bytes = (uint8_t *)memory;
    else
        free(memory);
    return status;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* What the file's bytes can be unpacked to. */
static size_t unpacked(FILE *stream)
{
    struct stat file;
    if (fstat(fileno(stream), &file) != 0 || !S_ISREG(file.st_mode)) return SIZE_MAX; /* nobody knows */
    return (size_t)file.st_size * DEFLATE_LIMIT;
}

/* libpng asks for as much as a chunk says that it is long, gigabytes for a file of a hundred bytes. It passes
 * over a text for which there is nothing. */
static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    const size_t unpacked = *(const size_t *)png_get_mem_ptr(png), rows = 1 << 20, text = JSON_MAX_FILE;
    const size_t most = unpacked < rows ? rows : unpacked < text ? unpacked : text;
    return size <= most ? malloc(size) : NULL;
}

static void release(png_structp png, png_voidp block)
{
    (void)png;
    free(block);
}

/* Reads up to the pixels, which are `*bytes` as they are stored, and asks libpng for 8-bit RGB; what may be
 * left by longjmp is kept apart, as above. */
static bool read_head(png_structp png, png_infop info, FILE *stream, size_t *bytes)
{
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_user_limits(png, MAX_SIDE, MAX_SIDE);
    png_init_io(png, stream);
    png_read_info(png, info);
    *bytes = png_get_rowbytes(png, info) * png_get_image_height(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    bool transparent =
        png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA || png_get_valid(png, info, PNG_INFO_tRNS);
    if (transparent) {
        png_color_16 white = {.red = 0xFF, .green = 0xFF, .blue = 0xFF, .gray = 0xFF};
        png_set_background(png, &white, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
}

static bool read_pixels(png_structp png, png_infop info, uint8_t *pixels, int width, int height, int passes)
{
    if (setjmp(png_jmpbuf(png))) return false;
    for (int pass = 0; pass < passes; pass++)
        for (int row = 0; row < height; row++)
            png_read_row(png, pixels + (size_t)row * 3 * (size_t)width, NULL);
    png_read_end(png, info);
    return true;
}

static enum status copy_texts(png_structp png, png_infop info, struct picture *picture, struct error *error)
{
    png_textp chunks = NULL;
    int count = 0;
    png_get_text(png, info, &chunks, &count);
    if (count <= 0) return STATUS_OK;
    picture->texts = calloc((size_t)count, sizeof *picture->texts);
    if (!picture->texts) return error_memory(error, (size_t)count * sizeof *picture->texts);
    for (int i = 0; i < count; i++) {
        struct png_text *text = &picture->texts[picture->text_count++];
        text->key = strdup(chunks[i].key);
        text->text = strdup(chunks[i].text ? chunks[i].text : "");
        if (!text->key || !text->text)
            return error_memory(error, strlen(chunks[i].key) + chunks[i].text_length);
    }
    return STATUS_OK;
}

/* libpng tells a lack of memory in the words of damage, and goes on after some; errno knows. */
static enum status refuse_picture(const char *what, const struct failure *failure, struct error *error)
{
    if (errno == ENOMEM) return error_memory(error, 0);
    return error_input(error, "%s: %s", what, failure->message);
}

static enum status read_picture(png_structp png, png_infop info, FILE *stream, struct picture *picture,
    struct failure *failure, struct error *error)
{
    const size_t most = *(const size_t *)png_get_mem_ptr(png);
    size_t stored = 0;
    errno = 0;
    if (!read_head(png, info, stream, &stored))
        return refuse_picture("not a PNG that can be read", failure, error);
    if (stored > most)
        return error_input(
            error, "a damaged PNG: its pixels take %zu bytes, which are not in so few", stored);
    picture->width = (int)png_get_image_width(png, info);
    picture->height = (int)png_get_image_height(png, info);
    size_t row_bytes = 3 * (size_t)picture->width, bytes = row_bytes * (size_t)picture->height;
    if (png_get_rowbytes(png, info) != row_bytes) return error_input(error, "not a PNG with 8-bit colours");
    picture->pixels = calloc(bytes, 1);
    if (!picture->pixels) return error_memory(error, bytes);
    int passes = png_get_interlace_type(png, info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
    if (!read_pixels(png, info, picture->pixels, picture->width, picture->height, passes))
        return refuse_picture("a damaged PNG", failure, error);
    return copy_texts(png, info, picture, error);
}

enum status png_read(const char *path, struct picture *picture, struct error *error)
{
    *picture = (struct picture){0};
    FILE *stream = fopen(path, "rb");
    if (!stream) return error_file(error, path, "cannot be read", errno);
    struct failure failure = {"out of memory"};
    size_t most = unpacked(stream);
    png_structp png = png_create_read_struct_2(
        PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning, &most, allocate, release);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    enum status status =
        info ? read_picture(png, info, stream, picture, &failure, error) : error_memory(error, 0);
    if (status != STATUS_OK && ferror(stream)) /* libpng knows no reasons */
        status = error_file(error, path, "cannot be read", errno);
    else
        status = error_prefix(error, status, "%s: ", path);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(stream);
    if (status != STATUS_OK) picture_free(picture);
    return status;
}

void picture_free(struct picture *picture)
{
    for (size_t i = 0; i < picture->text_count; i++) {
        free(picture->texts[i].key);
        free(picture->texts[i].text);
    }
    free(picture->texts);
    free(picture->pixels);
    *picture = (struct picture){0};
}
