/*
 * The headers that other programs include, in C and in C++: the library's, which is installed, and the one
 * that a port copies to dump its tensors. Pedantic warnings are errors in each language; in C++ a program is
 * linked with the library and has to print what the example in C does. A compiler that is not there is left
 * out, with a line.
 */
#include "program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *compiler, *language;
} compilers[] = {{"cc", "c99"}, {"gcc", "c17"}, {"clang", "c17"}, {"g++", "c++17"}, {"clang++", "c++17"}};

static bool runs(const char *format, ...) PRINTF_LIKE(1, 2);
static bool runs(const char *format, ...)
{
    char command[4096];
    va_list list;
    va_start(list, format);
    const int length = vsnprintf(command, sizeof command, format, list);
    va_end(list);
    ck_assert(length > 0 && (size_t)length < sizeof command);
    return system(command) == 0;
}

static bool is_there(const char *compiler)
{
    if (runs("command -v %s >/dev/null 2>&1", compiler)) return true;
    printf("headers: left out with %s, which is not there\n", compiler);
    return false;
}

START_TEST(headers_stand_alone)
{
    static const char *const headers[] = {"sched/plumb_sched.h", "golden/recipes/dump_tensors.h"};
    const char *compiler = compilers[_i].compiler, *language = compilers[_i].language;
    if (!is_there(compiler)) return;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        ck_assert_msg(runs("echo '#include \"%s\"' | %s -x %s -std=%s -I. -Wall -Wextra -pedantic -Werror "
                           "-Wno-unused-function -fsyntax-only -",
                          headers[i], compiler, strchr(language, '+') ? "c++" : "c", language),
            "%s with %s", headers[i], compiler);
}
END_TEST

START_TEST(a_program_in_cxx_uses_the_library)
{
    const char *compiler = compilers[_i].compiler, *program = path_in(test_folder, "program");
    if (!strchr(compilers[_i].language, '+') || !is_there(compiler)) return;
#ifdef __SANITIZE_ADDRESS__
    printf("headers: no program with %s, which would need the sanitizers of this build\n", compiler);
#else
    const char *plumb_path = getenv("PLUMB") ? getenv("PLUMB") : "build/plumb";
    const char *slash = strrchr(plumb_path, '/');
    const int length = slash ? (int)(slash - plumb_path) : 1;
    const char *folder = slash ? plumb_path : ".";
    ck_assert(runs("%s -std=%s -Wall -Wextra -pedantic -Werror -Isched tests/builds/library.cpp "
                   "'%.*s/libplumb_sched.so.0' -Wl,-rpath,\"$(realpath '%.*s')\" -o '%s'",
        compiler, compilers[_i].language, length, folder, length, folder, program));
    ck_assert(runs("'%s' > '%s.txt'", program, program));
    ck_assert(runs("'%.*s/sched/examples/sample' > '%s.c.txt'", length, folder, program));
    char *ours = read_whole_text(path_in(test_folder, "program.txt"));
    char *example = read_whole_text(path_in(test_folder, "program.c.txt"));
    ck_assert_str_eq(ours, example);
    expect_in(ours, "mean of the samples: 0.2500");
    free(ours);
    free(example);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("headers");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, make_test_folder, drop_program_folder);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, headers_stand_alone, 0, sizeof compilers / sizeof *compilers);
    tcase_add_loop_test(all, a_program_in_cxx_uses_the_library, 0, sizeof compilers / sizeof *compilers);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
