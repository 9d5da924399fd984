#include "cli.h"
#include "inspect_tensors.h"
#include "inspection.h"
#include "table.h"

static const char description[] =
    "What is in a checkpoint: its components, their classes and key figures, "
    "files, tensors, parameters, bytes and types.\n"
    "Each component is loaded as a run would load it, so every name, shape and "
    "value is checked; exit status 2 where\n"
    "something is missing, misshapen, unexpected or not finite. A folder with "
    "some components only, or one component's own\n"
    "folder, is taken too.\n"
    "\n"
    "Of what is no checkpoint but a set of tensors (a trace, a .npy or .npz file, a "
    "folder of them), the metadata and every\n"
    "tensor: type, shape, smallest and largest element, root mean square, and how "
    "many elements are not finite.";

static const char examples[] = "  plumb inspect golden/models/tiny-sdxl\n"
                               "  plumb inspect golden/models/tiny-sdxl-fp16 --variant fp16\n"
                               "  plumb inspect golden/models/tiny-sd/unet --tensors\n"
                               "  plumb inspect run.safetensors";

static void show_dtypes(const struct inspected *c, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (enum dtype dtype = 0; dtype < DTYPES; dtype++)
        if (c->has_dtype[dtype] && used < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? " " : "", dtype_name(dtype));
}

static enum status write_table(const struct inspection *inspection, FILE *out, struct error *error)
{
    static const char *const headings[] = {
        "component", "class", "files", "tensors", "parameters", "bytes", "types", "state", "figures"};
    struct table table = {.alignment = "llrrrrlll"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(&table, "%s", headings[i]);
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected *c = &inspection->components[i];
        char dtypes[80];
        show_dtypes(c, dtypes, sizeof dtypes);
        table_add(&table, "%s", c->name);
        table_add(&table, "%s", c->class_name);
        const size_t numbers[] = {c->files, c->tensors, c->parameters, c->bytes};
        for (size_t n = 0; n < 4; n++) {
            if (c->files)
                table_add(&table, "%zu", numbers[n]);
            else
                table_add(&table, "%s", "");
        }
        table_add(&table, "%s", dtypes);
        table_add(&table, "%s", c->status == STATUS_OK ? "whole" : "NOT WHOLE");
        table_add(&table, "%s", c->figures);
    }
    enum status status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

static enum status write_tensors(
    const struct inspection *inspection, const char *variant, FILE *out, struct error *error)
{
    struct table table = {.alignment = "lll"};
    enum status status = STATUS_OK;
    table_add(&table, "tensor");
    table_add(&table, "type");
    table_add(&table, "shape");
    for (size_t i = 0; status == STATUS_OK && i < inspection->count; i++) {
        const struct inspected *c = &inspection->components[i];
        struct weights *weights = NULL;
        if (!c->files) continue;
        status = weights_open(&inspection->checkpoint, c->name, variant, &weights, error);
        for (size_t t = 0; status == STATUS_OK && t < weights_tensor_count(weights); t++) {
            struct tensor tensor;
            char shape[128];
            table_add(&table, "%s.%s", c->name, weights_tensor_at(weights, t, &tensor));
            table_add(&table, "%s", dtype_name(tensor.dtype));
            table_add(&table, "%s", tensor_show_shape(&tensor, shape, sizeof shape));
        }
        weights_close(weights);
    }
    fputc('\n', out);
    if (status == STATUS_OK) status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

/* The table, the sum, and the first thing that is wrong. */
static enum status report(struct invocation *invocation, const struct inspection *inspection,
    const char *variant, bool with_tensors)
{
    FILE *out = invocation->out;
    size_t parameters = 0, bytes = 0, broken = 0;
    const struct inspected *first_broken = NULL;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected *c = &inspection->components[i];
        parameters += c->parameters;
        bytes += c->bytes;
        if (c->status == STATUS_OK) continue;
        if (broken++ == 0)
            first_broken = c;
        else
            warnings_add(&invocation->warnings, "%s", c->error.message);
    }
    if (inspection->has_model_index)
        fprintf(out, "%s: %s\n\n", inspection->checkpoint.folder, inspection->checkpoint.pipeline_class);
    else
        warnings_add(&invocation->warnings,
            "there is no model_index.json: this is part of a checkpoint, and `plumb run` needs a whole one");
    enum status status = write_table(inspection, out, &invocation->error);
    if (status == STATUS_OK && with_tensors)
        status = write_tensors(inspection, variant, out, &invocation->error);
    if (status != STATUS_OK) return status;
    fprintf(out, "\n%zu parameters in %zu bytes", parameters, bytes);
    if (inspection->has_model_index && inspection->checkpoint.pipeline_class)
        fprintf(out, "; %s", broken ? "the checkpoint is not whole" : "the checkpoint is whole");
    fputc('\n', out);
    if (!first_broken) return STATUS_OK;
    invocation->error = first_broken->error;
    return first_broken->status;
}

/* A path that is no checkpoint, which `invocation->error` says, may be a set of tensors. */
static enum status try_tensors(struct invocation *invocation)
{
    struct tensor_set *set;
    struct error error = {""};
    enum status status = inspect_tensors_open(invocation->positionals[0], &set, &error);
    if (status == STATUS_OK && !set) return STATUS_BAD_INPUT;
    if (status == STATUS_OK) status = inspect_tensors_write(set, invocation->out, &error);
    tensor_set_free(set);
    invocation->error = error;
    return status;
}

enum status command_inspect(struct invocation *invocation)
{
    const char *variant = NULL;
    bool with_tensors = false;
    const struct cli_option options[] = {
        {.name = "variant",
            .kind = CLI_STRING,
            .value = &variant,
            .argument = "NAME",
            .help = "the weights of this variant: fp16 for *.fp16.safetensors"},
        {.name = "tensors", .kind = CLI_FLAG, .value = &with_tensors, .help = "list every tensor"},
    };
    const struct cli_usage usage = {"CHECKPOINT|TENSORS [options]", description, examples, options,
        sizeof options / sizeof *options, 1, 1};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    struct inspection inspection;
    status = inspection_make(
        invocation->positionals[0], variant, &inspection, &invocation->warnings, &invocation->error);
    if (status == STATUS_BAD_INPUT) return try_tensors(invocation);
    if (status != STATUS_OK) return status;
    status = report(invocation, &inspection, variant, with_tensors);
    inspection_close(&inspection);
    return status;
}
