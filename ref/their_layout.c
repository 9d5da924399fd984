#include "their_layout.h"

#include "paths.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds to what was done, after a comma. */
static PRINTF_LIKE(2, 3) void note(struct laid_out *out, const char *format, ...)
{
    size_t used = strlen(out->change);
    if (used > 0 && used + 2 < sizeof out->change) {
        memcpy(out->change + used, ", ", 3);
        used += 2;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->change + used, sizeof out->change - used, format, arguments);
    va_end(arguments);
}

/* --- What a map asks for ------------------------------------------------------------------ */

static enum status reshape(struct laid_out *out, const struct names_entry *entry, struct error *error)
{
    struct tensor shaped = out->tensor;
    char from[160], to[160];
    const size_t count = tensor_count(&out->tensor);
    int open = -1;
    size_t others;
    shaped.rank = entry->reshape_rank;
    memcpy(shaped.shape, entry->reshape, sizeof shaped.shape);
    tensor_show_shape(&out->tensor, from, sizeof from);
    tensor_show_shape(&shaped, to, sizeof to);
    for (int i = 0; i < shaped.rank; i++)
        if (shaped.shape[i] == -1) open = i;
    if (open >= 0) shaped.shape[open] = 1;
    bool fits = tensor_shape_count(shaped.shape, shaped.rank, shaped.dtype, &others);
    if (fits && open >= 0 && others > 0 && count % others == 0) {
        shaped.shape[open] = (int64_t)(count / others);
        others = count;
    }
    if (!fits || others != count)
        return error_input(error, "reshape: the %zu elements of %s are not %s", count, from, to);
    out->tensor = shaped;
    note(out, "%s as %s", from, tensor_show_shape(&shaped, to, sizeof to));
    return STATUS_OK;
}

static enum status transpose(struct laid_out *out, const int *sides, struct error *error)
{
    struct tensor result;
    enum status status = tensor_transpose(&out->tensor, sides, &result, error);
    free(out->owned);
    out->tensor = result;
    out->owned = status == STATUS_OK ? result.data : NULL;
    return status;
}

static enum status transpose_as_asked(
    struct laid_out *out, const struct names_entry *entry, struct error *error)
{
    char shape[160];
    if (out->tensor.rank != entry->transpose_rank)
        return error_input(error, "transpose: expected %d sides, got %s", entry->transpose_rank,
            tensor_show_shape(&out->tensor, shape, sizeof shape));
    note(out, "transposed");
    return transpose(out, entry->transpose, error);
}

/* Ours is [B, C, H, W] but for the pixels, which are [B, H, W, C]. Only what has rows and columns has a
 * layout: four sides of ours, or where those are not known, of theirs; a batch of one may be missing. */
static enum status change_layout(
    struct laid_out *out, enum their_layout layout, const struct known_tensor *known, struct error *error)
{
    static const int to_first[] = {0, 3, 1, 2}, to_last[] = {0, 2, 3, 1};
    static const int to_first_of_one[] = {2, 0, 1}, to_last_of_one[] = {1, 2, 0};
    const enum their_layout ours = strcmp(known->name, "image_u8") == 0 ? LAYOUT_NHWC : LAYOUT_NCHW;
    const int rank = out->tensor.rank;
    if (layout == LAYOUT_AS_OURS || layout == ours) return STATUS_OK;
    if (known->rank != UNKNOWN_RANK && known->rank != 4) return STATUS_OK;
    if (rank != 4 && (rank != 3 || known->rank == UNKNOWN_RANK)) return STATUS_OK;
    note(out, "channels %s", ours == LAYOUT_NCHW ? "last to first" : "first to last");
    if (ours == LAYOUT_NCHW) return transpose(out, rank == 4 ? to_first : to_first_of_one, error);
    return transpose(out, rank == 4 ? to_last : to_last_of_one, error);
}

static enum status take_part(struct laid_out *out, int part, int parts, struct error *error)
{
    char shape[160];
    struct tensor *tensor = &out->tensor;
    if (parts <= 1) return STATUS_OK;
    tensor_show_shape(tensor, shape, sizeof shape);
    if (tensor->rank == 0 || tensor->shape[0] % parts != 0)
        return error_input(
            error, "expected a first side of which %d names have equal parts, got %s", parts, shape);
    tensor->shape[0] /= parts;
    tensor->data = (unsigned char *)tensor->data + (size_t)part * tensor_bytes(tensor);
    note(out, "part %d of %d of %s", part + 1, parts, shape);
    return STATUS_OK;
}

enum status lay_out(const struct tensor *source, const struct names_entry *entry, int part,
    bool channels_last, const struct known_tensor *known, struct laid_out *out, struct error *error)
{
    *out = (struct laid_out){.tensor = *source};
    enum their_layout layout = channels_last ? LAYOUT_NHWC : LAYOUT_AS_OURS;
    enum status status = STATUS_OK;
    if (entry && entry->reshape_rank >= 0) status = reshape(out, entry, error);
    if (entry && entry->layout != LAYOUT_AS_OURS) layout = entry->layout;
    if (status == STATUS_OK && entry && entry->transpose_rank >= 0)
        status = transpose_as_asked(out, entry, error);
    else if (status == STATUS_OK)
        status = change_layout(out, layout, known, error);
    if (status == STATUS_OK && entry) status = take_part(out, part, entry->parts, error);
    if (status != STATUS_OK) {
        free(out->owned);
        out->owned = NULL;
    }
    return status;
}

/* --- Halves together ---------------------------------------------------------------------- */

enum status lay_out_together(
    struct laid_out *uncond, struct laid_out *text, struct laid_out *out, struct error *error)
{
    const struct tensor *a = &uncond->tensor, *b = &text->tensor;
    size_t bytes = tensor_bytes(a);
    char shape_a[160], shape_b[160];
    enum status status = STATUS_OK;
    *out = (struct laid_out){.tensor = *a};
    if (a->dtype != b->dtype || !tensor_same_shape(a, b) || a->rank == 0)
        status = error_input(error, "half: expected two halves alike, got %s %s and %s %s",
            dtype_name(a->dtype), tensor_show_shape(a, shape_a, sizeof shape_a), dtype_name(b->dtype),
            tensor_show_shape(b, shape_b, sizeof shape_b));
    if (status == STATUS_OK) {
        out->owned = malloc(bytes ? 2 * bytes : 1);
        if (!out->owned) status = error_memory(error, 2 * bytes);
    }
    if (status == STATUS_OK) {
        if (bytes) memcpy(out->owned, a->data, bytes);
        if (bytes) memcpy((unsigned char *)out->owned + bytes, b->data, bytes);
        out->tensor.data = out->owned;
        out->tensor.shape[0] *= 2;
        snprintf(out->change, sizeof out->change, "%.100s%stwo halves of %s in one batch", uncond->change,
            uncond->change[0] ? ", " : "", tensor_show_shape(a, shape_a, sizeof shape_a));
    }
    free(uncond->owned);
    free(text->owned);
    uncond->owned = text->owned = NULL;
    return status;
}

/* --- The shape that we have --------------------------------------------------------------- */

static bool shape_is_known(const struct known_tensor *known)
{
    if (known->rank == UNKNOWN_RANK) return false;
    for (int i = 0; i < known->rank; i++)
        if (known->shape[i] == 0) return false;
    return true;
}

/* Whether `fine` becomes `coarse` by leaving out sides of 1 and multiplying neighbours. */
static bool is_coarser(const int64_t *coarse, int coarse_rank, const int64_t *fine, int fine_rank)
{
    int i = 0;
    for (int k = 0; k < coarse_rank; k++) {
        int64_t product = 1;
        while (product < coarse[k] && i < fine_rank) {
            if (fine[i] == 0 || __builtin_mul_overflow(product, fine[i++], &product)) return false;
        }
        if (product != coarse[k]) return false;
    }
    while (i < fine_rank && fine[i] == 1) i++;
    return i == fine_rank;
}

static void read_as(struct laid_out *out, int rank, const int64_t *shape)
{
    char from[100], to[100];
    struct tensor *tensor = &out->tensor;
    tensor_show_shape(tensor, from, sizeof from);
    tensor->rank = rank;
    memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
    note(out, "%s read as %s", from, tensor_show_shape(tensor, to, sizeof to));
}

/* [2B, ...] for [B, ...] with the same bits in both halves: one of them. */
static void take_one_of_equal_halves(struct laid_out *out, const struct known_tensor *known)
{
    struct tensor *tensor = &out->tensor, one = *tensor;
    if (!path_ends_with(known->name, ".model_input") || tensor->rank != known->rank || tensor->rank == 0)
        return;
    if (tensor->shape[0] != 2 * known->shape[0] ||
        memcmp(tensor->shape + 1, known->shape + 1, (size_t)(known->rank - 1) * sizeof known->shape[0]) != 0)
        return;
    one.shape[0] /= 2;
    size_t bytes = tensor_bytes(&one);
    if (memcmp(tensor->data, (const unsigned char *)tensor->data + bytes, bytes) != 0) return;
    *tensor = one;
    note(out, "one of two equal halves");
}

void lay_out_fit(struct laid_out *out, const struct known_tensor *known)
{
    const struct tensor *tensor = &out->tensor;
    int64_t shape[TENSOR_MAX_RANK] = {1};
    const bool same = tensor->rank == known->rank &&
                      memcmp(tensor->shape, known->shape, (size_t)tensor->rank * sizeof *shape) == 0;
    if (known->rank == UNKNOWN_RANK || same) return;
    if (shape_is_known(known)) {
        if (is_coarser(tensor->shape, tensor->rank, known->shape, known->rank))
            read_as(out, known->rank, known->shape);
        else
            take_one_of_equal_halves(out, known);
    } else if (tensor->rank + 1 == known->rank) { /* the batch is missing */
        memcpy(shape + 1, tensor->shape, (size_t)tensor->rank * sizeof *shape);
        read_as(out, known->rank, shape);
    } else if (tensor->rank == known->rank + 1 && tensor->shape[0] == 1) { /* one side of 1 too many */
        memcpy(shape, tensor->shape + 1, (size_t)known->rank * sizeof *shape);
        read_as(out, known->rank, shape);
    }
}
