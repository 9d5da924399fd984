#include "program.h"

#include "ref/png_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

char *out, *err;

void drop_program_folder(void)
{
    free(out);
    free(err);
    out = err = NULL;
    drop_test_folder();
}

int plumb(const char *format, ...)
{
    char arguments[4096], command[8192];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    ck_assert(length >= 0 && (size_t)length < sizeof arguments);
    const char *program = getenv("PLUMB");
    length = snprintf(command, sizeof command, ">%s/out 2>%s/err %s %s", test_folder, test_folder,
        program ? program : "build/plumb", arguments);
    ck_assert(length >= 0 && (size_t)length < sizeof command);
    int status = system(command);
    ck_assert_msg(WIFEXITED(status), "plumb %s ended by signal %d", arguments, WTERMSIG(status));
    free(out);
    free(err);
    out = read_whole_text(path_in(test_folder, "out"));
    err = read_whole_text(path_in(test_folder, "err"));
    return WEXITSTATUS(status);
}

void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "expected \"%s\" in:\n%s", part, text);
}

void expect_same_bytes(const char *a, const char *b, const char *what)
{
    size_t size_a, size_b;
    unsigned char *left = read_bytes(path_in(test_folder, "%s", a), &size_a);
    unsigned char *right = read_bytes(path_in(test_folder, "%s", b), &size_b);
    ck_assert_msg(size_a == size_b && memcmp(left, right, size_a) == 0, "%s: %s and %s differ", what, a, b);
    free(left);
    free(right);
}

void expect_failure(int status, enum status expected, size_t inputs, ...)
{
    ck_assert_msg(status == (int)expected, "expected status %d, got %d: %s", (int)expected, status, err);
    const char *said = strstr(err, "error: ");
    ck_assert_msg(said && (said == err || said[-1] == '\n'), "expected a line \"error: ...\": %s", err);
    ck_assert_msg(strchr(said, '\n') == err + strlen(err) - 1, "expected one line of error: %s", err);
    va_list words;
    va_start(words, inputs);
    const char *word;
    while ((word = va_arg(words, const char *)) != NULL) expect_in(said, word);
    va_end(words);
    ck_assert_msg(*out == '\0', "expected nothing on standard output, got: %s", out);
    const size_t outputs = 2; /* out and err */
    ck_assert_msg(count_entries(test_folder) == inputs + outputs, "%zu files were left behind",
        count_entries(test_folder) - inputs - outputs);
}

void expect_picture(const char *path, int width, int height)
{
    struct picture picture;
    struct error error;
    ck_assert_msg(png_read(path, &picture, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(picture.width, width);
    ck_assert_int_eq(picture.height, height);
    size_t marked = 0;
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++) marked += picture.pixels[i] < 128;
    ck_assert_uint_gt(marked, 1000);
    picture_free(&picture);
}
