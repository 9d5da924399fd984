/*
 * A checksum of saved bytes, to find accidents.
 */
#ifndef SCHED_CHECKSUM_H
#define SCHED_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a of 64 bits (Fowler, Noll and Vo). `bytes` may be NULL where `size` is 0. */
uint64_t checksum_of(const void *bytes, size_t size);

#endif
