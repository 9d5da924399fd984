/*
 * The one tensor type: a view of contiguous, row-major elements that somebody else owns (a mapping, an arena,
 * a set).
 */
#ifndef REF_TENSOR_H
#define REF_TENSOR_H

#include "sched/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The element types of safetensors that Plumb reads. */
enum dtype {
    DTYPE_F32,
    DTYPE_F64,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U64,
    DTYPE_U32,
    DTYPE_U16,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPES
};

#define TENSOR_MAX_RANK 8

struct tensor {
    enum dtype dtype;
    int rank; /* 0 for a scalar, which has one element */
    int64_t shape[TENSOR_MAX_RANK];
    void *data; /* may be unaligned where it lies in a mapped file: read it through tensor_get_* or a
                   conversion */
};

size_t dtype_size(enum dtype dtype);                   /* bytes of one element, 1 to 8 */
const char *dtype_name(enum dtype dtype);              /* the safetensors name, "F32" */
bool dtype_parse(const char *name, enum dtype *dtype); /* false where the name is unknown */

/* Number of elements (1 for rank 0) and of bytes. Shapes are checked when a tensor is made, so neither
 * overflows. */
size_t tensor_count(const struct tensor *tensor);
size_t tensor_bytes(const struct tensor *tensor);

/* Checks that a shape has no negative side and that its bytes fit; fills `*count`. */
bool tensor_shape_count(const int64_t *shape, int rank, enum dtype dtype, size_t *count);

/* Element `i` of the flat tensor as a double (exact but for I64/U64 above 2^53) or as an integer (fractions
 * are cut off; a U64 above 2^63 wraps; a float beyond the range becomes its nearest end, NaN 0). A BOOL is 0
 * or 1. */
double tensor_get_double(const struct tensor *tensor, size_t i);
int64_t tensor_get_int(const struct tensor *tensor, size_t i);
bool dtype_is_float(enum dtype dtype); /* F32, F64, F16, BF16 */

/* Writes "[1, 4, 8, 8]" and returns `buffer`. */
const char *tensor_show_shape(const struct tensor *tensor, char *buffer, size_t size);
/* Where element `i` of the flat tensor stands, "[0, 3, 17, 40]"; returns `buffer`. The tensor has
 * elements. */
const char *tensor_show_index(const struct tensor *tensor, size_t i, char *buffer, size_t size);
bool tensor_same_shape(const struct tensor *a, const struct tensor *b);

/* The same elements with their sides in another order, as NumPy's transpose: side i of `*result` is side
 * `sides[i]` of `source`. `result->data` is allocated, the caller's. */
enum status tensor_transpose(
    const struct tensor *source, const int *sides, struct tensor *result, struct error *error);

#endif
