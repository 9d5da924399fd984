/*
 * The trace of a run that is not finished: F.partial beside F, a safetensors file that holds every finished
 * step whenever one looks, after a kill -9 too. (trace_journal.c says how.)
 *
 * Beside the trace's tensors it has some of its own: `unfinished.NN`, the room of a step still to come;
 * `sum.NN`, the checksum of what was written since the last one, NN steps being finished then; and
 * `unused.N`, bytes that align others. Its metadata are the trace's, and `resume`, what `plumb run --resume`
 * needs besides.
 */
#ifndef REF_TRACE_JOURNAL_H
#define REF_TRACE_JOURNAL_H

#include "trace.h"

#include <stdbool.h>

#define JOURNAL_ENDING ".partial"

/* "F.partial" of the trace F (of "DIR/", "DIR.partial"); allocated, NULL where memory is out. */
char *trace_journal_path(const char *trace_path);

struct trace_journal; /* opaque */

/* The journal of a run that begins (nothing may be at `path` then), or that goes on (an interrupted one must
 * be, and stays as it is until the first step is saved). No file is made yet. Another process that writes it
 * is an error. */
enum status trace_journal_open(
    const char *path, bool goes_on, struct trace_journal **out, struct error *error);
void trace_journal_free(struct trace_journal *journal); /* accepts NULL; the file stays */

/* Whether another process writes a journal there now. */
bool trace_journal_is_in_use(const char *path);

/* Puts into the file what `trace` has beyond it, now that `steps` of `total` are finished. `resume` is the
 * text of that metadata key. Where it fails the file is as it was. */
enum status trace_journal_save(struct trace_journal *journal, const struct trace *trace, const char *resume,
    size_t steps, size_t total, struct error *error);
/* The run has left all that it was to leave: the file goes. */
void trace_journal_remove(struct trace_journal *journal);

/* What an open journal holds of a run: the trace's tensors in their order, and the finished steps. What
 * follows a checksum that does not hold is left out, so that 0 steps are those of a file that is no journal,
 * or damaged at its beginning. `*tensors` is allocated; names and tensors are the set's. */
struct journal_tensor {
    const char *name;
    const struct tensor *tensor;
};
enum status trace_journal_read(const struct tensor_set *set, struct journal_tensor **tensors, size_t *count,
    size_t *steps, struct error *error);
/* Whether a tensor is the journal's own, and none of the trace. */
bool trace_journal_owns(const char *name);

#endif
