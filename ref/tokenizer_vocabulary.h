/*
 * vocab.json and merges.txt: the pieces that a word is built from, and in which order neighbours are joined.
 *
 * A piece's text stands for bytes: each byte has a printable symbol of its own (GPT-2's table), and "</w>"
 * marks the end of a word.
 */
#ifndef REF_TOKENIZER_VOCABULARY_H
#define REF_TOKENIZER_VOCABULARY_H

#include "sched/error.h"

#include <stddef.h>
#include <stdint.h>

/* The pair of pieces (left, right) becomes the piece `result`; smaller ranks are joined first. */
struct merge {
    int32_t left, right, result, rank;
};

struct vocabulary {
    size_t size;       /* ids are 0 .. size - 1 */
    char *characters;  /* all texts, one after the other */
    const char **text; /* [size]: id -> text, NUL-terminated */
    int32_t *by_text;  /* [size]: ids in the order of their texts */

    int32_t symbol[256];     /* id of each byte's symbol inside a word, -1 where the vocabulary lacks it */
    int32_t end_symbol[256]; /* the same at a word's end: with "</w>" */

    struct merge *merges; /* in the order of (left, right) */
    size_t merge_count;
};

/* `vocab_path` must be a JSON object from text to id, every id from 0 to one less than their number exactly
 * once. Each line of `merges_path` after the first (the "#version" one) must hold two pieces whose joined
 * text is a piece. On failure nothing is held. */
enum status vocabulary_open(
    const char *vocab_path, const char *merges_path, struct vocabulary *vocabulary, struct error *error);
void vocabulary_close(struct vocabulary *vocabulary); /* accepts one that is all zero */

/* The byte that the symbol (a code point) stands for, -1 where it is none: printable Latin-1 characters are
 * their own bytes; the other 68 bytes, in order (0x00-0x20, 0x7F-0xA0, 0xAD), are U+0100 and on. In the order
 * of their code points the symbols are the first 256 pieces of CLIP's vocabulary. */
int vocabulary_byte_of_symbol(int32_t symbol);
#define VOCABULARY_LAST_SYMBOL 0x143
#define VOCABULARY_END_OF_WORD "</w>"
/* How many merges CLIP's tokenizer uses, also of a longer list (the original list has 262,000): its
 * vocabulary is 256 bytes, the same at a word's end, merges and two special tokens, 49408 in all. */
#define VOCABULARY_MAX_MERGES (49152 - 256 - 2)

/* The id of a text, -1 where there is none. */
int32_t vocabulary_find(const struct vocabulary *vocabulary, const char *text, size_t length);
/* The merge of two pieces, NULL where there is none. */
const struct merge *vocabulary_merge(const struct vocabulary *vocabulary, int32_t left, int32_t right);

/* The bytes that a piece stands for are appended to `out` (as many as its text at most; no NUL), a space for
 * "</w>"; returns how many. */
size_t vocabulary_decode(const char *piece, char *out);

#endif
