/*
 * Seeds: from text to 32-bit words, and from words to well-mixed state (NumPy's SeedSequence).
 */
#ifndef SCHED_SEED_SEQUENCE_H
#define SCHED_SEED_SEQUENCE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Reads a non-negative integer of any size, decimal or 0x-hexadecimal, into its 32-bit words, the lowest
 * first and without leading zero words: at least one. The caller frees `*words`. Anything else in the text,
 * spaces and signs included, is STATUS_BAD_INPUT. */
enum status seed_words(const char *text, uint32_t **words, size_t *count, struct error *error);

#define SEED_POOL 4 /* words of entropy that a SeedSequence keeps */

struct seed_sequence {
    uint32_t pool[SEED_POOL];
};

/* np.random.SeedSequence(seed) for the seed's `count` >= 1 words, the lowest first. */
void seed_sequence_mix(struct seed_sequence *sequence, const uint32_t *words, size_t count);

/* SeedSequence.generate_state(n, np.uint32). (Its uint64 words are pairs of these, the low half first.) */
void seed_sequence_generate(const struct seed_sequence *sequence, uint32_t *state, size_t n);

#endif
