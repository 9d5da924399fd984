#include "file_support.h"

#include <string.h>

char *test_folder;

void make_test_folder(void)
{
    test_folder = temporary_folder();
}

void drop_test_folder(void)
{
    remove_folder(test_folder);
    test_folder = NULL;
}

struct tensor_set *open_set(const char *path)
{
    struct tensor_set *set = NULL;
    struct error error = {""};
    enum status status = tensor_set_open(path, &set, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return set;
}

void expect_open_error(const char *path, const char *words)
{
    struct tensor_set *set = NULL;
    struct error error = {""};
    enum status status = tensor_set_open(path, &set, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, path, words, NULL);
    ck_assert(set == NULL);
}

void write_set(const struct tensor_set *set, const char *path)
{
    struct error error = {""};
    enum status status = tensor_set_write(set, path, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

void add_tensor(struct tensor_set *set, const char *name, const struct tensor *tensor)
{
    struct error error = {""};
    enum status status = tensor_set_add(set, name, tensor, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

struct tensor_set *empty_set(void)
{
    struct tensor_set *set = NULL;
    ck_assert_int_eq(tensor_set_create(&set, NULL), STATUS_OK);
    return set;
}

void put(struct buffer *b, const void *bytes, size_t size)
{
    ck_assert_uint_le(b->size + size, sizeof b->bytes);
    if (size) memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

void put_number(struct buffer *b, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) put(b, &(unsigned char){(unsigned char)(number >> 8 * i)}, 1);
}
