#include "batch.h"

#include "batch_status.h"
#include "checkpoint_fingerprint.h"
#include "clock.h"
#include "faults.h"
#include "paths.h"
#include "png_file.h"
#include "run_job.h"
#include "sha256.h"
#include "trace_journal.h"
#include "version.h"

#include "kernels/cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A checkpoint, opened when the first item asks for it. */
struct opened {
    char *folder, *variant;
    struct pipeline pipeline;
    cJSON *fingerprint;
    struct opened *next;
};

struct batch_state {
    struct invocation *invocation;
    const struct batch *batch;
    const struct recipe_list *list;
    struct batch_status status;
    struct opened *opened;
    size_t items, finished, failed, left_out, gone_on; /* of the shard */
};

/* --- Checkpoints -------------------------------------------------------------------------- */

static bool is_same_string(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void close_all(struct opened *opened)
{
    while (opened) {
        struct opened *next = opened->next;
        pipeline_close(&opened->pipeline);
        cJSON_Delete(opened->fingerprint);
        free(opened->folder);
        free(opened->variant);
        free(opened);
        opened = next;
    }
}

static enum status find_checkpoint(struct batch_state *state, const char *folder, const char *variant,
    const struct opened **out, struct error *error)
{
    for (const struct opened *o = state->opened; o; o = o->next) {
        if (strcmp(o->folder, folder) != 0 || !is_same_string(o->variant, variant)) continue;
        *out = o;
        return STATUS_OK;
    }
    struct opened *opened = calloc(1, sizeof *opened);
    if (!opened) return error_memory(error, sizeof *opened);
    opened->folder = strdup(folder);
    if (variant) opened->variant = strdup(variant);
    enum status status = STATUS_OK;
    if (!opened->folder || (variant && !opened->variant)) status = error_memory(error, strlen(folder));
    if (status == STATUS_OK) status = pipeline_open(folder, variant, &opened->pipeline, error);
    if (status == STATUS_OK)
        status = checkpoint_fingerprint(&opened->pipeline.checkpoint, variant, &opened->fingerprint, error);
    if (status != STATUS_OK) {
        close_all(opened);
        return status;
    }
    opened->next = state->opened;
    *out = state->opened = opened;
    return STATUS_OK;
}

/* --- What is done ------------------------------------------------------------------------- */

/* The hash of all that the item's bytes depend on: recipe, checkpoint, version, precision, matrix
 * products. */
static enum status make_key(const struct batch_state *state, const struct opened *opened,
    const struct recipe *recipe, char key[65], struct error *error)
{
    struct sha256 hash;
    const bool f64 = state->batch->precision == PRECISION_F64, has_blas = kernels_need_blas(f64);
    char *texts[] = {cJSON_PrintUnformatted(recipe->source), cJSON_PrintUnformatted(opened->fingerprint)};
    const char *const parts[] = {texts[0], texts[1], PLUMB_VERSION, precision_names[state->batch->precision],
        kernels_gemm_name(kernels_gemm_in_use()), has_blas ? kernels_blas_description() : "",
        has_blas ? kernels_blas_core() : ""};
    sha256_begin(&hash);
    for (size_t i = 0; texts[0] && texts[1] && i < sizeof parts / sizeof *parts; i++)
        sha256_add(&hash, parts[i], strlen(parts[i]) + 1);
    sha256_end(&hash, key);
    enum status status = texts[0] && texts[1] ? STATUS_OK : error_memory(error, 0);
    cJSON_free(texts[0]);
    cJSON_free(texts[1]);
    return status;
}

/* A picture that can be read to its end and says that it is of this recipe. */
static bool is_picture_of(const char *path, const char *recipe)
{
    struct picture picture = {0};
    bool told = false;
    if (!path || png_read(path, &picture, NULL) != STATUS_OK) return false;
    for (size_t i = 0; i < picture.text_count; i++)
        told = told ||
               (strcmp(picture.texts[i].key, "recipe") == 0 && strcmp(picture.texts[i].text, recipe) == 0);
    picture_free(&picture);
    return told;
}

static bool is_finished_trace(const char *path)
{
    struct tensor_set *set = NULL;
    bool finished = tensor_set_open(path, &set, NULL) == STATUS_OK && tensor_set_find(set, "image_u8");
    tensor_set_free(set);
    return finished;
}

static bool files_are_whole(const struct run_job *job)
{
    char *recipe = cJSON_PrintUnformatted(job->recipe->source);
    bool whole = recipe && (!job->trace || is_finished_trace(job->trace));
    size_t count = run_files_pictures(job->recipe);
    for (size_t i = 0; whole && i < count; i++) {
        char *path = run_files_picture(job->out, i, count);
        whole = is_picture_of(path, recipe);
        free(path);
    }
    cJSON_free(recipe);
    return whole;
}

/* --- One item ----------------------------------------------------------------------------- */

/* Goes on where there is a journal of this very run; another one's is thrown away. */
static enum status run_or_go_on(struct batch_state *state, struct run_job *job, struct error *error)
{
    struct resume resume = {0};
    bool there;
    enum status status = path_look(job->journal, &there, error);
    if (status != STATUS_OK) return status;
    if (there) {
        status = resume_open(job->journal, &resume, &state->invocation->warnings, error);
        if (status == STATUS_OK) {
            job->resume = &resume;
            status = run_job(state->invocation, job, error);
            job->resume = NULL;
            state->gone_on += status == STATUS_OK;
        }
        resume_close(&resume);
        bool is_the_journals = strncmp(error->message, job->journal, strlen(job->journal)) == 0;
        if (status != STATUS_BAD_INPUT || !is_the_journals) return status;
        warnings_add(&state->invocation->warnings, "%s; the item begins anew", error->message);
        unlink(job->journal);
    }
    return run_job(state->invocation, job, error);
}

static enum status run_with(
    struct batch_state *state, size_t number, struct run_job *job, struct error *error)
{
    const struct list_item *item = &state->list->items[number];
    struct item_status *status = &state->status.items[number];
    const struct opened *opened = NULL;
    const char *folder = item->checkpoint ? item->checkpoint : state->batch->checkpoint;
    enum status result = find_checkpoint(state, folder, job->recipe->variant, &opened, error);
    if (result == STATUS_OK) result = make_key(state, opened, job->recipe, status->key, error);
    if (result == STATUS_OK)
        result = batch_status_was_done(&state->status, number, status->key, &status->was_done, error);
    if (result != STATUS_OK) return result;
    job->pipeline = &opened->pipeline;
    job->fingerprint = opened->fingerprint;
    status->was_done = status->was_done && files_are_whole(job);
    if (status->was_done) return STATUS_OK;
    if (trace_journal_is_in_use(job->journal)) {
        status->state = ITEM_ELSEWHERE;
        return STATUS_OK;
    }
    result = batch_status_write(&state->status, error); /* that it is running */
    if (result == STATUS_OK) result = run_files_check(job->out, job->trace, NULL, job->recipe, error);
    if (result == STATUS_OK) result = run_or_go_on(state, job, error);
    /* Another command began it at the same time, and came first. */
    if (result == STATUS_BAD_INPUT && trace_journal_is_in_use(job->journal)) {
        status->state = ITEM_ELSEWHERE;
        return STATUS_OK;
    }
    return result;
}

/* Runs the item into its files; its failure is in `status`. What is returned ends the command. */
static enum status run_item(struct batch_state *state, size_t number, struct error *error)
{
    const struct batch *batch = state->batch;
    const struct list_item *item = &state->list->items[number];
    struct item_status *status = &state->status.items[number];
    struct recipe recipe = {0};
    struct error said = {""};
    char *out = NULL, *trace = NULL, *journal = NULL, words[64];
    snprintf(words, sizeof words, "%zu of %zu, ", state->finished + state->left_out + state->failed + 1,
        state->items);
    enum status result = STATUS_OK;
    if (asprintf(&out, "%s/%s.png", batch->folder, item->name) < 0 ||
        asprintf(&trace, "%s/%s.safetensors", batch->folder, item->name) < 0 ||
        !(journal = trace_journal_path(trace)))
        result = error_memory(&said, strlen(batch->folder));
    if (result == STATUS_OK) result = recipe_read(item->recipe, &recipe, &said);
    if (result == STATUS_OK) {
        struct run_job job = {
            .recipe = &recipe,
            .precision = batch->precision,
            .trace_modules = batch->trace_modules,
            .out = out,
            .trace = batch->traces ? trace : NULL,
            .journal = journal,
            .going_on = "the same command",
            .words = words,
        };
        status->state = ITEM_RUNNING;
        result = run_with(state, number, &job, &said);
    }
    if (result == STATUS_OK && status->state != ITEM_ELSEWHERE) status->state = ITEM_DONE;
    if (result != STATUS_OK) {
        status->state = ITEM_FAILED;
        if (item->line > 0) error_prefix(&said, result, "%s:%zu: ", state->list->path, item->line);
        status->message = strdup(said.message);
        if (!status->message) result = error_memory(error, sizeof said.message);
    }
    recipe_free(&recipe);
    free(out);
    free(trace);
    free(journal);
    return result;
}

/* --- All of them -------------------------------------------------------------------------- */

static void say(const struct batch_state *state, size_t number)
{
    FILE *out = state->invocation->out;
    const struct list_item *item = &state->list->items[number];
    const struct item_status *status = &state->status.items[number];
    const char *name = status->was_done ? "was done" : item_state_names[status->state];
    fprintf(out, "%-9s %8.1f s  %s/%s", name, status->seconds, state->batch->folder, item->name);
    fprintf(out, status->message ? ": %s\n" : "\n", status->message);
    fflush(out);
}

static enum status run_items(struct batch_state *state, struct error *error)
{
    enum status worst = STATUS_OK, status = STATUS_OK;
    const size_t count = state->list->count;
    for (size_t i = 0; i < count; i++) state->items += shard_has(&state->batch->shard, i);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct item_status *item = &state->status.items[i];
        if (!shard_has(&state->batch->shard, i)) continue;
        const double start = clock_seconds();
        faults_say_at_end("interrupted: the same command goes on with what is left\n");
        enum status of_item = run_item(state, i, error);
        item->seconds = clock_seconds() - start;
        if (of_item > worst) worst = of_item;
        if (item->state == ITEM_FAILED)
            state->failed++;
        else if (item->was_done || item->state == ITEM_ELSEWHERE)
            state->left_out++;
        else
            state->finished++;
        status = batch_status_write(&state->status, error);
        cli_show_warnings(state->invocation);
        say(state, i);
    }
    faults_say_at_end(NULL);
    return status == STATUS_OK ? worst : status;
}

static enum status make_folder(const char *path, struct error *error)
{
    struct stat info;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return STATUS_OK;
    return error_file(error, path, "cannot be made", errno);
}

enum status batch_run(struct invocation *invocation, const struct batch *batch,
    const struct recipe_list *list, struct error *error)
{
    struct batch_state state = {.invocation = invocation, .batch = batch, .list = list};
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].checkpoint && !batch->checkpoint)
            return error_input(error, "%s:%zu: checkpoint: missing, on the line and on the command line",
                list->path, list->items[i].line);
    enum status status = make_folder(batch->folder, error);
    if (status == STATUS_OK)
        status = batch_status_open(batch->folder, list, &batch->shard, &state.status, error);
    if (status == STATUS_OK) status = batch_status_write(&state.status, error);
    if (status == STATUS_OK) {
        status = run_items(&state, error);
        const bool is_told = *error->message; /* what kept the command itself from going on */
        if (state.failed > 0 && !is_told)
            status = (status == STATUS_MACHINE ? error_machine : error_input)(
                error, "%zu of %zu items failed; %s says why", state.failed, state.items, state.status.path);
    }
    batch_status_close(&state.status);
    close_all(state.opened);
    return status;
}
