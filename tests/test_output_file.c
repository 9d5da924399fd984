/*
 * A file appears whole or not at all.
 */
#include "file_support.h"

#include "ref/output_file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct output_file open_output(const char *path)
{
    struct output_file file;
    struct error error = {""};
    enum status status = output_file_open(&file, path, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return file;
}

static void expect_content(const char *path, const char *text)
{
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    ck_assert(size == strlen(text) && memcmp(bytes, text, size) == 0);
    free(bytes);
}

START_TEST(nothing_shows_before_the_commit)
{
    const char *fresh = path_in(test_folder, "fresh"), *old = path_in(test_folder, "old");
    write_bytes(old, "old", 3);
    const char *paths[] = {fresh, old};
    for (size_t i = 0; i < 2; i++) {
        struct output_file file = open_output(paths[i]);
        fputs("new", file.stream);
        fflush(file.stream);
        if (i == 0)
            ck_assert_int_ne(access(fresh, F_OK), 0);
        else
            expect_content(old, "old");
        ck_assert_int_eq(output_file_commit(&file, NULL), STATUS_OK);
        expect_content(paths[i], "new");
        output_file_abandon(&file); /* does nothing after a commit */
        expect_content(paths[i], "new");
    }
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

START_TEST(an_abandoned_file_leaves_nothing)
{
    const char *path = path_in(test_folder, "old");
    struct output_file never = {0};
    output_file_abandon(&never);
    write_bytes(path, "old", 3);
    struct output_file file = open_output(path);
    fputs("new", file.stream);
    output_file_abandon(&file);
    output_file_abandon(&file);
    expect_content(path, "old");
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

START_TEST(two_outputs_to_one_path)
{
    const char *path = path_in(test_folder, "x");
    struct output_file one = open_output(path), two = open_output(path);
    fputs("one", one.stream);
    fputs("two", two.stream);
    ck_assert_int_eq(output_file_commit(&two, NULL), STATUS_OK);
    ck_assert_int_eq(output_file_commit(&one, NULL), STATUS_OK);
    expect_content(path, "one");
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

START_TEST(permissions_are_those_of_any_new_file)
{
    mode_t mask = umask(027);
    struct output_file file = open_output(path_in(test_folder, "x"));
    ck_assert_int_eq(output_file_commit(&file, NULL), STATUS_OK);
    umask(mask);
    struct stat info;
    ck_assert_int_eq(stat(path_in(test_folder, "x"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_device_is_written_where_it_is)
{
    struct output_file file = open_output("/dev/null");
    fputs("text", file.stream);
    ck_assert_int_eq(output_file_commit(&file, NULL), STATUS_OK);
    struct stat info;
    ck_assert(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));

    /* A short write is an error, whether it shows while writing (more than the buffer holds) or at the
     * end. */
    for (size_t lines = 1; lines < 100000; lines *= 1000) {
        file = open_output("/dev/full");
        for (size_t i = 0; i < lines; i++) fputs("a line of text\n", file.stream);
        struct error error = {""};
        expect_error(
            output_file_commit(&file, &error), STATUS_MACHINE, &error, "/dev/full", "No space left", NULL);
    }
}
END_TEST

/* More than the buffer holds, so that the write that fails is none of the commit's. */
START_TEST(a_write_that_failed_early_says_why)
{
    const char *path = path_in(test_folder, "x");
    struct output_file file = open_output(path);
    static const char text[100000];
    struct error error = {""};
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); /* no assertion under it: Check has files of its own */
    size_t written = fwrite(text, 1, sizeof text, file.stream);
    enum status status = output_file_commit(&file, &error);
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_uint_lt(written, sizeof text);
    expect_error(status, STATUS_MACHINE, &error, path, "File too large", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
}
END_TEST

START_TEST(places_where_no_file_can_be)
{
    write_bytes(path_in(test_folder, "file"), "", 0);
    const char *paths[] = {
        path_in(test_folder, "no/x"), path_in(test_folder, "file/x"), test_folder, "/proc/plumb-x", ""};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct output_file file;
        struct error error = {""};
        enum status status = output_file_open(&file, paths[i], &error);
        if (status == STATUS_OK) status = output_file_commit(&file, &error); /* "" fails here */
        expect_error(status, STATUS_BAD_INPUT, &error, paths[i], "cannot be written", NULL);
        ck_assert(file.stream == NULL && file.path == NULL && file.temporary_path == NULL);
    }
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output file");
    TCase *cases = tcase_create("output file");
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_test(cases, nothing_shows_before_the_commit);
    tcase_add_test(cases, an_abandoned_file_leaves_nothing);
    tcase_add_test(cases, two_outputs_to_one_path);
    tcase_add_test(cases, permissions_are_those_of_any_new_file);
    tcase_add_test(cases, a_device_is_written_where_it_is);
    tcase_add_test(cases, a_write_that_failed_early_says_why);
    tcase_add_test(cases, places_where_no_file_can_be);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
