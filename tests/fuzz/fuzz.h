/*
 * What the fuzz targets share. A target is one file, tests/fuzz/TARGET.c, with LLVMFuzzerTestOneInput(), so
 * that libFuzzer and AFL++ can both drive it; the suite test_fuzz_corpus runs the same files, each under a
 * name of its own (the Makefile renames the function), on everything under corpus/ and regressions/.
 *
 * A target takes any bytes and comes back: what it is given is refused with a reason or gives something
 * sound. fuzz_require() says what sound means, and ends the process where it is not.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "ref/tensor_files.h"
#include "ref/tensor_set.h"
#include "sched/error.h"
#include "sched/json.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* returns 0 */

/* Writes the message to standard error and aborts. */
_Noreturn void fuzz_fail(const char *format, ...) PRINTF_LIKE(1, 2);
#define fuzz_require(condition, ...) ((condition) ? (void)0 : fuzz_fail(__VA_ARGS__))

/* Whether `status` is STATUS_OK; where it is not, it must be bad input and the error must say why. */
bool fuzz_accepted(enum status status, const struct error *error);

/* The bytes as JSON; NULL where they are none (the caller frees it). */
cJSON *fuzz_json(const uint8_t *data, size_t size);

/* Pieces of an input, with a zero byte between them. Takes the next piece off `*data` and returns it as
 * allocated text, without zeros; an empty one where nothing is left. */
char *fuzz_piece(const uint8_t **data, size_t *size);

/* Writes a file of this name (it may hold folders that are there) into the target's own folder, which is
 * empty at the start and goes with the process. Returns its path, good until the next call. */
const char *fuzz_file(const char *name, const void *bytes, size_t size);
/* The folder itself, and one in it that is made where it is not there yet. */
const char *fuzz_folder(void);
void fuzz_make_folder(const char *name);
void fuzz_remove_file(const char *name);

/* Every element of every tensor, so that a sanitizer sees each byte that a tensor claims; names are found. */
void fuzz_read_all(const struct tensor_set *set);
/* Whether two sets hold the same: names, types, shapes, bytes. */
bool fuzz_same_sets(const struct tensor_set *a, const struct tensor_set *b);

/* A file of several tensors: refused, or tensors that, written once more, are the same. What is read may be
 * refused by the writer, with a reason (a name that is too long for an archive's entry). */
typedef enum status fuzz_reader(struct tensor_set *set, struct bytes bytes, struct error *error);
typedef enum status fuzz_writer(const struct tensor_set *set, FILE *stream, struct error *error);
void fuzz_container(const uint8_t *data, size_t size, fuzz_reader *read, fuzz_writer *write);

#endif
