/*
 * Memory for activations: a stack of chunks. Allocation moves a mark; a scope's end moves it back. Chunks are
 * kept and used again, so that after the first step a run asks the system for nothing.
 */
#ifndef REF_ARENA_H
#define REF_ARENA_H

#include "sched/error.h"

#include <stddef.h>

struct arena;

struct arena_mark {
    size_t chunk, used;
};

enum status arena_create(struct arena **out, struct error *error);
void arena_free(struct arena *arena); /* accepts NULL */

/* `bytes` on a 64-byte boundary, uninitialised; NULL where memory is out. */
void *arena_alloc(struct arena *arena, size_t bytes);

struct arena_mark arena_mark(const struct arena *arena);
/* Gives back everything since `mark`. */
void arena_release(struct arena *arena, struct arena_mark mark);
/* Gives back everything since `mark` but `bytes` at `data` (allocated since then), which may move; returns
 * where it is. */
void *arena_release_keep(struct arena *arena, struct arena_mark mark, void *data, size_t bytes);

/* The most that was in use at once, in bytes. */
size_t arena_peak(const struct arena *arena);

#endif
