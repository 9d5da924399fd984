#include "tensor.h"

#include <stdlib.h>
#include <string.h>

enum status tensor_transpose(
    const struct tensor *source, const int *sides, struct tensor *result, struct error *error)
{
    const size_t size = dtype_size(source->dtype), count = tensor_count(source);
    const int rank = source->rank;
    size_t source_stride[TENSOR_MAX_RANK] = {0}, stride[TENSOR_MAX_RANK] = {0};
    size_t index[TENSOR_MAX_RANK] = {0}, from = 0;
    for (int k = rank - 1; k >= 0; k--)
        source_stride[k] = k == rank - 1 ? 1 : source_stride[k + 1] * (size_t)source->shape[k + 1];
    *result = *source;
    for (int k = 0; k < rank; k++) {
        result->shape[k] = source->shape[sides[k]];
        stride[k] = source_stride[sides[k]];
    }
    unsigned char *out = result->data = malloc(count ? count * size : 1);
    if (!out) return error_memory(error, count * size);
    for (size_t to = 0; to < count; to++) {
        memcpy(out + to * size, (const unsigned char *)source->data + from * size, size);
        for (int k = rank - 1; k >= 0; k--) { /* the next index, last side fastest */
            from += stride[k];
            if (++index[k] < (size_t)result->shape[k]) break;
            from -= stride[k] * (size_t)result->shape[k];
            index[k] = 0;
        }
    }
    return STATUS_OK;
}
