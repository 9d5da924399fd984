#include "batch_status.h"

#include "output_file.h"
#include "paths.h"

#include "sched/text_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

const char *const item_state_names[ITEM_STATES] = {"waiting", "running", "done", "failed", "elsewhere"};

/* --- Status files ------------------------------------------------------------------------- */

/* What a line says; pieces are the object's, NULL where they are missing. */
struct told_line {
    const char *text; /* as it stands in the file */
    const char *name, *state, *key;
};

static bool tells(const struct told_line *line, enum item_state state)
{
    return line->name && line->state && strcmp(line->state, item_state_names[state]) == 0;
}

/* Calls `take` with each line that is one of ours. Another says nothing: what it might have said is then done
 * again. */
typedef enum status line_taker(
    struct batch_status *status, const struct told_line *line, struct error *error);
static enum status read_file(
    struct batch_status *status, const char *path, line_taker *take, struct error *error)
{
    char *text = NULL;
    size_t length;
    enum status result = text_file_read(path, SIZE_MAX, "text", &text, &length, error);
    for (char *line = text, *next; result == STATUS_OK && *line; line = next) {
        cJSON *object = NULL;
        struct error unread;
        const size_t size = strcspn(line, "\n");
        next = line[size] ? line + size + 1 : line + size;
        line[size] = '\0';
        if (json_parse(line, size, path, &object, &unread) == STATUS_MACHINE) {
            result = error_memory(error, size);
        } else if (object) {
            struct told_line told = {.text = line};
            json_get_string(object, "name", &told.name, NULL, NULL);
            json_get_string(object, "status", &told.state, NULL, NULL);
            json_get_string(object, "key", &told.key, NULL, NULL);
            result = take(status, &told, error);
        }
        cJSON_Delete(object);
    }
    free(text);
    return result;
}

/* --- The files of other shards ------------------------------------------------------------ */

static int is_status_file(const struct dirent *entry)
{
    return strncmp(entry->d_name, "status", strlen("status")) == 0 && path_ends_with(entry->d_name, ".jsonl");
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status note_done(struct batch_status *status, const struct told_line *line, struct error *error)
{
    if (!tells(line, ITEM_DONE) || !line->key) return STATUS_OK;
    if (status->done_count == status->done_capacity) {
        size_t capacity = status->done_capacity ? 2 * status->done_capacity : 64;
        char **larger = realloc(status->done, capacity * sizeof *larger);
        if (!larger) return error_memory(error, capacity * sizeof *larger);
        status->done = larger;
        status->done_capacity = capacity;
    }
    if (asprintf(&status->done[status->done_count], "%s %s", line->name, line->key) < 0)
        return error_memory(error, 256);
    status->done_count++;
    return STATUS_OK;
}

static enum status read_other_files(struct batch_status *status, struct error *error)
{
    struct dirent **entries = NULL;
    int count = scandir(status->folder, &entries, is_status_file, alphasort);
    enum status result = count < 0 ? error_file(error, status->folder, "cannot be read", errno) : STATUS_OK;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (result == STATUS_OK && asprintf(&path, "%s/%s", status->folder, entries[i]->d_name) < 0) {
            result = error_memory(error, strlen(status->folder));
            path = NULL;
        }
        if (result == STATUS_OK && strcmp(path, status->path) != 0)
            result = read_file(status, path, note_done, error);
        free(path);
        free(entries[i]);
    }
    free(entries);
    if (status->done_count > 0) qsort(status->done, status->done_count, sizeof(char *), compare_strings);
    return result;
}

/* --- The own file, which another command of the same list may write, too ------------------ */

struct named_item {
    const char *name;
    struct item_status *item;
};

static int compare_named(const void *a, const void *b)
{
    return strcmp(((const struct named_item *)a)->name, ((const struct named_item *)b)->name);
}

static enum status order_names(struct batch_status *status, struct error *error)
{
    const size_t count = status->list->count;
    status->by_name = malloc((count + 1) * sizeof *status->by_name);
    if (!status->by_name) return error_memory(error, count * sizeof *status->by_name);
    for (size_t i = 0; i < count; i++)
        status->by_name[i] = (struct named_item){status->list->items[i].name, &status->items[i]};
    qsort(status->by_name, count, sizeof *status->by_name, compare_named);
    return STATUS_OK;
}

static enum status note_told(struct batch_status *status, const struct told_line *line, struct error *error)
{
    const bool is_done = tells(line, ITEM_DONE) && line->key;
    if (!is_done && !tells(line, ITEM_FAILED)) return STATUS_OK;
    const struct named_item *found = bsearch(&(struct named_item){line->name, NULL}, status->by_name,
        status->list->count, sizeof *status->by_name, compare_named);
    if (!found) return STATUS_OK;
    free(found->item->told);
    found->item->told = strdup(line->text);
    if (!found->item->told) return error_memory(error, strlen(line->text));
    snprintf(found->item->told_key, sizeof found->item->told_key, "%s", is_done ? line->key : "");
    return STATUS_OK;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Where the file is not the one that this command has seen last. */
static enum status read_own_file(struct batch_status *status, struct error *error)
{
    struct stat info;
    if (stat(status->path, &info) != 0)
        return path_is_absent(errno) ? STATUS_OK : error_file(error, status->path, "cannot be read", errno);
    if (is_same_file(&info, &status->seen)) return STATUS_OK;
    enum status result = read_file(status, status->path, note_told, error);
    if (result == STATUS_OK) status->seen = info;
    return result;
}

enum status batch_status_was_done(
    struct batch_status *status, size_t number, const char *key, bool *done, struct error *error)
{
    char text[256], *sought = text;
    snprintf(text, sizeof text, "%s %s", status->list->items[number].name, key);
    enum status result = read_own_file(status, error);
    *done = strcmp(status->items[number].told_key, key) == 0 ||
            (status->done_count > 0 &&
                bsearch(&sought, status->done, status->done_count, sizeof(char *), compare_strings));
    return result;
}

/* --- The file ----------------------------------------------------------------------------- */

enum status batch_status_open(const char *folder, const struct recipe_list *list, const struct shard *shard,
    struct batch_status *status, struct error *error)
{
    *status = (struct batch_status){.folder = folder, .list = list, .shard = *shard};
    int length = shard->count > 1 ? asprintf(&status->path, "%s/status-%zu-of-%zu.jsonl", folder,
                                        shard->part + 1, shard->count)
                                  : asprintf(&status->path, "%s/status.jsonl", folder);
    if (length < 0) status->path = NULL;
    status->items = calloc(list->count + 1, sizeof *status->items);
    enum status result = STATUS_OK;
    if (!status->path || !status->items) result = error_memory(error, list->count * sizeof *status->items);
    if (result == STATUS_OK) result = order_names(status, error);
    if (result == STATUS_OK) result = read_own_file(status, error);
    if (result == STATUS_OK) result = read_other_files(status, error);
    if (result != STATUS_OK) batch_status_close(status);
    return result;
}

void batch_status_close(struct batch_status *status)
{
    for (size_t i = 0; status->items && i < status->list->count; i++) {
        free(status->items[i].message);
        free(status->items[i].told);
    }
    for (size_t i = 0; i < status->done_count; i++) free(status->done[i]);
    free(status->items);
    free(status->by_name);
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
    if (status->state == ITEM_DONE) fprintf(out, ", \"key\": \"%s\"", status->key);
    if (status->message) {
        fputs(", \"error\": ", out);
        cli_write_json_string(out, status->message);
    }
    fputs("}\n", out);
}

/* A command that is interrupted before it comes to an item must not have it forgotten that it is done; and
 * what another command is at, or was, that one knows. */
static bool stays_as_told(const struct item_status *item)
{
    return item->told && (item->state == ITEM_ELSEWHERE || (item->state == ITEM_WAITING && *item->told_key));
}

static enum status write_items(struct batch_status *status, struct error *error)
{
    struct output_file file = {0};
    enum status result = output_file_open(&file, status->path, error);
    if (result != STATUS_OK) return result;
    for (size_t i = 0; i < status->list->count; i++) {
        const struct item_status *item = &status->items[i];
        if (!shard_has(&status->shard, i)) continue;
        if (stays_as_told(item))
            fprintf(file.stream, "%s\n", item->told);
        else
            write_item(file.stream, &status->list->items[i], item, i + 1);
    }
    result = output_file_commit(&file, error);
    if (result == STATUS_OK && stat(status->path, &status->seen) != 0) status->seen = (struct stat){0};
    return result;
}

enum status batch_status_write(struct batch_status *status, struct error *error)
{
    int folder = open(status->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return error_file(error, status->folder, "cannot be opened", errno);
    /* Between reading and writing no other command writes; where the file system has no locks, it may. */
    while (flock(folder, LOCK_EX) != 0 && errno == EINTR) continue;
    enum status result = read_own_file(status, error);
    if (result == STATUS_OK) result = write_items(status, error);
    close(folder);
    return result;
}
