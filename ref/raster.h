/*
 * A picture in memory and the few shapes that plots need: rectangles, antialiased lines and discs, other
 * pictures enlarged. Coordinates are pixels from the upper left corner; the centre of the first pixel is
 * (0.5, 0.5). Shapes may reach over the picture's edge; what lies outside is cut off.
 */
#ifndef REF_RASTER_H
#define REF_RASTER_H

#include "sched/error.h"

#include <stdint.h>

struct colour {
    uint8_t red, green, blue;
};

#define COLOUR_WHITE ((struct colour){255, 255, 255})
#define COLOUR_BLACK ((struct colour){0, 0, 0})

/* Sides are limited so that no product of them overflows and no picture is larger than 3 GiB. */
#define RASTER_MAX_SIDE 32768

struct raster {
    int width, height;
    uint8_t *pixels;   /* [height, width, 3], red, green, blue */
    uint8_t *coverage; /* [height, width]: how much of each pixel the strokes drawn so far cover, 0..255 */
    int dirty_left, dirty_top, dirty_right, dirty_bottom; /* where `coverage` may be other than 0 */
};

/* A picture of one colour. Sides from 1 to RASTER_MAX_SIDE, at most 2^30 pixels. */
enum status raster_create(
    struct raster *raster, int width, int height, struct colour background, struct error *error);
void raster_free(struct raster *raster); /* accepts what was half built */

/* Fills whole pixels: columns [x, x + width), rows [y, y + height). */
void raster_fill(struct raster *raster, int x, int y, int width, int height, struct colour colour);

/* Strokes are gathered and then painted at once, so that strokes that meet or cross are not blended twice. */
void raster_line(struct raster *raster, double x0, double y0, double x1, double y1, double thickness);
void raster_circle(struct raster *raster, double x, double y, double radius, double thickness);
void raster_disc(struct raster *raster, double x, double y, double radius);
void raster_paint(struct raster *raster, struct colour colour);

/* Takes back what the strokes gathered so far cover outside of columns [left, right) and rows [top,
 * bottom). */
struct raster_clip {
    int left, top, right, bottom;
};
void raster_erase_outside(struct raster *raster, struct raster_clip keep);

/* Draws a picture [height, width, 3], each of its pixels a square of `scale` pixels, with its corner at x,
 * y. */
void raster_picture(
    struct raster *raster, int x, int y, const uint8_t *pixels, int width, int height, int scale);

#endif
