/*
 * Memory for activations: one mapping of a size that is known before the work begins.
 *
 * A forward pass asks for the same tensors in the same order whenever its shapes are the same. So it is gone
 * through twice: first over an arena that plans, which hands out places without memory behind them, while no
 * kernel runs (forward.h); arena_peak() then says exactly how much the second pass needs, and that much is
 * mapped at once. Where the system refuses it, it does so before any work is done.
 *
 * A place is the smallest gap that the tensor fits in (best fit). One that is no longer needed makes room at
 * once: by arena_drop(), or at the end of the scope in which it was allocated. Nothing moves by itself.
 */
#ifndef REF_ARENA_H
#define REF_ARENA_H

#include "sched/error.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* An arena of `bytes`. The system gives pages to it as they are written to, and again after the arena is
 * freed only. */
enum status arena_create(struct arena **out, size_t bytes, struct error *error);
/* An arena that plans: it has room for everything, and what it hands out must neither be read nor written. */
enum status arena_create_plan(struct arena **out, struct error *error);
void arena_free(struct arena *arena); /* accepts NULL */

/* Whether there is memory behind what arena_alloc() returns. */
bool arena_holds_memory(const struct arena *arena);

/* `bytes` on a 64-byte boundary, uninitialised; NULL where there is no room. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* Gives back what arena_alloc() returned; does nothing with any other address. */
void arena_drop(struct arena *arena, const void *data);

/* Moves the `bytes` at `data`, which arena_alloc() returned, to the lowest address that has room for them;
 * the new place. For a moment when little else is in use and something large comes next. */
void *arena_lower(struct arena *arena, void *data, size_t bytes);

/* A scope: everything that is allocated after arena_mark(), until it is released. */
struct arena_mark {
    size_t allocations; /* before it */
};

/* Where the arena stands now. */
struct arena_mark arena_mark(const struct arena *arena);
/* Gives back everything since `mark`. */
void arena_release(struct arena *arena, struct arena_mark mark);
/* Gives back everything since `mark` but what starts at `kept`. */
void arena_release_but(struct arena *arena, struct arena_mark mark, const void *kept);

/* The size that an arena needs for all that was asked of this one since the start or since
 * arena_restart_peak(): the end of the highest place that was in use. */
size_t arena_peak(const struct arena *arena);
void arena_restart_peak(struct arena *arena);

#endif
