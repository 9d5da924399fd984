#include "run_arguments.h"

#include "output_names.h"
#include "run_files.h"

#include <string.h>

enum { MAX_OF_EACH = 10 }; /* of the three lists below */

/* --- The options -------------------------------------------------------------------------- */

static const char *const range_formats[] = {"table", "json", NULL};

static size_t options_of_computing(struct run_arguments *arguments, struct cli_option *options)
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
    };
    _Static_assert(sizeof own / sizeof *own <= MAX_OF_EACH, "room for every option");
    memcpy(options, own, sizeof own);
    return sizeof own / sizeof *own;
}

static size_t options_of_one_run(struct run_arguments *arguments, struct cli_option *options)
{
    const struct cli_option own[] = {
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
    _Static_assert(sizeof own / sizeof *own <= MAX_OF_EACH, "room for every option");
    memcpy(options, own, sizeof own);
    return sizeof own / sizeof *own;
}

static size_t options_of_many_runs(struct run_arguments *arguments, struct cli_option *options)
{
    const struct cli_option own[] = {
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
    };
    _Static_assert(sizeof own / sizeof *own <= MAX_OF_EACH, "room for every option");
    memcpy(options, own, sizeof own);
    return sizeof own / sizeof *own;
}

/* --- What cannot stand together ----------------------------------------------------------- */

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

/* --- The command line --------------------------------------------------------------------- */

enum status run_arguments_read(struct invocation *invocation, struct run_arguments *arguments)
{
    struct cli_option options[MAX_RECIPE_OPTIONS + 3 * MAX_OF_EACH];
    size_t count = cli_recipe_options(&arguments->recipe, options);
    count += options_of_computing(arguments, options + count);
    count += options_of_one_run(arguments, options + count);
    count += options_of_many_runs(arguments, options + count);
    const struct cli_usage usage = {
        .arguments = "CHECKPOINT [options]",
        .description =
            "Text to image: a published Diffusers folder of Stable Diffusion 1.x, 2.x or XL, and a prompt.\n"
            "The same recipe gives the same bits on every run, with any number of threads.\n\n"
            "While a run with --trace F is under way, F.partial holds its finished steps, whole and readable "
            "at any moment. `plumb run --resume F` goes on where it was interrupted, whatever ended it.\n\n"
            "With --recipes or --seeds one command makes many runs, whose pictures go to --out-dir, and says "
            "of each what became of it. Started again, it leaves out what is done and goes on with what was "
            "interrupted; what fails stops no other. Several such commands at once share the list.",
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
        .option_count = count,
        .minimum_positionals = 0,
        .maximum_positionals = 1,
    };
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    status = check_arguments(invocation, arguments, &usage);
    if (status != STATUS_OK) return status;
    return cli_recipe_finish(&arguments->recipe, &invocation->error);
}
