#include "support.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 1024

/* Paths are handed out in turn, so that a test can hold a few at once. */
static const char *golden_path_v(const char *format, va_list arguments)
{
    static char paths[8][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    const char *root = getenv("PLUMB_GOLDEN");
    int used = snprintf(path, PATH_SIZE, "%s/", root && *root ? root : "golden");
    ck_assert(used > 0 && used < PATH_SIZE);
    int length = vsnprintf(path + used, (size_t)(PATH_SIZE - used), format, arguments);
    ck_assert_msg(length >= 0 && length < PATH_SIZE - used, "the path is too long: %s", path);
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

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
