/*
 * Earlier model outputs, as the multistep solvers keep them: a ring in one allocation. It holds no pointer
 * into itself, so a solver's state that contains it can be copied and saved (solver.h, state_memory).
 */
#ifndef SCHED_HISTORY_H
#define SCHED_HISTORY_H

#include "real.h"
#include "error.h"

#include <stddef.h>

#define history_prepare REAL_NAME(history_prepare)
#define history_reserve REAL_NAME(history_reserve)
#define history_next REAL_NAME(history_next)
#define history_push REAL_NAME(history_push)
#define history_at REAL_NAME(history_at)
#define history_newest REAL_NAME(history_newest)
#define history_forget REAL_NAME(history_forget)
#define history_clear REAL_NAME(history_clear)

struct history {
    size_t capacity, size; /* entries, and elements of each; 0 before the first step */
    size_t count;          /* entries that are filled */
    size_t newest;         /* the place of the newest in `memory` */
    real *memory;          /* [capacity, size] */
};

/* Room for `capacity` entries of `size` elements, once for all steps of a run. Refuses another size than that
 * of the entries there are. */
enum status history_prepare(struct history *history, size_t capacity, size_t size, struct error *error);

/* As history_prepare(), but a smaller capacity is left as it is, and a larger one keeps the entries: a
 * capacity of at least one, for a number of entries that may change from step to step. */
enum status history_reserve(struct history *history, size_t capacity, size_t size, struct error *error);

/* Where the next output goes, [size]: the oldest entry's place where all are filled. Nothing counts as pushed
 * before history_push(), so a step that fails leaves `count` and the entries in front as they were. */
real *history_next(struct history *history);
void history_push(struct history *history); /* what was written there is now the newest */

/* The entry of `age`, 0 for the newest; age < count. */
real *history_at(const struct history *history, size_t age);
/* The newest entry; NULL where there is none. */
const real *history_newest(const struct history *history);

/* Forgets the entries and keeps their memory. */
void history_forget(struct history *history);

/* Forgets the entries and gives their memory back. Accepts an empty one. */
void history_clear(struct history *history);

#endif
