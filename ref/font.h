/*
 * Plumb's own letters, drawn with strokes, so that they can have any size: printable ASCII. Any other
 * character is shown as a box.
 *
 * A size is the height of a capital letter in pixels. Strings are UTF-8.
 */
#ifndef REF_FONT_H
#define REF_FONT_H

#include "raster.h"

/* How far `text` reaches from left to right, in pixels. */
double font_width(const char *text, double size);

enum text_anchor { TEXT_LEFT, TEXT_CENTRE, TEXT_RIGHT };

/* Draws `text` with its baseline at `y` and its left end, middle or right end at `x`. */
void font_draw(struct raster *raster, double x, double y, const char *text, double size,
    enum text_anchor anchor, struct colour colour);

/* The same, turned a quarter to the left (read from the bottom up): the baseline is the vertical through `x`,
 * and the text's left end, middle or right end is at `y`. */
void font_draw_upwards(struct raster *raster, double x, double y, const char *text, double size,
    enum text_anchor anchor, struct colour colour);

/* Copies as much of `text` as fits in `width` pixels to `buffer`, with "..." in place of what does not.
 * Returns `buffer`. */
const char *font_fit(const char *text, double size, double width, char *buffer, size_t buffer_size);

#endif
