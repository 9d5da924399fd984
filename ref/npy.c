/*
 * NumPy's .npy (numpy.lib.format, versions 1.0 to 3.0):
 *
 *     "\x93NUMPY", major, minor, N (2 bytes in version 1, 4 in 2 and 3), then N bytes of a Python dict
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and spaces up to a line feed; then the
 * data.
 *
 * The dict is read here as far as NumPy writes it: three keys, each once. Data is used where it lies, but for
 * Fortran's order, which is turned into rows.
 */
#include "tensor_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    enum dtype dtype;
    const char *descr;
} descrs[] = {
    {DTYPE_F32, "<f4"},
    {DTYPE_F64, "<f8"},
    {DTYPE_F16, "<f2"},
    {DTYPE_I64, "<i8"},
    {DTYPE_I32, "<i4"},
    {DTYPE_I16, "<i2"},
    {DTYPE_I8, "|i1"},
    {DTYPE_U64, "<u8"},
    {DTYPE_U32, "<u4"},
    {DTYPE_U16, "<u2"},
    {DTYPE_U8, "|u1"},
    {DTYPE_BOOL, "|b1"},
};
#define DESCRS (sizeof descrs / sizeof descrs[0])

/* --- The dict ----------------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n')) c->at++;
}

/* Takes `wanted`, with the spaces before it, where it is next. */
static bool take(struct cursor *c, char wanted)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool take_word(struct cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* A string in either kind of quotes, without escapes. */
static bool take_string(struct cursor *c, char *text, size_t size)
{
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    char quote = *c->at++;
    size_t length = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (*c->at == '\\' || length + 1 == size) return false;
        text[length++] = *c->at;
    }
    text[length] = '\0';
    return take(c, quote);
}

static bool take_integer(struct cursor *c, int64_t *value)
{
    skip_spaces(c);
    const char *start = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    if (c->at == start) return false;
    take(c, 'L'); /* Python 2 wrote long integers so */
    return true;
}

/* A Python tuple of integers: (), (3,), (3, 4), (3, 4,). */
static enum status take_shape(struct cursor *c, struct tensor *tensor, struct error *error)
{
    if (!take(c, '(')) return error_input(error, "shape: expected a tuple of integers");
    bool comma = true;
    while (!take(c, ')')) {
        int64_t side;
        if (!comma || !take_integer(c, &side))
            return error_input(error, "shape: expected a tuple of integers from 0 to 2^63 - 1");
        if (tensor->rank == TENSOR_MAX_RANK)
            return error_input(error, "shape: expected at most %d sides", TENSOR_MAX_RANK);
        tensor->shape[tensor->rank++] = side;
        comma = take(c, ',');
    }
    if (tensor->rank == 1 && !comma) return error_input(error, "shape: expected a tuple, got an integer");
    return STATUS_OK;
}

static enum status take_descr(struct cursor *c, enum dtype *dtype, struct error *error)
{
    char descr[32];
    if (!take_string(c, descr, sizeof descr))
        return error_input(error, "descr: expected a plain type such as '<f4' (no record of fields)");
    for (size_t i = 0; i < DESCRS; i++) {
        bool one_byte = dtype_size(descrs[i].dtype) == 1; /* which has no order of bytes */
        if (strcmp(descr + (*descr != '\0'), descrs[i].descr + 1) != 0) continue;
        if (*descr == *descrs[i].descr || (one_byte && *descr == '<')) {
            *dtype = descrs[i].dtype;
            return STATUS_OK;
        }
        if (*descr == '>')
            return error_input(error,
                "descr: '%s' is big-endian: save the array with little-endian elements ('<%s')", descr,
                descr + 1);
    }
    return error_input(error,
        "descr: expected '<f4', '<f8', '<f2', '<i8', '<i4', '<i2', '|i1', '<u8', '<u4', '<u2', '|u1' or "
        "'|b1', "
        "got '%s'",
        descr);
}

static enum status read_dict(struct cursor *c, struct tensor *tensor, bool *fortran, struct error *error)
{
    bool has_descr = false, has_order = false, has_shape = false;
    if (!take(c, '{')) return error_input(error, "header: expected a dict");
    while (!take(c, '}')) {
        char key[24];
        if (!take_string(c, key, sizeof key) || !take(c, ':'))
            return error_input(error, "header: expected a key in quotes and a ':'");
        enum status status = STATUS_OK;
        if (strcmp(key, "descr") == 0 && !has_descr) {
            has_descr = true;
            status = take_descr(c, &tensor->dtype, error);
        } else if (strcmp(key, "shape") == 0 && !has_shape) {
            has_shape = true;
            status = take_shape(c, tensor, error);
        } else if (strcmp(key, "fortran_order") == 0 && !has_order) {
            has_order = true;
            *fortran = take_word(c, "True");
            if (!*fortran && !take_word(c, "False"))
                status = error_input(error, "fortran_order: expected True or False");
        } else {
            status = error_input(
                error, "header: expected descr, fortran_order and shape once each, got '%s'", key);
        }
        if (status != STATUS_OK) return status;
        if (take(c, ',')) continue;
        if (!take(c, '}')) return error_input(error, "header: expected a ',' or the dict's end");
        break;
    }
    skip_spaces(c);
    if (c->at != c->end) return error_input(error, "header: text after the dict's end");
    if (!has_descr || !has_order || !has_shape)
        return error_input(error, "header: expected descr, fortran_order and shape once each");
    return STATUS_OK;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* The header's text, and the data behind it. */
static enum status split(struct bytes file, struct cursor *header, struct bytes *data, struct error *error)
{
    if (file.size < 10 || memcmp(file.at, "\x93NUMPY", 6) != 0)
        return error_input(error, "expected a .npy file, which starts with \\x93NUMPY");
    unsigned major = file.at[6], minor = file.at[7];
    if (major < 1 || major > 3 || minor != 0)
        return error_input(error, "version: expected 1.0, 2.0 or 3.0, got %u.%u", major, minor);
    size_t start = major == 1 ? 10 : 12;
    if (file.size < start) return error_input(error, "header length: the file ends inside it");
    size_t length = major == 1 ? read_u16(file.at + 8) : read_u32(file.at + 8);
    if (length > file.size - start)
        return error_input(error, "header length: %zu bytes, but only %zu follow (a truncated file?)", length,
            file.size - start);
    header->at = (const char *)file.at + start;
    header->end = header->at + length;
    *data = (struct bytes){file.at + start + length, file.size - start - length};
    return STATUS_OK;
}

/* Turns columns into rows: data whose first side is fastest is, read as rows, the transposed tensor. */
static enum status to_row_major(struct tensor *tensor, void **owned, struct error *error)
{
    struct tensor columns = *tensor, rows;
    int sides[TENSOR_MAX_RANK];
    for (int k = 0; k < tensor->rank; k++) {
        columns.shape[k] = tensor->shape[tensor->rank - 1 - k];
        sides[k] = tensor->rank - 1 - k;
    }
    enum status status = tensor_transpose(&columns, sides, &rows, error);
    if (status == STATUS_OK) tensor->data = *owned = rows.data;
    return status;
}

enum status npy_read(struct bytes file, struct tensor *tensor, void **owned, struct error *error)
{
    *tensor = (struct tensor){0};
    *owned = NULL;
    struct cursor header = {0};
    struct bytes data = {0};
    bool fortran = false;
    enum status status = split(file, &header, &data, error);
    if (status == STATUS_OK) status = read_dict(&header, tensor, &fortran, error);
    if (status != STATUS_OK) return status;

    char shape[256];
    tensor_show_shape(tensor, shape, sizeof shape);
    size_t count;
    if (!tensor_shape_count(tensor->shape, tensor->rank, tensor->dtype, &count))
        return error_input(
            error, "shape: %s of %s is more than memory can hold", shape, dtype_name(tensor->dtype));
    if (count * dtype_size(tensor->dtype) != data.size)
        return error_input(error, "%zu bytes of data, but %s of %s takes %zu", data.size, shape,
            dtype_name(tensor->dtype), count * dtype_size(tensor->dtype));
    tensor->data = (void *)(uintptr_t)data.at;
    if (!fortran || tensor->rank < 2 || count == 0) return STATUS_OK;
    return to_row_major(tensor, owned, error);
}

/* --- Writing ------------------------------------------------------------------------------ */

enum status npy_header(
    const struct tensor *tensor, char header[NPY_HEADER_SIZE], size_t *size, struct error *error)
{
    const char *descr = NULL;
    for (size_t i = 0; i < DESCRS; i++)
        if (descrs[i].dtype == tensor->dtype) descr = descrs[i].descr;
    if (!descr)
        return error_input(error, "%s has no type in .npy: write .safetensors", dtype_name(tensor->dtype));

    /* Eight sides of 19 digits, and what stands around them, are 8 * 21 + 60 bytes at most. */
    size_t used = 10;
    used += (size_t)snprintf(
        header + used, NPY_HEADER_SIZE - used, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < tensor->rank; i++)
        used += (size_t)snprintf(header + used, NPY_HEADER_SIZE - used, "%s%" PRId64 "%s", i ? " " : "",
            tensor->shape[i], tensor->rank == 1 || i + 1 < tensor->rank ? "," : "");
    used += (size_t)snprintf(header + used, NPY_HEADER_SIZE - used, "), }");
    /* As NumPy: the data starts on a multiple of 64, and a line feed ends the spaces. */
    size_t padded = (used + 1 + 63) / 64 * 64;
    memset(header + used, ' ', padded - used);
    header[padded - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((padded - 10) & 0xff);
    header[9] = (char)((padded - 10) >> 8);
    *size = padded;
    return STATUS_OK;
}

enum status npy_write(const struct tensor *tensor, FILE *stream, struct error *error)
{
    char header[NPY_HEADER_SIZE];
    size_t size;
    enum status status = npy_header(tensor, header, &size, error);
    if (status != STATUS_OK) return status;
    fwrite(header, 1, size, stream);
    fwrite(tensor->data, 1, tensor_bytes(tensor), stream);
    return STATUS_OK;
}
