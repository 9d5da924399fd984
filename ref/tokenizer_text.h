/*
 * The text side of CLIP's tokenizer: what happens to a prompt's characters before byte pairs are merged. Text
 * is UTF-8 throughout, given as bytes and length.
 */
#ifndef REF_TOKENIZER_TEXT_H
#define REF_TOKENIZER_TEXT_H

#include "sched/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checks that the bytes are UTF-8 (no overlong forms, no surrogates); the error names the first byte that is
 * not. The functions below take checked text only. */
enum status text_check(const char *text, size_t length, struct error *error);

/* What the fast tokenizer's normaliser does, in this order: canonical composition (NFC); each run of white
 * space becomes one space; lower case, character by character. `*out` is allocated and ends in a NUL that
 * `*out_length` does not count. Time is O(n log n) for any input. */
enum status text_normalise(
    const char *text, size_t length, char **out, size_t *out_length, struct error *error);

/* Finds the next match of CLIP's pattern
 *     's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 * at or after `*start` in normalised text: the word is text[*start .. *end). False where there is none
 * left. */
bool text_next_word(const char *text, size_t length, size_t *start, size_t *end);

/* The code point that starts at text[at], and its length in bytes (0 where there is no UTF-8); that which
 * ends before text[at], where `at` is not 0. */
size_t text_code_point(const char *text, size_t length, size_t at, int32_t *code_point);
size_t text_code_point_before(const char *text, size_t at, int32_t *code_point);

/* Unicode's White_Space, and what regular expressions call \w (letters, marks, decimal digits,
 * connectors). */
bool text_is_space(int32_t code_point);
bool text_is_word(int32_t code_point);

#endif
