/*
 * Seeds: from text to 32-bit words, and from words to well-mixed state (NumPy's SeedSequence).
 */
#ifndef SCHED_SEED_SEQUENCE_H
#define SCHED_SEED_SEQUENCE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* How many digits a seed may have: as many as Python takes where it reads an integer from text, since the
 * work of reading one grows with the square of them. */
#define SEED_MOST_DIGITS ((size_t)4300)

/* Reads a non-negative integer, decimal or 0x-hexadecimal, into its 32-bit words, the lowest first and
 * without leading zero words: at least one. The caller frees `*words`. Anything else in the text, spaces and
 * signs included, is STATUS_BAD_INPUT, and so are more than SEED_MOST_DIGITS digits. */
enum status seed_words(const char *text, uint32_t **words, size_t *count, struct error *error);

/* Words of entropy that a SeedSequence keeps: its pool_size, 4 where it is not given. */
enum { SEED_POOL = 4, LARGEST_SEED_POOL = 24 };

struct seed_sequence {
    size_t size; /* words of `pool` in use */
    uint32_t pool[LARGEST_SEED_POOL];
};

/* np.random.SeedSequence(seed, pool_size) for the seed's `count` >= 1 words, the lowest first; 1 <= pool_size
 * <= LARGEST_SEED_POOL. With a spawn_key the words are those of the seed, filled up with zeros to pool_size,
 * and then those of the key. */
void seed_sequence_mix(struct seed_sequence *sequence, size_t pool_size, const uint32_t *words, size_t count);

/* SeedSequence.generate_state(n, np.uint32). (Its uint64 words are pairs of these, the low half first.) */
void seed_sequence_generate(const struct seed_sequence *sequence, uint32_t *state, size_t n);

#endif
