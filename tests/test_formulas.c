/*
 * The guides of sched/, kernels/ and ref/ find what they promise. Each row of a table under "Where each
 * formula stands" names a formula, the file and the function that compute it, and its source:
 *
 *     | Karras sigmas | `sigma_kinds.c`, `sigmas_karras()` | Karras et al. 2022, arXiv:2206.00364, eq. 5 |
 *
 * The file is there, from the text's folder or from the top; it defines the function; and what a reader finds
 * there (the comment in front of the definition or of a declaration in a header, and the first comment of the
 * file and of that header) has each part of the source. Besides, every function that a guide calls by its
 * name is one, every source file of a folder is in its guide, and the table of options in sched/README.md has
 * all options of all scheduler classes, and no other.
 */
#include "sched/known_options.h"
#include "sched/scheduler.h"
#include "tests/markdown.h"
#include "tests/support.h"

#include <ctype.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const folders[] = {"sched", "kernels", "ref"};
enum { FOLDERS = 3, LONGEST = 1024 };

/* A path below the top folder, that golden/ lies in. It lives until the program ends. */
static const char *top_path(const char *format, ...) PRINTF_LIKE(1, 2);
static const char *top_path(const char *format, ...)
{
    char path[LONGEST];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return golden_path("../%s", path);
}

/* --- C ------------------------------------------------------------------------------------ */

/* Text that grows. */
struct growing {
    char *text;
    size_t length;
};

static void append(struct growing *g, const char *text, size_t length)
{
    g->text = realloc(g->text, g->length + length + 1);
    ck_assert_ptr_nonnull(g->text);
    memcpy(g->text + g->length, text, length);
    g->length += length;
    g->text[g->length] = '\0';
}

/* A comment's words, with one space between any two, and none of its stars. */
static void append_comment(struct growing *g, const char *start, const char *end)
{
    for (const char *at = start; at < end;) {
        at += strspn(at, " \t\n*/");
        size_t length = strcspn(at, " \t\n");
        if (at + length > end) length = at < end ? (size_t)(end - at) : 0;
        if (length) append(g, at, length);
        if (length) append(g, " ", 1);
        at += length;
    }
}

static void append_first_comment(struct growing *g, const char *source)
{
    const char *end = strncmp(source, "/*", 2) == 0 ? strstr(source, "*/") : NULL;
    if (end) append_comment(g, source, end);
}

static const char *line_start(const char *source, const char *at)
{
    while (at > source && at[-1] != '\n') at--;
    return at;
}

/* The next place from `from` on where `name` is defined or declared: at the beginning of a line stands a
 * type, and behind the name its parameters. `*defined`: a body follows. NULL where there is none. */
static const char *next_mention(const char *source, const char *from, const char *name, bool *defined)
{
    const size_t length = strlen(name);
    for (const char *at = from; (at = strstr(at, name)) != NULL; at += length) {
        const char *start = line_start(source, at), *end = at + length + strcspn(at + length, ";{");
        const bool word = at > start && !isalnum((unsigned char)at[-1]) && at[-1] != '_' && at[length] == '(';
        if (!word || !isalpha((unsigned char)*start) || strncmp(start, "return ", 7) == 0) continue;
        if (memchr(start, '=', (size_t)(at - start)) || *end == '\0') continue;
        *defined = *end == '{';
        return at;
    }
    return NULL;
}

/* The comment of the paragraph that the line at `at` stands in, and one behind it on its line. */
static void append_comment_of(struct growing *g, const char *source, const char *at)
{
    const char *start = line_start(source, at);
    while (start > source && !(start[-1] == '\n' && start - 1 > source && start[-2] == '\n')) start--;
    const char *end = NULL, *begin = NULL;
    for (const char *next = start; (next = strstr(next, "*/")) != NULL && next < at; next += 2) end = next;
    for (const char *next = source; end && (next = strstr(next, "/*")) != NULL && next < end; next += 2)
        begin = next;
    if (begin) append_comment(g, begin, end);
    const char *behind = strstr(at, "/*"), *line_end = at + strcspn(at, "\n");
    if (behind && behind < line_end) append_comment(g, behind, strstr(behind, "*/"));
}

/* Where a file defines a function; NULL where it does not. */
static const char *definition(const char *source, const char *name)
{
    bool defined = false;
    for (const char *at = source; (at = next_mention(source, at, name, &defined)) != NULL; at++)
        if (defined) return at;
    return NULL;
}

/* Adds what the headers beside `path` say of the function, and first what its own header is. */
static void append_declarations(struct growing *g, const char *path, const char *name)
{
    char pattern[LONGEST], own[LONGEST];
    snprintf(pattern, sizeof pattern, "%.*s*.h", (int)(strrchr(path, '/') + 1 - path), path);
    snprintf(own, sizeof own, "%.*s.h", (int)(strrchr(path, '.') - path), path);
    glob_t headers;
    ck_assert_int_eq(glob(pattern, 0, NULL, &headers), 0);
    for (size_t i = 0; i < headers.gl_pathc; i++) {
        char *source = read_whole_text(headers.gl_pathv[i]);
        bool defined = false;
        const char *at = next_mention(source, source, name, &defined);
        const bool declares = at && !defined;
        if (declares || strcmp(headers.gl_pathv[i], own) == 0) append_first_comment(g, source);
        if (declares) append_comment_of(g, source, at);
        free(source);
    }
    globfree(&headers);
}

/* --- Tables ------------------------------------------------------------------------------- */

enum { MOST_CELLS = 4 };

/* The cells of a table's line, without the space around them; 0 where it is none. Writes into the line. */
static size_t split_row(char *line, char *cells[MOST_CELLS])
{
    size_t count = 0;
    if (*line != '|') return 0;
    for (char *at = line + 1, *bar; count < MOST_CELLS && (bar = strchr(at, '|')) != NULL; at = bar + 1) {
        at += strspn(at, " ");
        for (char *end = bar; end >= at && (end == bar || *end == ' '); end--) *end = '\0';
        cells[count++] = at;
    }
    return count;
}

/* The lines of a section, from behind its heading up to the next; freed by the caller. */
static char *section_of(const char *path, const char *heading)
{
    char *text = read_whole_text(path), wanted[LONGEST];
    snprintf(wanted, sizeof wanted, "\n## %s\n", heading);
    const char *start = strstr(text, wanted);
    ck_assert_msg(start != NULL, "%s: there is no section \"%s\"", path, heading);
    start += strlen(wanted);
    const char *end = strstr(start, "\n## ");
    char *section = strndup(start, end ? (size_t)(end - start) : strlen(start));
    ck_assert_ptr_nonnull(section);
    free(text);
    return section;
}

/* Copies the next thing between backticks in a cell, and returns what is behind it; NULL where there is
 * none. */
static const char *next_code(const char *cell, char code[LONGEST])
{
    const char *start = strchr(cell, '`'), *end = start ? strchr(start + 1, '`') : NULL;
    if (!end) return NULL;
    snprintf(code, LONGEST, "%.*s", (int)(end - start - 1), start + 1);
    return end + 1;
}

/* The part of the source that the words do not have; NULL where they have all. */
static const char *missing_part(const char *words, const char *source, char part[LONGEST])
{
    while (*source) {
        size_t length = strcspn(source, ",");
        snprintf(part, LONGEST, "%.*s", (int)length, source);
        if (!strstr(words, part)) return part;
        source += length;
        source += strspn(source, ", ");
    }
    return NULL;
}

static void check_formula(const char *folder, char *const *cells)
{
    char file[LONGEST], function[LONGEST], part[LONGEST];
    const char *rest = next_code(cells[1], file);
    ck_assert_msg(rest && next_code(rest, function) && strstr(function, "()"),
        "%s/README.md: %s: expected a file and a function(), got %s", folder, cells[0], cells[1]);
    *strstr(function, "()") = '\0';
    const char *path = strchr(file, '/') ? top_path("%s", file) : top_path("%s/%s", folder, file);
    char *source = read_whole_text(path);
    const char *at = definition(source, function);
    ck_assert_msg(at != NULL, "%s/README.md: %s: %s defines no %s()", folder, cells[0], file, function);

    struct growing words = {0};
    append_first_comment(&words, source);
    append_comment_of(&words, source, at);
    append_declarations(&words, path, function);
    ck_assert_msg(words.text != NULL, "%s: %s() has no comment", file, function);
    const char *missing = missing_part(words.text, cells[2], part);
    ck_assert_msg(
        !missing, "%s: the comments of %s() do not have \"%s\": %s", file, function, part, words.text);
    free(words.text);
    free(source);
}

START_TEST(formulas_are_there)
{
    const char *folder = folders[_i];
    char *section = section_of(top_path("%s/README.md", folder), "Where each formula stands"), *rest = NULL;
    size_t rows = 0;
    for (char *line = strtok_r(section, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *cells[MOST_CELLS];
        size_t count = split_row(line, cells);
        if (count == 0 || strncmp(cells[0], "---", 3) == 0 || strcmp(cells[0], "formula") == 0) continue;
        ck_assert_msg(count == 3, "%s/README.md: %s: expected three cells, got %zu", folder, cells[0], count);
        check_formula(folder, cells);
        rows++;
    }
    printf("%s/README.md: %zu formulas where it says\n", folder, rows);
    ck_assert_uint_ge(rows, 10);
    free(section);
}
END_TEST

/* --- Calls -------------------------------------------------------------------------------- */

/* All C of the three folders. */
enum { MOST_SOURCES = 2048 };
struct sources {
    char *items[MOST_SOURCES];
    size_t count;
};

static void read_sources(struct sources *sources)
{
    sources->count = 0;
    for (int i = 0; i < FOLDERS; i++) {
        glob_t files;
        const char *pattern = top_path("%s/*.[ch]", folders[i]);
        ck_assert_int_eq(glob(pattern, 0, NULL, &files), 0);
        ck_assert_uint_le(sources->count + files.gl_pathc, MOST_SOURCES);
        for (size_t j = 0; j < files.gl_pathc; j++)
            sources->items[sources->count++] = read_whole_text(files.gl_pathv[j]);
        globfree(&files);
    }
}

static bool any_defines(const struct sources *sources, const char *name)
{
    for (size_t i = 0; i < sources->count; i++)
        if (definition(sources->items[i], name)) return true;
    return false;
}

/* `name()`, and no more. */
static bool is_call(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return length > 0 && strcmp(name + length, "()") == 0;
}

/* Functions of Python, named as such. */
static bool is_of_diffusers(const char *name)
{
    static const char *const names[] = {"from_config()", "set_timesteps()", "step()", "step_pred()"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

START_TEST(calls_are_functions)
{
    static struct sources sources;
    read_sources(&sources);
    glob_t texts;
    size_t calls = 0;
    const char *pattern = top_path("%s/*.md", folders[_i]);
    ck_assert_int_eq(glob(pattern, 0, NULL, &texts), 0);
    for (size_t i = 0; i < texts.gl_pathc; i++) {
        if (strstr(texts.gl_pathv[i], "DEVIATIONS")) continue; /* it speaks of diffusers' functions */
        char *text = read_whole_text(texts.gl_pathv[i]), *name;
        size_t at = 0;
        bool link = false;
        for (; (name = markdown_next_name(text, &at, &link)) != NULL; free(name)) {
            if (link || !is_call(name) || is_of_diffusers(name)) continue;
            name[strlen(name) - 2] = '\0';
            ck_assert_msg(any_defines(&sources, name), "%s: there is no %s()", texts.gl_pathv[i], name);
            calls++;
        }
        free(text);
    }
    ck_assert_uint_ge(calls, 10);
    globfree(&texts);
    for (size_t i = 0; i < sources.count; i++) free(sources.items[i]);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

/* Whether a text names a file: itself, or with the other of ".c" and ".h" for its end, by a pattern too. */
static bool names_file(const char *text, const char *file)
{
    char source[LONGEST], header[LONGEST], *name;
    const int stem = (int)strlen(file) - 1;
    snprintf(source, sizeof source, "%.*sc", stem, file);
    snprintf(header, sizeof header, "%.*sh", stem, file);
    size_t at = 0;
    bool link = false, named = false;
    while (!named && (name = markdown_next_name(text, &at, &link)) != NULL) {
        const char *end = strrchr(name, '.');
        const bool is_file = !link && end && (strcmp(end, ".c") == 0 || strcmp(end, ".h") == 0);
        named = is_file && (fnmatch(name, source, 0) == 0 || fnmatch(name, header, 0) == 0);
        free(name);
    }
    return named;
}

START_TEST(files_are_all_named)
{
    glob_t files;
    char *text = read_whole_text(top_path("%s/README.md", folders[_i]));
    ck_assert_int_eq(glob(top_path("%s/*.[ch]", folders[_i]), 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *file = strrchr(files.gl_pathv[i], '/') + 1;
        ck_assert_msg(names_file(text, file),
            "%s/README.md: its tables do not have %s; put it where it belongs", folders[_i], file);
    }
    globfree(&files);
    free(text);
}
END_TEST

/* --- Options ------------------------------------------------------------------------------ */

static bool any_class_has(const char *option)
{
    for (size_t i = 0; i < scheduler_class_count(); i++)
        if (scheduler_class_has_option(scheduler_class_name(i), option)) return true;
    return false;
}

/* Arguments of set_timesteps() and step(), which the table has too. */
static bool is_argument(const char *name)
{
    static const char *const names[] = {
        "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "strength", "mu", "timesteps", "sigmas"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* The words between backticks of a table's second column, one behind the other with commas around. */
static char *second_column(char *section)
{
    struct growing words = {0};
    char *rest = NULL;
    append(&words, ",", 1);
    for (char *line = strtok_r(section, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *cells[MOST_CELLS], word[LONGEST];
        if (split_row(line, cells) < 2) continue;
        for (const char *at = cells[1]; (at = next_code(at, word)) != NULL;) {
            append(&words, word, strlen(word));
            append(&words, ",", 1);
        }
    }
    return words.text;
}

START_TEST(options_are_all_there)
{
    char *section = section_of(top_path("sched/README.md"), "Options, by what they change");
    char *words = second_column(section), wanted[LONGEST];
    size_t count = 0;
    const char *const *known = scheduler_known_options(&count);
    for (size_t i = 0; i < count; i++) {
        snprintf(wanted, sizeof wanted, ",%s,", known[i]);
        ck_assert_msg(!any_class_has(known[i]) || strstr(words, wanted),
            "sched/README.md: its table of options has no %s", known[i]);
    }
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        ck_assert_msg(any_class_has(word) || is_argument(word), "sched/README.md: no class has %s", word);
    free(words);
    free(section);
}
END_TEST

/* --- The rules themselves ----------------------------------------------------------------- */

START_TEST(comments_are_found)
{
    static const char source[] = "/* A file. */\n"
                                 "#include <x.h>\n"
                                 "\n"
                                 "/* Not this. */\n"
                                 "int before(void);\n"
                                 "\n"
                                 "/* Paper 2020,\n"
                                 " * eq. 5. */\n"
                                 "#define f NAME(f)\n"
                                 "static int f(\n"
                                 "    int x)\n"
                                 "{\n"
                                 "    return g(x);\n"
                                 "}\n";
    const char *at = definition(source, "f");
    struct growing words = {0};
    char part[LONGEST];
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_null(definition(source, "g"));
    ck_assert_ptr_null(definition(source, "before"));
    append_first_comment(&words, source);
    append_comment_of(&words, source, at);
    ck_assert_str_eq(words.text, "A file. Paper 2020, eq. 5. ");
    ck_assert_ptr_null(missing_part(words.text, "Paper 2020, eq. 5", part));
    ck_assert_str_eq(missing_part(words.text, "Paper 2020, eq. 6", part), "eq. 6");
    free(words.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formulas");
    TCase *guides = tcase_create("guides");
    tcase_set_timeout(guides, 60);
    tcase_add_test(guides, comments_are_found);
    tcase_add_loop_test(guides, formulas_are_there, 0, FOLDERS);
    tcase_add_loop_test(guides, calls_are_functions, 0, FOLDERS);
    tcase_add_loop_test(guides, files_are_all_named, 0, FOLDERS);
    tcase_add_test(guides, options_are_all_there);
    suite_add_tcase(suite, guides);
    return run_suite(suite);
}
