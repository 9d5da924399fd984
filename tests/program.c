#include "program.h"

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

static char *read_text(const char *path)
{
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    free(bytes);
    return text;
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
    out = read_text(path_in(test_folder, "out"));
    err = read_text(path_in(test_folder, "err"));
    return WEXITSTATUS(status);
}

void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "expected \"%s\" in:\n%s", part, text);
}
