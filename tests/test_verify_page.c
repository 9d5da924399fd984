/*
 * The page of HTML that is written of a verification: whole and alone, with its pictures, from verifications
 * made by hand and from a run of the program.
 */
#include "program.h"
#include "report_support.h"

#include "ref/png_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct made_report made;

static void set_up(void)
{
    make_test_folder();
    make_report(&made);
}

static void tear_down(void)
{
    free_report(&made);
    drop_program_folder();
}

START_TEST(pages_are_whole_and_alone)
{
    add_many_rows(&made);
    char *page = written_page(&made), *again = written_page(&made);
    ck_assert_str_eq(page, again);
    ck_assert_uint_gt(expect_well_formed(page), 500);
    expect_self_contained(page);
    ck_assert_uint_eq(count_in(page, "http"), count_in(page, "src=&#39;http"));
    ck_assert_uint_gt(
        count_in(page, "&lt;/title&gt;&lt;script src=&#39;http://a&#39;&gt;&quot;&amp;\\x1b[31m\\xff"), 0);
    ck_assert_ptr_null(strstr(page, "\xe2\x80\xae"));
    expect_in(page, "<title>step.03.noise_pred_text is wrong: 41 floors");
    ck_assert_uint_eq(count_in(page, "<tr class=\""), made.verification.count);
    ck_assert_uint_eq(count_in(page, "<svg class=\"wide\""), 1);
    ck_assert_uint_eq(count_in(page, "<svg class=\"narrow\""), 1);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) {
        struct verify_stage_summary summary = verify_summarise(&made.verification, stage);
        char heading[80];
        snprintf(heading, sizeof heading, "<span class=\"stage\">%s</span>", verify_stage_names[stage]);
        ck_assert_uint_eq(count_in(page, heading), summary.rows > 0);
    }
    free(page);
    free(again);
}
END_TEST

/* The bytes of the `index`-th picture of a page; the caller frees them. */
static unsigned char *picture_bytes(const char *page, size_t index, size_t *size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = page;
    for (size_t i = 0; i <= index; i++) {
        at = strstr(at, "base64,");
        ck_assert_ptr_nonnull(at);
        at += strlen("base64,");
    }
    size_t length = strcspn(at, "\"");
    ck_assert_uint_eq(length % 4, 0);
    unsigned char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    *size = 0;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t bits = 0;
        int padding = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *digit = strchr(digits, at[i + k]);
            padding += at[i + k] == '=';
            ck_assert(digit || at[i + k] == '=');
            bits = bits << 6 | (uint32_t)(digit && at[i + k] != '=' ? digit - digits : 0);
        }
        for (int k = 0; k < 3 - padding; k++) bytes[(*size)++] = (unsigned char)(bits >> (16 - 8 * k));
    }
    return bytes;
}

START_TEST(heat_maps_are_pictures)
{
    add_many_rows(&made);
    char *page = written_page(&made);
    size_t size, maps = count_in(page, "<figure>");
    ck_assert_uint_eq(maps, 3); /* what is not rounding and has an exact value */
    for (size_t i = 0; i < maps; i++) {
        unsigned char *bytes = picture_bytes(page, i, &size);
        const char *path = path_in(test_folder, "map.png");
        struct picture picture = {0};
        struct error error = {""};
        write_bytes(path, bytes, size);
        ck_assert_msg(png_read(path, &picture, &error) == STATUS_OK, "%s", error.message);
        ck_assert_int_gt(picture.width, 100);
        picture_free(&picture);
        free(bytes);
    }
    /* Without exact values there are none, and the rest is the same page. */
    made.report.exact = NULL;
    char *without = written_page(&made);
    ck_assert_uint_eq(count_in(without, "<figure>"), 0);
    expect_well_formed(without);
    free(page);
    free(without);
}
END_TEST

/* Bytes [B, H, W, 3]: one panel for each picture and colour, and one of 2 * 4 * 5 * 3 elements differs. */
START_TEST(bytes_are_drawn_as_planes)
{
    uint8_t bytes[2 * 4 * 5 * 3] = {0};
    struct tensor t = {.dtype = DTYPE_U8, .rank = 4, .shape = {2, 4, 5, 3}, .data = bytes};
    struct verify_row *row = add_report_row(&made, "image_u8", VERIFY_WRONG, 9);
    tensor_set_free(made.exact);
    made.exact = empty_set();
    add_tensor(made.exact, "image_u8", &t);
    const struct tensor *exact = tensor_set_find(made.exact, "image_u8");
    bytes[((1 * 4 + 2) * 5 + 3) * 3 + 1] = 1;
    row->error = tensor_difference(&t, exact);
    finish_report(&made);
    row->theirs = &t;
    char *page = written_page(&made);
    expect_in(page, "largest 1 at [1, 2, 3, 1]");
    size_t size, lit = 0;
    unsigned char *png = picture_bytes(page, 0, &size);
    const char *path = path_in(test_folder, "map.png");
    struct picture picture = {0};
    write_bytes(path, png, size);
    ck_assert_int_eq(png_read(path, &picture, NULL), STATUS_OK);
    /* 3 panels across and 2 down, or another number of them: sides of whole pixels an element. */
    double across = 0, down = 0;
    for (int y = 0; y < picture.height; y++)
        for (int x = 0; x < picture.width; x++) {
            const uint8_t *pixel = picture.pixels + 3 * ((size_t)y * (size_t)picture.width + (size_t)x);
            if (pixel[0] != 253) continue;
            lit++, across += x, down += y;
        }
    ck_assert_uint_gt(lit, 100);
    /* Panel 4 of 6: in the middle of the lower row; column 3 of 5, row 2 of 4. */
    ck_assert_double_eq_tol(across / (double)lit / picture.width, (1 + 3.5 / 5) / 3, 0.02);
    ck_assert_double_eq_tol(down / (double)lit / picture.height, (1 + 2.5 / 4) / 2, 0.02);
    picture_free(&picture);
    free(png);
    free(page);
}
END_TEST

START_TEST(the_worst_rows_are_drawn_first)
{
    add_many_rows(&made);
    const struct verify_row *rows[VERIFY_HEATMAPS];
    size_t count = verify_rows_to_draw(&made.verification, VERIFY_HEATMAPS, rows);
    ck_assert_uint_eq(count, 4); /* no rounding tensor, since these are more than half */
    ck_assert_str_eq(rows[0]->name, "step.03.noise_pred_text");
    bool nonfinite = false, suspect = false;
    for (size_t i = 0; i < count; i++) {
        nonfinite |= strcmp(rows[i]->name, "image") == 0;
        suspect |= strcmp(rows[i]->name, "step.05.latents") == 0;
        for (size_t k = 0; k < i; k++) ck_assert_ptr_ne(rows[i], rows[k]);
    }
    ck_assert(nonfinite && suspect);
    ck_assert_uint_eq(verify_rows_to_draw(&made.verification, 1, rows), 1);
}
END_TEST

/* One error beside an exact answer of zeros does not press all others together. */
START_TEST(what_is_beyond_the_axis_is_at_its_end)
{
    add_report_row(&made, "act.unet.conv_in", VERIFY_ROUNDING, 1);
    add_report_row(&made, "act.unet.mid_block", VERIFY_WRONG, 1)->multiple = 1.8e45;
    finish_report(&made);
    char *page = written_page(&made);
    expect_well_formed(page);
    expect_in(page, ">1e8</text>");
    ck_assert_ptr_null(strstr(page, ">1e9</text>"));
    expect_in(page, "1.80e45 floors");
    free(page);
}
END_TEST

START_TEST(thousands_of_rows)
{
    for (int step = 0; step < 100; step++)
        for (int module = 0; module < 30; module++) {
            char name[80];
            snprintf(name, sizeof name, "step.%02d.act.unet.mid_block.resnets.%d", step, module);
            bool bad = step > 50 && module > 20;
            add_report_row(
                &made, name, bad ? VERIFY_WRONG : VERIFY_ROUNDING, bad ? 1e3 * step : 1 + 0.01 * module);
        }
    finish_report(&made);
    char *page = written_page(&made), *table = written_table(&made, false, false);
    expect_well_formed(page);
    ck_assert_uint_eq(count_in(page, "<tr class=\""), 3000);
    ck_assert_uint_lt(strlen(page), 4000000);
    ck_assert_uint_lt(count_in(table, "\n"), 40); /* a screen */
    expect_in(table, "more, most step.99.act.unet.mid_block.resnets.21");
    free(page);
    free(table);
}
END_TEST

/* --- The program -------------------------------------------------------------------------- */

START_TEST(the_program_writes_a_page)
{
    const char *page_path = path_in(test_folder, "page.html");
    const char *model = golden_path("models/tiny-sd"),
               *trace = golden_path("models/traces/sd-pndm6.safetensors");
    ck_assert_int_eq(plumb("verify %s %s --html %s", model, trace, page_path), 0);
    ck_assert_ptr_null(strchr(out, '\033'));
    expect_in(out, "rounding");
    char *page = read_whole_text(page_path);
    expect_well_formed(page);
    expect_self_contained(page);
    ck_assert_uint_ge(count_in(page, "<figure>"), 3);
    expect_in(page, "Step by step");
    free(page);
    /* No page where there is no place for one, and then no other file either. */
    int status = plumb("verify %s %s --html %s", model, trace, path_in(test_folder, "none/page.html"));
    ck_assert_int_eq(status, STATUS_BAD_INPUT);
    expect_in(err, "none/page.html");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify_page");
    TCase *hand = tcase_create("made by hand");
    tcase_add_checked_fixture(hand, set_up, tear_down);
    tcase_set_timeout(hand, 60);
    tcase_add_test(hand, pages_are_whole_and_alone);
    tcase_add_test(hand, heat_maps_are_pictures);
    tcase_add_test(hand, bytes_are_drawn_as_planes);
    tcase_add_test(hand, the_worst_rows_are_drawn_first);
    tcase_add_test(hand, what_is_beyond_the_axis_is_at_its_end);
    tcase_add_test(hand, thousands_of_rows);
    suite_add_tcase(suite, hand);
    TCase *program = tcase_create("the program");
    tcase_add_checked_fixture(program, make_test_folder, drop_program_folder);
    tcase_set_timeout(program, 60);
    tcase_add_test(program, the_program_writes_a_page);
    suite_add_tcase(suite, program);
    return run_suite(suite);
}
