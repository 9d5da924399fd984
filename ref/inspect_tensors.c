#include "inspect_tensors.h"

#include "safe_text.h"
#include "table.h"
#include "tensor_files.h"

#include <math.h>
#include <string.h>

/* The names of the UNet's weights in a checkpoint that is one file. */
static bool is_checkpoint(const struct tensor_set *set)
{
    static const char unet[] = "model.diffusion_model.";
    for (size_t i = 0; i < tensor_set_count(set); i++)
        if (strncmp(tensor_set_name(set, i), unet, strlen(unet)) == 0) return true;
    return false;
}

enum status inspect_tensors_open(const char *path, struct tensor_set **out, struct error *error)
{
    *out = NULL;
    enum status status = tensor_set_open(path, out, error);
    if (status == STATUS_BAD_INPUT) return STATUS_OK;
    if (status != STATUS_OK) return status;
    if (tensor_set_count(*out) > 0 && !is_checkpoint(*out)) return STATUS_OK;
    tensor_set_free(*out);
    *out = NULL;
    return STATUS_OK;
}

struct summary {
    double smallest, largest, square_sum; /* of what is finite */
    size_t finite, nonfinite;
};

static struct summary summarise(const struct tensor *tensor)
{
    struct summary s = {.smallest = INFINITY, .largest = -INFINITY};
    const size_t count = tensor_count(tensor);
    for (size_t i = 0; i < count; i++) {
        const double value = tensor_get_double(tensor, i);
        if (!isfinite(value)) continue;
        s.smallest = fmin(s.smallest, value);
        s.largest = fmax(s.largest, value);
        s.square_sum += value * value;
        s.finite++;
    }
    s.nonfinite = count - s.finite;
    return s;
}

/* The recipe of a trace is a page of JSON: its beginning says enough. */
static void write_metadata(const struct tensor_set *set, FILE *out)
{
    char key[64], value[100];
    for (size_t i = 0; i < set->metadata_count; i++)
        fprintf(out, "%s: %s\n", safe_text(set->metadata[i].key, key, sizeof key),
            safe_text(set->metadata[i].value, value, sizeof value));
    if (set->metadata_count > 0) fputc('\n', out);
}

static size_t add_row(struct table *table, const char *name, const struct tensor *tensor)
{
    char shown[256], shape[256];
    const struct summary s = summarise(tensor);
    table_add(table, "%s", safe_text(name, shown, sizeof shown));
    table_add(table, "%s", dtype_name(tensor->dtype));
    table_add(table, "%s", tensor_show_shape(tensor, shape, sizeof shape));
    const double numbers[] = {s.smallest, s.largest, sqrt(s.square_sum / (double)s.finite)};
    for (size_t i = 0; i < 3; i++) {
        if (s.finite > 0)
            table_add(table, "%.6g", numbers[i]);
        else
            table_add(table, "%s", "");
    }
    table_add(table, "%zu", s.nonfinite);
    return s.nonfinite;
}

enum status inspect_tensors_write(const struct tensor_set *set, FILE *out, struct error *error)
{
    static const char *const headings[] = {
        "tensor", "type", "shape", "smallest", "largest", "rms", "not finite"};
    struct table table = {.alignment = "lllrrrr"};
    size_t elements = 0, bytes = 0, nonfinite = 0;
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(&table, "%s", headings[i]);
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        const struct tensor *tensor = tensor_set_at(set, i);
        nonfinite += add_row(&table, tensor_set_name(set, i), tensor);
        elements += tensor_count(tensor);
        bytes += tensor_bytes(tensor);
    }
    write_metadata(set, out);
    enum status status = table_write(&table, out, "", error);
    table_free(&table);
    if (status == STATUS_OK)
        fprintf(out, "\ntensors: %zu, elements: %zu, bytes: %zu, not finite: %zu\n", tensor_set_count(set),
            elements, bytes, nonfinite);
    return status;
}
