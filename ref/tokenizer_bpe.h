/*
 * Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909, section 3.2) of one word.
 */
#ifndef REF_TOKENIZER_BPE_H
#define REF_TOKENIZER_BPE_H

#include "tokenizer_vocabulary.h"

/* Splits a word (`length` bytes, at least one) into pieces: starting from single bytes, the neighbours of the
 * smallest rank are joined, the leftmost first, until no two neighbours have a merge. `unknown` stands for a
 * byte without a symbol. Writes at most `length` ids, and how many to `*count`. Time is O(n log n). */
enum status byte_pairs_encode(const struct vocabulary *vocabulary, const char *word, size_t length,
    int32_t unknown, int32_t *ids, size_t *count, struct error *error);

#endif
