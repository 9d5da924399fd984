#include "blas_core.h"
#include "cli.h"
#include "memory_report.h"
#include "paths.h"
#include "table.h"
#include "version.h"

#include "kernels/cpu.h"
#include "sched/scheduler.h"

#include <png.h>
#include <string.h>
#include <sys/stat.h>
#include <utf8proc.h>
#include <zlib.h>

static const char description[] =
    "What a result depends on: the processor, the kernels chosen for it, the BLAS, and the versions of the "
    "libraries.\n"
    "\n"
    "With --plan, what a run of a checkpoint needs: of each stage its models' parameters, the bytes that are "
    "mapped from their files, and the memory of its activations to the byte, from the shapes alone; no "
    "weight "
    "is read, and nothing is computed. Each stage's activations take the place of the stage before.";
static const char examples[] = "  plumb info\n"
                               "  plumb info --plan sdxl --height 1024 --width 1024\n"
                               "  plumb info --plan sd15 --images 4 --threads 8 --format json\n"
                               "  plumb info --plan golden/models/tiny-sd";

enum precision { PRECISION_F32, PRECISION_F64 };
enum format { FORMAT_TABLE, FORMAT_JSON };

struct info_arguments {
    const char *plan, *variant;
    cJSON *keys; /* of the recipe that is planned */
    struct cli_machine machine;
    int precision, format, dtype;
    bool dtype_given;
};

static enum status parse(struct invocation *invocation, struct info_arguments *arguments)
{
    static const char *const precisions[] = {"f32", "f64", NULL}, *const formats[] = {"table", "json", NULL};
    static const char *const dtype_names[] = {"f16", "bf16", "f32", NULL};
    const struct cli_option options[] = {
        {.name = "plan",
            .kind = CLI_STRING,
            .value = &arguments->plan,
            .argument = "CHECKPOINT|ARCHITECTURE",
            .help = "how much memory a run of it needs; the options below describe the run. Also an "
                    "architecture of `plumb synth --list`, or a file that describes one"},
        {.name = "height",
            .kind = CLI_KEY_VALUE,
            .value = &arguments->keys,
            .argument = "N",
            .help = "pixels"},
        {.name = "width",
            .kind = CLI_KEY_VALUE,
            .value = &arguments->keys,
            .argument = "N",
            .help = "pixels"},
        {.name = "num-images-per-prompt",
            .alias = "images",
            .kind = CLI_KEY_VALUE,
            .value = &arguments->keys,
            .argument = "N",
            .help = "pictures in one batch (1)"},
        {.name = "guidance-scale",
            .kind = CLI_KEY_VALUE,
            .value = &arguments->keys,
            .argument = "X",
            .help = "at 1 and below the batch is not doubled"},
        {.name = "variant",
            .kind = CLI_STRING,
            .value = &arguments->variant,
            .argument = "NAME",
            .help = "the checkpoint's variant, as in fp16"},
        {.name = "dtype",
            .kind = CLI_CHOICE,
            .value = &arguments->dtype,
            .argument = "f32|f16|bf16",
            .choices = dtype_names,
            .given = &arguments->dtype_given,
            .help = "the type of an architecture's weights (f16)"},
        {.name = "precision",
            .kind = CLI_CHOICE,
            .value = &arguments->precision,
            .argument = "f32|f64",
            .choices = precisions,
            .help = "of models and sampler (f32)"},
        cli_threads_option(&arguments->machine),
        cli_cpu_option(&arguments->machine),
        cli_gemm_option(&arguments->machine),
        cli_blas_core_option(&arguments->machine),
        {.name = "format",
            .kind = CLI_CHOICE,
            .value = &arguments->format,
            .argument = "table|json",
            .choices = formats,
            .help = "of a plan"},
    };
    const struct cli_usage usage = {
        "[options]", description, examples, options, sizeof options / sizeof *options, 0, 0};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    bool described = arguments->keys || arguments->variant || arguments->precision || arguments->format ||
                     arguments->dtype_given;
    if (described && !arguments->plan)
        return error_input(
            &invocation->error, "--plan: missing, and the other options describe the run that it plans");
    return STATUS_OK;
}

/* --- The machine -------------------------------------------------------------------------- */

static void add_line(struct table *table, const char *what, const char *value)
{
    table_add(table, "%s", what);
    table_add(table, "%s", value);
}

/* In the two precisions. */
static const char *show_products(char *buffer, size_t size)
{
    snprintf(buffer, size, "%s (f32), %s (f64)", kernels_gemm_name(kernels_gemm_in_use()),
        kernels_gemm_name(GEMM_OPENBLAS));
    return buffer;
}

static enum status show_machine(struct invocation *invocation)
{
    char text[256];
    struct table table = {.alignment = "ll"};
    add_line(&table, "plumb", PLUMB_VERSION);
    add_line(&table, "CPU", kernels_cpu_name(text, sizeof text));
    add_line(&table, "kernels", cli_show_kernels(text, sizeof text));
    snprintf(text, sizeof text, "%d", kernels_threads());
    add_line(&table, "threads", text);
    add_line(&table, "matrix products", show_products(text, sizeof text));
    add_line(&table, "BLAS", kernels_blas_description());
    snprintf(text, sizeof text, "%s (chosen by %s)", kernels_blas_core(), blas_core_chosen_by());
    add_line(&table, "BLAS core", text);
    add_line(&table, "cJSON", cJSON_Version());
    add_line(&table, "libpng", png_get_libpng_ver(NULL));
    add_line(&table, "zlib", zlibVersion());
    snprintf(text, sizeof text, "%s (Unicode %s)", utf8proc_version(), utf8proc_unicode_version());
    add_line(&table, "utf8proc", text);
#ifdef __clang__
    add_line(&table, "compiler", __VERSION__);
#else
    add_line(&table, "compiler", "gcc " __VERSION__);
#endif
    for (size_t i = 0; i < scheduler_class_count(); i++)
        add_line(&table, i ? "" : "schedulers", scheduler_class_name(i));
    enum status status = table_write(&table, invocation->out, "", &invocation->error);
    table_free(&table);
    return status;
}

/* --- A plan ------------------------------------------------------------------------------- */

static enum status read_recipe(struct info_arguments *arguments, struct recipe *recipe, struct error *error)
{
    if (!arguments->keys) arguments->keys = cJSON_CreateObject();
    if (!cJSON_AddStringToObject(arguments->keys, "prompt", "")) return error_memory(error, 0);
    return recipe_read(arguments->keys, recipe, error);
}

/* What is no folder is an architecture's name, unless it looks like a path. */
static enum status open_shapes(
    const struct info_arguments *arguments, struct pipeline *pipeline, struct error *error)
{
    static const enum dtype dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_F32};
    const char *name = arguments->plan;
    struct stat info;
    if (stat(name, &info) == 0 ? !path_ends_with(name, ".json") : strchr(name, '/') != NULL)
        return pipeline_open_shapes(name, arguments->variant, pipeline, error);
    return pipeline_of_architecture(name, dtypes[arguments->dtype], pipeline, error);
}

static enum status show_plan(struct invocation *invocation, struct info_arguments *arguments)
{
    struct error *error = &invocation->error;
    struct recipe recipe = {0};
    struct pipeline pipeline = {0};
    struct memory_plan plan = {0};
    const struct run_options options = {.memory = NULL};
    bool f64 = arguments->precision == PRECISION_F64;
    pipeline_plan_function *make_plan = f64 ? pipeline_plan_f64 : pipeline_plan_f32;

    enum status status = read_recipe(arguments, &recipe, error);
    if (status == STATUS_OK) status = open_shapes(arguments, &pipeline, error);
    if (status == STATUS_OK)
        status = make_plan(&pipeline, &recipe, &options, &plan, &invocation->warnings, error);
    if (status == STATUS_OK) {
        char words[128];
        snprintf(words, sizeof words, "%lld x %lld pixels, %lld picture%s, %s, %d thread%s",
            (long long)plan.width, (long long)plan.height, (long long)plan.batch, plan.batch == 1 ? "" : "s",
            f64 ? "f64" : "f32", kernels_threads(), kernels_threads() == 1 ? "" : "s");
        status = (arguments->format == FORMAT_JSON ? memory_report_write_json : memory_report_write_table)(
            &pipeline, &plan, words, invocation->out, error);
    }
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    return status;
}

enum status command_info(struct invocation *invocation)
{
    struct info_arguments arguments = {0};
    enum status status = parse(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped)
        status = cli_use_machine(invocation, &arguments.machine, arguments.precision == PRECISION_F64);
    if (status == STATUS_OK && !invocation->helped)
        status = arguments.plan ? show_plan(invocation, &arguments) : show_machine(invocation);
    cJSON_Delete(arguments.keys);
    return status;
}
