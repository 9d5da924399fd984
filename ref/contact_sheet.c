#include "contact_sheet.h"

#include "font.h"
#include "png_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_SIZE 10.0
#define LINE 17 /* pixels from a label's line to the next */
#define MARGIN 16

/* Every picture has a cell of the same size: the largest picture and the most lines of label. */
struct cells {
    int across, down, width, picture_height, label_lines;
};

static int scale_of(const struct picture *picture, int size)
{
    int longer = picture->width > picture->height ? picture->width : picture->height;
    return longer < size ? size / longer : 1;
}

static int line_count(const char *text)
{
    int lines = 1;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

static struct cells lay_out(
    const struct picture *pictures, const struct sheet_item *items, size_t count, int across, int size)
{
    struct cells cells = {.across = across > 0 ? across : (int)ceil(sqrt((double)count))};
    if (cells.across > (int)count) cells.across = (int)count;
    cells.down = ((int)count + cells.across - 1) / cells.across;
    for (size_t i = 0; i < count; i++) {
        int scale = scale_of(&pictures[i], size);
        if (pictures[i].width * scale > cells.width) cells.width = pictures[i].width * scale;
        if (pictures[i].height * scale > cells.picture_height)
            cells.picture_height = pictures[i].height * scale;
        if (line_count(items[i].label) > cells.label_lines) cells.label_lines = line_count(items[i].label);
    }
    return cells;
}

static void draw_label(struct raster *raster, int middle, int top, int width, const char *label)
{
    const struct colour ink = {40, 44, 52};
    for (int line = 0; *label; line++) {
        char text[256], fitted[256];
        size_t length = strcspn(label, "\n");
        snprintf(text, sizeof text, "%.*s", (int)length, label);
        font_draw(raster, middle, top + line * LINE + LABEL_SIZE + 6,
            font_fit(text, LABEL_SIZE, width + MARGIN - 4, fitted, sizeof fitted), LABEL_SIZE, TEXT_CENTRE,
            ink);
        label += length + (label[length] == '\n');
    }
}

static enum status draw_and_write(const char *path, const struct picture *pictures,
    const struct sheet_item *items, size_t count, struct cells cells, int size, struct error *error)
{
    struct raster raster;
    int cell_height = cells.picture_height + cells.label_lines * LINE + 6;
    double width = MARGIN + (double)cells.across * (cells.width + MARGIN);
    double height = MARGIN + (double)cells.down * (cell_height + MARGIN);
    if (width > RASTER_MAX_SIDE || height > RASTER_MAX_SIDE)
        return error_input(error, "the sheet would be %.0f x %.0f pixels; sides go up to %d", width, height,
            RASTER_MAX_SIDE);
    enum status status = raster_create(&raster, (int)width, (int)height, COLOUR_WHITE, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        int scale = scale_of(&pictures[i], size);
        int left = MARGIN + (int)i % cells.across * (cells.width + MARGIN);
        int top = MARGIN + (int)i / cells.across * (cell_height + MARGIN);
        int inset = (cells.width - pictures[i].width * scale) / 2;
        raster_picture(
            &raster, left + inset, top, pictures[i].pixels, pictures[i].width, pictures[i].height, scale);
        draw_label(&raster, left + cells.width / 2, top + cells.picture_height, cells.width, items[i].label);
    }
    if (status == STATUS_OK)
        status = png_write(path, raster.pixels, raster.width, raster.height,
            &(struct png_text){"Software", "plumb sheet"}, 1, error);
    raster_free(&raster);
    return status;
}

enum status contact_sheet_write(
    const char *path, const struct sheet_item *items, size_t count, int across, int size, struct error *error)
{
    if (count == 0) return error_input(error, "a contact sheet needs a picture");
    struct picture *pictures = calloc(count, sizeof *pictures);
    if (!pictures) return error_memory(error, count * sizeof *pictures);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = png_read(items[i].path, &pictures[i], error);
    if (status == STATUS_OK)
        status = draw_and_write(
            path, pictures, items, count, lay_out(pictures, items, count, across, size), size, error);
    for (size_t i = 0; i < count; i++) picture_free(&pictures[i]);
    free(pictures);
    return status;
}
