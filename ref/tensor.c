#include "tensor.h"

#include "kernels/half.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are used as they lie in the files, which are little-endian; this host is not"
#endif

static const struct {
    const char *name;
    size_t size;
} dtypes[DTYPES] = {
    [DTYPE_F32] = {"F32", 4},
    [DTYPE_F64] = {"F64", 8},
    [DTYPE_F16] = {"F16", 2},
    [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_I64] = {"I64", 8},
    [DTYPE_I32] = {"I32", 4},
    [DTYPE_I16] = {"I16", 2},
    [DTYPE_I8] = {"I8", 1},
    [DTYPE_U64] = {"U64", 8},
    [DTYPE_U32] = {"U32", 4},
    [DTYPE_U16] = {"U16", 2},
    [DTYPE_U8] = {"U8", 1},
    [DTYPE_BOOL] = {"BOOL", 1},
};

size_t dtype_size(enum dtype dtype)
{
    return dtypes[dtype].size;
}

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

bool dtype_parse(const char *name, enum dtype *dtype)
{
    for (int i = 0; i < DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) != 0) continue;
        *dtype = (enum dtype)i;
        return true;
    }
    return false;
}

bool dtype_is_float(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
}

bool tensor_shape_count(const int64_t *shape, int rank, enum dtype dtype, size_t *count)
{
    /* PTRDIFF_MAX bytes is the most that one object can have. A zero side makes the tensor empty but does not
     * excuse the others: their product is checked as if it were not there, since strides would overflow. */
    int64_t product = (int64_t)dtype_size(dtype);
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return false;
        if (shape[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, shape[i], &product) || product > PTRDIFF_MAX)
            return false;
    }
    *count = empty ? 0 : (size_t)product / dtype_size(dtype);
    return true;
}

size_t tensor_count(const struct tensor *tensor)
{
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= (size_t)tensor->shape[i];
    return count;
}

size_t tensor_bytes(const struct tensor *tensor)
{
    return tensor_count(tensor) * dtype_size(tensor->dtype);
}

/* The bits of element i in the low end of a word. memcpy reads where an aligned access may not. */
static uint64_t element_bits(const struct tensor *tensor, size_t i)
{
    uint64_t bits = 0;
    size_t size = dtype_size(tensor->dtype);
    memcpy(&bits, (const unsigned char *)tensor->data + i * size, size);
    return bits;
}

static double bits_to_f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double tensor_get_double(const struct tensor *tensor, size_t i)
{
    uint64_t bits = element_bits(tensor, i);
    switch (tensor->dtype) {
    case DTYPE_F32: return (double)f32_from_bits((uint32_t)bits);
    case DTYPE_F64: return bits_to_f64(bits);
    case DTYPE_F16: return (double)f16_to_f32((uint16_t)bits);
    case DTYPE_BF16: return (double)bf16_to_f32((uint16_t)bits);
    case DTYPE_U64: return (double)bits;
    default: return (double)tensor_get_int(tensor, i);
    }
}

/* Towards zero, as a C cast does; where a cast would be undefined, the nearest end of the range, and 0 for
 * NaN. */
static int64_t double_to_int(double value)
{
    if (value >= 0x1p63) return INT64_MAX;
    if (value < -0x1p63) return INT64_MIN;
    return value == value ? (int64_t)value : 0;
}

int64_t tensor_get_int(const struct tensor *tensor, size_t i)
{
    uint64_t bits = element_bits(tensor, i);
    switch (tensor->dtype) {
    case DTYPE_I32: return (int32_t)(uint32_t)bits;
    case DTYPE_I16: return (int16_t)(uint16_t)bits;
    case DTYPE_I8: return (int8_t)(uint8_t)bits;
    case DTYPE_I64:
    case DTYPE_U64:
    case DTYPE_U32:
    case DTYPE_U16:
    case DTYPE_U8: return (int64_t)bits;
    case DTYPE_BOOL: return bits != 0;
    default: return double_to_int(tensor_get_double(tensor, i));
    }
}

const char *tensor_show_shape(const struct tensor *tensor, char *buffer, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < tensor->rank && used < size; i++)
        used +=
            (size_t)snprintf(buffer + used, size - used, "%s%" PRId64, i == 0 ? "[" : ", ", tensor->shape[i]);
    if (used < size) snprintf(buffer + used, size - used, "%s", tensor->rank == 0 ? "[]" : "]");
    return buffer;
}

const char *tensor_show_index(const struct tensor *tensor, size_t i, char *buffer, size_t size)
{
    struct tensor index = {.rank = tensor->rank};
    for (int side = tensor->rank - 1; side >= 0; side--) {
        index.shape[side] = (int64_t)(i % (size_t)tensor->shape[side]);
        i /= (size_t)tensor->shape[side];
    }
    return tensor_show_shape(&index, buffer, size);
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0;
}
