/*
 * plumb run: a checkpoint and a recipe to pictures and a trace.
 */
#include "batch.h"
#include "cli_recipe.h"
#include "memory_report.h"
#include "output_names.h"
#include "paths.h"
#include "range_report.h"
#include "run_job.h"
#include "trace_journal.h"

#include "kernels/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const range_formats[] = {"table", "json", NULL};
enum { RANGE_AS_TABLE, RANGE_AS_JSON };

struct run_arguments {
    const char *folder, *out, *trace, *noise_log, *resume;
    const char *recipes, *seeds, *shard, *out_dir; /* of many runs; NULL where not given */
    bool traces;
    struct cli_recipe recipe;
    struct cli_machine machine;
    int precision;
    bool precision_given;
    bool trace_modules, report_memory;
    bool range;
    int range_format; /* an index into range_formats */
};

/* Of one run and of many: each has options that the other does not. */
static enum status check_many(const struct run_arguments *arguments, struct error *error)
{
    const bool many = arguments->recipes || arguments->seeds;
    const struct {
        const char *option;
        bool given;
    } of_many[] = {{"--out-dir", arguments->out_dir}, {"--traces", arguments->traces},
        {"--shard", arguments->shard}},
      of_one[] = {{"--out", arguments->out}, {"--trace", arguments->trace},
          {"--noise-log", arguments->noise_log}, {"--resume", arguments->resume},
          {"--range", arguments->range}, {"--report-memory", arguments->report_memory}};
    for (size_t i = 0; !many && i < sizeof of_many / sizeof *of_many; i++)
        if (of_many[i].given)
            return error_input(
                error, "%s: is for many runs: give --recipes LIST.jsonl or --seeds A-B", of_many[i].option);
    for (size_t i = 0; many && i < sizeof of_one / sizeof *of_one; i++)
        if (of_one[i].given)
            return error_input(error,
                "%s: is for one run, and %s makes many: they leave their files in --out-dir",
                of_one[i].option, arguments->recipes ? "--recipes" : "--seeds");
    if (many && !arguments->out_dir)
        return error_input(error, "%s: needs --out-dir, a folder for the pictures",
            arguments->recipes ? "--recipes" : "--seeds");
    if (arguments->seeds && cJSON_HasObjectItem(arguments->recipe.keys, "seed"))
        return error_input(error, "--seeds, --seed: only one of the two may be given");
    if (many && arguments->trace_modules && !arguments->traces)
        return error_input(error, "--trace-modules: needs --traces, which keeps them");
    return STATUS_OK;
}

static enum status check_arguments(
    struct invocation *invocation, struct run_arguments *arguments, const struct cli_usage *usage)
{
    struct error *error = &invocation->error;
    if (invocation->positional_count > 0) arguments->folder = invocation->positionals[0];
    enum status status = check_many(arguments, error);
    if (status != STATUS_OK) return status;
    if (!arguments->folder && !arguments->resume && !arguments->recipes)
        return error_input(error, "too few arguments; usage: plumb run %s", usage->arguments);
    if (arguments->resume && (arguments->trace || arguments->range))
        return error_input(error, "--resume: cannot stand with %s",
            arguments->trace ? "--trace: it says itself which trace goes on"
                             : "--range: steps that are finished are not computed again");
    if (arguments->trace_modules && !arguments->trace && !arguments->resume && !arguments->traces)
        return error_input(error, "--trace-modules: needs --trace, which says where they go");
    if (arguments->range_format != RANGE_AS_TABLE && !arguments->range)
        return error_input(error, "--range-format: needs --range, the report that it is of");
    if (arguments->out && arguments->trace && strcmp(arguments->out, arguments->trace) == 0)
        return error_input(error, "--out, --trace: expected two files, got %s for both", arguments->out);
    status = check_picture_name("--out", arguments->out, error);
    return status == STATUS_OK ? check_tensors_name("--trace", arguments->trace, error) : status;
}

static enum status parse(struct invocation *invocation, struct run_arguments *arguments)
{
    const struct cli_option own[] = {
        {.name = "precision",
            .kind = CLI_CHOICE,
            .value = &arguments->precision,
            .argument = "f32|f64|...",
            .choices = precision_names,
            .given = &arguments->precision_given,
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
        {.name = "resume",
            .kind = CLI_STRING,
            .value = &arguments->resume,
            .argument = "F.safetensors",
            .help = "go on with a run that was interrupted while it wrote this trace, whose steps are in "
                    "F.safetensors.partial: its recipe and its options hold, and the bytes will be the same"},
        {.name = "recipes",
            .kind = CLI_STRING,
            .value = &arguments->recipes,
            .argument = "LIST.jsonl",
            .help =
                "many runs: a recipe's object a line, with `recipe` (a file below it), `name` (of its files) "
                "and `checkpoint` where it has its own; --recipe is below every line, and options win"},
        {.name = "seeds",
            .kind = CLI_STRING,
            .value = &arguments->seeds,
            .argument = "A-B[,C...]",
            .help = "many runs: each of these seeds, of every line of the list, or of this recipe"},
        {.name = "out-dir",
            .kind = CLI_STRING,
            .value = &arguments->out_dir,
            .argument = "DIR",
            .help = "where many runs leave NAME.png, and status.jsonl; what is done there is left out"},
        {.name = "traces",
            .kind = CLI_FLAG,
            .value = &arguments->traces,
            .help = "each of many runs leaves NAME.safetensors too"},
        {.name = "shard",
            .kind = CLI_STRING,
            .value = &arguments->shard,
            .argument = "I/N",
            .help = "of many runs the I-th part of N, for machines that share a list"},
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
            "The same recipe gives the same bits on every run, with any number of threads.\n\n"
            "While a run with --trace F is under way, F.partial holds its finished steps, whole and readable "
            "at any "
            "moment. `plumb run --resume F` goes on where it was interrupted, whatever ended it.\n\n"
            "With --recipes or --seeds one command makes many runs, whose pictures go to --out-dir, and says "
            "of each "
            "what became of it. Started again, it leaves out what is done and goes on with what was "
            "interrupted; what "
            "fails stops no other.",
        .examples = "  plumb run sdxl --recipe configs/recipes/ays_timesteps.json --out rabbit.png\n"
                    "  plumb run golden/models/shapes-xl --prompt 'a yellow star on a black background' \\\n"
                    "      --guidance-scale 3 --steps 20 --seed 123 --out star.png --trace star.safetensors\n"
                    "  plumb run sd15 --prompt 'a cat' --scheduler DDIM --set timestep_spacing=trailing "
                    "--steps 25 --eta 1\n"
                    "  plumb run sdxl --prompt 'a cat' --steps 2 --range\n"
                    "  plumb run --resume star.safetensors\n"
                    "  plumb run sd15 --prompt 'a cat' --seeds 0-99 --out-dir cats\n"
                    "  plumb run sd15 --recipes list.jsonl --shard 2/8 --out-dir pictures",
        .options = options,
        .option_count = shared + sizeof own / sizeof *own,
        .minimum_positionals = 0,
        .maximum_positionals = 1,
    };
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    status = check_arguments(invocation, arguments, &usage);
    if (status != STATUS_OK) return status;
    return cli_recipe_finish(&arguments->recipe, &invocation->error);
}

/* --- Going on ----------------------------------------------------------------------------- */

/* The trace without ".partial", by which an interrupted one may be named. */
static char *resumed_trace(const char *name)
{
    size_t length = strlen(name);
    if (path_ends_with(name, JOURNAL_ENDING)) length -= strlen(JOURNAL_ENDING);
    return strndup(name, length);
}

/* Where there is no journal: a finished trace has nothing to go on with. */
static enum status check_finished(struct invocation *invocation, const char *trace, const char *journal)
{
    struct tensor_set *set = NULL;
    struct error *error = &invocation->error;
    if (access(trace, F_OK) != 0)
        return error_input(
            error, "--resume: there is neither %s, the steps of an interrupted run, nor %s", journal, trace);
    enum status status = tensor_set_open(trace, &set, error);
    if (status == STATUS_OK && !tensor_set_find(set, "image"))
        status = error_input(
            error, "--resume: %s is not the trace of a finished run, and there is no %s", trace, journal);
    if (status == STATUS_OK) fprintf(invocation->messages, "%s: this run is finished\n", trace);
    tensor_set_free(set);
    return status;
}

/* What the command line does not say is as the run began with it. */
static enum status adopt(struct run_arguments *arguments, const struct resume *resume, struct error *error)
{
    if (!arguments->folder) arguments->folder = resume->checkpoint;
    if (!arguments->folder) return error_input(error, "%s: says no checkpoint: give it", resume->path);
    if (!arguments->precision_given) arguments->precision = (int)resume->precision;
    if (!arguments->machine.gemm_given) arguments->machine.gemm = (int)resume->gemm;
    arguments->machine.gemm_given = true;
    if (!arguments->machine.blas_core) arguments->machine.blas_core = resume->blas_core;
    if (!arguments->out) arguments->out = resume->out;
    if (!arguments->noise_log) arguments->noise_log = resume->noise_log;
    if (arguments->trace_modules && !resume->trace_modules)
        return error_input(error, "%s: --trace-modules: the run began without", resume->path);
    arguments->trace_modules = resume->trace_modules;
    return STATUS_OK;
}

/* --- The command -------------------------------------------------------------------------- */

static void report_memory(FILE *messages, const struct memory_plan *memory)
{
    char planned[32], used[32];
    fprintf(messages, "memory beside the weights: %s planned, %s in use with the program and its libraries\n",
        show_mebibytes(memory->arena + memory->pictures + memory->trace, planned),
        show_mebibytes(memory->in_use, used));
}

static enum status run_once(struct invocation *invocation, const struct run_arguments *arguments,
    const struct recipe *recipe, struct run_job *job)
{
    struct error *error = &invocation->error;
    struct pipeline pipeline = {0};
    struct range_report range = {0};
    enum status status = run_files_check(job->out, job->trace, job->noise_log, recipe, error);
    if (status == STATUS_OK) status = pipeline_open(arguments->folder, recipe->variant, &pipeline, error);
    if (status == STATUS_OK && arguments->range) status = range_report_open(&pipeline, &range, error);
    if (status == STATUS_OK) {
        job->pipeline = &pipeline;
        job->recipe = recipe;
        job->observer = arguments->range ? &range.observer : NULL;
        status = run_job(invocation, job, error);
        if (json_has_key_of_error(recipe->source, error)) cli_recipe_refer(&arguments->recipe, status, error);
    }
    if (status == STATUS_OK && arguments->range)
        status =
            (arguments->range_format == RANGE_AS_JSON ? range_report_write_json : range_report_write_table)(
                &range, invocation->out, error);
    if (status == STATUS_OK && (arguments->report_memory || invocation->messages_are_seen))
        report_memory(invocation->messages, &job->memory);
    range_report_close(&range);
    pipeline_close(&pipeline);
    return status;
}

/* A run with the files that it is to leave, `trace` and `journal` (NULL: none) among them. */
static enum status run(struct invocation *invocation, struct run_arguments *arguments, struct resume *resume,
    const char *trace, const char *journal)
{
    struct error *error = &invocation->error;
    struct recipe recipe = {0};
    cJSON *json = NULL;
    char *going_on = NULL;
    if (asprintf(&going_on, "plumb run --resume %s", trace ? trace : "") < 0) return error_memory(error, 256);
    enum status status =
        cli_use_machine(invocation, &arguments->machine, arguments->precision == PRECISION_F64);
    if (status == STATUS_OK)
        status = cli_recipe_json(&arguments->recipe, resume ? resume->recipe : NULL, &json, error);
    if (status == STATUS_OK) status = cli_recipe_read(&arguments->recipe, json, &recipe, error);
    if (status == STATUS_OK) {
        bool asks_for_nothing = !arguments->trace && !arguments->range && !arguments->resume;
        struct run_job job = {
            .precision = (enum precision)arguments->precision,
            .trace_modules = arguments->trace_modules,
            .out = arguments->out || !asks_for_nothing ? arguments->out : "plumb.png",
            .trace = resume && !resume->trace_path ? NULL : trace,
            .noise_log = arguments->noise_log,
            .journal = journal,
            .going_on = going_on,
            .resume = resume,
            .words = "",
        };
        status = run_once(invocation, arguments, &recipe, &job);
    }
    recipe_free(&recipe);
    cJSON_Delete(json);
    free(going_on);
    return status;
}

static enum status go_on(struct invocation *invocation, struct run_arguments *arguments)
{
    struct error *error = &invocation->error;
    struct resume resume = {0};
    char *trace = resumed_trace(arguments->resume), *journal = NULL;
    enum status status = trace ? run_job_journal(trace, &journal, error) : error_memory(error, 0);
    if (status == STATUS_OK && (!journal || access(journal, F_OK) != 0)) {
        status = check_finished(invocation, trace, journal ? journal : trace);
    } else if (status == STATUS_OK) {
        status = resume_open(journal, &resume, &invocation->warnings, error);
        if (status == STATUS_OK) status = adopt(arguments, &resume, error);
        if (status == STATUS_OK) status = run(invocation, arguments, &resume, trace, journal);
    }
    resume_close(&resume);
    free(journal);
    free(trace);
    return status;
}

static enum status run_many(struct invocation *invocation, const struct run_arguments *arguments)
{
    struct error *error = &invocation->error;
    struct recipe_list list = {0};
    struct batch batch = {
        .checkpoint = arguments->folder,
        .folder = arguments->out_dir,
        .precision = (enum precision)arguments->precision,
        .traces = arguments->traces,
        .trace_modules = arguments->trace_modules,
    };
    enum status status =
        cli_use_machine(invocation, &arguments->machine, arguments->precision == PRECISION_F64);
    if (status == STATUS_OK) status = shard_read(arguments->shard, &batch.shard, error);
    if (status == STATUS_OK)
        status = recipe_list_read(arguments->recipes, &arguments->recipe, arguments->seeds, &list, error);
    if (status == STATUS_OK) status = batch_run(invocation, &batch, &list, error);
    recipe_list_free(&list);
    return status;
}

static enum status run_one(struct invocation *invocation, struct run_arguments *arguments)
{
    char *journal = NULL;
    enum status status = run_job_journal(arguments->trace, &journal, &invocation->error);
    if (status == STATUS_OK) status = run(invocation, arguments, NULL, arguments->trace, journal);
    free(journal);
    return status;
}

enum status command_run(struct invocation *invocation)
{
    struct run_arguments arguments = {0};
    enum status status = parse(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped) {
        if (arguments.recipes || arguments.seeds)
            status = run_many(invocation, &arguments);
        else
            status = (arguments.resume ? go_on : run_one)(invocation, &arguments);
    }
    cli_recipe_free(&arguments.recipe);
    return status;
}
