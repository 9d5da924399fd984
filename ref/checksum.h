/*
 * One number for many bytes, as fast as they are read: to tell files that were changed or damaged by
 * accident. It is no protection against intent, for which there is sha256.h.
 *
 * Words of 64 bits are folded into four lanes in turn, each h <- (rotl(h, 29) xor w) m with an odd m, so that
 * no single change of a word can be lost (both operations can be undone); the lanes and the length are mixed
 * at the end.
 */
#ifndef REF_CHECKSUM_H
#define REF_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_LANES 4

struct checksum {
    uint64_t lanes[CHECKSUM_LANES];
    unsigned char block[8 * CHECKSUM_LANES]; /* what has not been taken in yet */
    uint64_t size;                           /* bytes so far */
};

void checksum_begin(struct checksum *sum);
void checksum_add(struct checksum *sum, const void *bytes, size_t size);
uint64_t checksum_end(struct checksum *sum);

#endif
