/*
 * Pictures: strokes, letters, ticks, plots, PNG files and contact sheets.
 */
#include "support.h"

#include "ref/contact_sheet.h"
#include "ref/font.h"
#include "ref/plot.h"
#include "ref/png_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

static struct error error;

static struct raster make_raster(int width, int height)
{
    struct raster raster;
    ck_assert_int_eq(raster_create(&raster, width, height, COLOUR_WHITE, &error), STATUS_OK);
    return raster;
}

static const uint8_t *pixel_at(const struct raster *raster, int x, int y)
{
    return raster->pixels + 3 * ((size_t)y * (size_t)raster->width + (size_t)x);
}

/* How much ink there is: the sum of what is missing to white in the red channel, in whole pixels. */
static double ink(const struct raster *raster)
{
    double sum = 0;
    for (int i = 0; i < raster->width * raster->height; i++) sum += 255 - raster->pixels[3 * i];
    return sum / 255;
}

START_TEST(raster_refuses_impossible_sizes)
{
    struct raster raster;
    ck_assert_int_eq(raster_create(&raster, 0, 5, COLOUR_WHITE, &error), STATUS_BAD_INPUT);
    ck_assert_int_eq(raster_create(&raster, 5, RASTER_MAX_SIDE + 1, COLOUR_WHITE, &error), STATUS_BAD_INPUT);
    ck_assert_ptr_null(raster.pixels);
}
END_TEST

/* The ink of a stroke is its area, wherever it lies between the pixels; two strokes that cover each other
 * count once. */
START_TEST(strokes_have_their_area)
{
    for (int turn = 0; turn < 8; turn++) {
        struct raster raster = make_raster(64, 64);
        double angle = turn * 0.37, length = 40, thickness = 3;
        double x0 = 32.3 - length / 2 * cos(angle), y0 = 31.8 - length / 2 * sin(angle);
        double x1 = 32.3 + length / 2 * cos(angle), y1 = 31.8 + length / 2 * sin(angle);
        raster_line(&raster, x0, y0, x1, y1, thickness);
        raster_line(&raster, x0, y0, x1, y1, thickness);
        raster_paint(&raster, COLOUR_BLACK);
        double area = length * thickness + acos(-1.0) * thickness * thickness / 4;
        ck_assert_msg(
            fabs(ink(&raster) - area) < 0.02 * area, "turn %d: ink %g, area %g", turn, ink(&raster), area);
        raster_free(&raster);
    }
}
END_TEST

START_TEST(strokes_outside_leave_no_mark)
{
    struct raster raster = make_raster(10, 10);
    raster_line(&raster, -50, -50, -20, -50, 4);
    raster_line(&raster, 1e300, 0, 1e300, 5, 4);
    raster_line(&raster, (double)NAN, 0, 5, 5, 4);
    raster_disc(&raster, (double)INFINITY, 3, 2);
    raster_fill(&raster, 20, 20, 5, 5, COLOUR_BLACK);
    raster_fill(&raster, -9, 0, 5, 5, COLOUR_BLACK);
    raster_paint(&raster, COLOUR_BLACK);
    ck_assert_double_eq(ink(&raster), 0);
    raster_free(&raster);
}
END_TEST

START_TEST(erased_strokes_stay_inside)
{
    struct raster raster = make_raster(20, 20);
    raster_line(&raster, 0, 10, 20, 10, 6);
    raster_erase_outside(&raster, (struct raster_clip){5, 0, 9, 20});
    raster_paint(&raster, COLOUR_BLACK);
    ck_assert_int_eq(pixel_at(&raster, 4, 10)[0], 255);
    ck_assert_int_eq(pixel_at(&raster, 5, 10)[0], 0);
    ck_assert_int_eq(pixel_at(&raster, 8, 10)[0], 0);
    ck_assert_int_eq(pixel_at(&raster, 9, 10)[0], 255);
    raster_free(&raster);
}
END_TEST

/* Every printable character but the space is drawn, no two alike, and inside its width. */
START_TEST(letters_are_all_different)
{
    enum { FIRST = '!', LAST = '~', SIDE = 64, COUNT = LAST - FIRST + 1 };
    static uint8_t seen[COUNT][3 * SIDE * SIDE];
    for (int c = FIRST; c <= LAST; c++) {
        struct raster raster = make_raster(SIDE, SIDE);
        char text[2] = {(char)c, 0};
        double width = font_width(text, 28);
        font_draw(&raster, 10, 45, text, 28, TEXT_LEFT, COLOUR_BLACK);
        ck_assert_msg(ink(&raster) > 3, "%c leaves no mark", c);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                if (pixel_at(&raster, x, y)[0] < 128)
                    ck_assert_msg(x >= 7 && x <= 10 + width + 2, "%c is drawn at column %d", c, x);
        memcpy(seen[c - FIRST], raster.pixels, sizeof seen[0]);
        for (int other = FIRST; other < c; other++)
            ck_assert_msg(memcmp(seen[other - FIRST], seen[c - FIRST], sizeof seen[0]) != 0,
                "%c is drawn as %c", other, c);
        raster_free(&raster);
    }
}
END_TEST

START_TEST(text_is_placed_by_its_anchor)
{
    const char *text = "sigma 0.5";
    double width = font_width(text, 10);
    for (enum text_anchor anchor = TEXT_LEFT; anchor <= TEXT_RIGHT; anchor++) {
        struct raster raster = make_raster(300, 40);
        font_draw(&raster, 150, 25, text, 10, anchor, COLOUR_BLACK);
        int left = 300, right = 0;
        for (int x = 0; x < 300; x++)
            for (int y = 0; y < 40; y++)
                if (pixel_at(&raster, x, y)[0] < 200) {
                    left = x < left ? x : left;
                    right = x;
                }
        double expected = 150 - (anchor == TEXT_LEFT ? 0 : anchor == TEXT_CENTRE ? width / 2 : width);
        ck_assert_double_eq_tol(left, expected, 2);
        ck_assert_double_eq_tol(right, expected + width, 3);
        raster_free(&raster);
    }
}
END_TEST

START_TEST(long_text_is_cut_between_characters)
{
    char buffer[64];
    ck_assert_str_eq(font_fit("short", 10, 500, buffer, sizeof buffer), "short");
    const char *cut = font_fit(
        "aaaaaaaaaa\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 10, 110, buffer, sizeof buffer);
    ck_assert(font_width(cut, 10) <= 110);
    size_t length = strlen(cut);
    ck_assert_uint_gt(length, 8);
    ck_assert_str_eq(cut + length - 3, "...");
    ck_assert_int_ne((unsigned char)cut[length - 4], 0xc3); /* half a character */
}
END_TEST

static bool is_round(double tick, double step)
{
    return fabs(tick / step - round(tick / step)) < 1e-6;
}

START_TEST(ticks_are_round_and_inside)
{
    static const double ranges[][2] = {
        {0, 999}, {-3.7, 12.2}, {0.029, 14.6}, {1e-9, 3e-9}, {950, 951}, {-1, 1}, {0, 1e7}};
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
        for (int room = 2; room <= 20; room++) {
            double ticks[PLOT_MAX_TICKS], low = ranges[r][0], high = ranges[r][1];
            size_t count = plot_ticks(low, high, false, room, ticks);
            ck_assert_uint_le(count, (size_t)room);
            if (room >= 5) ck_assert_uint_ge(count, 2);
            for (size_t i = 0; i < count; i++) {
                ck_assert(ticks[i] >= low - 1e-9 * (high - low) && ticks[i] <= high + 1e-9 * (high - low));
                if (i < 1) continue;
                double step = ticks[i] - ticks[i - 1], power = pow(10, floor(log10(step) + 1e-9));
                double mantissa = step / power;
                ck_assert_msg(
                    fabs(mantissa - 1) < 1e-6 || fabs(mantissa - 2) < 1e-6 || fabs(mantissa - 5) < 1e-6,
                    "step %g", step);
                ck_assert(is_round(ticks[i], step));
            }
        }
}
END_TEST

START_TEST(logarithmic_ticks)
{
    double ticks[PLOT_MAX_TICKS];
    size_t count = plot_ticks(0.05, 200, true, 5, ticks);
    ck_assert_uint_eq(count, 4); /* 0.1 1 10 100 */
    for (size_t i = 0; i < count; i++)
        ck_assert_double_eq_tol(ticks[i], pow(10, (double)i - 1), 1e-9 * ticks[i]);
    ck_assert_uint_eq(plot_ticks(1.9, 11, true, 9, ticks), 3); /* 2 5 10 */
    ck_assert_double_eq_tol(ticks[0], 2, 1e-9);
    ck_assert_uint_eq(plot_ticks(0, 10, true, 9, ticks), 0);
    ck_assert_uint_eq(plot_ticks(3, 3, false, 9, ticks), 0);
}
END_TEST

/* Finds pixels that are nearly of a colour. */
static int count_colour(const struct raster *raster, struct plot_area area, struct colour colour)
{
    int count = 0;
    for (int y = area.y; y < area.y + area.height; y++)
        for (int x = area.x; x < area.x + area.width; x++) {
            const uint8_t *p = pixel_at(raster, x, y);
            count += abs(p[0] - colour.red) + abs(p[1] - colour.green) + abs(p[2] - colour.blue) < 12;
        }
    return count;
}

START_TEST(plots_stay_in_their_area)
{
    double x[] = {0, 1, 2, 3, 4}, y[] = {100, 10, 1, 0, (double)INFINITY}, z[] = {1, 2, (double)NAN, 3, 4};
    struct plot_series series[] = {{"a", x, y, 5}, {"b", x, z, 5}};
    struct plot plot = {"title", "x", "y", true, series, 2};
    struct plot_area area = {100, 50, 300, 220};
    struct raster raster = make_raster(500, 320);
    ck_assert_int_eq(plot_draw(&raster, area, &plot, &error), STATUS_OK);
    for (size_t s = 0; s < 2; s++) ck_assert_int_gt(count_colour(&raster, area, plot_colour(s)), 40);
    double all = ink(&raster);
    raster_fill(&raster, area.x, area.y, area.width, area.height, COLOUR_WHITE);
    ck_assert(all > 100);
    ck_assert_double_eq(ink(&raster), 0);
    ck_assert_int_eq(plot_draw(&raster, (struct plot_area){0, 0, 50, 50}, &plot, &error), STATUS_BAD_INPUT);
    raster_free(&raster);
}
END_TEST

START_TEST(legends_take_the_rows_they_need)
{
    struct plot_series series[] = {
        {"one", NULL, NULL, 0}, {"another schedule", NULL, NULL, 0}, {"a third", NULL, NULL, 0}};
    int one_row = plot_legend(NULL, (struct plot_area){0, 0, 800, 0}, series, 3);
    int three_rows = plot_legend(NULL, (struct plot_area){0, 0, 200, 0}, series, 3);
    ck_assert_int_gt(one_row, 0);
    ck_assert_int_eq(three_rows, 3 * one_row);
}
END_TEST

/* --- PNG ---------------------------------------------------------------------------------- */

START_TEST(png_round_trip)
{
    char *folder = temporary_folder();
    const char *path = path_in(folder, "p.png");
    uint8_t pixels[5 * 7 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37 + 11);
    char ascii[] = "{\"prompt\": \"a star\"}", unicode[] = "\xe2\x98\x85 \xc3\xa9toile", key[] = "recipe",
         other[] = "title";
    struct png_text texts[] = {{key, ascii}, {other, unicode}};
    ck_assert_int_eq(png_write(path, pixels, 5, 7, texts, 2, &error), STATUS_OK);
    struct picture picture;
    ck_assert_msg(png_read(path, &picture, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(picture.width, 5);
    ck_assert_int_eq(picture.height, 7);
    ck_assert_mem_eq(picture.pixels, pixels, sizeof pixels);
    ck_assert_uint_eq(picture.text_count, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(picture.texts[i].key, texts[i].key);
        ck_assert_str_eq(picture.texts[i].text, texts[i].text);
    }
    picture_free(&picture);
    remove_folder(folder);
}
END_TEST

START_TEST(png_bytes_are_the_same_every_time)
{
    char *folder = temporary_folder();
    const char *paths[] = {path_in(folder, "a.png"), path_in(folder, "b.png")};
    uint8_t pixels[30 * 20 * 3] = {1, 2, 3};
    unsigned char *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(png_write(paths[i], pixels, 30, 20, NULL, 0, &error), STATUS_OK);
        bytes[i] = read_bytes(paths[i], &sizes[i]);
    }
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(bytes[0], bytes[1], sizes[0]);
    free(bytes[0]);
    free(bytes[1]);
    remove_folder(folder);
}
END_TEST

/* A PNG that ends anywhere before its end is refused, and nothing is left of it. */
START_TEST(damaged_png_is_refused)
{
    char *folder = temporary_folder();
    const char *path = path_in(folder, "p.png"), *cut = path_in(folder, "cut.png");
    uint8_t pixels[16 * 16 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i);
    ck_assert_int_eq(png_write(path, pixels, 16, 16, NULL, 0, &error), STATUS_OK);
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    struct picture picture;
    for (size_t length = 0; length < size - 12; length += 7) {
        write_bytes(cut, bytes, length);
        ck_assert_msg(png_read(cut, &picture, &error) == STATUS_BAD_INPUT, "%zu of %zu bytes", length, size);
        ck_assert_ptr_nonnull(strstr(error.message, "cut.png"));
        ck_assert_ptr_null(picture.pixels);
    }
    bytes[16] = 0x7f; /* a width of two thousand million */
    write_bytes(cut, bytes, size);
    ck_assert_int_eq(png_read(cut, &picture, &error), STATUS_BAD_INPUT);
    ck_assert_int_eq(png_read(folder, &picture, &error), STATUS_BAD_INPUT);
    free(bytes);
    remove_folder(folder);
}
END_TEST

/* A file of a hundred bytes that speaks of gigabytes is refused before there is memory for them: by its
 * sides, and by the length of its text. */
START_TEST(small_png_asks_for_little)
{
    enum { SIDES_AT = 16, SUM_AT = 29, TEXT_AT = 33 };
    char *folder = temporary_folder(), key[] = "recipe", text[] = "{}";
    const char *path = path_in(folder, "small.png");
    const uint8_t pixels[3] = {0}, sides[] = {0, 1, 0, 0, 0, 1, 0, 0}, length[] = {0x7f, 0xff, 0xff, 0xff};
    const struct png_text texts[] = {{key, text}};
    struct picture picture;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int which = 0; which < 2; which++) {
        size_t size;
        ck_assert_int_eq(png_write(path, pixels, 1, 1, texts, 1, &error), STATUS_OK);
        unsigned char *bytes = read_bytes(path, &size);
        if (which == 0) {
            memcpy(bytes + SIDES_AT, sides, sizeof sides);
            const uint32_t sum = (uint32_t)crc32(0, bytes + 12, SUM_AT - 12);
            for (int i = 0; i < 4; i++) bytes[SUM_AT + i] = (unsigned char)(sum >> (24 - 8 * i));
        } else {
            memcpy(bytes + TEXT_AT, length, sizeof length);
        }
        write_bytes(path, bytes, size);
        ck_assert_int_eq(png_read(path, &picture, &error), STATUS_BAD_INPUT);
        if (which == 0) ck_assert_ptr_nonnull(strstr(error.message, "its pixels take 12884901888 bytes"));
        free(bytes);
    }
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 64 << 10);
    remove_folder(folder);
}
END_TEST

START_TEST(png_that_cannot_be_written_leaves_nothing)
{
    char *folder = temporary_folder();
    const char *path = path_in(folder, "missing/p.png");
    uint8_t pixels[3] = {0};
    ck_assert_int_ne(png_write(path, pixels, 1, 1, NULL, 0, &error), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(error.message, "missing"));
    ck_assert_int_eq(png_write(path, pixels, 0, 1, NULL, 0, &error), STATUS_BAD_INPUT);
    ck_assert_int_ne(access(path, F_OK), 0);
    remove_folder(folder);
}
END_TEST

START_TEST(contact_sheet_enlarges_by_whole_numbers)
{
    char *folder = temporary_folder();
    const char *small = path_in(folder, "small.png"), *sheet = path_in(folder, "sheet.png");
    const uint8_t pixels[2 * 2 * 3] = {200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9};
    ck_assert_int_eq(png_write(small, pixels, 2, 2, NULL, 0, &error), STATUS_OK);
    struct sheet_item items[] = {{"one", small}, {"two\nlines", small}, {"three", small}};
    ck_assert_int_eq(contact_sheet_write(sheet, items, 3, 3, 41, &error), STATUS_OK);
    struct picture picture;
    ck_assert_int_eq(png_read(sheet, &picture, &error), STATUS_OK);
    int squares[4] = {0};
    for (int i = 0; i < picture.width * picture.height; i++)
        for (int p = 0; p < 4; p++) squares[p] += memcmp(picture.pixels + 3 * i, pixels + 3 * p, 3) == 0;
    for (int p = 0; p < 4; p++) ck_assert_int_eq(squares[p], 3 * 20 * 20);
    ck_assert_int_gt(picture.width, 3 * 40);
    picture_free(&picture);
    items[1].path = "missing.png";
    ck_assert_int_eq(contact_sheet_write(sheet, items, 3, 0, 41, &error), STATUS_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(error.message, "missing.png"));
    remove_folder(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plot");
    TCase *drawing = tcase_create("drawing");
    tcase_add_test(drawing, raster_refuses_impossible_sizes);
    tcase_add_test(drawing, strokes_have_their_area);
    tcase_add_test(drawing, strokes_outside_leave_no_mark);
    tcase_add_test(drawing, erased_strokes_stay_inside);
    tcase_add_test(drawing, letters_are_all_different);
    tcase_add_test(drawing, text_is_placed_by_its_anchor);
    tcase_add_test(drawing, long_text_is_cut_between_characters);
    suite_add_tcase(suite, drawing);
    TCase *plots = tcase_create("plots");
    tcase_add_test(plots, ticks_are_round_and_inside);
    tcase_add_test(plots, logarithmic_ticks);
    tcase_add_test(plots, plots_stay_in_their_area);
    tcase_add_test(plots, legends_take_the_rows_they_need);
    suite_add_tcase(suite, plots);
    TCase *files = tcase_create("files");
    tcase_add_test(files, png_round_trip);
    tcase_add_test(files, png_bytes_are_the_same_every_time);
    tcase_add_test(files, damaged_png_is_refused);
    tcase_add_test(files, small_png_asks_for_little);
    tcase_add_test(files, png_that_cannot_be_written_leaves_nothing);
    tcase_add_test(files, contact_sheet_enlarges_by_whole_numbers);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
