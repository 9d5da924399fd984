/*
 * What is in a set of tensors that is no checkpoint: a trace, another program's dump, NumPy's files. What
 * `plumb inspect` shows of them.
 */
#ifndef REF_INSPECT_TENSORS_H
#define REF_INSPECT_TENSORS_H

#include "tensor_set.h"

#include <stdio.h>

/* Opens what lies at `path`; `*out` is NULL, and that is no error, where it is no set of tensors, none that
 * can be read, or a whole checkpoint in one file: what to say of those, inspection_make() knows. */
enum status inspect_tensors_open(const char *path, struct tensor_set **out, struct error *error);

/* The metadata, then a line a tensor: name, type, shape; smallest, largest and root mean square of its finite
 * elements; how many are not finite. Then the sums. */
enum status inspect_tensors_write(const struct tensor_set *set, FILE *out, struct error *error);

#endif
