#include "checksum.h"

#include "splitmix.h"

#include <string.h>

void checksum_begin(struct checksum *sum)
{
    *sum = (struct checksum){.lanes = {1, 2, 3, 4}};
}

static uint64_t word_at(const unsigned char *at)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word |= (uint64_t)at[i] << 8 * i;
    return word;
}

static void take_block(struct checksum *sum, const unsigned char *block)
{
    for (int i = 0; i < CHECKSUM_LANES; i++) {
        uint64_t h = sum->lanes[i];
        sum->lanes[i] = ((h << 29 | h >> 35) ^ word_at(block + 8 * i)) * SPLITMIX_STEP;
    }
}

void checksum_add(struct checksum *sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    size_t held = (size_t)(sum->size % sizeof sum->block);
    sum->size += size;
    if (held > 0) {
        size_t room = sizeof sum->block - held, taken = size < room ? size : room;
        memcpy(sum->block + held, at, taken);
        if (taken < room) return;
        take_block(sum, sum->block);
        at += taken;
        size -= taken;
    }
    for (; size >= sizeof sum->block; at += sizeof sum->block, size -= sizeof sum->block) take_block(sum, at);
    if (size > 0) memcpy(sum->block, at, size);
}

uint64_t checksum_end(struct checksum *sum)
{
    size_t held = (size_t)(sum->size % sizeof sum->block);
    memset(sum->block + held, 0, sizeof sum->block - held);
    take_block(sum, sum->block);
    uint64_t number = splitmix_finalise(sum->size);
    for (int i = 0; i < CHECKSUM_LANES; i++) number = splitmix_finalise(number ^ sum->lanes[i]);
    return number;
}
