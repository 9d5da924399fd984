#include "cli.h"
#include "comparison.h"
#include "heatmap.h"
#include "output_names.h"

static const char description[] =
    "Two sets of tensors, tensor by tensor: the largest absolute difference, the same as a part of the "
    "largest\n"
    "magnitude in B, root mean square, units in the last place (no more than so many in half and in 99 of "
    "100 of the\n"
    "elements, and the largest), and how many elements are unequal; of pictures (image, image_u8) PSNR. B is "
    "the\n"
    "reference. --format json has also the largest relative error, the cosine, the non-finite elements of "
    "either side,\n"
    "and the place of the worst; what is infinite or no number is \"inf\", \"-inf\" or \"nan\" in quotes.\n\n"
    "A and B are safetensors files, .npy files, .npz archives, raw elements (NAME.f32, NAME.bf16 ... with "
    "their shape\n"
    "in NAME.json: {\"shape\": [1, 4, 64, 64]}), or folders of .npy and raw files. A single .npy or raw file "
    "is "
    "compared\n"
    "with a single tensor whatever the two are called. Exit status 0 where all tensors agree, 1 where one "
    "differs, has\n"
    "another shape, or is missing on a side.\n\n"
    "Elements agree within atol + rtol * |b|, or within N units in the last place. The defaults are those of "
    "PyTorch's\n"
    "assert_close by the coarser type: F64 rtol 1e-7 atol 1e-7, F32 1.3e-6 and 1e-5, F16 1e-3 and 1e-5, BF16 "
    "1.6e-2\n"
    "and 1e-5; integers exactly. An option replaces all three defaults; `--atol 0` asks for equality.";

static const char examples[] = "  plumb compare mine.safetensors golden/models/traces/sd-ddim5.safetensors\n"
                               "  plumb compare dump/ reference.npz --rtol 1e-4 --atol 1e-6\n"
                               "  plumb compare a.npy b.npy --ulp 2 --format json\n"
                               "  plumb compare a.safetensors b.safetensors --heatmap worst.png";

struct arguments {
    struct tolerance_request tolerance;
    int format;
    const char *heatmap;
};

static enum status parse(struct invocation *invocation, struct arguments *arguments)
{
    static const char *const formats[] = {"table", "json", NULL};
    const struct cli_option options[] = {
        {.name = "rtol",
            .kind = CLI_NUMBER,
            .value = &arguments->tolerance.rtol,
            .argument = "X",
            .help = "relative tolerance"},
        {.name = "atol",
            .kind = CLI_NUMBER,
            .value = &arguments->tolerance.atol,
            .argument = "X",
            .help = "absolute tolerance"},
        {.name = "ulp",
            .kind = CLI_NUMBER,
            .value = &arguments->tolerance.ulp,
            .argument = "N",
            .help = "tolerance in units in the last place of B's type"},
        {.name = "format",
            .kind = CLI_CHOICE,
            .value = &arguments->format,
            .argument = "FORMAT",
            .help = "table or json",
            .choices = formats},
        {.name = "heatmap",
            .kind = CLI_STRING,
            .value = &arguments->heatmap,
            .argument = "P.png",
            .help = "draw |A - B| of the worst tensor"},
    };
    const struct cli_usage usage = {
        "A B [options]", description, examples, options, sizeof options / sizeof *options, 2, 2};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    return check_picture_name("--heatmap", arguments->heatmap, &invocation->error);
}

static enum status compare(struct invocation *invocation, const struct arguments *arguments,
    const struct tensor_set *a, const struct tensor_set *b)
{
    struct error *error = &invocation->error;
    struct comparison comparison;
    enum status status = comparison_make(a, b, &arguments->tolerance, &comparison, error);
    if (status == STATUS_OK && arguments->heatmap) {
        const struct comparison_row *worst = comparison_worst(&comparison);
        if (worst) status = heatmap_write(arguments->heatmap, worst, error);
        if (worst && status == STATUS_OK) fprintf(invocation->messages, "wrote %s\n", arguments->heatmap);
        if (!worst) warnings_add(&invocation->warnings, "no tensor differs, so no heat map is drawn");
    }
    if (status == STATUS_OK && arguments->format == 0)
        status = comparison_write_table(&comparison, invocation->out, error);
    else if (status == STATUS_OK)
        comparison_write_json(&comparison, invocation->out);
    if (status == STATUS_OK && !comparison.agree) status = STATUS_DISAGREE;
    comparison_free(&comparison);
    return status;
}

/* Two sets of one tensor each are compared though their names differ, where a name is only a file's. */
static enum status pair_single_tensors(struct tensor_set *a, struct tensor_set *b, struct error *error)
{
    if (tensor_set_count(a) != 1 || tensor_set_count(b) != 1) return STATUS_OK;
    if (tensor_set_is_named_by_file(a)) return tensor_set_rename_only(a, tensor_set_name(b, 0), error);
    if (tensor_set_is_named_by_file(b)) return tensor_set_rename_only(b, tensor_set_name(a, 0), error);
    return STATUS_OK;
}

enum status command_compare(struct invocation *invocation)
{
    struct arguments arguments = {.tolerance = {-1, -1, -1}};
    struct tensor_set *a = NULL, *b = NULL;
    enum status status = parse(invocation, &arguments);
    if (status != STATUS_OK || invocation->helped) return status;
    status = tensor_set_open(invocation->positionals[0], &a, &invocation->error);
    if (status == STATUS_OK) status = tensor_set_open(invocation->positionals[1], &b, &invocation->error);
    if (status == STATUS_OK) status = pair_single_tensors(a, b, &invocation->error);
    if (status == STATUS_OK) status = compare(invocation, &arguments, a, b);
    tensor_set_free(a);
    tensor_set_free(b);
    return status;
}
