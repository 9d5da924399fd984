#include "raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status raster_create(
    struct raster *raster, int width, int height, struct colour background, struct error *error)
{
    *raster = (struct raster){0};
    if (width < 1 || height < 1 || width > RASTER_MAX_SIDE || height > RASTER_MAX_SIDE)
        return error_input(
            error, "a picture of %d x %d pixels: sides go from 1 to %d", width, height, RASTER_MAX_SIDE);
    size_t pixels = (size_t)width * (size_t)height;
    raster->pixels = malloc(3 * pixels);
    raster->coverage = calloc(pixels, 1);
    if (!raster->pixels || !raster->coverage) {
        raster_free(raster);
        return error_memory(error, 4 * pixels);
    }
    raster->width = width;
    raster->height = height;
    raster->dirty_left = width;
    raster->dirty_top = height;
    raster_fill(raster, 0, 0, width, height, background);
    return STATUS_OK;
}

void raster_free(struct raster *raster)
{
    free(raster->pixels);
    free(raster->coverage);
    *raster = (struct raster){0};
}

static int clamp(int value, int minimum, int maximum)
{
    return value < minimum ? minimum : value > maximum ? maximum : value;
}

/* A coordinate as a pixel number; what is far outside stays outside, and NaN is nowhere special. */
static int to_pixel(double coordinate, int maximum)
{
    if (!(coordinate > 0)) return 0;
    return coordinate >= maximum ? maximum : (int)coordinate;
}

void raster_fill(struct raster *raster, int x, int y, int width, int height, struct colour colour)
{
    int left = clamp(x, 0, raster->width), right = clamp(x + width, 0, raster->width);
    int top = clamp(y, 0, raster->height), bottom = clamp(y + height, 0, raster->height);
    for (int row = top; row < bottom; row++) {
        uint8_t *pixel = raster->pixels + 3 * ((size_t)row * (size_t)raster->width + (size_t)left);
        for (int column = left; column < right; column++, pixel += 3) {
            pixel[0] = colour.red;
            pixel[1] = colour.green;
            pixel[2] = colour.blue;
        }
    }
}

/* --- Strokes: the coverage of a pixel follows from the distance of its centre to the stroke --- */

/* 1 inside, 0 outside, and a ramp one pixel wide across the edge. */
static uint8_t coverage_at(double distance_to_edge)
{
    double covered = 0.5 - distance_to_edge;
    return (uint8_t)(255 * (covered < 0 ? 0 : covered > 1 ? 1 : covered) + 0.5);
}

static void cover(struct raster *raster, int column, int row, uint8_t covered)
{
    uint8_t *place = raster->coverage + (size_t)row * (size_t)raster->width + (size_t)column;
    if (covered > *place) *place = covered;
}

/* The pixels of a box, one pixel wider all round, become part of what the next paint looks at. */
static struct raster_clip touch(struct raster *raster, double left, double top, double right, double bottom)
{
    struct raster_clip box = {
        to_pixel(left - 1, raster->width),
        to_pixel(top - 1, raster->height),
        to_pixel(right + 2, raster->width),
        to_pixel(bottom + 2, raster->height),
    };
    if (box.left < raster->dirty_left) raster->dirty_left = box.left;
    if (box.top < raster->dirty_top) raster->dirty_top = box.top;
    if (box.right > raster->dirty_right) raster->dirty_right = box.right;
    if (box.bottom > raster->dirty_bottom) raster->dirty_bottom = box.bottom;
    return box;
}

void raster_line(struct raster *raster, double x0, double y0, double x1, double y1, double thickness)
{
    if (!isfinite(x0 + y0 + x1 + y1)) return;
    double half = thickness / 2, dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
    struct raster_clip box =
        touch(raster, fmin(x0, x1) - half, fmin(y0, y1) - half, fmax(x0, x1) + half, fmax(y0, y1) + half);
    for (int row = box.top; row < box.bottom; row++)
        for (int column = box.left; column < box.right; column++) {
            double px = column + 0.5 - x0, py = row + 0.5 - y0;
            double along = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            along = along < 0 ? 0 : along > 1 ? 1 : along;
            double distance = hypot(px - along * dx, py - along * dy);
            cover(raster, column, row, coverage_at(distance - half));
        }
}

void raster_circle(struct raster *raster, double x, double y, double radius, double thickness)
{
    if (!isfinite(x + y)) return;
    double outer = radius + thickness / 2;
    struct raster_clip box = touch(raster, x - outer, y - outer, x + outer, y + outer);
    for (int row = box.top; row < box.bottom; row++)
        for (int column = box.left; column < box.right; column++) {
            double distance = fabs(hypot(column + 0.5 - x, row + 0.5 - y) - radius);
            cover(raster, column, row, coverage_at(distance - thickness / 2));
        }
}

void raster_disc(struct raster *raster, double x, double y, double radius)
{
    raster_line(raster, x, y, x, y, 2 * radius);
}

void raster_paint(struct raster *raster, struct colour colour)
{
    for (int row = raster->dirty_top; row < raster->dirty_bottom; row++)
        for (int column = raster->dirty_left; column < raster->dirty_right; column++) {
            size_t i = (size_t)row * (size_t)raster->width + (size_t)column;
            int covered = raster->coverage[i];
            if (!covered) continue;
            uint8_t *pixel = raster->pixels + 3 * i;
            pixel[0] = (uint8_t)((pixel[0] * (255 - covered) + colour.red * covered + 127) / 255);
            pixel[1] = (uint8_t)((pixel[1] * (255 - covered) + colour.green * covered + 127) / 255);
            pixel[2] = (uint8_t)((pixel[2] * (255 - covered) + colour.blue * covered + 127) / 255);
            raster->coverage[i] = 0;
        }
    raster->dirty_left = raster->width;
    raster->dirty_top = raster->height;
    raster->dirty_right = raster->dirty_bottom = 0;
}

void raster_erase_outside(struct raster *raster, struct raster_clip keep)
{
    for (int row = raster->dirty_top; row < raster->dirty_bottom; row++)
        for (int column = raster->dirty_left; column < raster->dirty_right; column++)
            if (row < keep.top || row >= keep.bottom || column < keep.left || column >= keep.right)
                raster->coverage[(size_t)row * (size_t)raster->width + (size_t)column] = 0;
}

void raster_picture(
    struct raster *raster, int x, int y, const uint8_t *pixels, int width, int height, int scale)
{
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++) {
            const uint8_t *pixel = pixels + 3 * ((size_t)row * (size_t)width + (size_t)column);
            raster_fill(raster, x + column * scale, y + row * scale, scale, scale,
                (struct colour){pixel[0], pixel[1], pixel[2]});
        }
}
