/*
 * The pictures of README.md, configs/pictures/, are those that the program draws (configs/pictures.sh): pixel
 * by pixel, since the file around them is the business of libpng and zlib.
 */
#include "program.h"

#include "ref/png_file.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_picture(const char *path, struct picture *picture)
{
    struct error error = {""};
    ck_assert_msg(
        png_read(path, picture, &error) == STATUS_OK, "%s; make pictures draws them", error.message);
}

/* How many pixels of two pictures of one size differ. */
static size_t differing(const struct picture *a, const struct picture *b)
{
    size_t count = 0, pixels = (size_t)a->width * (size_t)a->height;
    for (size_t i = 0; i < pixels; i++) count += memcmp(a->pixels + 3 * i, b->pixels + 3 * i, 3) != 0;
    return count;
}

START_TEST(pictures_are_what_is_drawn)
{
    const char *program = getenv("PLUMB");
    char command[1024];
    snprintf(command, sizeof command, "PLUMB=%s configs/pictures.sh %s/drawn >%s/said 2>&1",
        program ? program : "build/plumb", test_folder, test_folder);
    int status = system(command);
    char *said = read_whole_text(path_in(test_folder, "said"));
    ck_assert_msg(status == 0, "configs/pictures.sh fails:\n%s", said);
    free(said);

    glob_t drawn;
    ck_assert_int_eq(glob(path_in(test_folder, "drawn/*"), 0, NULL, &drawn), 0);
    ck_assert_msg(drawn.gl_pathc == count_entries("configs/pictures"),
        "configs/pictures has %zu files, %zu are drawn", count_entries("configs/pictures"), drawn.gl_pathc);
    for (size_t i = 0; i < drawn.gl_pathc; i++) {
        const char *name = strrchr(drawn.gl_pathv[i], '/') + 1;
        struct picture ours = {0}, committed = {0};
        read_picture(drawn.gl_pathv[i], &ours);
        read_picture(path_in("configs/pictures", "%s", name), &committed);
        ck_assert_msg(ours.width == committed.width && ours.height == committed.height,
            "configs/pictures/%s is %dx%d, the program draws %dx%d", name, committed.width, committed.height,
            ours.width, ours.height);
        size_t count = differing(&ours, &committed);
        ck_assert_msg(count == 0,
            "configs/pictures/%s: %zu pixels are not what the program draws; make pictures "
            "draws them",
            name, count);
        picture_free(&ours);
        picture_free(&committed);
    }
    globfree(&drawn);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pictures");
    TCase *tcase = tcase_create("pictures");
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, pictures_are_what_is_drawn);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
