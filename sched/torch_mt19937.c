/*
 * The Mersenne Twister (Matsumoto and Nishimura, "Mersenne twister: a 623-dimensionally equidistributed
 * uniform pseudo-random number generator", ACM TOMACS 8(1), 1998) and the uniforms that PyTorch makes of it:
 * the low 24 bits of a word, or the low 53 bits of two words, the first of them the upper half.
 */
#include "torch_mt19937.h"

enum {
    SHIFT_SIZE = 397 /* m of the paper: how far ahead a word takes its second parent */
};
#define MATRIX_A UINT32_C(0x9908b0df)
#define UPPER_BIT UINT32_C(0x80000000)

void torch_mt19937_seed(struct torch_mt19937 *generator, uint32_t seed)
{
    uint32_t *words = generator->words;
    words[0] = seed;
    for (uint32_t i = 1; i < MT19937_WORDS; i++)
        words[i] = UINT32_C(1812433253) * (words[i - 1] ^ words[i - 1] >> 30) + i;
    generator->next = MT19937_WORDS;
    generator->has_cached_normal = false;
    generator->cached_normal = 0;
}

/* The word after `shifted`, which lies SHIFT_SIZE ahead of `word`, with `after` next to it. */
static inline uint32_t twisted(uint32_t word, uint32_t after, uint32_t shifted)
{
    const uint32_t joined = (word & UPPER_BIT) | (after & ~UPPER_BIT);
    return shifted ^ joined >> 1 ^ (MATRIX_A & (0 - (joined & 1)));
}

/* The next 624 words from the last 624: the first 227 from old words alone, then those that have new ones as
 * their second parents, at last the one whose neighbour is new. The loops are cut so that eight words, and
 * more, can be made at once. */
static void refresh(struct torch_mt19937 *generator)
{
    enum { OLD = MT19937_WORDS - SHIFT_SIZE };
    uint32_t *words = generator->words;
    for (int i = 0; i < OLD; i++) words[i] = twisted(words[i], words[i + 1], words[i + SHIFT_SIZE]);
    for (int begin = OLD; begin < MT19937_WORDS - 1; begin += OLD) {
        const int end = begin + OLD < MT19937_WORDS - 1 ? begin + OLD : MT19937_WORDS - 1;
        for (int i = begin; i < end; i++) words[i] = twisted(words[i], words[i + 1], words[i - OLD]);
    }
    words[MT19937_WORDS - 1] = twisted(words[MT19937_WORDS - 1], words[0], words[SHIFT_SIZE - 1]);
    generator->next = 0;
}

static inline uint32_t tempered(uint32_t word)
{
    word ^= word >> 11;
    word ^= word << 7 & UINT32_C(0x9d2c5680);
    word ^= word << 15 & UINT32_C(0xefc60000);
    return word ^ word >> 18;
}

uint32_t torch_mt19937_next(struct torch_mt19937 *generator)
{
    if (generator->next == MT19937_WORDS) refresh(generator);
    return tempered(generator->words[generator->next++]);
}

void torch_mt19937_uniforms_f32(struct torch_mt19937 *generator, float *out, size_t n)
{
    while (n > 0) {
        if (generator->next == MT19937_WORDS) refresh(generator);
        const size_t left = (size_t)(MT19937_WORDS - generator->next), count = n < left ? n : left;
        const uint32_t *words = generator->words + generator->next;
        for (size_t i = 0; i < count; i++)
            out[i] = (float)(int32_t)(tempered(words[i]) & UINT32_C(0xffffff)) * 0x1p-24f;
        generator->next += (int)count;
        out += count;
        n -= count;
    }
}

double torch_mt19937_uniform_f64(struct torch_mt19937 *generator)
{
    uint64_t high = torch_mt19937_next(generator);
    uint64_t low = torch_mt19937_next(generator);
    return (double)((high << 32 | low) & UINT64_C(0x1fffffffffffff)) * 0x1p-53;
}
