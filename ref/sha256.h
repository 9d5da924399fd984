/*
 * SHA-256 (FIPS 180-4): one number for many bytes.
 */
#ifndef REF_SHA256_H
#define REF_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    unsigned char block[64]; /* what has not been taken in yet */
    uint64_t size;           /* bytes so far */
};

/* Begins a number; takes bytes in, in as many parts as one likes (`bytes` may be NULL where `size` is 0). */
void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t size);
/* Writes 64 hexadecimal digits and a NUL; the hash is then used up. Returns `digits`. */
const char *sha256_end(struct sha256 *hash, char digits[65]);

#endif
