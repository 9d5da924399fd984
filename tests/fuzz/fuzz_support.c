#include "fuzz.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ftw.h>

enum { PATH_SIZE = 512 };

_Noreturn void fuzz_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fuzz: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

bool fuzz_accepted(enum status status, const struct error *error)
{
    if (status == STATUS_OK) return true;
    fuzz_require(status == STATUS_BAD_INPUT, "status %d: %s", (int)status, error->message);
    fuzz_require(error->message[0] != '\0', "refused without a reason");
    return false;
}

cJSON *fuzz_json(const uint8_t *data, size_t size)
{
    cJSON *json = NULL;
    struct error error = {""};
    enum status status = json_parse((const char *)data, size, "input", &json, &error);
    return fuzz_accepted(status, &error) ? json : NULL;
}

char *fuzz_piece(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\0', *size) : NULL;
    size_t length = end ? (size_t)(end - *data) : *size, taken = end ? length + 1 : length;
    char *piece = malloc(length + 1);
    fuzz_require(piece, "out of memory");
    if (length > 0) memcpy(piece, *data, length);
    piece[length] = '\0';
    *data += taken;
    *size -= taken;
    return piece;
}

/* --- The folder --------------------------------------------------------------------------- */

static char own_folder[PATH_SIZE];
static pid_t owner; /* a forked child leaves the folder alone */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info, (void)type, (void)position;
    return remove(path);
}

static void remove_own_folder(void)
{
    if (getpid() == owner) nftw(own_folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    if (own_folder[0] && owner == getpid()) return own_folder;
    const char *root = getenv("TMPDIR");
    if (!root || !*root) root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(own_folder, sizeof own_folder, "%.400s/plumb-fuzz-XXXXXX", root);
    fuzz_require(mkdtemp(own_folder), "%s: %s", own_folder, strerror(errno));
    owner = getpid();
    atexit(remove_own_folder);
    return own_folder;
}

static const char *path_of(const char *name)
{
    static char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/%.400s", fuzz_folder(), name);
    return path;
}

const char *fuzz_file(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    fuzz_require(file, "%s: %s", path, strerror(errno));
    size_t written = size > 0 ? fwrite(bytes, 1, size, file) : 0; /* no bytes may be NULL */
    fuzz_require(fclose(file) == 0 && written == size, "%s cannot be written", path);
    return path;
}

void fuzz_make_folder(const char *name)
{
    const char *path = path_of(name);
    fuzz_require(mkdir(path, 0777) == 0 || errno == EEXIST, "%s: %s", path, strerror(errno));
}

void fuzz_remove_file(const char *name)
{
    const char *path = path_of(name);
    fuzz_require(unlink(path) == 0 || errno == ENOENT, "%s: %s", path, strerror(errno));
}

/* --- Tensors ------------------------------------------------------------------------------ */

void fuzz_read_all(const struct tensor_set *set)
{
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        const struct tensor *tensor = tensor_set_at(set, i);
        fuzz_require(
            tensor_set_find(set, tensor_set_name(set, i)) == tensor, "%s is lost", tensor_set_name(set, i));
        for (size_t n = 0; n < tensor_count(tensor); n++) {
            (void)tensor_get_double(tensor, n);
            (void)tensor_get_int(tensor, n);
        }
    }
}

bool fuzz_same_sets(const struct tensor_set *a, const struct tensor_set *b)
{
    if (tensor_set_count(a) != tensor_set_count(b)) return false;
    for (size_t i = 0; i < tensor_set_count(a); i++) {
        const struct tensor *x = tensor_set_at(a, i), *y = tensor_set_find(b, tensor_set_name(a, i));
        if (!y || x->dtype != y->dtype || !tensor_same_shape(x, y)) return false;
        size_t bytes = tensor_bytes(x);
        if (bytes > 0 && memcmp(x->data, y->data, bytes) != 0) return false;
    }
    return true;
}

static struct tensor_set *read_container(
    struct bytes bytes, fuzz_reader *read, enum status *status, struct error *error)
{
    struct tensor_set *set;
    fuzz_require(tensor_set_create(&set, error) == STATUS_OK, "%s", error->message);
    *status = read(set, bytes, error);
    if (*status == STATUS_OK) *status = tensor_set_order(set, error);
    return set;
}

static void check_written(const struct tensor_set *set, fuzz_reader *read, fuzz_writer *write)
{
    char *bytes = NULL;
    size_t size = 0;
    struct error error = {""};
    FILE *stream = open_memstream(&bytes, &size);
    fuzz_require(stream, "out of memory");
    enum status status = write(set, stream, &error);
    fuzz_require(fclose(stream) == 0, "out of memory");
    if (fuzz_accepted(status, &error)) {
        struct tensor_set *again =
            read_container((struct bytes){(unsigned char *)bytes, size}, read, &status, &error);
        fuzz_require(status == STATUS_OK, "what was written is refused: %s", error.message);
        fuzz_require(fuzz_same_sets(set, again), "what was written is something else");
        tensor_set_free(again);
    }
    free(bytes);
}

void fuzz_container(const uint8_t *data, size_t size, fuzz_reader *read, fuzz_writer *write)
{
    enum status status;
    struct error error = {""};
    struct tensor_set *set = read_container((struct bytes){data, size}, read, &status, &error);
    if (fuzz_accepted(status, &error)) {
        fuzz_read_all(set);
        check_written(set, read, write);
    }
    tensor_set_free(set);
}
