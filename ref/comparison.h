/*
 * Two sets of tensors, tensor by tensor: what `plumb compare` shows.
 */
#ifndef REF_COMPARISON_H
#define REF_COMPARISON_H

#include "compare.h"

#include <stdio.h>

enum verdict {
    VERDICT_EQUAL,     /* every element has the same value */
    VERDICT_AGREES,    /* every element is within the tolerance */
    VERDICT_DIFFERS,   /* some element is not */
    VERDICT_SHAPE,     /* the shapes are not the same */
    VERDICT_ONLY_IN_A, /* the other set has no tensor of this name */
    VERDICT_ONLY_IN_B,
};

struct comparison_row {
    const char *name;
    const struct tensor *a, *b; /* NULL on the side that has none */
    enum verdict verdict;
    struct tolerance tolerance;   /* that was applied */
    struct difference difference; /* where the shapes are the same */
    size_t outside;               /* elements outside the tolerance */
};

struct comparison {
    struct comparison_row *rows; /* by name; names and tensors belong to the sets */
    size_t count;
    bool agree; /* every verdict is VERDICT_EQUAL or VERDICT_AGREES */
};

/* What is asked for in place of the defaults; a negative number stands for "not asked". */
struct tolerance_request {
    double rtol, atol, ulp;
};

/* `b` is the reference. The default tolerance of a tensor goes by the coarser of the two element types and is
 * that of PyTorch's torch.testing.assert_close: F64 rtol 1e-7, atol 1e-7; F32 1.3e-6, 1e-5; F16 1e-3, 1e-5;
 * BF16 1.6e-2, 1e-5. Where both are integers or booleans, 0. Asking for any of rtol, atol, ulp sets the
 * others to 0. */
enum status comparison_make(const struct tensor_set *a, const struct tensor_set *b,
    const struct tolerance_request *request, struct comparison *comparison, struct error *error);
void comparison_free(struct comparison *comparison);

/* The row whose largest difference is the largest part of its tensor's peak; NULL where no tensor differs. */
const struct comparison_row *comparison_worst(const struct comparison *comparison);

/* A line for each tensor and a summary; the same as a JSON object. */
enum status comparison_write_table(const struct comparison *comparison, FILE *out, struct error *error);
void comparison_write_json(const struct comparison *comparison, FILE *out);

/* The members of an object, without its braces: "count": 4, ... "worst_index": [0, 3, 17, 40]. `tensor` is
 * the one with the shape; `range` is that of a picture (picture_range()), 0 where there is none. */
void difference_write_json(
    const struct difference *difference, const struct tensor *tensor, double range, FILE *out);

#endif
