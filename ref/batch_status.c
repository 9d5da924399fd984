#include "batch_status.h"

#include "output_file.h"
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const item_state_names[ITEM_STATES] = {"waiting", "running", "done", "failed", "elsewhere"};

/* --- What is done already ----------------------------------------------------------------- */

static int is_status_file(const struct dirent *entry)
{
    return strncmp(entry->d_name, "status", strlen("status")) == 0 && path_ends_with(entry->d_name, ".jsonl");
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status note_done(
    struct batch_status *status, const cJSON *line, size_t *capacity, struct error *error)
{
    const char *name = NULL, *state = NULL, *key = NULL;
    json_get_string(line, "name", &name, NULL, NULL);
    json_get_string(line, "status", &state, NULL, NULL);
    json_get_string(line, "key", &key, NULL, NULL);
    const bool tells = state && (strcmp(state, item_state_names[ITEM_DONE]) == 0 ||
                                    strcmp(state, item_state_names[ITEM_WAITING]) == 0);
    if (!name || !key || !tells) return STATUS_OK;
    if (status->done_count == *capacity) {
        size_t larger_capacity = *capacity ? 2 * *capacity : 64;
        char **larger = realloc(status->done, larger_capacity * sizeof *larger);
        if (!larger) return error_memory(error, larger_capacity * sizeof *larger);
        status->done = larger;
        *capacity = larger_capacity;
    }
    if (asprintf(&status->done[status->done_count], "%s %s", name, key) < 0) return error_memory(error, 256);
    status->done_count++;
    return STATUS_OK;
}

/* A line that is not one of ours says nothing: what it might have said is then done again. */
static enum status read_file(
    struct batch_status *status, const char *path, size_t *capacity, struct error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file) return error_file(error, path, "cannot be read", errno);
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    enum status result = STATUS_OK;
    while (result == STATUS_OK && (length = getline(&text, &size, file)) >= 0) {
        cJSON *line = NULL;
        struct error not_ours;
        if (json_parse(text, (size_t)length, path, &line, &not_ours) == STATUS_MACHINE)
            result = error_memory(error, (size_t)length);
        if (line) result = note_done(status, line, capacity, error);
        cJSON_Delete(line);
    }
    if (result == STATUS_OK && !feof(file)) result = error_file(error, path, "cannot be read", errno);
    free(text);
    fclose(file);
    return result;
}

/* The first of what is done, in order, that is `text` or comes behind it; NULL where there is none. */
static const char *first_not_before(const struct batch_status *status, const char *text)
{
    size_t low = 0, high = status->done_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(status->done[middle], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < status->done_count ? status->done[low] : NULL;
}

/* The file that this command is to write keeps what it says of an item until the command comes to it: one
 * that is interrupted before would have it forgotten. */
static enum status read_own_file(struct batch_status *status, size_t *capacity, struct error *error)
{
    bool there;
    enum status result = path_look(status->path, &there, error);
    if (result == STATUS_OK && there) result = read_file(status, status->path, capacity, error);
    if (result != STATUS_OK || status->done_count == 0) return result;
    qsort(status->done, status->done_count, sizeof(char *), compare_strings);
    for (size_t i = 0; i < status->list->count; i++) {
        char beginning[256];
        snprintf(beginning, sizeof beginning, "%s ", status->list->items[i].name);
        const char *found = first_not_before(status, beginning);
        if (found && strncmp(found, beginning, strlen(beginning)) == 0)
            snprintf(status->items[i].key, sizeof status->items[i].key, "%s", found + strlen(beginning));
    }
    return STATUS_OK;
}

static enum status read_other_files(
    struct batch_status *status, const char *folder, size_t *capacity, struct error *error)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_status_file, alphasort);
    enum status result = count < 0 ? error_file(error, folder, "cannot be read", errno) : STATUS_OK;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (result == STATUS_OK && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
            result = error_memory(error, strlen(folder));
            path = NULL;
        }
        if (result == STATUS_OK && strcmp(path, status->path) != 0)
            result = read_file(status, path, capacity, error);
        free(path);
        free(entries[i]);
    }
    free(entries);
    if (status->done_count > 0) qsort(status->done, status->done_count, sizeof(char *), compare_strings);
    return result;
}

bool batch_status_was_done(const struct batch_status *status, const char *name, const char *key)
{
    char text[256];
    snprintf(text, sizeof text, "%s %s", name, key);
    const char *found = first_not_before(status, text);
    return found && strcmp(found, text) == 0;
}

/* --- The file ----------------------------------------------------------------------------- */

enum status batch_status_open(const char *folder, const struct recipe_list *list, const struct shard *shard,
    struct batch_status *status, struct error *error)
{
    *status = (struct batch_status){.list = list, .shard = *shard};
    int length = shard->count > 1 ? asprintf(&status->path, "%s/status-%zu-of-%zu.jsonl", folder,
                                        shard->part + 1, shard->count)
                                  : asprintf(&status->path, "%s/status.jsonl", folder);
    if (length < 0) status->path = NULL;
    status->items = calloc(list->count + 1, sizeof *status->items);
    enum status result = STATUS_OK;
    if (!status->path || !status->items) result = error_memory(error, list->count * sizeof *status->items);
    size_t capacity = 0;
    if (result == STATUS_OK) result = read_own_file(status, &capacity, error);
    if (result == STATUS_OK) result = read_other_files(status, folder, &capacity, error);
    if (result != STATUS_OK) batch_status_close(status);
    return result;
}

void batch_status_close(struct batch_status *status)
{
    for (size_t i = 0; status->items && i < status->list->count; i++) free(status->items[i].message);
    for (size_t i = 0; i < status->done_count; i++) free(status->done[i]);
    free(status->items);
    free(status->done);
    free(status->path);
    *status = (struct batch_status){0};
}

static void write_item(
    FILE *out, const struct list_item *item, const struct item_status *status, size_t number)
{
    fprintf(out, "{\"item\": %zu, ", number);
    if (item->line > 0) fprintf(out, "\"line\": %zu, ", item->line);
    fprintf(out, "\"name\": \"%s\", \"status\": \"%s\"", item->name, item_state_names[status->state]);
    if (status->state == ITEM_DONE || status->state == ITEM_FAILED)
        fprintf(out, ", \"seconds\": %.3f", status->seconds);
    const bool is_done = status->state == ITEM_DONE || status->state == ITEM_WAITING;
    if (is_done && *status->key) fprintf(out, ", \"key\": \"%s\"", status->key);
    if (status->message) {
        fputs(", \"error\": ", out);
        cli_write_json_string(out, status->message);
    }
    fputs("}\n", out);
}

enum status batch_status_write(const struct batch_status *status, struct error *error)
{
    struct output_file file = {0};
    enum status result = output_file_open(&file, status->path, error);
    if (result != STATUS_OK) return result;
    for (size_t i = 0; i < status->list->count; i++)
        if (shard_has(&status->shard, i))
            write_item(file.stream, &status->list->items[i], &status->items[i], i + 1);
    return output_file_commit(&file, error);
}
