/*
 * A tokenizer folder of a few letters, which tests change, and random bytes to change it with.
 */
#ifndef TESTS_SMALL_TOKENIZER_H
#define TESTS_SMALL_TOKENIZER_H

#include "ref/tokenizer.h"

/* A temporary folder with the four files; free it with remove_folder(). Begin and end are 10 ("<B>") and 11
 * ("<E>", the unknown token too), "!" pads (12), "abc" is 8, there are 13 ids and 8 places. */
char *small_folder(void);
void write_text(const char *folder, const char *name, const char *text);

/* Opens a folder; fails the test where that fails. */
struct tokenizer *open_tokenizer(const char *folder);

/* xorshift64*: the same numbers on every machine. `*state` is not 0. */
uint64_t random_next(uint64_t *state);

#endif
