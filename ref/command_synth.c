#include "cli.h"
#include "synth.h"
#include "table.h"

#include "kernels/cpu.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char description[] =
    "A whole checkpoint folder with deterministic weights: the files, names and shapes of the published "
    "model, "
    "for tests and benchmarks at full size without a download. Everything that reads a checkpoint reads it, "
    "diffusers too. The picture is noise: nothing was trained, and the tokenizer's vocabulary is its own.\n"
    "\n"
    "A value depends on its tensor's name, the seed and its index alone; so the bytes are the same on every "
    "machine, for any number of threads, and the same tensor has the same values in one file and in shards. "
    "f16 and bf16 hold the f32 values rounded. Activations stay of order one.\n"
    "\n"
    "The folder appears whole or not at all, where nothing is yet. Memory does not grow with the model.";

static const char examples[] = "  plumb synth --list\n"
                               "  plumb synth tiny-sdxl tiny\n"
                               "  plumb synth sd15 sd15 && plumb run sd15 --prompt 'a cat' --steps 2\n"
                               "  plumb synth sdxl sdxl --variant fp16 --shard-size 5GB\n"
                               "  plumb synth my-model.json mine --seed 7 --dtype bf16";

struct arguments {
    bool list;
    int64_t seed, threads;
    int dtype;
    bool dtype_given;
    const char *variant, *shard_size;
};

/* In the order of the option's choices. */
static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
enum { CHOICE_F32, CHOICE_F16, CHOICE_BF16 };

static enum status parse(struct invocation *invocation, struct arguments *arguments)
{
    static const char *const dtype_names[] = {"f32", "f16", "bf16", NULL};
    const struct cli_option options[] = {
        {.name = "list",
            .kind = CLI_FLAG,
            .value = &arguments->list,
            .help = "the architectures, with their parameters; writes nothing"},
        {.name = "seed",
            .kind = CLI_INTEGER,
            .value = &arguments->seed,
            .argument = "S",
            .minimum = 0,
            .maximum = INT64_MAX,
            .help = "other weights for another seed (0)"},
        {.name = "dtype",
            .kind = CLI_CHOICE,
            .value = &arguments->dtype,
            .argument = "f32|f16|bf16",
            .choices = dtype_names,
            .given = &arguments->dtype_given,
            .help = "the type of the weights (f32; f16 and bf16 for the variants fp16 and bf16)"},
        {.name = "variant",
            .kind = CLI_STRING,
            .value = &arguments->variant,
            .argument = "NAME",
            .help = "name the files as those of a variant: fp16 for *.fp16.safetensors"},
        {.name = "shard-size",
            .kind = CLI_STRING,
            .value = &arguments->shard_size,
            .argument = "BYTES",
            .help = "split larger files: 500MB, 5GB, 2GiB, or a number of bytes (10GB, as the hub does)"},
        {.name = "threads",
            .kind = CLI_INTEGER,
            .value = &arguments->threads,
            .argument = "N",
            .minimum = 1,
            .maximum = 1024,
            .help = "by default one a processor; changes no byte"},
    };
    const struct cli_usage usage = {
        "ARCHITECTURE DIR [options]", description, examples, options, sizeof options / sizeof *options, 0, 2};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    size_t wanted = arguments->list ? 0 : 2;
    if (invocation->positional_count != wanted)
        return error_input(&invocation->error, "expected %s; see plumb synth --help",
            arguments->list ? "nothing beside --list" : "an architecture (plumb synth --list) and a folder");
    return STATUS_OK;
}

/* "10GB" */
static enum status read_size(const char *text, uint64_t *bytes, struct error *error)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"KiB", 0x1p10},
        {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    char *end;
    double number = strtod(text, &end);
    if (end != text)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            double value = number * units[i].bytes;
            if (strcmp(end, units[i].name) != 0 || !(value >= 1 && value < 0x1p63)) continue;
            *bytes = (uint64_t)value;
            return STATUS_OK;
        }
    return error_input(error,
        "--shard-size: expected a size of at least one byte, as in 5GB or 500MiB, got \"%.60s\"", text);
}

/* --- Reports ------------------------------------------------------------------------------ */

struct size {
    size_t tensors, parameters;
};

static enum status measure(
    const struct architecture *architecture, const char *part, struct size *size, struct error *error)
{
    struct tensor_set *tensors = NULL;
    *size = (struct size){0};
    if (!architecture_part(architecture, part)) return STATUS_OK;
    enum status status = architecture_tensors(architecture, part, DTYPE_F32, &tensors, error);
    if (status != STATUS_OK) return status;
    size->tensors = tensor_set_count(tensors);
    for (size_t i = 0; i < size->tensors; i++) size->parameters += tensor_count(tensor_set_at(tensors, i));
    tensor_set_free(tensors);
    return STATUS_OK;
}

/* One row of --list; the parts' columns are in the order of architecture_models. */
static enum status add_row(const char *name, struct table *table, struct error *error)
{
    struct architecture architecture;
    enum status status = architecture_open(name, &architecture, error);
    if (status != STATUS_OK) return status;
    size_t sum = 0;
    table_add(table, "%s", name);
    for (size_t i = 0; i < ARCHITECTURE_MODELS && status == STATUS_OK; i++) {
        struct size size;
        status = measure(&architecture, architecture_models[i], &size, error);
        sum += size.parameters;
        if (size.parameters)
            table_add(table, "%zu", size.parameters);
        else
            table_add(table, "-");
    }
    table_add(table, "%.3f", 4e-9 * (double)sum);
    table_add(table, "%s", architecture_description(&architecture));
    architecture_close(&architecture);
    return status;
}

static enum status list(FILE *out, struct error *error)
{
    struct table table = {.alignment = "lrrrr.l"};
    enum status status = STATUS_OK;
    table_add(&table, "parameters");
    for (size_t i = 0; i < ARCHITECTURE_MODELS; i++) table_add(&table, "%s", architecture_models[i]);
    table_add(&table, "GB in f32");
    table_add(&table, "model");
    for (const struct architecture_text *text = architecture_texts; text->name && status == STATUS_OK; text++)
        status = add_row(text->name, &table, error);
    if (status == STATUS_OK) status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

static enum status report(const struct architecture *architecture, const struct synth_request *request,
    FILE *out, struct error *error)
{
    struct table table = {.alignment = "lrrr"};
    struct size sum = {0};
    enum status status = STATUS_OK;
    const char *const headings[] = {"component", "tensors", "parameters", "bytes"};
    for (size_t i = 0; i < 4; i++) table_add(&table, "%s", headings[i]);
    for (size_t i = 0; i <= ARCHITECTURE_MODELS && status == STATUS_OK; i++) {
        const char *part = i < ARCHITECTURE_MODELS ? architecture_models[i] : "all";
        struct size size = sum;
        if (i < ARCHITECTURE_MODELS) status = measure(architecture, part, &size, error);
        if (size.tensors == 0) continue;
        table_add(&table, "%s", part);
        table_add(&table, "%zu", size.tensors);
        table_add(&table, "%zu", size.parameters);
        table_add(&table, "%zu", size.parameters * dtype_size(request->dtype));
        sum.tensors += size.tensors;
        sum.parameters += size.parameters;
    }
    if (status == STATUS_OK)
        fprintf(out, "%s: %s in %s, seed %" PRIu64 "\n\n", request->folder, architecture->name,
            dtype_name(request->dtype), request->seed);
    if (status == STATUS_OK) status = table_write(&table, out, "", error);
    table_free(&table);
    return status;
}

/* --- The command -------------------------------------------------------------------------- */

static enum status read_request(
    const struct arguments *arguments, struct synth_request *request, struct error *error)
{
    int dtype = arguments->dtype;
    const char *variant = arguments->variant;
    if (variant && (strchr(variant, '/') || strlen(variant) > 60 || !*variant))
        return error_input(error, "--variant: expected a name such as fp16, got \"%.80s\"", variant);
    if (variant && !arguments->dtype_given && strcmp(variant, "fp16") == 0) dtype = CHOICE_F16;
    if (variant && !arguments->dtype_given && strcmp(variant, "bf16") == 0) dtype = CHOICE_BF16;
    request->dtype = dtypes[dtype];
    request->variant = variant;
    request->seed = (uint64_t)arguments->seed;
    return read_size(arguments->shard_size, &request->shard_size, error);
}

enum status command_synth(struct invocation *invocation)
{
    struct arguments arguments = {.shard_size = "10GB"};
    struct synth_request request = {.progress = invocation->messages_are_seen ? invocation->messages : NULL};
    struct architecture architecture = {0};
    struct error *error = &invocation->error;
    enum status status = parse(invocation, &arguments);
    if (status != STATUS_OK || invocation->helped) return status;
    if (arguments.list) return list(invocation->out, error);

    request.folder = invocation->positionals[1];
    status = read_request(&arguments, &request, error);
    if (arguments.threads) kernels_set_threads((int)arguments.threads);
    if (status == STATUS_OK) status = architecture_open(invocation->positionals[0], &architecture, error);
    if (status == STATUS_OK) status = synth_write(&architecture, &request, error);
    if (status == STATUS_OK) status = report(&architecture, &request, invocation->out, error);
    architecture_close(&architecture);
    return status;
}
