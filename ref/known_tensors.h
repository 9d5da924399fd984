/*
 * Every tensor that a run of a pipeline has, by the name that a trace gives it (golden/README.md), with its
 * shape: what another backend's names and shapes are recognised by. From a dry pass: nothing is computed.
 */
#ifndef REF_KNOWN_TENSORS_H
#define REF_KNOWN_TENSORS_H

#include "tensor.h"

struct pipeline;
struct recipe;

#define UNKNOWN_RANK (-1)

struct known_tensor {
    char *name;
    int rank;                       /* UNKNOWN_RANK: nothing is known of the shape */
    int64_t shape[TENSOR_MAX_RANK]; /* a side of 0 may have any length */
    size_t added;                   /* which one it was, counted from 0 */
};

struct known_tensors {
    struct known_tensor *items; /* in the order of their names, each once, after known_tensors_order() */
    size_t count, capacity;
};

/* What `recipe` makes `pipeline` compute, and the names that it would have with other options (a step's
 * noise, the negative prompt's tensors), whose shapes are then not known. */
enum status known_tensors_of_run(const struct pipeline *pipeline, const struct recipe *recipe,
    struct known_tensors *known, struct error *error);

/* The same by hand: adding, with `shape` NULL for an unknown one, and then putting in order. Of a name that
 * was added twice the first stays. */
enum status known_tensors_add(
    struct known_tensors *known, const char *name, int rank, const int64_t *shape, struct error *error);
void known_tensors_order(struct known_tensors *known);
/* The names that do not depend on the models: every key of golden/README.md for `steps` steps, but for
 * `act.*`. Ranks are known, sides are not. Leaves the list out of order. */
enum status known_tensors_add_keys(struct known_tensors *known, size_t steps, struct error *error);

/* The one of this name, NULL where there is none; after known_tensors_order(). */
const struct known_tensor *known_tensors_find(const struct known_tensors *known, const char *name);
void known_tensors_free(struct known_tensors *known); /* accepts an empty one */

#endif
