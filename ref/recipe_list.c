#include "recipe_list.h"

#include "paths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ITEMS ((size_t)1000000)
#define MOST_SHARDS 1000000
#define LONGEST_NAME 100

/* --- Seeds -------------------------------------------------------------------------------- */

struct seed_range {
    uint64_t first, last;
};

struct seeds {
    struct seed_range *ranges;
    size_t count; /* of ranges; 0: each line's own */
};

static enum status refuse_seeds(const char *text, struct error *error)
{
    return error_input(
        error, "--seeds: expected numbers and ranges, as in 0-99 or 1,5,7-9, got \"%.80s\"", text);
}

/* "7" or "7-9", at the text's beginning; returns what follows, NULL where it is none. */
static const char *read_range(const char *text, struct seed_range *range)
{
    const uint64_t most = (uint64_t)1 << 53;
    char *end;
    for (int i = 0; i < 2; i++) {
        if (*text < '0' || *text > '9') return NULL;
        errno = 0;
        uint64_t number = strtoull(text, &end, 10);
        if (errno || number > most) return NULL;
        if (i == 0) range->first = number;
        range->last = number;
        text = end;
        if (i == 0 && *text != '-') return text;
        if (i == 0) text++;
    }
    return range->first <= range->last ? text : NULL;
}

static enum status read_seeds(const char *text, struct seeds *seeds, struct error *error)
{
    size_t total = 0;
    *seeds = (struct seeds){0};
    if (!text) return STATUS_OK;
    seeds->ranges = malloc((strlen(text) + 1) * sizeof *seeds->ranges);
    if (!seeds->ranges) return error_memory(error, strlen(text));
    for (const char *at = text;; at++) {
        struct seed_range *range = &seeds->ranges[seeds->count++];
        at = read_range(at, range);
        if (!at || (*at && *at != ',')) return refuse_seeds(text, error);
        if (range->last - range->first >= MOST_ITEMS - total)
            return error_input(error, "--seeds: expected at most %zu seeds, got \"%.80s\"", MOST_ITEMS, text);
        total += (size_t)(range->last - range->first) + 1;
        if (!*at) return STATUS_OK;
    }
}

/* --- One item ----------------------------------------------------------------------------- */

static enum status check_name(const char *name, struct error *error)
{
    static const char *const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (*name && *name != '.' && *name != '-' && !name[strspn(name, allowed)] && strlen(name) <= LONGEST_NAME)
        return STATUS_OK;
    return error_input(error,
        "name: expected at most %d letters, digits, '.', '-' and '_', since files are called so, got "
        "\"%.80s\"",
        LONGEST_NAME, name);
}

/* "NAME", "NAME-7" with --seeds; without a name the line's number and its seed: "0003-seed-7", "seed-7" where
 * there is no list. A batch of seeds is in no name. */
static char *make_name(const char *own, size_t line, const char *seed, bool of_seeds)
{
    char *name = NULL;
    int length;
    if (own)
        length = of_seeds ? asprintf(&name, "%s-%s", own, seed) : asprintf(&name, "%s", own);
    else if (line == 0)
        length = asprintf(&name, "seed-%s", seed);
    else
        length = seed ? asprintf(&name, "%04zu-seed-%s", line, seed) : asprintf(&name, "%04zu", line);
    return length < 0 ? NULL : name;
}

/* A line's object apart: what is the list's own, and the recipe. */
struct line {
    size_t number;
    const char *name, *checkpoint; /* NULL where not given; they live as long as `object` */
    cJSON *object, *recipe;
};

static void free_line(struct line *line)
{
    cJSON_Delete(line->object);
    cJSON_Delete(line->recipe);
    *line = (struct line){0};
}

/* The file's arguments, the line's over them, the command line's over those. */
static enum status merge_line(const struct cli_recipe *arguments, struct line *line, struct error *error)
{
    struct cli_recipe options = *arguments;
    cJSON *base = NULL;
    const char *file = options.file;
    options.file = NULL; /* which is below the line, and not above it */
    enum status status = json_get_string(line->object, "recipe", &file, NULL, error);
    if (status == STATUS_OK)
        status = json_get_string(line->object, "checkpoint", &line->checkpoint, NULL, error);
    if (status == STATUS_OK) status = json_get_string(line->object, "name", &line->name, NULL, error);
    if (status == STATUS_OK && line->name) status = check_name(line->name, error);
    if (status == STATUS_OK && file)
        status = json_read_file(file, &base, error);
    else if (status == STATUS_OK && !(base = cJSON_CreateObject()))
        status = error_memory(error, sizeof(cJSON));
    if (status == STATUS_OK && !cJSON_IsObject(base))
        status = error_input(error, "%s: expected a JSON object", file);
    cJSON *keys = status == STATUS_OK ? cJSON_Duplicate(line->object, true) : NULL;
    if (status == STATUS_OK && !keys) status = error_memory(error, sizeof(cJSON));
    cJSON_DeleteItemFromObjectCaseSensitive(keys, "recipe");
    cJSON_DeleteItemFromObjectCaseSensitive(keys, "checkpoint");
    if (status == STATUS_OK) status = cli_recipe_put(base, keys, error);
    if (status == STATUS_OK) status = cli_recipe_json(&options, base, &line->recipe, error);
    cJSON_Delete(keys);
    cJSON_Delete(base);
    return status;
}

static enum status reserve(struct recipe_list *list, struct error *error)
{
    if (list->count == MOST_ITEMS) return error_input(error, "expected at most %zu items", MOST_ITEMS);
    if (list->count < list->capacity) return STATUS_OK;
    size_t capacity = list->capacity ? 2 * list->capacity : 64;
    struct list_item *larger = realloc(list->items, capacity * sizeof *larger);
    if (!larger) return error_memory(error, capacity * sizeof *larger);
    list->items = larger;
    list->capacity = capacity;
    return STATUS_OK;
}

/* Adds the line with a seed of --seeds (NULL: its own). */
static enum status add_item(
    struct recipe_list *list, const struct line *line, const char *seed, struct error *error)
{
    struct recipe recipe;
    enum status status = reserve(list, error);
    if (status != STATUS_OK) return status;
    struct list_item *item = &list->items[list->count++];
    *item = (struct list_item){.line = line->number, .recipe = cJSON_Duplicate(line->recipe, true)};
    if (line->checkpoint) item->checkpoint = strdup(line->checkpoint);
    if (!item->recipe || (line->checkpoint && !item->checkpoint)) return error_memory(error, sizeof(cJSON));
    if (seed) {
        cJSON_DeleteItemFromObjectCaseSensitive(item->recipe, "seed");
        if (!cJSON_AddStringToObject(item->recipe, "seed", seed)) return error_memory(error, sizeof(cJSON));
    }
    status = recipe_read(item->recipe, &recipe, error);
    if (status != STATUS_OK) return status;
    const char *one = recipe.num_seeds == 1 ? recipe.seeds[0] : NULL;
    item->name = make_name(line->name, line->number, one, seed != NULL);
    recipe_free(&recipe);
    return item->name ? check_name(item->name, error) : error_memory(error, LONGEST_NAME);
}

static enum status add_items(
    struct recipe_list *list, const struct line *line, const struct seeds *seeds, struct error *error)
{
    if (seeds->count == 0) return add_item(list, line, NULL, error);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < seeds->count; i++)
        for (uint64_t seed = seeds->ranges[i].first; seed <= seeds->ranges[i].last && status == STATUS_OK;
             seed++) {
            char text[32];
            snprintf(text, sizeof text, "%" PRIu64, seed);
            status = add_item(list, line, text, error);
        }
    return status;
}

/* --- The list ----------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct list_item *x = *(struct list_item *const *)a, *y = *(struct list_item *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static enum status check_names(const struct recipe_list *list, struct error *error)
{
    struct list_item **order = malloc((list->count + 1) * sizeof(struct list_item *));
    if (!order) return error_memory(error, list->count * sizeof(struct list_item *));
    for (size_t i = 0; i < list->count; i++) order[i] = &list->items[i];
    qsort(order, list->count, sizeof(struct list_item *), compare_names);
    enum status status = STATUS_OK;
    for (size_t i = 1; i < list->count && status == STATUS_OK; i++) {
        if (strcmp(order[i]->name, order[i - 1]->name) != 0) continue;
        if (order[i]->line == order[i - 1]->line)
            status = error_input(error, "--seeds: a seed stands twice: %s", order[i]->name);
        else
            status = error_input(error, "%s:%zu: name: \"%s\" is that of line %zu, too", list->path,
                order[i]->line, order[i]->name, order[i - 1]->line);
    }
    free(order);
    return status;
}

static enum status read_line(struct recipe_list *list, const struct cli_recipe *arguments,
    const struct seeds *seeds, const char *text, size_t length, size_t number, struct error *error)
{
    struct line line = {.number = number};
    char where[32], shown[80];
    snprintf(where, sizeof where, "line %zu", number);
    struct error said = {""};
    enum status status = json_parse(text, length, where, &line.object, &said);
    if (status != STATUS_OK) {
        const char *reason = strncmp(said.message, where, strlen(where)) == 0
                                 ? said.message + strlen(where) + 2
                                 : said.message;
        if (error) snprintf(error->message, sizeof error->message, "%s", reason);
    } else if (!cJSON_IsObject(line.object)) {
        status = error_input(error, "expected a JSON object, the recipe of a run, got %s",
            json_show(line.object, shown, sizeof shown));
    }
    if (status == STATUS_OK) status = merge_line(arguments, &line, error);
    if (status == STATUS_OK) status = add_items(list, &line, seeds, error);
    free_line(&line);
    return error_prefix(error, status, "%s:%zu: ", list->path, number);
}

static enum status read_lines(struct recipe_list *list, const struct cli_recipe *arguments,
    const struct seeds *seeds, struct error *error)
{
    FILE *file = fopen(list->path, "rb");
    if (!file) return error_file(error, list->path, "cannot be read", errno);
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    enum status status = STATUS_OK;
    for (size_t number = 1; status == STATUS_OK && (errno = 0, length = getline(&text, &size, file)) >= 0;
         number++) {
        size_t used = (size_t)length;
        while (used > 0 && strchr(" \t\r\n", text[used - 1]) && text[used - 1]) used--;
        if (used > 0) status = read_line(list, arguments, seeds, text, used, number, error);
    }
    if (status == STATUS_OK && (ferror(file) || errno == ENOMEM))
        status = error_file(error, list->path, "cannot be read", errno ? errno : EIO);
    free(text);
    fclose(file);
    if (status == STATUS_OK && list->count == 0)
        status = error_input(
            error, "%s: expected a JSON object a line, the recipe of a run each, got nothing", list->path);
    return status;
}

/* The command line's own recipe. */
static enum status read_command(struct recipe_list *list, const struct cli_recipe *arguments,
    const struct seeds *seeds, struct error *error)
{
    struct line line = {0};
    enum status status = cli_recipe_json(arguments, NULL, &line.recipe, error);
    if (status == STATUS_OK) {
        struct recipe recipe;
        status = cli_recipe_read(arguments, line.recipe, &recipe, error);
        if (status == STATUS_OK) recipe_free(&recipe);
    }
    if (status == STATUS_OK) status = add_items(list, &line, seeds, error);
    free_line(&line);
    return status;
}

enum status recipe_list_read(const char *path, const struct cli_recipe *arguments, const char *seeds,
    struct recipe_list *list, struct error *error)
{
    struct seeds ranges;
    *list = (struct recipe_list){.path = path};
    enum status status = read_seeds(seeds, &ranges, error);
    if (status == STATUS_OK) status = (path ? read_lines : read_command)(list, arguments, &ranges, error);
    if (status == STATUS_OK) status = check_names(list, error);
    free(ranges.ranges);
    if (status != STATUS_OK) recipe_list_free(list);
    return status;
}

void recipe_list_free(struct recipe_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].checkpoint);
        cJSON_Delete(list->items[i].recipe);
    }
    free(list->items);
    *list = (struct recipe_list){0};
}

/* --- Shards ------------------------------------------------------------------------------- */

enum status shard_read(const char *text, struct shard *shard, struct error *error)
{
    long part, count;
    int length = 0;
    *shard = (struct shard){0, 1};
    if (!text) return STATUS_OK;
    bool read = sscanf(text, "%ld/%ld%n", &part, &count, &length) == 2 && !text[length];
    if (!read || count < 1 || count > MOST_SHARDS || part < 1 || part > count)
        return error_input(error, "--shard: expected i/n with i from 1 to n, as in 2/8, got \"%.40s\"", text);
    *shard = (struct shard){(size_t)part - 1, (size_t)count};
    return STATUS_OK;
}
