#include "run_job.h"

#include "clock.h"
#include "faults.h"
#include "noise.h"
#include "output_file.h"
#include "paths.h"
#include "trace_journal.h"

#include <stdlib.h>
#include <string.h>

/* What a run under way has open. */
struct run_state {
    struct invocation *invocation;
    const struct run_job *job;
    struct trace *trace;
    struct trace_journal *journal; /* NULL: no steps are kept */
    char *description;             /* the journal's key "resume", once it is needed */
    char *last_words[2];           /* what a signal says: the one in use, and the one before */
    double start;                  /* clock_seconds() before the first step that is computed */
};

enum status run_job_journal(const char *trace, char **path, struct error *error)
{
    *path = NULL;
    if (!trace || output_file_is_special(trace)) return STATUS_OK;
    *path = trace_journal_path(trace);
    return *path ? STATUS_OK : error_memory(error, strlen(trace));
}

/* --- While it runs ------------------------------------------------------------------------ */

static void show_progress(struct run_state *state, size_t step, size_t steps)
{
    FILE *stream = state->invocation->messages;
    const size_t first =
        state->job->resume ? state->job->resume->steps : 0; /* the ones before take no time */
    if (step <= first) state->start = clock_seconds();
    double each = step > first ? (clock_seconds() - state->start) / (double)(step - first) : 0;
    fprintf(stream, "\r\033[K%sstep %zu of %zu", state->job->words, step, steps);
    if (step > first) fprintf(stream, "  %.3g s a step, %.0f s left", each, each * (double)(steps - step));
    if (step == steps) fprintf(stream, "\n");
    fflush(stream);
}

/* From now on a signal says how far the run is and how to go on. */
static enum status prepare_last_words(struct run_state *state, size_t step, size_t steps, struct error *error)
{
    char *text = NULL;
    const char *begin = state->invocation->messages_are_seen ? "\n" : "";
    if (asprintf(&text, "%sinterrupted: %s holds %zu of %zu steps; %s goes on with them\n", begin,
            state->job->journal, step, steps, state->job->going_on) < 0)
        return error_memory(error, 256);
    faults_say_at_end(text);
    free(state->last_words[1]);
    state->last_words[1] = state->last_words[0];
    state->last_words[0] = text;
    return STATUS_OK;
}

/* The trace's metadata are known only here, when the pipeline has accepted the recipe. */
static enum status describe(struct run_state *state, size_t steps, struct error *error)
{
    const struct run_job *job = state->job;
    const struct resume_request request = {
        .pipeline = job->pipeline,
        .fingerprint = job->fingerprint,
        .recipe = job->recipe,
        .out = job->out,
        .trace = !job->trace                       ? TRACE_NONE
                 : path_ends_with(job->trace, "/") ? TRACE_FOLDER
                                                   : TRACE_FILE,
        .noise_log = job->noise_log,
        .trace_modules = job->trace_modules,
        .total = steps,
    };
    return resume_describe(&request, &state->description, error);
}

static enum status keep_step(struct run_state *state, size_t step, size_t steps, struct error *error)
{
    const struct run_job *job = state->job;
    enum status status = STATUS_OK;
    const size_t there = job->resume ? job->resume->steps : 0; /* before anything is done */
    if (!state->journal || (step > 0 && step <= there)) return STATUS_OK;
    if (step == 0) return there > 0 ? prepare_last_words(state, there, steps, error) : STATUS_OK;
    if (!state->description) status = describe(state, steps, error);
    if (status == STATUS_OK)
        status = trace_journal_save(state->journal, state->trace, state->description, step, steps, error);
    return status == STATUS_OK ? prepare_last_words(state, step, steps, error) : status;
}

/* Before the first step the warnings, since a prompt that was cut is better known now than after an hour;
 * after each, the step is kept; on a terminal, how far the run is. */
static enum status after_step(void *context, size_t step, size_t steps, struct error *error)
{
    struct run_state *state = context;
    const struct run_job *job = state->job;
    enum status status = STATUS_OK;
    if (step == 0) cli_show_warnings(state->invocation);
    if (step == 0 && state->trace)
        status = run_files_metadata(state->trace, job->pipeline, job->recipe, job->precision, error);
    if (step == 0 && job->resume && job->resume->total != steps)
        status = error_input(
            error, "%s: a run of %zu steps; this one has %zu", job->journal, job->resume->total, steps);
    if (status == STATUS_OK) status = keep_step(state, step, steps, error);
    if (status == STATUS_OK && state->invocation->messages_are_seen) show_progress(state, step, steps);
    return status;
}

/* --- The run ------------------------------------------------------------------------------ */

static enum status open_state(struct run_state *state, struct error *error)
{
    const struct run_job *job = state->job;
    enum status status = STATUS_OK;
    if (job->trace || job->journal) status = trace_create(&state->trace, error);
    if (status == STATUS_OK && job->journal)
        status = trace_journal_open(job->journal, job->resume != NULL, &state->journal, error);
    if (status == STATUS_OK && job->resume) {
        job->resume->trace = state->trace;
        status =
            resume_check(job->resume, job->pipeline, job->fingerprint, job->recipe, job->precision, error);
    }
    if (status == STATUS_OK && job->resume)
        fprintf(state->invocation->messages, "%s: goes on after %zu of %zu steps\n", job->journal,
            job->resume->steps, job->resume->total);
    return status;
}

static enum status call(
    struct run_state *state, struct run_job *job, struct pictures *pictures, cJSON **log, struct error *error)
{
    const struct run_options options = {
        .trace = state->trace,
        .noise_log = job->noise_log ? log : NULL,
        .format = precision_format(job->precision),
        .trace_modules = job->trace_modules,
        .observer = job->resume ? &job->resume->observer : job->observer,
        .progress = after_step,
        .progress_context = state,
        .memory = &job->memory,
    };
    pipeline_run_function *run = job->precision == PRECISION_F64 ? pipeline_run_f64 : pipeline_run_f32;
    return run(job->pipeline, job->recipe, &options, pictures, &state->invocation->warnings, error);
}

/* What was kept of a run that failed: where the machine did, it can go on; where its recipe did, it
 * cannot. */
static void leave_journal(struct run_state *state, enum status status)
{
    faults_say_at_end(NULL);
    if (state->journal && status == STATUS_BAD_INPUT && !state->job->resume)
        trace_journal_remove(state->journal);
    if (state->last_words[0] && status == STATUS_MACHINE)
        fputs(state->last_words[0], state->invocation->messages);
}

enum status run_job(struct invocation *invocation, struct run_job *job, struct error *error)
{
    struct run_state state = {.invocation = invocation, .job = job};
    struct pictures pictures = {0};
    cJSON *log = NULL;
    enum status status = open_state(&state, error);
    if (status == STATUS_OK) status = call(&state, job, &pictures, &log, error);
    if (status == STATUS_OK && job->trace) status = trace_write(state.trace, job->trace, error);
    if (status == STATUS_OK && log) status = noise_log_write(log, job->noise_log, error);
    if (status == STATUS_OK && job->out)
        status = run_files_write_pictures(job->out, &pictures, job->recipe, error);
    if (status != STATUS_OK) leave_journal(&state, status);
    if (status == STATUS_OK && state.journal) {
        faults_say_at_end(NULL);
        trace_journal_remove(state.journal);
    }
    free(pictures.pixels);
    cJSON_Delete(log);
    cJSON_free(state.description);
    free(state.last_words[0]);
    free(state.last_words[1]);
    trace_journal_free(state.journal);
    trace_free(state.trace);
    return status;
}
