/*
 * Every README does what it says: each fence of the tree's Markdown texts is run, compiled or read, by its
 * kind. How to write one that passes:
 *
 *     sh, bash   run from the top folder of a copy of the tree (readme_tree.sh), each fence in a shell of its
 *                own that stops at the first failure, the fences of a text in their order. `build/plumb` is
 *                there, and `plumb`. What they write goes below build/. A command that ends with another
 *                status says so at its end: `# exit status 1`. What would take long or install something
 *                (make, apt, sudo, the suites ...) is stood in for; see the script.
 *     text       right after one of these, with nothing but blank lines between: what it prints, standard
 *                error included, exactly, but that "..." stands for anything: as a line of its own for any
 *                number of lines, within a line for any part of it. Elsewhere: text, of which nothing is
 * asked. c          with an #include: compiled, without a warning. Without: an excerpt, which stands like
 * this in a source file of the text's folder; "..." for what is left out. python     parsed, and run where
 * all that it imports is there; golden/recipes and sched/examples are. json       read.
 *
 * There is no other kind of fence, no code by indentation alone, and no link, suite or source file named
 * between backticks that is not there.
 */
#include "file_support.h"
#include "markdown.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST = 4096 };

static char *folder; /* of readme_tree.sh; removed by the process that made it */
static glob_t texts;

static const char *readme(int number)
{
    return texts.gl_pathv[number];
}

static void make_tree(void)
{
    const char *program = getenv("PLUMB");
    char command[LONGEST];
    folder = temporary_folder();
    snprintf(
        command, sizeof command, "tests/readme_tree.sh '%s' '%s'", folder, program ? program : "build/plumb");
    ck_assert_msg(system(command) == 0, "no tree to run the READMEs in: %s", command);
}

static void drop_tree(void)
{
    remove_folder(folder);
}

/* Runs a shell's command in the tree, with the stand-ins; what it prints goes to FOLDER/said. Its status. */
static int run(const char *format, ...) PRINTF_LIKE(1, 2);
static int run(const char *format, ...)
{
    char command[LONGEST], whole[2 * LONGEST];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    ck_assert(length >= 0 && length < LONGEST);
    snprintf(whole, sizeof whole,
        "cd '%s/tree' && unset MAKEFLAGS MFLAGS MAKELEVEL PLUMB PLUMB_GOLDEN && export LC_ALL=C.UTF-8 "
        "PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive && { %s; } >'%s/said' 2>&1 </dev/null",
        folder, command, folder);
    int status = system(whole);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d: %s", WTERMSIG(status), command);
    return WEXITSTATUS(status);
}

static char *said(void)
{
    return read_whole_text(path_in(folder, "said"));
}

/* --- Shells ------------------------------------------------------------------------------- */

/* The script of a fence: at the same line numbers as in the text, and "# exit status N" held against what
 * the command before it ends with. */
static void write_script(const struct fence *fence, const char *path)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 1; i < fence->line; i++) fputc('\n', file);
    for (const char *at = fence->text, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        const char *stated = strstr(at, "# exit status ");
        if (stated && stated < end)
            fprintf(file,
                "%.*s && got=0 || got=$?; [ $got = %d ] || { echo \"exit status: $got\"; exit 125; }\n",
                (int)(stated - at), at, atoi(stated + strlen("# exit status ")));
        else
            fprintf(file, "%.*s\n", (int)(end - at), at);
    }
    ck_assert_int_eq(fclose(file), 0);
}

static bool is_shell(const struct fence *fence)
{
    return strcmp(fence->info, "sh") == 0 || strcmp(fence->info, "bash") == 0;
}

/* A script with the text's name stands in FOLDER, so that bash's messages name text and line. */
static void run_shell(const char *name, const struct fence *fence)
{
    char script[LONGEST];
    snprintf(script, sizeof script, "%s/%s", folder, name);
    for (char *slash = script + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL;) *slash = '-';
    write_script(fence, script);
    (void)remove(path_in(folder, "stood_in"));
    int status = run("PATH='%s/bin:%s/tree/build':\"$PATH\" bash -e '%s'", folder, folder, script);
    char *output = said();
    ck_assert_msg(
        status == 0, "%s:%zu: this fence fails (%d):\n%s%s", name, fence->line, status, fence->text, output);
    free(output);
}

/* --- The other kinds ---------------------------------------------------------------------- */

/* What a fence before prints. */
static void expect_output(const char *name, const struct fence *fence)
{
    char *output = said();
    ck_assert_msg(access(path_in(folder, "stood_in"), F_OK) != 0,
        "%s:%zu: this cannot be held against what is printed, since the command is stood in for", name,
        fence->line);
    ck_assert_msg(text_is(fence->text, output), "%s:%zu: expected this output:\n%sgot:\n%s", name,
        fence->line, fence->text, output);
    free(output);
}

/* Whether some source file of the text's folder, or of one below it, has these lines. */
static bool is_excerpt(const char *name, const char *text)
{
    static const char *const patterns[] = {"*.[ch]", "*/*.[ch]"};
    const char *slash = strrchr(name, '/');
    bool found = false;
    for (int depth = 0; depth < 2 && !found; depth++) {
        char pattern[LONGEST];
        snprintf(
            pattern, sizeof pattern, "%.*s%s", slash ? (int)(slash + 1 - name) : 0, name, patterns[depth]);
        glob_t files;
        if (glob(pattern, 0, NULL, &files) != 0) continue;
        for (size_t i = 0; i < files.gl_pathc && !found; i++) {
            char *source = read_whole_text(files.gl_pathv[i]);
            found = text_contains(text, source);
            free(source);
        }
        globfree(&files);
    }
    return found;
}

static void check_c(const char *name, const struct fence *fence)
{
    if (!strstr(fence->text, "#include")) {
        ck_assert_msg(is_excerpt(name, fence->text),
            "%s:%zu: no source file of this folder has these lines:\n%s", name, fence->line, fence->text);
        return;
    }
    write_bytes(path_in(folder, "fence.c"), fence->text, strlen(fence->text));
    static const char flags[] = "-std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. -Isched -Igolden/recipes";
    int status = run("${CC:-cc} %s -c ../fence.c -o ../fence.o", flags);
    char *output = said();
    ck_assert_msg(status == 0, "%s:%zu: this does not compile:\n%s", name, fence->line, output);
    free(output);
}

/* Parses a program and says which of the modules that it imports are not here. */
static const char list_missing[] =
    "import ast, importlib.util, sys\n"
    "names = set()\n"
    "for node in ast.walk(ast.parse(open(sys.argv[1], encoding='utf-8').read())):\n"
    "    if isinstance(node, ast.Import): names |= {alias.name.split('.')[0] for alias in node.names}\n"
    "    if isinstance(node, ast.ImportFrom): names.add(node.module.split('.')[0])\n"
    "print(' '.join(sorted(name for name in names if importlib.util.find_spec(name) is None)), end='')\n";

static void check_python(const char *name, const struct fence *fence)
{
    if (system("python3 --version >/dev/null 2>&1") != 0) {
        printf("%s:%zu: not read, since there is no python3\n", name, fence->line);
        return;
    }
    write_bytes(path_in(folder, "fence.py"), fence->text, strlen(fence->text));
    write_bytes(path_in(folder, "missing.py"), list_missing, strlen(list_missing));
    static const char with_path[] = "PYTHONPATH=golden/recipes:sched/examples python3";
    int status = run("%s ../missing.py ../fence.py", with_path);
    char *missing = said();
    ck_assert_msg(status == 0, "%s:%zu: this is not Python:\n%s", name, fence->line, missing);
    if (*missing) {
        printf("%s:%zu: parsed but not run, without %s\n", name, fence->line, missing);
    } else {
        status = run("%s ../fence.py", with_path);
        char *output = said();
        ck_assert_msg(status == 0, "%s:%zu: this fails:\n%s", name, fence->line, output);
        free(output);
    }
    free(missing);
}

static void check_json(const char *name, const struct fence *fence)
{
    cJSON *json = cJSON_Parse(fence->text);
    ck_assert_msg(json != NULL, "%s:%zu: this is not JSON:\n%s", name, fence->line, fence->text);
    cJSON_Delete(json);
}

/* --- A text ------------------------------------------------------------------------------- */

START_TEST(every_fence_holds)
{
    const char *name = readme(_i);
    char *text = read_whole_text(name);
    struct markdown m;
    markdown_read(text, &m);
    ck_assert_msg(m.unclosed == 0, "%s:%zu: this fence is not closed", name, m.unclosed);
    ck_assert_msg(
        m.indented == 0, "%s:%zu: code by indentation alone; put it into a fence", name, m.indented);
    ck_assert_int_eq(run("rm -rf build && cp -R ../build build && touch ../stamp"), 0);
    bool printed = false; /* whether the fence before has an output that a text may show */
    for (size_t i = 0; i < m.count; i++) {
        const struct fence *fence = &m.fences[i];
        bool is_text = strcmp(fence->info, "text") == 0;
        if (is_shell(fence))
            run_shell(name, fence);
        else if (is_text && printed && fence->follows)
            expect_output(name, fence);
        else if (strcmp(fence->info, "c") == 0)
            check_c(name, fence);
        else if (strcmp(fence->info, "python") == 0)
            check_python(name, fence);
        else if (strcmp(fence->info, "json") == 0)
            check_json(name, fence);
        else
            ck_assert_msg(is_text, "%s:%zu: a fence of kind \"%s\"", name, fence->line, fence->info);
        printed = is_shell(fence) || strcmp(fence->info, "python") == 0;
    }
    ck_assert_int_eq(run("find . -path ./build -prune -o -newer ../stamp ! -name . -print"), 0);
    char *changed = said();
    ck_assert_msg(*changed == '\0', "%s: its fences change files outside of build/:\n%s", name, changed);
    free(changed);
    markdown_free(&m);
    free(text);
}
END_TEST

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), wanted = strlen(end);
    return length > wanted && strcmp(name + length - wanted, end) == 0;
}

/* Whether a path, in which "*" may stand, is there: from the text's folder, from the top folder, in
 * tests/. */
static bool is_there(const char *text_name, const char *name)
{
    const char *slash = strrchr(text_name, '/');
    char paths[4][LONGEST];
    snprintf(paths[0], LONGEST, "%.*s%s", slash ? (int)(slash + 1 - text_name) : 0, text_name, name);
    snprintf(paths[1], LONGEST, "%s", name);
    snprintf(paths[2], LONGEST, "tests/%s", name);
    snprintf(paths[3], LONGEST, "tests/%s.c", name);
    bool found = false;
    for (int i = 0; i < 4 && !found; i++) {
        glob_t files;
        found = glob(paths[i], 0, NULL, &files) == 0;
        if (found) globfree(&files);
    }
    return found;
}

/* Where a link of a text leads to a heading, "#the-files" or "../sched/README.md#one-equation", it is
 * there. */
static void check_anchor(const char *text_name, const char *link)
{
    const char *hash = strchr(link, '#'), *slash = strrchr(text_name, '/');
    if (!hash || strncmp(link, "http", 4) == 0) return;
    char path[LONGEST];
    snprintf(path, sizeof path, "%.*s%.*s", slash ? (int)(slash + 1 - text_name) : 0, text_name,
        (int)(hash - link), link);
    char *text = read_whole_text(hash == link ? text_name : path);
    ck_assert_msg(markdown_has_anchor(text, hash + 1), "%s: no heading for the link %s", text_name, link);
    free(text);
}

START_TEST(every_name_is_there)
{
    static const char *const kinds[] = {".c", ".h", ".[ch]", ".sh", ".md"};
    const char *name = readme(_i);
    char *text = read_whole_text(name), *named;
    size_t at = 0;
    bool link;
    while ((named = markdown_next_name(text, &at, &link)) != NULL) {
        bool is_file = strncmp(named, "test_", strlen("test_")) == 0;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) is_file |= ends_with(named, kinds[i]);
        is_file &= strcspn(named, " <(") == strlen(named); /* a command, a pattern, a call */
        if (link) is_file = strncmp(named, "http", 4) != 0 && *named != '#';
        if (link) check_anchor(name, named);
        if (link) named[strcspn(named, "#")] = '\0';
        ck_assert_msg(!is_file || is_there(name, named), "%s: there is no %s", name, named);
        free(named);
    }
    free(text);
}
END_TEST

/* --- The rules themselves ----------------------------------------------------------------- */

START_TEST(texts_are_found)
{
    ck_assert_uint_ge(texts.gl_pathc, 2);
    ck_assert_str_eq(readme(0), "README.md");
}
END_TEST

START_TEST(patterns_mean_what_they_say)
{
    ck_assert(text_is("a\nb\n", "a \nb\n"));
    ck_assert(!text_is("a\n", "a\nb\n"));
    ck_assert(!text_is("a\nb\n", "a\n"));
    ck_assert(!text_is("", "a\n"));
    ck_assert(text_is("a ... c\n", "a b and c\n"));
    ck_assert(!text_is("a ... c\n", "a b and d\n"));
    ck_assert(text_is("a\n...\nz\n", "a\nz\n"));
    ck_assert(text_is("a\n...\nz\n", "a\nb\nc\nz\n"));
    ck_assert(!text_is("a\n...\nz\n", "a\nb\nc\n"));
    ck_assert(text_is("...\n", ""));
    ck_assert(
        text_contains("if (x)\n...\nreturn 2;\n", "f()\n{\n    if (x)\n        a();\n\n    return 2;\n}\n"));
    ck_assert(!text_contains("if (x)\nreturn 2;\n", "f()\n{\n    if (x)\n        a();\n    return 2;\n}\n"));
}
END_TEST

START_TEST(anchors_are_found)
{
    static const char text[] = "# A title\n```text\n# not this\n```\n## `code()`, and more_words: 2\n";
    ck_assert(markdown_has_anchor(text, "a-title"));
    ck_assert(markdown_has_anchor(text, "code-and-more_words-2"));
    ck_assert(!markdown_has_anchor(text, "not-this"));
    ck_assert(!markdown_has_anchor(text, "a-titl"));
    ck_assert(!markdown_has_anchor(text, "a-title-"));
}
END_TEST

START_TEST(fences_are_found)
{
    struct markdown m;
    markdown_read(
        "a\n\n```sh\none\n  two\n```\n\n```text\n```\nb\n\n1. c\n\n   ```c\n   d\n   ```\n\n    e\n", &m);
    ck_assert_uint_eq(m.count, 3);
    ck_assert_str_eq(m.fences[0].info, "sh");
    ck_assert_str_eq(m.fences[0].text, "one\n  two\n");
    ck_assert_uint_eq(m.fences[0].line, 4);
    ck_assert(!m.fences[0].follows && m.fences[1].follows && !m.fences[2].follows);
    ck_assert_str_eq(m.fences[1].text, "");
    ck_assert_str_eq(m.fences[2].text, "d\n");
    ck_assert_uint_eq(m.unclosed, 0);
    ck_assert_uint_eq(m.indented, 0); /* it belongs to the list */
    markdown_free(&m);
    markdown_read("a\n\n    code\n\n```sh\nb\n", &m);
    ck_assert_uint_eq(m.indented, 3);
    ck_assert_uint_eq(m.unclosed, 5);
    markdown_free(&m);
}
END_TEST

/* A fence that fails, one that ends with the status that it states, one that does not, and the stand-ins. */
START_TEST(shells_stop_at_failures)
{
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {
        {"true\nfalse\ntrue\n", false},
        {"false # exit status 1\ntrue\n", true},
        {"true # exit status 1\n", false},
        {"plumb \\\n    run # exit status 2\n", true},
        {"make check && make -j2 PREFIX=/usr install\n", true},
        {"make chekc\n", false},
        {"make PREFXI=/usr install\n", false},
        {"CK_RUN_CASE=a build/tests/test_unet\n", true},
        {"build/tests/test_nothing\n", false},
        {"cd golden/generate && python3 generate_sched.py --out ../sched\n", true},
        {"python3 generate_sched.py\n", false},
    };
    ck_assert_int_eq(run("rm -rf build && cp -R ../build build"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s", cases[i].text);
        const struct fence fence = {.text = text, .line = 1};
        write_script(&fence, path_in(folder, "script"));
        int status = run("PATH='%s/bin:%s/tree/build':\"$PATH\" bash -e ../script", folder, folder);
        ck_assert_msg((status == 0) == cases[i].holds, "status %d of:\n%s", status, text);
    }
}
END_TEST

int main(void)
{
    glob("{*.md,{sched,kernels,ref,configs,golden,tests}/{*.md,*/*.md}}", GLOB_BRACE, NULL, &texts);
    Suite *suite = suite_create("readme");
    TCase *rules = tcase_create("rules"), *all = tcase_create("texts");
    tcase_add_unchecked_fixture(rules, make_tree, drop_tree);
    tcase_add_test(rules, texts_are_found);
    tcase_add_test(rules, patterns_mean_what_they_say);
    tcase_add_test(rules, fences_are_found);
    tcase_add_test(rules, anchors_are_found);
    tcase_add_test(rules, shells_stop_at_failures);
    tcase_add_unchecked_fixture(all, make_tree, drop_tree);
    tcase_set_timeout(rules, 60);
    tcase_set_timeout(all, 900); /* under sanitizers on a busy machine */
    tcase_add_loop_test(all, every_fence_holds, 0, (int)texts.gl_pathc);
    tcase_add_loop_test(all, every_name_is_there, 0, (int)texts.gl_pathc);
    suite_add_tcase(suite, rules);
    suite_add_tcase(suite, all);
    int status = run_suite(suite);
    globfree(&texts);
    return status;
}
