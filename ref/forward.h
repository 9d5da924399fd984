/*
 * What a forward pass needs beside its weights: room for activations, a trace to write to, and one place for
 * the first error. Operators (layers.h) do nothing once an error is set, so that a forward pass reads
 * straight down and is checked once, at its end.
 *
 * Activations live in an arena with scopes: scope_begin() notes where it stands, scope_return() gives back
 * everything since then but one result. A block allocates freely inside its scope and returns one tensor.
 *
 * Over an arena that plans (arena.h) a pass is dry: every operator checks its shapes and takes its memory,
 * and none computes, so the pass says how much memory it needs, to the byte. What is not an operator asks
 * forward_computes() before it touches an element.
 */
#ifndef REF_FORWARD_H
#define REF_FORWARD_H

#include "kernels/number_format.h"
#include "kernels/real.h"
#include "sched/error.h"
#include "tensor.h"

#define forward_tensor KERNEL_NAME(forward_tensor)
#define forward_scratch KERNEL_NAME(forward_scratch)
#define forward_output KERNEL_NAME(forward_output)
#define forward_needs KERNEL_NAME(forward_needs)
#define forward_unknown KERNEL_NAME(forward_unknown)
#define forward_computes KERNEL_NAME(forward_computes)
#define forward_runs KERNEL_NAME(forward_runs)
#define forward_rounds KERNEL_NAME(forward_rounds)
#define forward_fuses KERNEL_NAME(forward_fuses)
#define forward_result KERNEL_NAME(forward_result)
#define forward_result_format KERNEL_NAME(forward_result_format)
#define forward_round KERNEL_NAME(forward_round)
#define forward_rounded_copy KERNEL_NAME(forward_rounded_copy)
#define DTYPE_REAL (sizeof(real) == sizeof(double) ? DTYPE_F64 : DTYPE_F32)

struct arena;    /* arena.h */
struct trace;    /* trace.h */
struct observer; /* observer.h */
struct linear;   /* layers.h */
struct conv2d;
struct norm;

/* One call of a kernel, for who wants to know of them all (a benchmark, a count of operations). */
struct kernel_call {
    const char *kernel; /* the operator's name: "linear", "linear_geglu", "conv2d", "attention" ... */
    struct tensor x;    /* its input; of attention the queries */
    struct tensor w;    /* its weight in its stored type; of attention the keys; rank 0 without */
    struct tensor y;    /* its result */
    const struct linear *linear; /* the layer that is run; NULL for what is of another kind */
    const struct conv2d *conv2d;
    const struct norm *norm;
    struct tensor and; /* what joins x: of attention the values, of conv2d_added the residual, of
                          conv2d_shifted the shift, of concat_channels what comes behind; rank 0 without */
    int64_t heads;     /* of attention */
    double scale;
    bool causal;
};

struct forward;

/* What is computed in another way than the kernels do: a fault that is planted or suspected
 * (verify_variation.h). Asked before each kernel, in dry passes too, so that both take the same memory. True
 * where it has filled y itself, or would have; what it takes from the arena it gives back. */
struct kernel_replacement {
    void *context;
    bool (*replace_f32)(void *context, struct forward *f, const struct kernel_call *call);
    bool (*replace_f64)(void *context, struct forward *f, const struct kernel_call *call);
};

struct forward {
    struct arena *arena;
    struct trace *modules;           /* where module outputs go (`act.<name>`), or NULL */
    const struct observer *observer; /* who sees them besides, or NULL */
    char whose[32];                  /* what stands before their names then (observer.h): "", "step.03." */
    enum status status;              /* STATUS_OK until something fails */
    struct error *error;

    /* What the imitated backend computes in; FORMAT_F32, which is 0, is ourselves. In float only: the double
     * build is the exact answer whatever stands here. See "Number formats" below. */
    enum number_format format;
    bool upcast;     /* for the moment weights alone are of that format, and arithmetic is float */
    bool upcast_vae; /* what the decoder does where its config has force_upcast: vae.h */

    size_t scratch; /* the most that one operator took beside its tensors, for all threads, in bytes */
    size_t traced;  /* bytes of the tensors that a dry pass would have recorded */

    /* Called before each kernel, in dry passes too; only the shapes of its tensors may be looked at there.
     * NULL: not called. */
    void (*record)(void *context, const struct kernel_call *call);
    void *record_context;

    const struct kernel_replacement *replacement; /* NULL: the kernels alone compute */

    const char *kernel; /* of the present call: its name, and its layer's weight, for the observer */
    const void *weight;
};

/* A new, uninitialised tensor of type real. On failure sets the status and returns a tensor whose data is
 * NULL. */
struct tensor forward_tensor(struct forward *f, int rank, const int64_t *shape);
/* Room for `count` elements of a kernel's own, which the caller's scope gives back; NULL for none, and where
 * memory is out (and then the status says so). */
real *forward_scratch(struct forward *f, size_t count);

/* Whether who watches needs a model to be run (observer.h), and what stands for a result of one that is not:
 * not a number throughout. */
bool forward_needs(const struct forward *f, const char *model);
struct tensor forward_unknown(struct forward *f, int rank, const int64_t *shape);

/* Whether elements may be read and written: nothing has failed, and this is no dry pass. */
bool forward_computes(const struct forward *f);
/* The same for an operator that is about to call its kernel, which is recorded, and may be replaced. */
bool forward_runs(struct forward *f, const struct kernel_call *call);

/* Number formats. With F16 or BF16 each operator rounds its weights as it reads them and its result as it
 * stores it, sums are float, and no two operators are fused (layers_rounded.h), so that whatever PyTorch
 * holds in a tensor of that dtype is rounded. What comes from outside is rounded where a model takes it in;
 * so operands are rounded because they were results. With TF32 results are float, and the operands of matrix
 * products alone are rounded. */

/* Whether operators are those of another format. */
bool forward_rounds(const struct forward *f);
/* Whether an operator may be computed together with the one that follows it. */
bool forward_fuses(const struct forward *f);
/* The result of the kernel that was called last: rounded, and shown to who watches results; returns x. */
struct tensor forward_result(struct forward *f, struct tensor x);
/* The format that results are stored in: `format`, but F32 where it is TF32, in an upcast and in double. */
enum number_format forward_result_format(const struct forward *f);
/* Rounds the elements of x, of type real, to it; returns x. */
struct tensor forward_round(struct forward *f, struct tensor x);
/* The same without a change to x: a copy, or x itself where nothing is rounded. */
struct tensor forward_rounded_copy(struct forward *f, struct tensor x);

/* Records the output of the module `name` ("unet.down_blocks.0.resnets.1") where a trace wants it, and shows
 * it to the observer, who may change its elements; returns `output`. */
struct tensor forward_output(struct forward *f, const char *name, struct tensor output);

#endif
