/*
 * plumb run: a checkpoint and a recipe to pictures and a trace.
 */
#include "cli_recipe.h"
#include "memory_report.h"
#include "noise.h"
#include "output_file.h"
#include "output_names.h"
#include "pipeline.h"
#include "png_file.h"
#include "range_report.h"
#include "version.h"

#include "kernels/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum precision { PRECISION_F32, PRECISION_F64, PRECISION_F16, PRECISION_BF16, PRECISION_TF32 };
static const char *const precisions[] = {"f32", "f64", "f16", "bf16", "tf32", NULL};
/* The last three are other backends', which a run in float imitates. */
static const enum number_format formats[] = {FORMAT_F32, FORMAT_F32, FORMAT_F16, FORMAT_BF16, FORMAT_TF32};

static const char *const range_formats[] = {"table", "json", NULL};
enum { RANGE_AS_TABLE, RANGE_AS_JSON };

struct run_arguments {
    const char *folder, *out, *trace, *noise_log;
    struct cli_recipe recipe;
    struct cli_machine machine;
    int precision;
    bool trace_modules, report_memory;
    bool range;
    int range_format; /* an index into range_formats */
};

static enum status parse(struct invocation *invocation, struct run_arguments *arguments)
{
    const struct cli_option own[] = {
        {.name = "precision",
            .kind = CLI_CHOICE,
            .value = &arguments->precision,
            .argument = "f32|f64|...",
            .choices = precisions,
            .help = "of models and sampler (f32); f64 is the oracle, and slow; f16, bf16 and tf32 are what a "
                    "backend in them gives, every operand and result rounded"},
        cli_threads_option(&arguments->machine),
        cli_cpu_option(&arguments->machine),
        cli_gemm_option(&arguments->machine),
        cli_blas_core_option(&arguments->machine),
        {.name = "out",
            .kind = CLI_STRING,
            .value = &arguments->out,
            .argument = "P.png",
            .help = "the picture; several become P-0.png, P-1.png (plumb.png, if no trace and no range is "
                    "asked for)"},
        {.name = "trace",
            .kind = CLI_STRING,
            .value = &arguments->trace,
            .argument = "F.safetensors",
            .help = "every tensor of the run, under the names of golden/README.md; also .npz, or DIR/"},
        {.name = "noise-log",
            .kind = CLI_STRING,
            .value = &arguments->noise_log,
            .argument = "F.json",
            .help = "who drew how many random numbers, when, and in which type"},
        {.name = "trace-modules",
            .kind = CLI_FLAG,
            .value = &arguments->trace_modules,
            .help = "the trace also holds the module outputs of the first step"},
        {.name = "report-memory",
            .kind = CLI_FLAG,
            .value = &arguments->report_memory,
            .help = "say at the end what was planned and what was in use, as on a terminal anyway"},
        {.name = "range",
            .kind = CLI_FLAG,
            .value = &arguments->range,
            .help =
                "print of every operator's results the largest magnitude, and how many overflow or are lost "
                "in f16 and bf16"},
        {.name = "range-format",
            .kind = CLI_CHOICE,
            .value = &arguments->range_format,
            .argument = "table|json",
            .choices = range_formats,
            .help = "of that report (table)"},
    };
    struct cli_option options[MAX_RECIPE_OPTIONS + sizeof own / sizeof *own];
    const size_t shared = cli_recipe_options(&arguments->recipe, options);
    memcpy(options + shared, own, sizeof own);
    const struct cli_usage usage = {
        .arguments = "CHECKPOINT [options]",
        .description =
            "Text to image: a published Diffusers folder of Stable Diffusion 1.x, 2.x or XL, and a prompt.\n"
            "The same recipe gives the same bits on every run, with any number of threads.",
        .examples = "  plumb run sdxl --recipe configs/recipes/ays_timesteps.json --out rabbit.png\n"
                    "  plumb run golden/models/shapes-xl --prompt 'a yellow star on a black background' \\\n"
                    "      --guidance-scale 3 --steps 20 --seed 123 --out star.png --trace star.safetensors\n"
                    "  plumb run sd15 --prompt 'a cat' --scheduler DDIM --set timestep_spacing=trailing "
                    "--steps 25 --eta 1\n"
                    "  plumb run sdxl --prompt 'a cat' --steps 2 --range",
        .options = options,
        .option_count = shared + sizeof own / sizeof *own,
        .minimum_positionals = 1,
        .maximum_positionals = 1,
    };
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    arguments->folder = invocation->positionals[0];
    if (arguments->trace_modules && !arguments->trace)
        return error_input(&invocation->error, "--trace-modules: needs --trace, which says where they go");
    if (arguments->range_format != RANGE_AS_TABLE && !arguments->range)
        return error_input(&invocation->error, "--range-format: needs --range, the report that it is of");
    if (arguments->out && arguments->trace && strcmp(arguments->out, arguments->trace) == 0)
        return error_input(
            &invocation->error, "--out, --trace: expected two files, got %s for both", arguments->out);
    status = check_picture_name("--out", arguments->out, &invocation->error);
    if (status == STATUS_OK) status = check_tensors_name("--trace", arguments->trace, &invocation->error);
    if (status != STATUS_OK) return status;
    return cli_recipe_finish(&arguments->recipe, &invocation->error);
}

/* --- Progress ----------------------------------------------------------------------------- */

struct progress {
    struct invocation *invocation;
    struct timespec start;
};

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* The warnings, before the first step; on a terminal, how far the run is. */
static void show_progress(void *context, size_t step, size_t steps)
{
    struct progress *progress = context;
    FILE *stream = progress->invocation->messages;
    /* A prompt that was cut is better known now than after an hour. */
    if (step == 0) cli_show_warnings(progress->invocation);
    if (!progress->invocation->messages_are_seen) return;
    if (step == 0) clock_gettime(CLOCK_MONOTONIC, &progress->start);
    double each = step ? seconds_since(&progress->start) / (double)step : 0;
    fprintf(stream, "\r\033[Kstep %zu of %zu", step, steps);
    if (step) fprintf(stream, "  %.3g s a step, %.0f s left", each, each * (double)(steps - step));
    if (step == steps) fprintf(stream, "\n");
    fflush(stream);
}

/* --- What the run leaves ------------------------------------------------------------------ */

static enum status put_json(struct trace *trace, const char *key, const cJSON *value, struct error *error)
{
    char *text = cJSON_PrintUnformatted(value);
    if (!text) return error_memory(error, 0);
    enum status status = trace_put_metadata(trace, key, text, error);
    cJSON_free(text);
    return status;
}

/* The key "machine" holds all that depends on where the run was made, and nothing else does. */
static enum status put_machine(struct trace *trace, struct error *error)
{
    char cpu[128];
    cJSON *machine = cJSON_CreateObject();
    bool made = machine && cJSON_AddStringToObject(machine, "cpu", kernels_cpu_name(cpu, sizeof cpu)) &&
                cJSON_AddStringToObject(machine, "kernels", kernels_set_name(kernels_in_use())) &&
                cJSON_AddStringToObject(machine, "gemm", kernels_gemm_name(kernels_gemm_in_use())) &&
                cJSON_AddStringToObject(machine, "blas", kernels_blas_description()) &&
                cJSON_AddStringToObject(machine, "blas_core", kernels_blas_core());
    enum status status = made ? put_json(trace, "machine", machine, error) : error_memory(error, 0);
    cJSON_Delete(machine);
    return status;
}

static enum status put_metadata(struct trace *trace, const struct pipeline *pipeline,
    const struct recipe *recipe, int precision, struct error *error)
{
    cJSON *schedule = NULL;
    cJSON *seeds = cJSON_CreateStringArray((const char *const *)recipe->seeds, (int)recipe->num_seeds);
    enum status status = seeds ? STATUS_OK : error_memory(error, 0);
    if (status == STATUS_OK) status = put_json(trace, "seed", seeds, error);
    if (status == STATUS_OK) status = put_json(trace, "recipe", recipe->source, error);
    if (status == STATUS_OK) status = pipeline_scheduler_config(pipeline, recipe, &schedule, NULL, error);
    if (status == STATUS_OK) status = put_json(trace, "schedule", schedule, error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "generator", generator_name(recipe->generator), error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "pipeline", pipeline->checkpoint.pipeline_class, error);
    if (status == STATUS_OK) status = trace_put_metadata(trace, "precision", precisions[precision], error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "versions", "{\"plumb\":\"" PLUMB_VERSION "\"}", error);
    if (status == STATUS_OK) status = put_machine(trace, error);
    cJSON_Delete(schedule);
    cJSON_Delete(seeds);
    return status;
}

/* "P.png", or "P-<i>.png" where there are several pictures. Allocated. */
static char *picture_path(const char *out, size_t i, size_t count)
{
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    int stem = (int)(dot && (!slash || dot > slash) ? (size_t)(dot - out) : strlen(out));
    char *path = NULL;
    int length =
        count == 1 ? asprintf(&path, "%s", out) : asprintf(&path, "%.*s-%zu%s", stem, out, i, out + stem);
    return length < 0 ? NULL : path;
}

static enum status write_pictures(
    const char *out, const struct pictures *pictures, const struct recipe *recipe, struct error *error)
{
    char *text = cJSON_PrintUnformatted(recipe->source);
    enum status status = text ? STATUS_OK : error_memory(error, 0);
    char software_key[] = "Software", software[] = "Plumb " PLUMB_VERSION, recipe_key[] = "recipe";
    struct png_text texts[] = {{software_key, software}, {recipe_key, text}};
    size_t bytes = pictures->height * pictures->width * 3;
    for (size_t i = 0; i < pictures->count && status == STATUS_OK; i++) {
        char *path = picture_path(out, i, pictures->count);
        status = path ? png_write(path, pictures->pixels + i * bytes, (int)pictures->width,
                            (int)pictures->height, texts, 2, error)
                      : error_memory(error, strlen(out));
        free(path);
    }
    cJSON_free(text);
    return status;
}

/* An hour's run must not end in "no such folder": the outputs are opened, and left again, before it starts.
 */
static enum status check_writable(const char *path, struct error *error)
{
    struct output_file file = {0};
    size_t length = strlen(path);
    if (length > 0 && path[length - 1] == '/')
        return STATUS_OK; /* a folder of .npy, made when it is written */
    enum status status = output_file_open(&file, path, error);
    output_file_abandon(&file);
    return status;
}

static enum status check_outputs(
    const char *out, const struct run_arguments *arguments, const struct recipe *recipe, struct error *error)
{
    enum status status = arguments->trace ? check_writable(arguments->trace, error) : STATUS_OK;
    if (status == STATUS_OK && arguments->noise_log) status = check_writable(arguments->noise_log, error);
    size_t count = recipe->prompt.count * (size_t)recipe->num_images_per_prompt;
    for (size_t i = 0; out && i < count && status == STATUS_OK; i++) {
        char *path = picture_path(out, i, count);
        status = path ? check_writable(path, error) : error_memory(error, strlen(out));
        free(path);
    }
    return status;
}

static void report_memory(FILE *messages, const struct memory_plan *memory)
{
    char planned[32], used[32];
    fprintf(messages, "memory beside the weights: %s planned, %s in use with the program and its libraries\n",
        show_mebibytes(memory->arena + memory->pictures + memory->trace, planned),
        show_mebibytes(memory->in_use, used));
}

static enum status run(
    struct invocation *invocation, const struct run_arguments *arguments, const struct recipe *recipe)
{
    struct error *error = &invocation->error;
    const char *out = arguments->out || arguments->trace || arguments->range ? arguments->out : "plumb.png";
    struct pipeline pipeline = {0};
    struct trace *trace = NULL;
    struct pictures pictures = {0};
    struct progress progress = {.invocation = invocation};
    struct memory_plan memory = {0};
    struct range_report range = {0};
    cJSON *log = NULL;

    enum status status = check_outputs(out, arguments, recipe, error);
    if (status == STATUS_OK) status = pipeline_open(arguments->folder, recipe->variant, &pipeline, error);
    if (status == STATUS_OK && arguments->trace) status = trace_create(&trace, error);
    if (status == STATUS_OK && arguments->range) status = range_report_open(&pipeline, &range, error);
    if (status == STATUS_OK) {
        struct run_options options = {
            .trace = trace,
            .noise_log = arguments->noise_log ? &log : NULL,
            .format = formats[arguments->precision],
            .trace_modules = arguments->trace_modules,
            .observer = arguments->range ? &range.observer : NULL,
            .progress = show_progress,
            .progress_context = &progress,
            .memory = &memory,
        };
        pipeline_run_function *function =
            arguments->precision == PRECISION_F64 ? pipeline_run_f64 : pipeline_run_f32;
        status = function(&pipeline, recipe, &options, &pictures, &invocation->warnings, error);
        if (json_has_key_of_error(recipe->source, error)) cli_recipe_refer(&arguments->recipe, status, error);
    }
    if (status == STATUS_OK && trace)
        status = put_metadata(trace, &pipeline, recipe, arguments->precision, error);
    if (status == STATUS_OK && trace) status = trace_write(trace, arguments->trace, error);
    if (status == STATUS_OK && log) status = noise_log_write(log, arguments->noise_log, error);
    if (status == STATUS_OK && out) status = write_pictures(out, &pictures, recipe, error);
    if (status == STATUS_OK && arguments->range)
        status =
            (arguments->range_format == RANGE_AS_JSON ? range_report_write_json : range_report_write_table)(
                &range, invocation->out, error);
    if (status == STATUS_OK && (arguments->report_memory || invocation->messages_are_seen))
        report_memory(invocation->messages, &memory);

    free(pictures.pixels);
    cJSON_Delete(log);
    trace_free(trace);
    range_report_close(&range);
    pipeline_close(&pipeline);
    return status;
}

enum status command_run(struct invocation *invocation)
{
    struct run_arguments arguments = {0};
    struct recipe recipe = {0};
    cJSON *json = NULL;
    enum status status = parse(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped) {
        struct error *error = &invocation->error;
        status = cli_use_machine(invocation, &arguments.machine, arguments.precision == PRECISION_F64);
        if (status == STATUS_OK) status = cli_recipe_json(&arguments.recipe, NULL, &json, error);
        if (status == STATUS_OK) status = cli_recipe_read(&arguments.recipe, json, &recipe, error);
        if (status == STATUS_OK) status = run(invocation, &arguments, &recipe);
    }
    recipe_free(&recipe);
    cJSON_Delete(json);
    cli_recipe_free(&arguments.recipe);
    return status;
}
