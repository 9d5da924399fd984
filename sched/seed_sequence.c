/*
 * Seeds: from text to words, and NumPy's SeedSequence, which spreads every bit of the seed over 128 bits or
 * more.
 *
 * The mixing is O'Neill's seed_seq_fe ("Developing a seed_seq alternative", pcg-random.org, 2015), as
 * numpy/random/bit_generator.pyx fixes it: each entropy word is hashed with a multiplier that changes at
 * every use, then every pool word is mixed into every other, then the words beyond the pool into all. Those
 * constants are part of NumPy's promise that a seed keeps its meaning. All arithmetic is modulo 2^32.
 */
#include "seed_sequence.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 32, HASH_SHIFT = 16 };
#define INIT_A UINT32_C(0x43b0d7e5)
#define MULT_A UINT32_C(0x931e8875)
#define INIT_B UINT32_C(0x8b51f9dd)
#define MULT_B UINT32_C(0x58f38ded)
#define MIX_MULT_L UINT32_C(0xca01f9dd)
#define MIX_MULT_R UINT32_C(0x4973f715)

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

enum status seed_words(const char *text, uint32_t **words, size_t *count, struct error *error)
{
    *words = NULL;
    *count = 0;
    uint32_t base = 10;
    const char *digits = text;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        digits += 2;
    }
    size_t length = strlen(digits);
    bool valid = length > 0;
    for (size_t i = 0; i < length; i++) {
        int digit = digit_value(digits[i]);
        valid = valid && digit >= 0 && (uint32_t)digit < base;
    }
    if (!valid)
        return error_input(
            error, "seed: expected a non-negative integer, decimal or 0x-hexadecimal, got \"%.80s\"", text);

    if (length > SEED_MOST_DIGITS)
        return error_input(
            error, "seed: expected at most %zu digits, got %zu of them", SEED_MOST_DIGITS, length);

    /* A digit carries at most four bits. */
    size_t capacity = length / (WORD_BITS / 4) + 1;
    uint32_t *number = calloc(capacity, sizeof *number);
    if (!number) return error_memory(error, capacity * sizeof *number);
    size_t used = 1;
    for (size_t i = 0; i < length; i++) { /* number = number * base + digit */
        uint64_t carry = (uint64_t)digit_value(digits[i]);
        for (size_t j = 0; j < used; j++) {
            carry += (uint64_t)number[j] * base;
            number[j] = (uint32_t)carry;
            carry >>= WORD_BITS;
        }
        if (carry) number[used++] = (uint32_t)carry;
    }
    *words = number;
    *count = used;
    return STATUS_OK;
}

/* Hashes one word; `*hash_const` moves on with every use. */
static uint32_t hash_word(uint32_t value, uint32_t *hash_const, uint32_t multiplier)
{
    value ^= *hash_const;
    *hash_const *= multiplier;
    value *= *hash_const;
    return value ^ (value >> HASH_SHIFT);
}

static uint32_t mix_words(uint32_t x, uint32_t y)
{
    uint32_t mixed = MIX_MULT_L * x - MIX_MULT_R * y;
    return mixed ^ (mixed >> HASH_SHIFT);
}

void seed_sequence_mix(struct seed_sequence *sequence, size_t pool_size, const uint32_t *words, size_t count)
{
    uint32_t *pool = sequence->pool;
    uint32_t hash_const = INIT_A;

    sequence->size = pool_size;
    for (size_t i = 0; i < pool_size; i++) pool[i] = hash_word(i < count ? words[i] : 0, &hash_const, MULT_A);
    for (size_t source = 0; source < pool_size; source++)
        for (size_t target = 0; target < pool_size; target++)
            if (source != target)
                pool[target] = mix_words(pool[target], hash_word(pool[source], &hash_const, MULT_A));
    for (size_t source = pool_size; source < count; source++)
        for (size_t target = 0; target < pool_size; target++)
            pool[target] = mix_words(pool[target], hash_word(words[source], &hash_const, MULT_A));
}

void seed_sequence_generate(const struct seed_sequence *sequence, uint32_t *state, size_t n)
{
    uint32_t hash_const = INIT_B;
    for (size_t i = 0; i < n; i++)
        state[i] = hash_word(sequence->pool[i % sequence->size], &hash_const, MULT_B);
}
