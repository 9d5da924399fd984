/*
 * NumPy's default stream of normals: PCG64 words through a ziggurat.
 *
 * PCG XSL RR 128/64 (O'Neill, "PCG: a family of simple fast space-efficient statistically good algorithms",
 * 2014, section 6.3): a 128-bit linear congruential generator whose halves are xored and rotated by its top
 * six bits.
 *
 * Ziggurat (Marsaglia and Tsang, "The ziggurat method for generating random variables", J. Stat. Softw. 5(8),
 * 2000), 256 layers of equal area under exp(-x^2/2), as numpy/random/src/distributions/distributions.c has
 * it. A word gives the layer (8 bits), the sign (1 bit) and the place in the layer (52 bits). Where the place
 * is left of the next layer's edge, it is under the curve and done. Otherwise the wedge is decided by a
 * uniform, and the base layer's remainder is the tail beyond R, drawn by Marsaglia's method (1964).
 */
#include "numpy_pcg64.h"

#include "seed_sequence.h"
#include "ziggurat_tables.h"

#include <math.h>
#include <stdbool.h>

#define MULTIPLIER (((uint128)UINT64_C(0x2360ED051FC65DA4) << 64) | UINT64_C(0x4385DF649FCCF645))

static void advance(struct numpy_pcg64 *generator)
{
    generator->state = generator->state * MULTIPLIER + generator->increment;
}

void numpy_pcg64_seed(struct numpy_pcg64 *generator, const uint32_t *words, size_t count)
{
    struct seed_sequence sequence = {0};
    uint32_t half[8];
    uint64_t word[4];

    seed_sequence_mix(&sequence, SEED_POOL, words, count);
    seed_sequence_generate(&sequence, half, 8);
    for (int i = 0; i < 4; i++) word[i] = (uint64_t)half[2 * i + 1] << 32 | half[2 * i];
    uint128 start = (uint128)word[0] << 64 | word[1];
    uint128 stream = (uint128)word[2] << 64 | word[3];

    generator->increment = stream << 1 | 1;
    generator->state = 0;
    advance(generator);
    generator->state += start;
    advance(generator);
}

uint64_t numpy_pcg64_next(struct numpy_pcg64 *generator)
{
    advance(generator);
    uint64_t folded = (uint64_t)(generator->state >> 64) ^ (uint64_t)generator->state;
    unsigned rotation = (unsigned)(generator->state >> 122);
    return folded >> rotation | folded << (-rotation & 63);
}

double numpy_pcg64_uniform(struct numpy_pcg64 *generator)
{
    return (double)(numpy_pcg64_next(generator) >> 11) * 0x1p-53;
}

/* |x| of a draw beyond ZIGGURAT_R. */
static double normal_tail(struct numpy_pcg64 *generator)
{
    for (;;) {
        double beyond = -ZIGGURAT_1_OVER_R * log1p(-numpy_pcg64_uniform(generator));
        double bound = -log1p(-numpy_pcg64_uniform(generator));
        if (bound + bound > beyond * beyond) return ZIGGURAT_R + beyond;
    }
}

double numpy_pcg64_normal(struct numpy_pcg64 *generator)
{
    for (;;) {
        uint64_t word = numpy_pcg64_next(generator);
        unsigned layer = word & 0xff;
        bool negative = word >> 8 & 1;
        uint64_t place = word >> 9 & UINT64_C(0x000fffffffffffff);
        double x = (double)place * ziggurat_width[layer];
        if (negative) x = -x;
        if (place < ziggurat_inside[layer]) return x;
        if (layer == 0) {
            double tail = normal_tail(generator);
            /* NumPy takes the tail's sign from another bit of the word than elsewhere. */
            return place >> 8 & 1 ? -tail : tail;
        }
        double low = ziggurat_height[layer], high = ziggurat_height[layer - 1];
        if ((high - low) * numpy_pcg64_uniform(generator) + low < exp(-0.5 * x * x)) return x;
    }
}
