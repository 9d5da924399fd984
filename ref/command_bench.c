#include "bench.h"
#include "cli.h"
#include "vae_config.h"

#include "kernels/cpu.h"
#include "sched/scheduler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char description[] =
    "How fast this machine runs the models: each operator at the shapes that a forward pass calls it with, "
    "each "
    "stage's forward pass, a whole step of denoising, and the schedulers. Rates are shares of this machine's "
    "own SGEMM and memory copy, measured in the same run between the repeats.\n"
    "\n"
    "Nothing need be downloaded: an architecture's weights are made in memory, one model at a time (sdxl's "
    "UNet "
    "takes 10.3 GB in f32, half of that with --dtype f16). With --checkpoint they are mapped from a folder.\n"
    "\n"
    "Without --kernels, --stages, --step or --sched everything is measured.";

static const char examples[] =
    "  plumb bench                                          all of sd15 at 512x512; some minutes\n"
    "  plumb bench --kernels --part unet --threads 1        the roofline of one UNet pass\n"
    "  plumb bench --stages --architecture sdxl --size 512x512 --scaling\n"
    "  plumb bench --step --checkpoint /tmp/sdxl --variant fp16 --format json\n"
    "  plumb bench --stages --part unet --gemm portable\n"
    "  plumb bench --list --architecture sdxl               shapes and operations; measures nothing\n"
    "  plumb bench --sched";

enum { FORMAT_TABLE, FORMAT_JSON };

struct arguments {
    bool kernels, stages, step, sched, list, scaling;
    const char *architecture, *checkpoint, *variant, *part, *size;
    int64_t batch, repeats;
    int dtype, clock, format;
    bool architecture_given, dtype_given;
    struct cli_machine machine;
};

static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};

/* --- The command line --------------------------------------------------------------------- */

static struct cli_option flag(const char *name, bool *value, const char *help)
{
    return (struct cli_option){.name = name, .kind = CLI_FLAG, .value = value, .help = help};
}

static struct cli_option string(const char *name, const char **value, const char *argument, const char *help)
{
    return (struct cli_option){
        .name = name, .kind = CLI_STRING, .value = value, .argument = argument, .help = help};
}

static struct cli_option integer(const char *name, int64_t *value, int64_t maximum, const char *help)
{
    return (struct cli_option){.name = name,
        .kind = CLI_INTEGER,
        .value = value,
        .argument = "N",
        .help = help,
        .minimum = 1,
        .maximum = maximum};
}

static struct cli_option choice(
    const char *name, int *value, const char *argument, const char *const *choices, const char *help)
{
    return (struct cli_option){.name = name,
        .kind = CLI_CHOICE,
        .value = value,
        .argument = argument,
        .help = help,
        .choices = choices};
}

static enum status parse(struct invocation *invocation, struct arguments *arguments)
{
    static const char *const dtype_names[] = {"f32", "f16", "bf16", NULL};
    static const char *const clocks[] = {"wall", "cpu", NULL};
    static const char *const formats[] = {"table", "json", NULL};
    struct cli_option options[] = {
        flag("kernels", &arguments->kernels, "each operator of each part, with its roofline"),
        flag("stages", &arguments->stages, "the forward pass of each part"),
        flag("step", &arguments->step, "a step of denoising: the UNet for both prompts, guidance, scheduler"),
        flag("sched", &arguments->sched, "each scheduler class: a schedule of 1000 steps, and a step"),
        flag("list", &arguments->list, "operators and stages with their operations; measures nothing"),
        string("architecture", &arguments->architecture, "ARCHITECTURE",
            "of plumb synth --list, or a file of that form (sd15)"),
        string("checkpoint", &arguments->checkpoint, "DIR", "a checkpoint in place of an architecture"),
        string("variant", &arguments->variant, "NAME", "the checkpoint's variant, as in fp16"),
        string("part", &arguments->part, "PART", "only this one: text_encoder, text_encoder_2, unet or vae"),
        string("size", &arguments->size, "HxW", "of the picture, in pixels (what the model was trained for)"),
        integer("batch", &arguments->batch, 1024, "pictures at once (1)"),
        choice("dtype", &arguments->dtype, "f32|f16|bf16", dtype_names, "of an architecture's weights (f32)"),
        cli_threads_option(&arguments->machine),
        flag("scaling", &arguments->scaling, "also with 1 thread: how many times as fast all threads are"),
        integer("repeat", &arguments->repeats, 1000, "how often each is measured, for the median (5)"),
        choice("clock", &arguments->clock, "wall|cpu", clocks,
            "the time that passes, or the process's CPU time: fair on a busy machine with --threads 1 "
            "(wall)"),
        cli_cpu_option(&arguments->machine),
        cli_gemm_option(&arguments->machine),
        cli_blas_core_option(&arguments->machine),
        choice("format", &arguments->format, "table|json", formats, "of the report (table)"),
    };
    enum { OPTIONS = sizeof options / sizeof *options };
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].name, "architecture") == 0) options[i].given = &arguments->architecture_given;
        if (strcmp(options[i].name, "dtype") == 0) options[i].given = &arguments->dtype_given;
    }
    const struct cli_usage usage = {"[options]", description, examples, options, OPTIONS, 0, 0};
    return cli_parse(invocation, &usage);
}

static enum status check(const struct arguments *arguments, struct error *error)
{
    bool known = arguments->part == NULL;
    for (size_t i = 0; i < ARCHITECTURE_MODELS && !known; i++)
        known = strcmp(arguments->part, architecture_models[i]) == 0;
    if (!known)
        return error_input(error, "--part: expected text_encoder, text_encoder_2, unet or vae, got \"%.60s\"",
            arguments->part);
    if (arguments->checkpoint && (arguments->architecture_given || arguments->dtype_given))
        return error_input(error, "--checkpoint, --%s: expected one of the two: a checkpoint has its own",
            arguments->architecture_given ? "architecture" : "dtype");
    if (arguments->variant && !arguments->checkpoint)
        return error_input(error, "--variant: needs --checkpoint, whose files it chooses");
    return STATUS_OK;
}

/* --- The models --------------------------------------------------------------------------- */

/* "512x768": height and width in pixels, of which each latent covers a square. */
static enum status read_size(const char *text, struct bench_source *source, struct error *error)
{
    const long most = 65536;
    char *x, *end = NULL;
    long height = strtol(text, &x, 10), width = *x == 'x' ? strtol(x + 1, &end, 10) : 0;
    int64_t side = 0;
    enum status status = bench_source_pixels(source, &side, error);
    if (status != STATUS_OK) return status;
    if (!end || *end || height < side || width < side || height > most || width > most || height % side ||
        width % side)
        return error_input(error,
            "--size: expected height x width in pixels, as in 512x768, multiples of %d up to %ld, got "
            "\"%.60s\"",
            (int)side, most, text);
    source->height = height / side;
    source->width = width / side;
    return STATUS_OK;
}

static enum status open_source(
    const struct arguments *arguments, struct bench_source *source, struct error *error)
{
    *source = (struct bench_source){
        .variant = arguments->variant, .dtype = dtypes[arguments->dtype], .batch = arguments->batch};
    enum status status = arguments->checkpoint
                             ? checkpoint_open(arguments->checkpoint, &source->checkpoint, error)
                             : architecture_open(arguments->architecture, &source->architecture, error);
    if (status == STATUS_OK && arguments->size) status = read_size(arguments->size, source, error);
    if (status == STATUS_OK) status = bench_source_size(source, error);
    if (status == STATUS_OK && arguments->part && !bench_source_has(source, arguments->part))
        status = error_input(error, "--part: %s has no %s", bench_source_name(source), arguments->part);
    return status;
}

static void close_source(struct bench_source *source)
{
    architecture_close(&source->architecture);
    checkpoint_close(&source->checkpoint);
}

/* --- Measuring ---------------------------------------------------------------------------- */

struct session {
    const struct arguments *arguments;
    struct bench_source source;
    struct bench_timing timing;
    struct bench_meter *meter; /* NULL with --list */
    struct bench_operators operators;
    struct bench_stage stages[ARCHITECTURE_MODELS + 1];
    size_t stage_count;
    struct bench_scheduler *schedulers;
    size_t scheduler_count;
};

static void say(const struct session *session, const char *what, const char *detail)
{
    if (!session->timing.progress) return;
    fprintf(session->timing.progress, "\r\033[K%s %s", what, detail);
    fflush(session->timing.progress);
}

static enum status measure_operators(struct session *session, const char *part, struct error *error)
{
    struct bench_model model;
    struct bench_operators *operators = &session->operators;
    size_t first = operators->count;
    enum status status =
        bench_model_open(&session->source, part, session->source.batch, false, &model, error);
    if (status == STATUS_OK) status = bench_operators_list(&model, operators, error);
    bench_model_close(&model);
    for (size_t i = first; status == STATUS_OK && session->meter && i < operators->count; i++) {
        char shape[200];
        bench_show_shape(&operators->items[i], shape, sizeof shape);
        say(session, operators->items[i].call.kernel, shape);
        status = bench_replay(session->meter, &session->timing, &operators->items[i], error);
    }
    return status;
}

static enum status measure_stage(struct session *session, const char *part, struct error *error)
{
    say(session, "forward pass:", part ? part : "a step");
    struct bench_stage *stage = &session->stages[session->stage_count++];
    return bench_stage_measure(&session->source, part, session->meter, &session->timing, stage, error);
}

static enum status measure_models(struct session *session, struct error *error)
{
    const struct arguments *arguments = session->arguments;
    enum status status = STATUS_OK;
    for (int stage = 0; stage < 2; stage++) {
        if (!(stage ? arguments->stages : arguments->kernels)) continue;
        for (size_t i = 0; i < ARCHITECTURE_MODELS && status == STATUS_OK; i++) {
            const char *part = architecture_models[i];
            if (!bench_source_has(&session->source, part)) continue;
            if (arguments->part && strcmp(part, arguments->part) != 0) continue;
            status = stage ? measure_stage(session, part, error) : measure_operators(session, part, error);
        }
    }
    if (status == STATUS_OK && arguments->step) status = measure_stage(session, NULL, error);
    return status;
}

static enum status measure_schedulers(struct session *session, struct error *error)
{
    size_t count = scheduler_class_count();
    session->schedulers = calloc(count, sizeof *session->schedulers);
    if (!session->schedulers) return error_memory(error, count * sizeof *session->schedulers);
    for (size_t i = 0; i < count; i++) {
        const char *name = scheduler_class_name(i);
        say(session, "scheduler:", name);
        bench_scheduler_measure(name, session->meter, &session->timing, &session->schedulers[i]);
    }
    session->scheduler_count = count;
    return STATUS_OK;
}

static enum status run(struct session *session, struct invocation *invocation)
{
    const struct arguments *arguments = session->arguments;
    struct error *error = &invocation->error;
    bool models = arguments->kernels || arguments->stages || arguments->step;
    enum status status = models ? open_source(arguments, &session->source, error) : STATUS_OK;
    if (status == STATUS_OK && !arguments->list)
        status = bench_meter_create(&session->timing, &session->meter, error);
    if (status == STATUS_OK && models) status = measure_models(session, error);
    if (status == STATUS_OK && arguments->sched) status = measure_schedulers(session, error);
    say(session, "", "");
    if (status != STATUS_OK) return status;
    struct bench_report report = {
        .source = models ? &session->source : NULL,
        .timing = &session->timing,
        .meter = session->meter,
        .operators = &session->operators,
        .stages = session->stages,
        .stage_count = session->stage_count,
        .schedulers = session->schedulers,
        .scheduler_count = session->scheduler_count,
    };
    return arguments->format == FORMAT_JSON ? bench_write_json(&report, invocation->out, error)
                                            : bench_write_table(&report, invocation->out, error);
}

enum status command_bench(struct invocation *invocation)
{
    struct arguments arguments = {
        .architecture = "sd15", .batch = 1, .repeats = 5, .machine = {.as_it_is = true}};
    enum status status = parse(invocation, &arguments);
    if (status != STATUS_OK || invocation->helped) return status;
    status = check(&arguments, &invocation->error);
    if (status == STATUS_OK) status = cli_use_machine(invocation, &arguments.machine, false);
    if (status != STATUS_OK) return status;

    if (!arguments.kernels && !arguments.stages && !arguments.step && !arguments.sched) {
        arguments.kernels = arguments.stages = true;
        arguments.step = arguments.sched = !arguments.list && !arguments.part;
    }
    struct session session = {
        .arguments = &arguments,
        .timing = {.clock = (enum bench_clock)arguments.clock,
            .repeats = (int)arguments.repeats,
            .threads = kernels_threads(),
            .scaling = arguments.scaling,
            .progress = invocation->messages_are_seen ? invocation->messages : NULL},
    };
    status = run(&session, invocation);
    close_source(&session.source);
    bench_meter_free(session.meter);
    bench_operators_free(&session.operators);
    free(session.schedulers);
    return status;
}
