/*
 * A trace: what a run dumps, under the names of golden/README.md, and the metadata that says what
 * run it was.
 */
#ifndef REF_TRACE_H
#define REF_TRACE_H

#include "tensor_set.h"

struct trace; /* gathers tensors in memory; written whole at the end */

/* An empty one. */
enum status trace_create(struct trace **out, struct error *error);
void trace_free(struct trace *trace); /* accepts NULL */

/* Adds a copy of `tensor`, narrowed to nothing: F32 stays F32, F64 stays F64. With `trace` NULL does
 * nothing. */
enum status trace_add(struct trace *trace, const struct tensor *tensor, struct error *error,
    const char *name_format, ...) PRINTF_LIKE(4, 5);
/* As tensor_set_put_metadata(); with `trace` NULL does nothing. */
enum status trace_put_metadata(struct trace *trace, const char *key, const char *value, struct error *error);
const struct tensor_set *trace_tensors(const struct trace *trace);
/* As tensor_set_write(): the ending of `path` says the format. */
enum status trace_write(const struct trace *trace, const char *path, struct error *error);

#endif
