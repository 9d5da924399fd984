/*
 * The most likely mistakes, and what the program says to each, word for word: tests/mistakes.txt.
 *
 *     build/tests/test_mistakes            runs every command of the file and compares what it says
 *     build/tests/test_mistakes --write    writes what is said now into the file, to be read (make mistakes)
 *
 * The file is a transcript. An entry is lines of shell ("$ ..."; "> ..." goes on with the line before), the
 * last of which is the mistake; what follows up to an empty line is the whole of standard error. All else is
 * headings and prose. Each entry runs in an empty folder of its own, in which `plumb` is the program, and
 * those of `inputs` that it names stand ready.
 *
 * An entry with an error has status 2, one line "error: ..." at its end, nothing on standard output, and
 * leaves no file, whole or partial. An entry of warnings alone has status 0.
 */
#include "file_support.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRANSCRIPT "tests/mistakes.txt"
enum { FEWEST_MISTAKES = 100 };

/* What an entry finds in its folder where it names it: the name there, and what it is a copy of. */
static const struct {
    const char *name, *golden;
} inputs[] = {
    {"sd", "models/tiny-sd"},
    {"sd21", "models/tiny-sd21v"},
    {"sdxl", "models/tiny-sdxl"},
    {"sdxl-fp16", "models/tiny-sdxl-fp16"},
    {"sdxl-sharded", "models/tiny-sdxl-sharded"},
    {"case.json", "sched/euler_karras.json"},
    {"case.safetensors", "sched/euler_karras.safetensors"},
};
enum { INPUTS = sizeof inputs / sizeof *inputs };

/* --- Entries ------------------------------------------------------------------------------ */

struct entry {
    char *preparation,
        *mistake;        /* shell: all commands but the last, and the last; NULL where prose ends the file */
    char *said;          /* what the file has below them */
    const char *said_at; /* in the file's text */
};

static void append(char **text, const char *more, size_t length)
{
    size_t before = *text ? strlen(*text) : 0;
    *text = realloc(*text, before + length + 1);
    ck_assert_ptr_nonnull(*text);
    memcpy(*text + before, more, length);
    (*text)[before + length] = '\0';
}

static const char *behind_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : at;
}

/* Reads the next entry, over the prose in front of it; returns what follows it. */
static const char *read_entry(const char *at, struct entry *entry)
{
    *entry = (struct entry){0};
    append(&entry->preparation, "", 0);
    while (*at && strncmp(at, "$ ", 2) != 0) at = behind_line(at);
    while (strncmp(at, "$ ", 2) == 0) {
        if (entry->mistake) append(&entry->preparation, entry->mistake, strlen(entry->mistake));
        free(entry->mistake);
        entry->mistake = NULL;
        do {
            const char *end = behind_line(at);
            append(&entry->mistake, at + 2, (size_t)(end - at) - 2);
            at = end;
        } while (strncmp(at, "> ", 2) == 0);
    }
    entry->said_at = at;
    while (*at && *at != '\n') at = behind_line(at);
    append(&entry->said, entry->said_at, (size_t)(at - entry->said_at));
    return at;
}

static void free_entry(struct entry *entry)
{
    free(entry->preparation);
    free(entry->mistake);
    free(entry->said);
}

/* --- Running ------------------------------------------------------------------------------ */

static char *beside; /* a folder with the program, the script and its outputs */
static char *folder; /* in it, the folder that an entry runs in */

/* Whether a word of the text is the name, or a path that begins with it. */
static bool names(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length) {
        bool begins = at == text || strchr(" =", at[-1]);
        if (begins && strchr("/ ;\n", at[length])) return true;
    }
    return false;
}

static void prepare_inputs(const struct entry *entry)
{
    for (int i = 0; i < INPUTS; i++) {
        const char *name = inputs[i].name, *from = golden_path("%s", inputs[i].golden);
        if (!names(entry->preparation, name) && !names(entry->mistake, name)) continue;
        if (!strchr(name, '.')) {
            copy_folder(from, path_in(folder, "%s", name));
            continue;
        }
        size_t size;
        unsigned char *bytes = read_bytes(from, &size);
        write_bytes(path_in(folder, "%s", name), bytes, size);
        free(bytes);
    }
}

/* Runs shell in the entry's folder and returns its exit status; the outputs go to files beside the folder. */
static int run_shell(const char *script)
{
    write_bytes(path_in(beside, "script"), script, strlen(script));
    char *command = NULL;
    ck_assert_int_gt(asprintf(&command, "cd %s && PATH=%s:$PATH sh -e ../script </dev/null >../out 2>../err",
                         folder, beside),
        0);
    int status = system(command);
    free(command);
    ck_assert_msg(WIFEXITED(status), "%s: ended by signal %d", script, WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* A number for the files of the entry's folder, their names and sizes. */
static uint64_t sum_of_files;

static int add_to_sum(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)type;
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a of the name */
    for (const char *c = path + position->base; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    sum_of_files += hash * (1 + (uint64_t)info->st_size);
    return 0;
}

static uint64_t sum_files(void)
{
    sum_of_files = 0;
    ck_assert_int_eq(nftw(folder, add_to_sum, 16, FTW_PHYS), 0);
    return sum_of_files;
}

static int faults; /* entries of which something does not hold that holds of every mistake */

static void expect(bool held, const struct entry *entry, const char *what, const char *got)
{
    if (held) return;
    printf("%sexpected %s, got:\n%s\n", entry->mistake, what, got);
    faults++;
}

/* Makes the mistake, checks what holds of every one, and returns what was said, which the caller frees. */
static char *make_mistake(const struct entry *entry)
{
    folder = strdup(path_in(beside, "here"));
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    prepare_inputs(entry);
    if (*entry->preparation)
        ck_assert_msg(run_shell(entry->preparation) == 0, "%s: failed", entry->preparation);
    uint64_t files = sum_files();
    int status = run_shell(entry->mistake);
    char *said = read_whole_text(path_in(beside, "err")), *result = read_whole_text(path_in(beside, "out"));
    char *error = strstr(said, "error: ");
    expect(*said, entry, "a message", "none");
    expect(
        status == (error ? STATUS_BAD_INPUT : STATUS_OK), entry, "status 2 of an error, 0 of warnings", said);
    if (error) {
        bool last = (error == said || error[-1] == '\n') && !*behind_line(error);
        expect(last, entry, "one line of error, at the end", said);
        expect(!*result, entry, "nothing on standard output", result);
        expect(sum_files() == files, entry, "every file as it was, and no other", "a change");
    }
    free(result);
    remove_folder(folder);
    return said;
}

static void find_program(void)
{
    char program[PATH_MAX];
    const char *named = getenv("PLUMB");
    ck_assert_ptr_nonnull(realpath(named ? named : "build/plumb", program));
    beside = temporary_folder();
    ck_assert_int_eq(symlink(program, path_in(beside, "plumb")), 0);
    ck_assert_int_eq(setenv("LC_ALL", "C", 1), 0);
}

/* --- The transcript ----------------------------------------------------------------------- */

static bool is_written; /* --write: the file is made anew, and not compared */

START_TEST(what_is_said_to_each_mistake)
{
    find_program();
    char *transcript = read_whole_text(TRANSCRIPT), *now = NULL;
    int mistakes = 0, different = 0;
    for (const char *at = transcript; *at;) {
        struct entry entry;
        const char *begin = at;
        at = read_entry(at, &entry);
        if (!entry.mistake) {
            append(&now, begin, (size_t)(at - begin));
        } else {
            char *said = make_mistake(&entry);
            append(&now, begin, (size_t)(entry.said_at - begin));
            append(&now, said, strlen(said));
            mistakes++;
            if (strcmp(said, entry.said) != 0 && !is_written) {
                printf("%sexpected: %sgot:      %s\n", entry.mistake, entry.said, said);
                different++;
            }
            free(said);
        }
        free_entry(&entry);
    }
    if (is_written) write_bytes(TRANSCRIPT, now, strlen(now));
    printf("%d mistakes, each with its message\n", mistakes);
    ck_assert_int_ge(mistakes, FEWEST_MISTAKES);
    ck_assert_msg(
        different == 0, "%d messages are not those of " TRANSCRIPT "; make mistakes writes them", different);
    free(now);
    free(transcript);
    remove_folder(beside);
}
END_TEST

int main(int argc, char **argv)
{
    is_written = argc == 2 && strcmp(argv[1], "--write") == 0;
    Suite *suite = suite_create("mistakes");
    TCase *cases = tcase_create("transcript");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, what_is_said_to_each_mistake);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
