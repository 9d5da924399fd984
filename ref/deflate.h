/*
 * What compressed bytes may become (RFC 1951): a bound for what a file can hold, before it is read.
 */
#ifndef REF_DEFLATE_H
#define REF_DEFLATE_H

/* Deflate's best is a length of 258 bytes from two bits: 1032 bytes from one. */
#define DEFLATE_LIMIT 1032

#endif
