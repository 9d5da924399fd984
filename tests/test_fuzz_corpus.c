/*
 * The fuzz targets of tests/fuzz/ on what their fuzzers start from, corpus/, and on what they have found,
 * regressions/; and each on input that is cut off anywhere. The functions are the ones that the fuzzers call,
 * which the Makefile gives a name each: fuzz_TARGET for tests/fuzz/TARGET.c.
 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS(X)                                                                                           \
    X(case)                                                                                                  \
    X(config)                                                                                                \
    X(journal)                                                                                               \
    X(list)                                                                                                  \
    X(map)                                                                                                   \
    X(noise)                                                                                                 \
    X(npy)                                                                                                   \
    X(npz)                                                                                                   \
    X(png)                                                                                                   \
    X(recipe)                                                                                                \
    X(safetensors)                                                                                           \
    X(schedule)                                                                                              \
    X(tokenizer)
#define DECLARE(target) int fuzz_##target(const uint8_t *data, size_t size);
TARGETS(DECLARE)

static const struct {
    const char *name;
    int (*take)(const uint8_t *data, size_t size);
} targets[] = {
#define ROW(target) {#target, fuzz_##target},
    TARGETS(ROW)};
enum { COUNT = sizeof targets / sizeof *targets };

#define FOLDER "tests/fuzz"

/* A heap block of exactly this size, so that a sanitizer sees every read beyond it. */
static void take_copy(int target, const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    targets[target].take(size ? copy : NULL, size);
    free(copy);
}

/* Gives the target every file of a folder, which may be missing; returns how many there were. With `cut`,
 * also some of its beginnings. */
static size_t take_folder(int target, const char *kind, bool cut)
{
    const char *path = path_in(FOLDER, "%s/%s", kind, targets[target].name);
    DIR *folder = opendir(path);
    if (!folder) return 0;
    size_t count = 0, size;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        unsigned char *bytes = read_bytes(path_in(path, "%s", entry->d_name), &size);
        take_copy(target, bytes, size);
        for (size_t i = 1; cut && count < 3 && i < 16; i++) take_copy(target, bytes, size * i / 16);
        free(bytes);
        count++;
    }
    closedir(folder);
    return count;
}

START_TEST(corpus_and_regressions)
{
    take_copy(_i, (const unsigned char *)"", 0);
    size_t seeds = take_folder(_i, "corpus", true), found = take_folder(_i, "regressions", false);
    ck_assert_msg(seeds > 0, "%s/corpus/%s is empty", FOLDER, targets[_i].name);
    if (getenv("PLUMB_FUZZ_COUNTS"))
        fprintf(stderr, "%-12s %zu seeds, %zu regressions\n", targets[_i].name, seeds, found);
}
END_TEST

/* A folder that no target has would be run by nobody. */
START_TEST(every_folder_has_its_target)
{
    static const char *const kinds[] = {"corpus", "regressions"};
    for (size_t k = 0; k < 2; k++) {
        DIR *folder = opendir(path_in(FOLDER, "%s", kinds[k]));
        struct dirent *entry;
        while (folder && (entry = readdir(folder)) != NULL) {
            bool known = entry->d_name[0] == '.';
            for (int i = 0; i < COUNT; i++) known = known || strcmp(entry->d_name, targets[i].name) == 0;
            ck_assert_msg(known, "%s/%s/%s: there is no such target", FOLDER, kinds[k], entry->d_name);
        }
        if (folder) closedir(folder);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fuzz corpus");
    TCase *tests = tcase_create("targets");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, corpus_and_regressions, 0, COUNT);
    tcase_add_test(tests, every_folder_has_its_target);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
