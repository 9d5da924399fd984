/*
 * plumb verify: another backend's dump, stage by stage, each from its own recorded inputs.
 */
#include "cli_recipe.h"
#include "their_tensors.h"
#include "verify_recipe.h"
#include "verify_report.h"

#include <string.h>

struct arguments {
    struct cli_recipe recipe;
    struct cli_machine machine;
    const char *map, *html;
    double rounding, wrong;
    int their_dtype, format;
    bool their_dtype_given, no_drift, no_diagnose, channels_last, all;
};

static const char description[] =
    "Another backend's dump against the models and the sampler: each stage, and each module whose output is "
    "there, is computed again from *their* recorded inputs, so that one stage's error does not hide the "
    "next. "
    "The error of each tensor is told in floors: what a correct implementation in their precision is off "
    "from "
    "the exact answer on the same inputs. At most 4 floors are rounding.\n\n"
    "THEIRS has the tensors of a run under the names of golden/README.md, any of them: what is there is "
    "checked "
    "from the nearest inputs before it that are. Modules of later steps are step.03.act.unet..., those of "
    "the "
    "negative prompt negative_act.text_encoder.... The call that made it is read from its metadata where it "
    "is "
    "a trace of Plumb's, else it is what the options say.\n\n"
    "Exit status 0 where everything that could be checked is rounding, 1 where something is not.";

static const char examples[] =
    "  plumb verify sdxl port.safetensors --recipe run.json --html report.html\n"
    "  plumb verify sd15 dump/ --prompt 'a cat' --steps 20 --seed 7 --their-dtype f16\n"
    "  plumb verify golden/models/tiny-sd golden/models/traces/sd-pndm6.safetensors --format json";

static enum status parse(struct invocation *invocation, struct arguments *arguments)
{
    static const char *const formats[] = {"table", "json", NULL};
    static const char *precisions[NUMBER_FORMATS + 1];
    for (int i = 0; i < NUMBER_FORMATS; i++) precisions[i] = number_format_names[i];
    const struct cli_option own[] = {
        {.name = "their-dtype",
            .kind = CLI_CHOICE,
            .value = &arguments->their_dtype,
            .argument = "f32|f16|bf16|tf32",
            .choices = precisions,
            .given = &arguments->their_dtype_given,
            .help = "the precision that they compute in; by default that of their models' tensors"},
        {.name = "rounding",
            .kind = CLI_NUMBER,
            .value = &arguments->rounding,
            .argument = "N",
            .help = "so many floors are rounding (4)"},
        {.name = "wrong",
            .kind = CLI_NUMBER,
            .value = &arguments->wrong,
            .argument = "N",
            .help = "more than so many floors are wrong (8); in between is suspect"},
        {.name = "no-drift",
            .kind = CLI_FLAG,
            .value = &arguments->no_drift,
            .help = "leave out the run that goes freely, beside which theirs drifts"},
        {.name = "no-diagnose",
            .kind = CLI_FLAG,
            .value = &arguments->no_diagnose,
            .help = "do not look for the fault that explains what is wrong"},
        {.name = "map",
            .kind = CLI_STRING,
            .value = &arguments->map,
            .argument = "F.json",
            .help = "their names to ours, with globs"},
        {.name = "channels-last",
            .kind = CLI_FLAG,
            .value = &arguments->channels_last,
            .help = "their tensors with rows and columns are [B, H, W, C]"},
        {.name = "format",
            .kind = CLI_CHOICE,
            .value = &arguments->format,
            .argument = "FORMAT",
            .choices = formats,
            .help = "table or json"},
        {.name = "html",
            .kind = CLI_STRING,
            .value = &arguments->html,
            .argument = "F.html",
            .help = "write a page with pictures, too"},
        {.name = "all",
            .kind = CLI_FLAG,
            .value = &arguments->all,
            .help = "a row for every tensor in the table, not only for what is no rounding"},
        cli_threads_option(&arguments->machine),
        cli_cpu_option(&arguments->machine),
        cli_gemm_option(&arguments->machine),
        cli_blas_core_option(&arguments->machine),
    };
    struct cli_option options[MAX_RECIPE_OPTIONS + sizeof own / sizeof *own];
    const size_t shared = cli_recipe_options(&arguments->recipe, options);
    memcpy(options + shared, own, sizeof own);
    char explained[12000];
    snprintf(
        explained, sizeof explained, "%s\n\n%s\n%s", description, their_tensors_help, verify_report_help);
    const struct cli_usage usage = {
        "CHECKPOINT THEIRS [options]", explained, examples, options, shared + sizeof own / sizeof *own, 2, 2};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    if (!(arguments->wrong >= arguments->rounding))
        return error_input(&invocation->error, "--wrong: expected at least --rounding, %g, got %g",
            arguments->rounding, arguments->wrong);
    return cli_recipe_finish(&arguments->recipe, &invocation->error);
}

/* --- The parts ---------------------------------------------------------------------------- */

struct work {
    struct pipeline pipeline;
    struct recipe recipe;
    struct known_tensors known;
    struct their_tensors theirs;
    struct verify_options options;
    struct verification verification;
};

/* Before it is known which call made the dump, its tensors have names and no shapes; it may say itself. */
#define MOST_STEPS 1000

static enum status open_by_name(struct invocation *invocation, const struct arguments *arguments,
    struct known_tensors *keys, struct their_tensors *theirs)
{
    const struct their_options how = {arguments->map, arguments->channels_last};
    enum status status = known_tensors_add_keys(keys, MOST_STEPS, &invocation->error);
    known_tensors_order(keys);
    if (status == STATUS_OK)
        status = their_tensors_open(invocation->positionals[1], &how, keys, theirs, NULL, &invocation->error);
    return status;
}

/* The checkpoint, and the call that the dump is held against. */
static enum status find_call(
    struct invocation *invocation, const struct arguments *arguments, struct work *work)
{
    struct error *error = &invocation->error;
    struct known_tensors keys = {0};
    struct their_tensors theirs = {0};
    cJSON *said = NULL, *json = NULL;
    enum status status = open_by_name(invocation, arguments, &keys, &theirs);
    if (status == STATUS_OK)
        status = verify_recipe_of_metadata(theirs.tensors, &said, &invocation->warnings, error);
    if (status == STATUS_OK) status = cli_recipe_json(&arguments->recipe, said, &json, error);
    if (status == STATUS_OK) {
        const cJSON *variant = cJSON_GetObjectItemCaseSensitive(json, "variant");
        status =
            pipeline_open(invocation->positionals[0], cJSON_GetStringValue(variant), &work->pipeline, error);
    }
    if (status == STATUS_OK && cJSON_IsObject(json))
        status = verify_recipe_complete(theirs.tensors, &work->pipeline, json, &work->options, error);
    if (status == STATUS_OK) {
        status = cli_recipe_read(&arguments->recipe, json, &work->recipe, error);
        if (said && !arguments->recipe.file && !json_has_key_of_error(arguments->recipe.keys, error))
            error_prefix(error, status, "%s: metadata: ", invocation->positionals[1]);
    }
    if (status == STATUS_OK)
        status = verify_recipe_count_steps(
            theirs.tensors, &work->pipeline, &work->recipe, &invocation->warnings, error);
    if (!arguments->their_dtype_given && status == STATUS_OK)
        work->options.their_format = verify_format_of(theirs.tensors);
    their_tensors_free(&theirs);
    known_tensors_free(&keys);
    cJSON_Delete(said);
    cJSON_Delete(json);
    return status;
}

static enum status open_theirs(
    struct invocation *invocation, const struct arguments *arguments, struct work *work)
{
    const struct their_options how = {arguments->map, arguments->channels_last};
    enum status status =
        known_tensors_of_run(&work->pipeline, &work->recipe, &work->known, &invocation->error);
    if (status == STATUS_OK)
        status = their_tensors_open(invocation->positionals[1], &how, &work->known, &work->theirs,
            &invocation->warnings, &invocation->error);
    if (status == STATUS_OK) their_tensors_warn(&work->theirs, 10, &invocation->warnings);
    return status;
}

/* --- Showing ------------------------------------------------------------------------------ */

/* What the exit status says. */
static enum status conclude(const struct verification *v, const char *path, struct error *error)
{
    size_t unchecked = v->verdicts[VERIFY_UNCHECKED];
    if (unchecked < v->count)
        return v->verdicts[VERIFY_ROUNDING] + unchecked == v->count ? STATUS_OK : STATUS_DISAGREE;
    if (v->count == 0) return error_input(error, "%s: nothing in it is a tensor of this run", path);
    return error_input(
        error, "%s: nothing in it could be checked: %s: %s", path, v->rows[0].their_name, v->rows[0].reason);
}

/* The call in a line, as it was read. */
static char *show_call(const struct recipe *recipe)
{
    return cJSON_PrintUnformatted(recipe->source);
}

/* The page, with the exact values of the tensors whose errors it draws. */
static enum status write_page(
    const struct verify_report *report, const char *path, const struct work *work, struct error *error)
{
    const struct verify_row *rows[VERIFY_HEATMAPS];
    struct verify_report drawn = *report;
    struct tensor_set *exact = NULL;
    size_t count = verify_rows_to_draw(report->verification, VERIFY_HEATMAPS, rows);
    enum status status = tensor_set_create(&exact, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = verify_recompute(&work->pipeline, &work->recipe, work->theirs.tensors, &work->options,
            rows[i]->name, false, NULL, exact, NULL, error);
    drawn.exact = exact;
    if (status == STATUS_OK) status = verify_write_html(&drawn, path, error);
    tensor_set_free(exact);
    return status;
}

static enum status show(
    struct invocation *invocation, const struct arguments *arguments, const struct work *work)
{
    struct error *error = &invocation->error;
    char *call = show_call(&work->recipe);
    if (!call) return error_memory(error, 0);
    const struct verify_report report = {
        .verification = &work->verification,
        .options = &work->options,
        .theirs = &work->theirs,
        .checkpoint = invocation->positionals[0],
        .path = invocation->positionals[1],
        .call = call,
    };
    const struct verify_table_options table = {
        .all = arguments->all, .coloured = verify_may_colour(invocation->out_is_seen)};
    enum status status = arguments->format == 0 ? verify_write_table(&report, &table, invocation->out, error)
                                                : verify_write_json(&report, invocation->out, error);
    if (status == STATUS_OK && arguments->html) status = write_page(&report, arguments->html, work, error);
    if (status == STATUS_OK && arguments->html) fprintf(invocation->messages, "wrote %s\n", arguments->html);
    cJSON_free(call);
    return status == STATUS_OK ? conclude(&work->verification, report.path, error) : status;
}

/* On a terminal: which of the runs, and how far it is. */
static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    struct invocation *invocation = context;
    if (done == 0) cli_show_warnings(invocation);
    fprintf(invocation->messages, "\r\033[K");
    if (done < total) fprintf(invocation->messages, "%s: step %zu of %zu", what, done, total);
    fflush(invocation->messages);
}

/* What the options ask of it. */
static struct verify_options options_of(struct invocation *invocation, const struct arguments *arguments)
{
    struct verify_options options = {
        .their_format = (enum number_format)arguments->their_dtype,
        .rounding = arguments->rounding,
        .wrong = arguments->wrong,
        .free_run = !arguments->no_drift,
        .diagnose = !arguments->no_diagnose,
    };
    if (invocation->messages_are_seen) {
        options.progress = show_progress;
        options.progress_context = invocation;
    }
    return options;
}

static enum status work_through(
    struct invocation *invocation, const struct arguments *arguments, struct work *work)
{
    work->options = options_of(invocation, arguments);
    enum status status = cli_use_machine(invocation, &arguments->machine, true);
    if (status == STATUS_OK) status = find_call(invocation, arguments, work);
    if (status == STATUS_OK) status = open_theirs(invocation, arguments, work);
    if (status == STATUS_OK)
        status = verify(&work->pipeline, &work->recipe, work->theirs.tensors, &work->options,
            &work->verification, &invocation->warnings, &invocation->error);
    if (invocation->messages_are_seen) fprintf(invocation->messages, "\r\033[K");
    for (size_t i = 0; i < work->verification.count; i++) {
        struct verify_row *row = &work->verification.rows[i];
        const struct their_record *record = their_tensors_record(&work->theirs, row->name);
        if (record) row->their_name = record->their_name;
    }
    return status == STATUS_OK ? show(invocation, arguments, work) : status;
}

enum status command_verify(struct invocation *invocation)
{
    struct arguments arguments = {
        .rounding = VERIFY_OPTIONS_DEFAULT.rounding, .wrong = VERIFY_OPTIONS_DEFAULT.wrong};
    struct work work = {0};
    enum status status = parse(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped) status = work_through(invocation, &arguments, &work);
    verification_free(&work.verification);
    their_tensors_free(&work.theirs);
    known_tensors_free(&work.known);
    recipe_free(&work.recipe);
    pipeline_close(&work.pipeline);
    cli_recipe_free(&arguments.recipe);
    return status;
}
