/*
 * SplitMix64's finaliser (Steele, Lea and Flood 2014, figure 17, with Stafford's variant 13 of it): numbers
 * that look random from a key and a place, without a state.
 */
#ifndef REF_SPLITMIX_H
#define REF_SPLITMIX_H

#include <stdint.h>

static const uint64_t SPLITMIX_STEP = 0x9e3779b97f4a7c15u; /* odd, 2^64 / 1.618... */

/* One number of 64 bits from another, one to one. */
static inline uint64_t splitmix_finalise(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
