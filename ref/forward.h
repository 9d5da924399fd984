/*
 * What a forward pass needs beside its weights: room for activations, a trace to write to, and one place for
 * the first error. Operators (layers.h) do nothing once an error is set, so that a forward pass reads
 * straight down and is checked once, at its end.
 *
 * Activations live in an arena with scopes: scope_begin() notes where it stands, scope_return() gives back
 * everything since then but one result. A block allocates freely inside its scope and returns one tensor.
 */
#ifndef REF_FORWARD_H
#define REF_FORWARD_H

#include "kernels/real.h"
#include "sched/error.h"
#include "tensor.h"

#define forward_tensor KERNEL_NAME(forward_tensor)
#define forward_output KERNEL_NAME(forward_output)
#define DTYPE_REAL (sizeof(real) == sizeof(double) ? DTYPE_F64 : DTYPE_F32)

struct arena; /* arena.h */
struct trace; /* trace.h */

struct forward {
    struct arena *arena;
    struct trace *modules; /* where module outputs go (`act.<name>`), or NULL */
    enum status status;    /* STATUS_OK until something fails */
    struct error *error;
};

/* A new, uninitialised tensor of type real. On failure sets the status and returns a tensor whose data is
 * NULL. */
struct tensor forward_tensor(struct forward *f, int rank, const int64_t *shape);

/* Records the output of the module `name` ("unet.down_blocks.0.resnets.1") where a trace wants it; returns
 * `output`. */
struct tensor forward_output(struct forward *f, const char *name, struct tensor output);

#endif
