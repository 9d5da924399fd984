/*
 * bash's completion: what it offers after a part of a command line, against lists, against the help, and
 * against what the command line takes.
 */
#include "program.h"

#include "ref/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS = 12 };

static void make_script(void)
{
    make_test_folder();
    ck_assert_int_eq(plumb("help --format bash >%s/plumb.bash", test_folder), 0);
}

/* What is offered for the last of the words, as a shell takes them, when `before` has been done: a line each,
 * in the order of the alphabet. */
static const char *offered(const char *before, const char *words)
{
    static char lines[65536];
    char command[4096];
    snprintf(command, sizeof command,
        "exec bash --norc -c 'set -u; source \"$1\"; shift; %s; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1));"
        " _plumb; ((${#COMPREPLY[@]} == 0)) || printf \"%%s\\n\" \"${COMPREPLY[@]}\" | LC_ALL=C sort'"
        " - %s/plumb.bash %s 2>&1",
        before, test_folder, words);
    FILE *bash = popen(command, "r");
    ck_assert_ptr_nonnull(bash);
    size_t length = fread(lines, 1, sizeof lines - 1, bash);
    lines[length] = '\0';
    ck_assert_msg(pclose(bash) == 0, "bash: %s", lines);
    return lines;
}

/* --- Against lists ------------------------------------------------------------------------ */

static const struct {
    const char *words, *lines;
} cases[] = {
    {"plumb s", "sample\nschedule\nsheet\nsynth\n"}, {"plumb --v", "--version\n"},
    {"plumb frobnicate ''", ""}, {"plumb help in", "info\ninspect\n"},
    {"plumb run --precision ''", "bf16\nf16\nf32\nf64\ntf32\n"}, {"plumb run --pre", "--precision\n"},
    {"plumb run --num-i", "--num-images-per-prompt\n--num-inference-steps\n"},
    {"plumb run --precision b", "bf16\n"},
    {"plumb run --precision = b", "bf16\n"}, /* bash's way to divide --precision=b */
    {"plumb run --precision =", "bf16\nf16\nf32\nf64\ntf32\n"},
    {"plumb run --prompt c", ""}, /* a prompt is no file */
    {"plumb run --prompt --pre", ""}, {"plumb run --prompt a --pre", "--precision\n"},
    {"plumb run --steps 5 gold", "golden\n"},
    {"plumb run --trace-modules gold", "golden\n"}, /* a flag has no argument */
    {"plumb run --set timestep", "timestep_scaling=\ntimestep_spacing=\ntimestep_type=\n"},
    {"plumb run --set timestep_spacing = trailing gold", "golden\n"}, {"plumb run -- --pre", ""},
    {"plumb run golden x gold", ""}, /* one checkpoint, no more */
    {"plumb run --generator torch-cp", "torch-cpu\ntorch-cpu-plain\n"},
    {"plumb run --scheduler Eul", "EulerAncestralDiscrete\nEulerDiscrete\n"},
    {"plumb run --blas-core ''", "auto\n"},
    {"plumb schedule DDIM EulerDiscreteS", "EulerDiscreteScheduler\n"},
    {"plumb schedule configs/schedulers/sd", "configs/schedulers/sd15.json\nconfigs/schedulers/sd21v.json\n"
                                             "configs/schedulers/sdxl.json\n"},
    {"plumb synth tiny", "tiny-sd15\ntiny-sd21\ntiny-sdxl\n"}, {"plumb synth tiny-sd15 gold", "golden\n"},
    {"plumb info --plan tiny-sdx", "tiny-sdxl\n"}, {"plumb bench --part u", "unet\n"},
    {"plumb hash a b c Make", "Makefile\n"}, {"plumb sheet Make", ""}, /* not a .png */
};

START_TEST(lists)
{
    ck_assert_msg(strcmp(offered(":", cases[_i].words), cases[_i].lines) == 0, "%s: got\n%s", cases[_i].words,
        offered(":", cases[_i].words));
}
END_TEST

/* Where COMP_WORDBREAKS has no '=', the word is replaced whole. */
START_TEST(equals_sign_in_a_word)
{
    ck_assert_str_eq(offered("COMP_WORDBREAKS=\" \"", "plumb run --precision=b"), "--precision=bf16\n");
    ck_assert_str_eq(offered("COMP_WORDBREAKS=\" =\"", "plumb run --precision = b"), "bf16\n");
}
END_TEST

START_TEST(files_and_folders)
{
    char before[512];
    write_bytes(path_in(test_folder, "my case.json"), "{}", 2);
    write_bytes(path_in(test_folder, "picture.png"), "", 0);
    snprintf(before, sizeof before, "cd %s; mkdir folder", test_folder);
    ck_assert_str_eq(offered(before, "plumb run --recipe ''"), "folder\nmy case.json\n");
    snprintf(before, sizeof before, "HOME=%s", test_folder);
    ck_assert_str_eq(offered(before, "plumb run --recipe '~/'"), "~/folder\n~/my case.json\n");
    snprintf(before, sizeof before, "cd %s", test_folder);
    ck_assert_str_eq(offered(before, "plumb run ''"), "folder\n");
    ck_assert_str_eq(offered(before, "plumb sheet out.png ''"), "folder\npicture.png\n");
    ck_assert_str_eq(offered(before, "plumb sample my"), "my case.json\n");
    ck_assert_str_eq(offered(before, "plumb compare p"), "picture.png\nplumb.bash\n");
}
END_TEST

/* --- Against the program ------------------------------------------------------------------ */

START_TEST(every_option_is_offered)
{
    char words[64], line[80];
    const char *name = commands[_i].name;
    ck_assert_int_eq(plumb("%s --help", name), 0);
    snprintf(words, sizeof words, "plumb %s --", name);
    const char *all = offered(":", words);
    size_t count = 0;
    for (const char *at = out; (at = strstr(at, "\n  --")); at++, count++) {
        snprintf(line, sizeof line, "%.*s\n", (int)strcspn(at + 3, " \n"), at + 3);
        const char *found = strstr(all, line);
        ck_assert_msg(found && (found == all || found[-1] == '\n'), "plumb %s does not offer %s", name, line);
    }
    ck_assert_uint_ge(count, 2);
}
END_TEST

/* "expected one of a, b, c, got" as the lines that completion gives. */
static void sort_choices(const char *message, char *lines, size_t size)
{
    char *items[64], copy[512];
    size_t count = 0;
    const char *list = strstr(message, "expected one of ") + strlen("expected one of ");
    snprintf(copy, sizeof copy, "%.*s", (int)(strstr(list, ", got \"") - list), list);
    for (char *rest = copy, *item; (item = strsep(&rest, ",")) && count < 64; count++)
        items[count] = item + strspn(item, " ");
    *lines = '\0';
    for (size_t i = 0; i < count; i++) { /* the least of what is left, again and again */
        size_t least = i;
        for (size_t j = i; j < count; j++)
            if (strcmp(items[j], items[least]) < 0) least = j;
        char *item = items[least];
        items[least] = items[i];
        items[i] = item;
        snprintf(lines + strlen(lines), size - strlen(lines), "%s\n", item);
    }
}

/* Of an option that takes one of several words, these are what is offered. */
START_TEST(choices_are_those_that_are_taken)
{
    char words[128], expected[512];
    const char *name = commands[_i].name;
    ck_assert_int_eq(plumb("%s --help", name), 0);
    char *help = strdup(out);
    size_t count = 0;
    for (const char *at = help; (at = strstr(at, "\n  --")); at++) {
        snprintf(words, sizeof words, "%s %.*s", name, (int)strcspn(at + 3, " \n"), at + 3);
        if (plumb("%s=@", words) != 2 || strncmp(err, "error: --", 9) != 0 ||
            !strstr(err, ": expected one of "))
            continue;
        sort_choices(err, expected, sizeof expected);
        snprintf(words, sizeof words, "plumb %s %.*s ''", name, (int)strcspn(at + 3, " \n"), at + 3);
        ck_assert_str_eq(offered(":", words), expected);
        count++;
    }
    free(help);
    static const char *const without[] = {"hash", "inspect", "sheet"};
    bool none = false;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        none = none || strcmp(name, without[i]) == 0;
    ck_assert_msg((count == 0) == none, "%s: %zu options with choices", name, count);
}
END_TEST

START_TEST(classes_are_classes)
{
    char names[4096];
    snprintf(names, sizeof names, "%s", offered(":", "plumb run --scheduler ''"));
    size_t count = 0;
    for (char *rest = names, *name; (name = strsep(&rest, "\n"));) {
        if (!*name || !isupper((unsigned char)*name)) continue; /* a folder, in which configs may be */
        count++;
        ck_assert_msg(plumb("schedule --list %s", name) == 0, "%s: %s", name, err);
    }
    ck_assert_uint_eq(count, 29);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("completion");
    TCase *tests = tcase_create("bash");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_script, drop_program_folder);
    tcase_add_loop_test(tests, lists, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, equals_sign_in_a_word);
    tcase_add_test(tests, files_and_folders);
    tcase_add_loop_test(tests, every_option_is_offered, 0, COMMANDS);
    tcase_add_loop_test(tests, choices_are_those_that_are_taken, 0, COMMANDS);
    tcase_add_test(tests, classes_are_classes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
