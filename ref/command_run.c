/*
 * plumb run: a checkpoint and a recipe to pictures and a trace.
 */
#include "batch.h"
#include "memory_report.h"
#include "paths.h"
#include "range_report.h"
#include "run_arguments.h"
#include "run_job.h"
#include "trace_journal.h"

#include "kernels/cpu.h"

#include <stdlib.h>
#include <string.h>

/* --- Going on ----------------------------------------------------------------------------- */

/* The trace without ".partial", by which an interrupted one may be named. */
static char *resumed_trace(const char *name)
{
    size_t length = strlen(name);
    if (path_ends_with(name, JOURNAL_ENDING)) length -= strlen(JOURNAL_ENDING);
    return strndup(name, length);
}

/* A folder of arrays, which DIR.partial does not tell from a file. */
static enum status end_with_slash(char **path, struct error *error)
{
    char *folder = NULL;
    if (path_ends_with(*path, "/")) return STATUS_OK;
    if (asprintf(&folder, "%s/", *path) < 0) return error_memory(error, strlen(*path));
    free(*path);
    *path = folder;
    return STATUS_OK;
}

/* Where there is no journal: a finished trace has nothing to go on with. */
static enum status check_finished(struct invocation *invocation, const char *trace, const char *journal)
{
    struct tensor_set *set = NULL;
    struct error *error = &invocation->error;
    bool there;
    enum status status = path_look(trace, &there, error);
    if (status == STATUS_OK && !there)
        status = error_input(
            error, "--resume: there is neither %s, the steps of an interrupted run, nor %s", journal, trace);
    if (status == STATUS_OK) status = tensor_set_open(trace, &set, error);
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
    const struct recipe *recipe, const struct run_job *asked)
{
    struct error *error = &invocation->error;
    struct pipeline pipeline = {0};
    struct range_report range = {0};
    struct run_job job = *asked;
    enum status status = run_files_check(job.out, job.trace, job.noise_log, recipe, error);
    if (status == STATUS_OK) status = pipeline_open(arguments->folder, recipe->variant, &pipeline, error);
    if (status == STATUS_OK && arguments->range) status = range_report_open(&pipeline, &range, error);
    if (status == STATUS_OK) {
        job.pipeline = &pipeline;
        job.recipe = recipe;
        job.observer = arguments->range ? &range.observer : NULL;
        status = run_job(invocation, &job, error);
        if (json_has_key_of_error(recipe->source, error)) cli_recipe_refer(&arguments->recipe, status, error);
    }
    if (status == STATUS_OK && arguments->range)
        status =
            (arguments->range_format == RANGE_AS_JSON ? range_report_write_json : range_report_write_table)(
                &range, invocation->out, error);
    if (status == STATUS_OK && (arguments->report_memory || invocation->messages_are_seen))
        report_memory(invocation->messages, &job.memory);
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
            .trace = resume && resume->trace_kind == TRACE_NONE ? NULL : trace,
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
    bool there = false;
    if (status == STATUS_OK && journal) status = path_look(journal, &there, error);
    if (status == STATUS_OK && !there) {
        status = check_finished(invocation, trace, journal ? journal : trace);
    } else if (status == STATUS_OK) {
        status = resume_open(journal, &resume, &invocation->warnings, error);
        if (status == STATUS_OK) status = adopt(arguments, &resume, error);
        if (status == STATUS_OK && resume.trace_kind == TRACE_FOLDER) status = end_with_slash(&trace, error);
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
    enum status status = run_arguments_read(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped) {
        if (arguments.recipes || arguments.seeds)
            status = run_many(invocation, &arguments);
        else
            status = (arguments.resume ? go_on : run_one)(invocation, &arguments);
    }
    cli_recipe_free(&arguments.recipe);
    return status;
}
