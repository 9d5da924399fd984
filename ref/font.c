/*
 * The letters are paths in the notation of SVG with absolute coordinates: M moves, L draws a line, Q a
 * quadratic Bezier curve through its control point's pull. The baseline is y = 14, capitals reach up to y =
 * 0, small letters to 4.6, and descenders down to 18. A path that goes nowhere ("M0 14L0 14") is a dot.
 */
#include "font.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPITAL_HEIGHT 14.0 /* units of the paths below */
#define LETTER_GAP 3.4
#define STROKE 1.55 /* thickness of a stroke */

struct glyph {
    double width;
    const char *path;
};

static const struct glyph glyphs[] = {
    [' '] = {2.4, ""},
    ['!'] = {0, "M0 0L0 9.5M0 13.8L0 13.8"},
    ['"'] = {3, "M0 0L0 4M3 0L3 4"},
    ['#'] = {9, "M3 1L1.5 13M7.5 1L6 13M0.5 5L9 5M0 9L8.5 9"},
    ['$'] = {8, "M7.8 3.4Q7 1.5 4 1.5Q0.5 1.5 0.5 4.3Q0.5 6.5 4 7Q7.8 7.6 7.8 10Q7.8 12.5 4 12.5Q1 12.5 0 "
                "10.7M4 -0.6L4 14.6"},
    ['%'] = {11.5, "M2.5 0Q5 0 5 3Q5 6 2.5 6Q0 6 0 3Q0 0 2.5 0M9.5 0L2.5 14M9 8Q11.5 8 11.5 11Q11.5 14 9 "
                   "14Q6.5 14 6.5 11Q6.5 8 9 8"},
    ['&'] = {10, "M10 14L2.6 4.8Q1.5 3.4 1.5 2.4Q1.5 0 4 0Q6.5 0 6.5 2.4Q6.5 4.2 3.5 5.8Q0 7.6 0 10.4Q0 14 4 "
                 "14Q8.5 14 9.5 7.5"},
    ['\''] = {0, "M0 0L0 4"},
    ['('] = {3, "M3 -1Q0 2.5 0 7.5Q0 12.5 3 16"},
    [')'] = {3, "M0 -1Q3 2.5 3 7.5Q3 12.5 0 16"},
    ['*'] = {6, "M3 1L3 8M0 2.75L6 6.25M6 2.75L0 6.25"},
    ['+'] = {8, "M4 4L4 12M0 8L8 8"},
    [','] = {1, "M1 13.5L0 16.5"},
    ['-'] = {5, "M0 8.5L5 8.5"},
    ['.'] = {0, "M0 13.8L0 13.8"},
    ['/'] = {6, "M6 -0.5L0 15"},
    ['0'] = {8, "M4 0Q8 0 8 7Q8 14 4 14Q0 14 0 7Q0 0 4 0"},
    ['1'] = {8, "M1.2 2.8L4.6 0L4.6 14"},
    ['2'] = {8, "M0.3 3.4Q0.6 0 4 0Q7.6 0 7.6 3.6Q7.6 6 5 8.6L0 14L8 14"},
    ['3'] = {8,
        "M0.4 2.6Q1.2 0 4 0Q7.4 0 7.4 3.3Q7.4 6.5 4 6.5L2.8 6.5M4 6.5Q8 6.5 8 10.2Q8 14 4 14Q0.8 14 0 "
        "11.3"},
    ['4'] = {8, "M6 14L6 0L0 10L8.2 10"},
    ['5'] = {8, "M7.2 0L1 0L0.5 6.2Q2 5 4 5Q8 5 8 9.4Q8 14 3.8 14Q0.8 14 0 11.6"},
    ['6'] = {8, "M7.2 1.8Q6.2 0 4.2 0Q0 0 0 7.6Q0 14 4.1 14Q8 14 8 9.7Q8 5.6 4.2 5.6Q0.6 5.6 0 9"},
    ['7'] = {8, "M0 0L8 0L3 14"},
    ['8'] = {8,
        "M4 0Q7.4 0 7.4 3.3Q7.4 6.6 4 6.6Q0.6 6.6 0.6 3.3Q0.6 0 4 0M4 6.6Q8 6.6 8 10.3Q8 14 4 14Q0 14 "
        "0 10.3Q0 6.6 4 6.6"},
    ['9'] = {8, "M0.8 12.2Q1.8 14 3.8 14Q8 14 8 6.4Q8 0 3.9 0Q0 0 0 4.3Q0 8.4 3.8 8.4Q7.4 8.4 8 5"},
    [':'] = {0, "M0 6L0 6M0 13.8L0 13.8"},
    [';'] = {1, "M1 6L1 6M1 13.5L0 16.5"},
    ['<'] = {7, "M7 3.5L0 8L7 12.5"},
    ['='] = {8, "M0 6L8 6M0 10L8 10"},
    ['>'] = {7, "M0 3.5L7 8L0 12.5"},
    ['?'] = {7, "M0 3Q0.6 0 3.5 0Q7 0 7 3.2Q7 5.2 5 6.6Q3.4 7.8 3.4 10M3.4 13.8L3.4 13.8"},
    ['@'] = {13,
        "M9 5.2L9 9Q9 11 10.8 11Q13 11 13 7Q13 1 7 1Q0.5 1 0.5 8Q0.5 15 7 15Q9.5 15 11 14M9 7.5Q9 5 6.6 "
        "5Q4 5 4 8Q4 11 6.4 11Q9 11 9 8"},
    ['A'] = {10, "M0 14L5 0L10 14M1.8 9.2L8.2 9.2"},
    ['B'] = {8.4,
        "M0 0L0 14L4.4 14Q8.4 14 8.4 10.2Q8.4 6.6 4.4 6.6L0 6.6M0 0L4 0Q7.6 0 7.6 3.3Q7.6 6.6 4 6.6"},
    ['C'] = {9, "M9 3.2Q8 0 4.9 0Q0 0 0 7Q0 14 4.9 14Q8 14 9 10.8"},
    ['D'] = {9, "M0 0L3.6 0Q9 0 9 7Q9 14 3.6 14L0 14L0 0"},
    ['E'] = {7.4, "M7.4 0L0 0L0 14L7.4 14M0 6.7L6.4 6.7"},
    ['F'] = {7.2, "M7.2 0L0 0L0 14M0 6.9L6.2 6.9"},
    ['G'] = {9.4, "M9.2 3Q8 0 4.9 0Q0 0 0 7Q0 14 5 14Q9.4 14 9.4 9.4L9.4 7.6L5.4 7.6"},
    ['H'] = {9, "M0 0L0 14M9 0L9 14M0 6.8L9 6.8"},
    ['I'] = {0, "M0 0L0 14"},
    ['J'] = {6, "M6 0L6 10Q6 14 3 14Q0.4 14 0 11"},
    ['K'] = {8.6, "M0 0L0 14M8 0L0 8.6M3 5.6L8.6 14"},
    ['L'] = {7, "M0 0L0 14L7 14"},
    ['M'] = {11, "M0 14L0 0L5.5 10L11 0L11 14"},
    ['N'] = {9, "M0 14L0 0L9 14L9 0"},
    ['O'] = {10, "M5 0Q10 0 10 7Q10 14 5 14Q0 14 0 7Q0 0 5 0"},
    ['P'] = {8.2, "M0 14L0 0L4.2 0Q8.2 0 8.2 3.8Q8.2 7.6 4.2 7.6L0 7.6"},
    ['Q'] = {10, "M5 0Q10 0 10 7Q10 14 5 14Q0 14 0 7Q0 0 5 0M6.2 10.6L10 15"},
    ['R'] = {8.6, "M0 14L0 0L4.2 0Q8.2 0 8.2 3.6Q8.2 7.2 4.2 7.2L0 7.2M4.6 7.2L8.6 14"},
    ['S'] = {8.2, "M7.7 2.8Q6.9 0 4 0Q0.5 0 0.5 3.5Q0.5 6 4 6.8Q8.2 7.7 8.2 10.5Q8.2 14 4.1 14Q0.8 14 0 11"},
    ['T'] = {9, "M0 0L9 0M4.5 0L4.5 14"},
    ['U'] = {9, "M0 0L0 9Q0 14 4.5 14Q9 14 9 9L9 0"},
    ['V'] = {10, "M0 0L5 14L10 0"},
    ['W'] = {14, "M0 0L3.5 14L7 2.5L10.5 14L14 0"},
    ['X'] = {9, "M0 0L9 14M9 0L0 14"},
    ['Y'] = {9, "M0 0L4.5 7L9 0M4.5 7L4.5 14"},
    ['Z'] = {8.5, "M0 0L8.5 0L0 14L8.5 14"},
    ['['] = {3, "M3 -1L0 -1L0 16L3 16"},
    ['\\'] = {6, "M0 -0.5L6 15"},
    [']'] = {3, "M0 -1L3 -1L3 16L0 16"},
    ['^'] = {7, "M0 5L3.5 0L7 5"},
    ['_'] = {8, "M0 16L8 16"},
    ['`'] = {2, "M0 0L2 2.5"},
    ['a'] = {6.8, "M0.6 6.4Q1.4 4.6 3.6 4.6Q6.8 4.6 6.8 8L6.8 14M6.8 8.8Q0 8.2 0 11.4Q0 14 3 14Q6 14 6.8 11"},
    ['b'] = {7.4, "M0 0L0 14M0 8.6Q0.6 4.6 3.9 4.6Q7.4 4.6 7.4 9.3Q7.4 14 3.9 14Q0.6 14 0 10"},
    ['c'] = {6.6, "M6.6 6.8Q5.8 4.6 3.7 4.6Q0 4.6 0 9.3Q0 14 3.7 14Q5.8 14 6.6 11.8"},
    ['d'] = {7.4, "M7.4 0L7.4 14M7.4 8.6Q6.8 4.6 3.5 4.6Q0 4.6 0 9.3Q0 14 3.5 14Q6.8 14 7.4 10"},
    ['e'] = {7.4, "M0.1 9L7.4 9Q7.4 4.6 3.8 4.6Q0 4.6 0 9.3Q0 14 3.9 14Q6.4 14 7.2 11.8"},
    ['f'] = {4.6, "M4.8 0.2Q1.8 -0.6 1.8 3L1.8 14M0 5L4.4 5"},
    ['g'] = {7.4,
        "M7.4 4.8L7.4 14Q7.4 18 3.7 18Q1.2 18 0.4 16.4M7.4 8.6Q6.8 4.6 3.5 4.6Q0 4.6 0 9.2Q0 13.6 3.5 "
        "13.6Q6.8 13.6 7.4 9.8"},
    ['h'] = {7, "M0 0L0 14M0 8.4Q0.8 4.6 3.8 4.6Q7 4.6 7 8.4L7 14"},
    ['i'] = {0, "M0 4.8L0 14M0 1L0 1"},
    ['j'] = {2, "M2 4.8L2 15Q2 18 -0.6 17.8M2 1L2 1"},
    ['k'] = {6.6, "M0 0L0 14M6 4.8L0 10.6M2.4 8.4L6.6 14"},
    ['l'] = {2, "M0 0L0 12Q0 14 2 14"},
    ['m'] = {11.6,
        "M0 4.8L0 14M0 8.2Q0.6 4.6 3.2 4.6Q5.8 4.6 5.8 8.2L5.8 14M5.8 8.2Q6.4 4.6 9 4.6Q11.6 4.6 11.6 "
        "8.2L11.6 14"},
    ['n'] = {7, "M0 4.8L0 14M0 8.4Q0.8 4.6 3.8 4.6Q7 4.6 7 8.4L7 14"},
    ['o'] = {7.6, "M3.8 4.6Q7.6 4.6 7.6 9.3Q7.6 14 3.8 14Q0 14 0 9.3Q0 4.6 3.8 4.6"},
    ['p'] = {7.4, "M0 4.8L0 18M0 8.6Q0.6 4.6 3.9 4.6Q7.4 4.6 7.4 9.3Q7.4 14 3.9 14Q0.6 14 0 10"},
    ['q'] = {7.4, "M7.4 4.8L7.4 18M7.4 8.6Q6.8 4.6 3.5 4.6Q0 4.6 0 9.3Q0 14 3.5 14Q6.8 14 7.4 10"},
    ['r'] = {4.4, "M0 4.8L0 14M0 8.8Q0.8 4.4 4.4 4.8"},
    ['s'] = {6.4,
        "M6 6.6Q5.2 4.6 3.2 4.6Q0.3 4.6 0.3 6.9Q0.3 8.7 3.2 9.2Q6.4 9.8 6.4 11.6Q6.4 14 3.2 14Q0.8 14 "
        "0 12"},
    ['t'] = {4.6, "M1.8 1.4L1.8 11.4Q1.8 14.2 4.6 13.8M0 4.8L4.4 4.8"},
    ['u'] = {7, "M0 4.8L0 10.2Q0 14 3.2 14Q6.2 14 7 10.2M7 4.8L7 14"},
    ['v'] = {7.2, "M0 4.8L3.6 14L7.2 4.8"},
    ['w'] = {10.8, "M0 4.8L2.7 14L5.4 6L8.1 14L10.8 4.8"},
    ['x'] = {6.8, "M0 4.8L6.8 14M6.8 4.8L0 14"},
    ['y'] = {7.2, "M0 4.8L3.6 13.6M7.2 4.8L3.4 14.6Q2.2 18 0 17.8"},
    ['z'] = {6.6, "M0.2 4.8L6.4 4.8L0 14L6.6 14"},
    ['{'] = {4, "M4 -1Q1.8 -1 1.8 1.4L1.8 5Q1.8 7.5 0 7.5Q1.8 7.5 1.8 10L1.8 13.6Q1.8 16 4 16"},
    ['|'] = {0, "M0 -1L0 17"},
    ['}'] = {4, "M0 -1Q2.2 -1 2.2 1.4L2.2 5Q2.2 7.5 4 7.5Q2.2 7.5 2.2 10L2.2 13.6Q2.2 16 0 16"},
    ['~'] = {8.4, "M0 9Q0.8 6.6 2.6 6.8Q3.4 6.9 4.4 8Q5.4 9.1 6.2 9.1Q7.6 9.2 8.4 7"},
};

static const struct glyph box = {8, "M0 0L8 0L8 14L0 14L0 0"};

/* The glyph of the character at `*text`, which moves on to the next character: UTF-8's continuation bytes
 * belong to the one before. */
static const struct glyph *next_glyph(const char **text)
{
    unsigned char c = (unsigned char)*(*text)++;
    while (((unsigned char)**text & 0xC0) == 0x80) (*text)++;
    return c >= ' ' && c <= '~' ? &glyphs[c] : &box;
}

double font_width(const char *text, double size)
{
    double width = 0;
    bool first = true;
    while (*text) {
        width += next_glyph(&text)->width + (first ? 0 : LETTER_GAP);
        first = false;
    }
    return (width + STROKE) * size / CAPITAL_HEIGHT;
}

/* Where the letters' plane lies on the picture: a point (u, v) of it is at origin + u * across + v * down. */
struct placement {
    double x, y;               /* origin: left end, baseline */
    double across_x, across_y; /* one unit along the text */
    double down_x, down_y;     /* one unit towards the descenders */
};

static void draw_segment(struct raster *raster, const struct placement *p, double u0, double v0, double u1,
    double v1, double thickness)
{
    raster_line(raster, p->x + u0 * p->across_x + v0 * p->down_x, p->y + u0 * p->across_y + v0 * p->down_y,
        p->x + u1 * p->across_x + v1 * p->down_x, p->y + u1 * p->across_y + v1 * p->down_y, thickness);
}

/* Draws one path with its left edge at `u`. The paths are ours, so their grammar is not checked. */
static void draw_path(
    struct raster *raster, const struct placement *placement, const char *path, double u, double thickness)
{
    enum { CURVE_PIECES = 8 };
    double pen_x = 0, pen_y = 0;
    while (*path) {
        char command = *path++;
        double numbers[4] = {0};
        int count = command == 'Q' ? 4 : 2;
        for (int i = 0; i < count; i++) {
            char *end;
            numbers[i] = strtod(path, &end);
            path = end;
        }
        double x = numbers[count - 2], y = numbers[count - 1];
        if (command == 'L')
            draw_segment(
                raster, placement, u + pen_x, pen_y - CAPITAL_HEIGHT, u + x, y - CAPITAL_HEIGHT, thickness);
        double from_x = pen_x, from_y = pen_y;
        for (int i = 1; command == 'Q' && i <= CURVE_PIECES; i++) {
            double t = (double)i / CURVE_PIECES, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
            double to_x = a * pen_x + b * numbers[0] + c * x, to_y = a * pen_y + b * numbers[1] + c * y;
            draw_segment(raster, placement, u + from_x, from_y - CAPITAL_HEIGHT, u + to_x,
                to_y - CAPITAL_HEIGHT, thickness);
            from_x = to_x;
            from_y = to_y;
        }
        pen_x = x;
        pen_y = y;
    }
}

static void draw_text(struct raster *raster, const struct placement *placement, const char *text, double size,
    struct colour colour)
{
    double u = STROKE / 2, thickness = STROKE * size / CAPITAL_HEIGHT;
    if (thickness < 1.1) thickness = 1.1; /* thinner strokes fade into the background */
    while (*text) {
        const struct glyph *glyph = next_glyph(&text);
        draw_path(raster, placement, glyph->path, u, thickness);
        u += glyph->width + LETTER_GAP;
    }
    raster_paint(raster, colour);
}

static double anchor_shift(const char *text, double size, enum text_anchor anchor)
{
    double width = font_width(text, size);
    return anchor == TEXT_LEFT ? 0 : anchor == TEXT_CENTRE ? width / 2 : width;
}

void font_draw(struct raster *raster, double x, double y, const char *text, double size,
    enum text_anchor anchor, struct colour colour)
{
    double unit = size / CAPITAL_HEIGHT;
    struct placement placement = {x - anchor_shift(text, size, anchor), y, unit, 0, 0, unit};
    draw_text(raster, &placement, text, size, colour);
}

void font_draw_upwards(struct raster *raster, double x, double y, const char *text, double size,
    enum text_anchor anchor, struct colour colour)
{
    double unit = size / CAPITAL_HEIGHT;
    struct placement placement = {x, y + anchor_shift(text, size, anchor), 0, -unit, unit, 0};
    draw_text(raster, &placement, text, size, colour);
}

const char *font_fit(const char *text, double size, double width, char *buffer, size_t buffer_size)
{
    snprintf(buffer, buffer_size, "%s", text);
    if (strlen(text) < buffer_size && font_width(buffer, size) <= width) return buffer;
    size_t length = strlen(buffer);
    while (length > 0) {
        length--; /* a whole character: up to and with the byte that starts it */
        while (length > 0 && ((unsigned char)buffer[length] & 0xC0) == 0x80) length--;
        if (length + 4 > buffer_size) continue;
        memcpy(buffer + length, "...", 4);
        if (font_width(buffer, size) <= width) break;
    }
    return buffer;
}
