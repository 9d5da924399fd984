#include "support.h"

#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 1024

/* Paths are kept in a list until the program ends, so that a test can hold as many as it likes and frees
 * none. */
static const char *path_v(const char *folder, const char *format, va_list arguments)
{
    static struct kept {
        struct kept *next;
        char path[PATH_SIZE];
    } * list;
    struct kept *kept = malloc(sizeof *kept);
    ck_assert(kept != NULL);
    kept->next = list;
    list = kept;
    int used = snprintf(kept->path, PATH_SIZE, "%s/", folder);
    ck_assert(used > 0 && used < PATH_SIZE);
    int length = vsnprintf(kept->path + used, (size_t)(PATH_SIZE - used), format, arguments);
    ck_assert_msg(length >= 0 && length < PATH_SIZE - used, "the path is too long: %s", kept->path);
    return kept->path;
}

static const char *golden_path_v(const char *format, va_list arguments)
{
    const char *root = getenv("PLUMB_GOLDEN");
    return path_v(root && *root ? root : "golden", format, arguments);
}

const char *path_in(const char *folder, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *path = path_v(folder, format, arguments);
    va_end(arguments);
    return path;
}

const char *golden_path(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *path = golden_path_v(format, arguments);
    va_end(arguments);
    return path;
}

struct tensor_set *golden_tensors(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *path = golden_path_v(format, arguments);
    va_end(arguments);
    struct tensor_set *set = NULL;
    struct error error = {""};
    enum status status = tensor_set_open(path, &set, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return set;
}

cJSON *golden_json(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *path = golden_path_v(format, arguments);
    va_end(arguments);
    cJSON *json = NULL;
    struct error error = {""};
    enum status status = json_read_file(path, &json, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return json;
}

const struct tensor *need_tensor(const struct tensor_set *set, const char *format, ...)
{
    char name[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    ck_assert(length >= 0 && length < (int)sizeof name);
    const struct tensor *tensor = tensor_set_find(set, name);
    ck_assert_msg(tensor != NULL, "there is no tensor %s", name);
    return tensor;
}

char *temporary_folder(void)
{
    const char *root = getenv("TMPDIR");
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/plumb-test-XXXXXX", root && *root ? root : "/tmp");
    ck_assert(length > 0 && length < (int)sizeof path);
    ck_assert_msg(mkdtemp(path) != NULL, "no temporary folder %s", path);
    char *folder = strdup(path);
    ck_assert(folder != NULL);
    return folder;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info, (void)type, (void)position;
    return remove(path);
}

void remove_folder(char *folder)
{
    if (!folder) return;
    /* Contents before their folder; links are removed, not followed. */
    int failed = nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    ck_assert_msg(failed == 0, "%s could not be removed", folder);
    free(folder);
}

void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "%s cannot be written", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

unsigned char *read_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    struct stat info;
    ck_assert_int_eq(fstat(fileno(file), &info), 0);
    *size = (size_t)info.st_size;
    unsigned char *bytes = malloc(*size + 1);
    ck_assert(bytes != NULL);
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

char *read_whole_text(const char *path)
{
    size_t size;
    char *text = (char *)read_bytes(path, &size);
    text[size] = '\0';
    return text;
}

static void copy_entry(const char *from, const char *to)
{
    struct stat info;
    ck_assert_msg(stat(from, &info) == 0, "%s is not there", from);
    if (S_ISDIR(info.st_mode)) {
        copy_folder(from, to);
        return;
    }
    size_t size;
    unsigned char *bytes = read_bytes(from, &size);
    write_bytes(to, bytes, size);
    free(bytes);
}

void copy_folder(const char *from, const char *to)
{
    ck_assert_msg(mkdir(to, 0777) == 0, "%s cannot be made", to);
    DIR *folder = opendir(from);
    ck_assert_msg(folder != NULL, "%s cannot be read", from);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char source[PATH_SIZE], target[PATH_SIZE];
        int length = snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        ck_assert_int_lt(length, PATH_SIZE);
        length = snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        ck_assert_int_lt(length, PATH_SIZE);
        copy_entry(source, target);
    }
    closedir(folder);
}

size_t count_entries(const char *path)
{
    DIR *folder = opendir(path);
    ck_assert_msg(folder != NULL, "%s cannot be read", path);
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return count;
}

void expect_error(enum status status, enum status expected, const struct error *error, ...)
{
    ck_assert_msg(status == expected, "expected status %d, got %d: %s", (int)expected, (int)status,
        status == STATUS_OK ? "(no error)" : error->message);
    va_list words;
    va_start(words, error);
    const char *word;
    while ((word = va_arg(words, const char *)) != NULL)
        ck_assert_msg(strstr(error->message, word) != NULL, "expected \"%s\" in the message, got: %s", word,
            error->message);
    va_end(words);
}

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
