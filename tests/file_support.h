/*
 * What the tests of files share: a temporary folder for each test, sets of tensors that must open or must
 * not, and files put together byte by byte.
 */
#ifndef TESTS_FILE_SUPPORT_H
#define TESTS_FILE_SUPPORT_H

#include "support.h"

/* Check's fixtures: a new folder before each test, removed after it. */
extern char *test_folder;
void make_test_folder(void);
void drop_test_folder(void);

/* These fail the test where their operation fails. */
struct tensor_set *open_set(const char *path);
struct tensor_set *empty_set(void);
void write_set(const struct tensor_set *set, const char *path);
void add_tensor(struct tensor_set *set, const char *name, const struct tensor *tensor);

/* Opening must fail as bad input, with the path and these words in the message. */
void expect_open_error(const char *path, const char *words);

/* Bytes of a file in the making. */
struct buffer {
    unsigned char bytes[4096];
    size_t size;
};
void put(struct buffer *b, const void *bytes, size_t size);
/* The low `width` bytes of a number, at most 8, little-endian. */
void put_number(struct buffer *b, uint64_t number, size_t width);

#endif
