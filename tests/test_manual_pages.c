/*
 * The pages of the manual: one for each command, with everything that --help says, in roff that formatters
 * take without a warning.
 */
#include "program.h"

#include "ref/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS = 12 }; /* that commands[] has no others is checked below */

/* --- Roff to text ------------------------------------------------------------------------- */

/* What a page says, as it would be read: without macros, fonts and escapes. */
static char *unroff(const char *page)
{
    static const struct {
        const char *escape, *text;
    } escapes[] = {{"\\-", "-"}, {"\\&", ""}, {"\\e", "\\"}, {"\\fB", ""}, {"\\fI", ""}, {"\\fR", ""},
        {"\\(aq", "'"}, {"\\(ga", "`"}, {"\\(ha", "^"}, {"\\(ti", "~"}, {"\\(dq", "\""}};
    char *text = calloc(1, strlen(page) + 1), *to = text;
    bool line_begins = true;
    for (const char *from = page; *from;) {
        if (line_begins && *from == '.') {
            from += strcspn(from, "\n");
        } else if (*from == '\\') {
            size_t i = 0;
            const size_t count = sizeof escapes / sizeof *escapes;
            while (i < count && strncmp(from, escapes[i].escape, strlen(escapes[i].escape)) != 0) i++;
            ck_assert_msg(i < count, "an escape that no page should have: %.8s", from);
            to = stpcpy(to, escapes[i].text);
            from += strlen(escapes[i].escape);
        } else {
            *to++ = *from++;
        }
        line_begins = from > page && from[-1] == '\n';
    }
    return text;
}

/* In place: words with one space between them, and no backquotes, for which a page has bold type. */
static char *flatten(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        bool space = isspace((unsigned char)*from);
        if (*from == '`' || (space && (to == text || to[-1] == ' '))) continue;
        *to++ = (char)(space ? ' ' : *from);
    }
    if (to > text && to[-1] == ' ') to--;
    *to = '\0';
    return text;
}

/* --- Every page has all of its help ------------------------------------------------------- */

static void expect_sections(const char *page)
{
    static const char *const sections[] = {
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"};
    const char *at = page;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char heading[32];
        snprintf(heading, sizeof heading, "\n.SH %s\n", sections[i]);
        at = strstr(at, heading);
        ck_assert_msg(at != NULL, "no section %s, or not in its place", sections[i]);
    }
}

/* Each option of the help's lines must have a heading in the page, and what the help says of it, a line of
 * its own on column 28, must stand there word by word. Returns how many there are. */
static size_t expect_options(const char *help, const char *page, const char *said)
{
    size_t count = 0;
    char *text = calloc(1, strlen(help) + 1);
    const char *line = strstr(help, "\noptions:\n");
    ck_assert_ptr_nonnull(line);
    const char *end = strstr(line, "\nexamples:\n");
    ck_assert_ptr_nonnull(end);
    line += strlen("\noptions:\n");
    while (line < end) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "  --", 4) == 0) {
            char name[64], heading[160] = "\\fB", *to = heading + 3;
            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 2, " \n"), line + 2);
            for (const char *c = name; *c; c++) to += sprintf(to, *c == '-' ? "\\-" : "%c", *c);
            memcpy(to, "\\fR", sizeof "\\fR");
            ck_assert_msg(strstr(page, heading), "%s is not in the page", name);
            *text = '\0';
            count++;
        }
        if (length > 28 && line[27] == ' ') {
            char *text_end = text + strlen(text);
            snprintf(text_end, length - 28 + 2, " %s", line + 28); /* up to the line's end */
            flatten(text);
            ck_assert_msg(strstr(said, text) || strcmp(text, "this text") == 0, "not in the page: %s", text);
        }
        line += length + 1;
    }
    free(text);
    return count;
}

START_TEST(page_says_what_help_says)
{
    const struct command *command = &commands[_i];
    ck_assert_int_eq(plumb("%s --help", command->name), 0);
    char *help = strdup(out);
    ck_assert_int_eq(plumb("help %s --format man", command->name), 0);
    ck_assert_str_eq(err, "");
    expect_sections(out);
    char *said = flatten(unroff(out));
    ck_assert_uint_ge(expect_options(help, out, said), 2);

    /* The description, and the examples. */
    char *options = strstr(help, "\noptions:\n"), *examples = strstr(help, "\nexamples:\n");
    char *description = strstr(help, "\n\n");
    ck_assert(options && examples && description && description < options);
    *options = '\0';
    expect_in(said, flatten(description));
    expect_in(said, flatten(examples + strlen("\nexamples:\n")));
    free(said);
    free(help);
}
END_TEST

START_TEST(program_has_a_page)
{
    ck_assert_int_eq(plumb("help --format man"), 0);
    ck_assert_int_eq(strncmp(strchr(out, '\n'), "\n.TH PLUMB 1 20", 15), 0);
    char *said = flatten(unroff(out));
    size_t count = 0;
    for (const struct command *command = commands; command->name; command++, count++) {
        char words[256], reference[64];
        snprintf(words, sizeof words, "%s %s%s%s", command->name, command->arguments,
            *command->arguments ? " " : "", command->summary);
        expect_in(said, words);
        snprintf(reference, sizeof reference, ".BR plumb\\-%s (1)", command->name);
        expect_in(out, reference);
    }
    ck_assert_uint_eq(count, COMMANDS);
    free(said);
}
END_TEST

/* --- Formatters --------------------------------------------------------------------------- */

/* Neither a warning nor an error of any formatter that is installed. mandoc's lesser remarks are of style
 * (lines above 80 bytes). */
START_TEST(formatters_have_no_remarks)
{
    static const char *const formatters[] = {
        "groff -man -ww -Kutf8 -Tutf8 -z",
        "mandoc -Tlint -Wwarning",
        "LC_ALL=C.UTF-8 man --warnings -E UTF-8 -Tutf8 -Z -l",
    };
    static const char *const names[] = {"groff", "mandoc", "man"};
    ck_assert_int_eq(plumb(_i < COMMANDS ? "help %s --format man" : "help --format man",
                         _i < COMMANDS ? commands[_i].name : ""),
        0);
    const char *page = path_in(test_folder, "page.1");
    write_bytes(page, out, strlen(out));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char command[1024];
        snprintf(command, sizeof command,
            "command -v %s >/dev/null || exit 0; %s %s 2>&1 %s| head -20 >%s/said; [ ! -s %s/said ]",
            names[i], formatters[i], page, strcmp(names[i], "man") == 0 ? ">/dev/null " : "", test_folder,
            test_folder);
        if (system(command) == 0) continue;
        char *said = read_whole_text(path_in(test_folder, "said"));
        ck_abort_msg("%s: %s", names[i], said);
    }
}
END_TEST

/* --- plumb help --------------------------------------------------------------------------- */

START_TEST(help_of_help)
{
    ck_assert_int_eq(plumb("--help"), 0);
    char *text = strdup(out);
    ck_assert_int_eq(plumb("help"), 0);
    ck_assert_str_eq(out, text);
    free(text);
    ck_assert_int_eq(plumb("compare --help"), 0);
    text = strdup(out);
    ck_assert_int_eq(plumb("help compare"), 0);
    ck_assert_str_eq(out, text);
    free(text);

    expect_failure(plumb("help compaer"), STATUS_BAD_INPUT, 0, "did you mean compare?", NULL);
    expect_failure(
        plumb("help run --format bash"), STATUS_BAD_INPUT, 0, "expected no command", "\"run\"", NULL);
    expect_failure(plumb("help run compare"), STATUS_BAD_INPUT, 0, "one argument too many: compare", NULL);
    expect_failure(plumb("help --format html"), STATUS_BAD_INPUT, 0, "one of text, man, bash", NULL);
    ck_assert_int_eq(plumb("help run --format man >/dev/full"), 3);
    expect_in(err, "standard output: cannot be written");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manual pages");
    TCase *tests = tcase_create("pages");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_test_folder, drop_program_folder);
    tcase_add_loop_test(tests, page_says_what_help_says, 0, COMMANDS);
    tcase_add_test(tests, program_has_a_page);
    tcase_add_loop_test(tests, formatters_have_no_remarks, 0, COMMANDS + 1);
    tcase_add_test(tests, help_of_help);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
