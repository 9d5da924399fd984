/*
 * A scheduler in the middle of a run as bytes, and as a second scheduler: so that a caller can branch (copy),
 * and stop and go on later (save, restore).
 */
#ifndef SCHED_SCHEDULER_SAVE_H
#define SCHED_SCHEDULER_SAVE_H

#include "scheduler.h"

#define scheduler_copy REAL_NAME(scheduler_copy)
#define scheduler_save REAL_NAME(scheduler_save)
#define scheduler_restore REAL_NAME(scheduler_restore)

/* A second scheduler at the same point of the same run; the two go on apart. */
enum status scheduler_copy(const struct scheduler *scheduler, struct scheduler **copy, struct error *error);

/* Everything that the next steps depend on, as bytes: the config as JSON, the schedule, where the run stands,
 * and the solver's own memory. They are for the build that wrote them: the same version on the same kind of
 * machine. `*bytes` is allocated (free()). */
enum status scheduler_save(
    const struct scheduler *scheduler, unsigned char **bytes, size_t *size, struct error *error);

/* The scheduler that scheduler_save() wrote. Bytes of another build, of the other arithmetic, cut short or
 * damaged are refused. The checksum finds accidents, not malice: restore only what you saved. */
enum status scheduler_restore(
    const unsigned char *bytes, size_t size, struct scheduler **out, struct error *error);

#endif
