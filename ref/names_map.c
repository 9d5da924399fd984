#include "names_map.h"

#include "sched/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Patterns ----------------------------------------------------------------------------- */

/* What a '*' stands for in a name. */
struct piece {
    const char *at;
    size_t length;
};

static size_t count_stars(const char *pattern)
{
    size_t stars = 0;
    for (; *pattern; pattern++) stars += *pattern == '*';
    return stars;
}

/* Whether the whole of `name` is as `pattern`. The text between two stars is taken where it comes first, the
 * text after the last star at the end: where any way fits, this one does. */
static bool match(const char *pattern, const char *name, struct piece pieces[NAMES_MAP_PIECES])
{
    const char *star = strchr(pattern, '*'), *end = name + strlen(name);
    if (!star) return strcmp(pattern, name) == 0;
    if (strncmp(pattern, name, (size_t)(star - pattern)) != 0) return false;
    const char *at = name + (star - pattern);
    for (size_t i = 0;; i++) {
        const char *text = star + 1, *next = strchr(text, '*');
        size_t length = next ? (size_t)(next - text) : strlen(text);
        const char *found;
        if (next) {
            found = memmem(at, (size_t)(end - at), text, length);
            if (!found) return false;
        } else {
            if ((size_t)(end - at) < length || memcmp(end - length, text, length) != 0) return false;
            found = end - length;
        }
        pieces[i] = (struct piece){at, (size_t)(found - at)};
        if (!next) return true;
        at = found + length;
        star = next;
    }
}

/* "{N}", "{N+K}", "{N-K}", each with or without ":0Wd" before the '}'. */
struct insertion {
    size_t piece; /* from 0 */
    bool number;  /* the piece must be digits */
    int shift, width;
    size_t length; /* of the text between the braces, with them */
};

static bool parse_insertion(const char *text, struct insertion *insertion)
{
    const char *at = text + 1;
    if (*at < '1' || *at > '0' + NAMES_MAP_PIECES) return false;
    *insertion = (struct insertion){.piece = (size_t)(*at++ - '1')};
    if (*at == '+' || *at == '-') {
        bool minus = *at++ == '-';
        int digits = 0;
        for (; *at >= '0' && *at <= '9' && digits < 6; digits++)
            insertion->shift = 10 * insertion->shift + (*at++ - '0');
        if (digits == 0) return false;
        if (minus) insertion->shift = -insertion->shift;
        insertion->number = true;
    }
    if (*at == ':') {
        if (at[1] != '0' || at[2] < '1' || at[2] > '9' || at[3] != 'd') return false;
        insertion->width = at[2] - '0';
        insertion->number = true;
        at += 4;
    }
    if (*at != '}') return false;
    insertion->length = (size_t)(at + 1 - text);
    return true;
}

/* Appends to a name; false where it does not fit. */
static bool append(char name[NAME_SIZE], size_t *used, const char *text, size_t length)
{
    if (length >= NAME_SIZE - *used) return false;
    memcpy(name + *used, text, length);
    *used += length;
    name[*used] = '\0';
    return true;
}

static bool append_number(
    char name[NAME_SIZE], size_t *used, struct piece piece, const struct insertion *insertion)
{
    long long value = 0;
    char text[32];
    if (piece.length == 0 || piece.length > 9) return false;
    for (size_t i = 0; i < piece.length; i++) {
        if (piece.at[i] < '0' || piece.at[i] > '9') return false;
        value = 10 * value + (piece.at[i] - '0');
    }
    value += insertion->shift;
    if (value < 0) return false;
    int length = snprintf(text, sizeof text, "%0*lld", insertion->width, value);
    return append(name, used, text, (size_t)length);
}

/* What a target turns into; false where a piece is not the number that the target asks for, or the name is
 * too long for any of ours. */
static bool expand(const char *target, const struct piece *pieces, char name[NAME_SIZE])
{
    size_t used = 0, stars = 0;
    name[0] = '\0';
    for (const char *at = target; *at;) {
        struct insertion insertion = {0};
        bool fits;
        if (*at == '*') {
            fits = append(name, &used, pieces[stars].at, pieces[stars].length);
            stars++, at++;
        } else if (*at == '{' && parse_insertion(at, &insertion)) {
            struct piece piece = pieces[insertion.piece];
            fits = insertion.number ? append_number(name, &used, piece, &insertion)
                                    : append(name, &used, piece.at, piece.length);
            at += insertion.length;
        } else {
            fits = append(name, &used, at++, 1);
        }
        if (!fits) return false;
    }
    return true;
}

const struct names_entry *names_map_find(
    const struct names_map *map, const char *name, char targets[NAMES_MAP_PARTS][NAME_SIZE])
{
    struct piece pieces[NAMES_MAP_PIECES];
    for (size_t i = 0; i < map->count; i++) {
        const struct names_entry *entry = &map->entries[i];
        bool fits = match(entry->pattern, name, pieces);
        for (int part = 0; part < entry->parts && fits; part++) {
            targets[part][0] = '\0';
            if (entry->targets[part]) fits = expand(entry->targets[part], pieces, targets[part]);
        }
        if (fits) return entry;
    }
    return NULL;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* Whether every star and brace of a target has a piece of the pattern. */
static enum status check_target(const char *target, size_t stars, struct error *error)
{
    size_t used = 0;
    for (const char *at = target; *at; at++) {
        struct insertion insertion;
        if (*at == '*' && ++used > stars)
            return error_input(
                error, "expected at most the pattern's %zu '*', got \"%.200s\"", stars, target);
        if (*at == '}') return error_input(error, "a '}' without its '{' in \"%.200s\"", target);
        if (*at != '{') continue;
        if (!parse_insertion(at, &insertion))
            return error_input(error, "expected {1}, {1-1} or {1:02d}, got \"%.200s\"", at);
        if (insertion.piece >= stars)
            return error_input(error, "{%zu}: the pattern has %zu '*'", insertion.piece + 1, stars);
        at += insertion.length - 1;
    }
    return STATUS_OK;
}

/* One target: a string, or null for a part that is not wanted. */
static enum status read_target(const cJSON *value, struct names_entry *entry, struct error *error)
{
    char shown[64];
    char **target = &entry->targets[entry->parts];
    if (!cJSON_IsNull(value)) {
        if (!cJSON_IsString(value) || !*value->valuestring)
            return error_input(
                error, "expected a name of ours, got %s", json_show(value, shown, sizeof shown));
        enum status status = check_target(value->valuestring, count_stars(entry->pattern), error);
        if (status != STATUS_OK) return status;
        *target = strdup(value->valuestring);
        if (!*target) return error_memory(error, strlen(value->valuestring) + 1);
    }
    entry->parts++;
    return STATUS_OK;
}

/* A string, a list of strings and nulls, or null. */
static enum status read_targets(const cJSON *value, struct names_entry *entry, struct error *error)
{
    if (cJSON_IsNull(value)) return STATUS_OK;
    if (!cJSON_IsArray(value)) return read_target(value, entry, error);
    int length = cJSON_GetArraySize(value);
    if (length < 1 || length > NAMES_MAP_PARTS)
        return error_input(error, "expected a list of 1 to %d names, got %d", NAMES_MAP_PARTS, length);
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        enum status status = read_target(item, entry, error);
        if (status != STATUS_OK) return error_prefix(error, status, "[%d]: ", entry->parts);
    }
    return STATUS_OK;
}

/* A list of 1 to 8 integers from `minimum` to `maximum`; `*rank` is how many. */
static enum status read_sides(
    const cJSON *list, double minimum, double maximum, int64_t *sides, int *rank, struct error *error)
{
    char shown[64];
    int count = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 || cJSON_GetArraySize(list) > TENSOR_MAX_RANK)
        return error_input(error, "expected a list of 1 to %d integers, got %s", TENSOR_MAX_RANK,
            json_show(list, shown, sizeof shown));
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        double number = cJSON_IsNumber(item) ? item->valuedouble : minimum - 1;
        if (!(number >= minimum && number <= maximum) || number != (double)(int64_t)number)
            return error_input(error, "[%d]: expected an integer from %.0f to %.0f, got %s", count, minimum,
                maximum, json_show(item, shown, sizeof shown));
        sides[count++] = (int64_t)number;
    }
    *rank = count;
    return STATUS_OK;
}

static enum status read_reshape(const cJSON *value, struct names_entry *entry, struct error *error)
{
    enum status status = read_sides(value, -1, 0x1p53, entry->reshape, &entry->reshape_rank, error);
    int open = 0;
    for (int i = 0; i < entry->reshape_rank && status == STATUS_OK; i++) open += entry->reshape[i] == -1;
    return open > 1 ? error_input(error, "expected at most one -1, got %d", open) : status;
}

static enum status read_transpose(const cJSON *value, struct names_entry *entry, struct error *error)
{
    int64_t sides[TENSOR_MAX_RANK];
    enum status status = read_sides(value, 0, TENSOR_MAX_RANK - 1, sides, &entry->transpose_rank, error);
    if (status != STATUS_OK) return status;
    unsigned seen = 0;
    for (int i = 0; i < entry->transpose_rank; i++) {
        seen |= 1U << sides[i];
        entry->transpose[i] = (int)sides[i];
    }
    if (seen != (1U << entry->transpose_rank) - 1)
        return error_input(error, "expected each of 0 to %d once", entry->transpose_rank - 1);
    return STATUS_OK;
}

/* One of two words: 1 or 2. */
static enum status read_word(
    const cJSON *value, const char *first, const char *second, int *choice, struct error *error)
{
    char shown[64];
    const char *word = cJSON_IsString(value) ? value->valuestring : "";
    *choice = strcmp(word, first) == 0 ? 1 : strcmp(word, second) == 0 ? 2 : 0;
    if (*choice) return STATUS_OK;
    return error_input(
        error, "expected \"%s\" or \"%s\", got %s", first, second, json_show(value, shown, sizeof shown));
}

static enum status read_field(const cJSON *field, struct names_entry *entry, struct error *error)
{
    enum status status;
    int choice = 0;
    if (strcmp(field->string, "to") == 0) {
        status = read_targets(field, entry, error);
    } else if (strcmp(field->string, "reshape") == 0) {
        status = read_reshape(field, entry, error);
    } else if (strcmp(field->string, "transpose") == 0) {
        status = read_transpose(field, entry, error);
    } else if (strcmp(field->string, "layout") == 0) {
        status = read_word(field, "nchw", "nhwc", &choice, error);
        entry->layout = choice == 1 ? LAYOUT_NCHW : LAYOUT_NHWC;
    } else if (strcmp(field->string, "half") == 0) {
        status = read_word(field, "uncond", "text", &choice, error);
        entry->half = choice == 1 ? HALF_UNCOND : HALF_TEXT;
    } else {
        return error_input(
            error, ": expected to, reshape, transpose, layout or half, got \"%.100s\"", field->string);
    }
    return error_prefix(error, status, ".%s: ", field->string);
}

/* What stands beside a pattern. Messages begin with where in it they are. */
static enum status read_entry(const cJSON *value, struct names_entry *entry, struct error *error)
{
    if (count_stars(entry->pattern) > NAMES_MAP_PIECES)
        return error_input(error, ": expected at most %d '*'", NAMES_MAP_PIECES);
    if (!cJSON_IsObject(value)) return error_prefix(error, read_targets(value, entry, error), ": ");
    const cJSON *field;
    cJSON_ArrayForEach(field, value)
    {
        enum status status = read_field(field, entry, error);
        if (status != STATUS_OK) return status;
    }
    if (!cJSON_GetObjectItemCaseSensitive(value, "to"))
        return error_input(error, ".to: expected a name of ours, a list of them, or null");
    if (entry->layout != LAYOUT_AS_OURS && entry->transpose_rank >= 0)
        return error_input(error, ": expected layout or transpose, got both");
    if (entry->half != HALF_NONE && entry->parts > 1)
        return error_input(error, ".half: expected one name in \"to\", got a list");
    return STATUS_OK;
}

static enum status read_entries(const cJSON *json, struct names_map *map, struct error *error)
{
    char shown[64];
    if (!cJSON_IsObject(json))
        return error_input(error, ": expected a JSON object from their names to ours, got %s",
            json_show(json, shown, sizeof shown));
    size_t count = (size_t)cJSON_GetArraySize(json);
    map->entries = calloc(count ? count : 1, sizeof *map->entries);
    if (!map->entries) return error_memory(error, count * sizeof *map->entries);
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        struct names_entry *entry = &map->entries[map->count++];
        entry->reshape_rank = entry->transpose_rank = -1;
        entry->pattern = strdup(item->string);
        if (!entry->pattern) return error_memory(error, strlen(item->string) + 1);
        enum status status = read_entry(item, entry, error);
        if (status != STATUS_OK) return error_prefix(error, status, ": \"%.200s\"", item->string);
    }
    return STATUS_OK;
}

enum status names_map_read(const char *path, struct names_map *map, struct error *error)
{
    cJSON *json = NULL;
    *map = (struct names_map){0};
    enum status status = json_read_file(path, &json, error);
    if (status != STATUS_OK) return status;
    map->path = strdup(path);
    status = map->path ? error_prefix(error, read_entries(json, map, error), "%s", path)
                       : error_memory(error, strlen(path) + 1);
    cJSON_Delete(json);
    if (status != STATUS_OK) names_map_free(map);
    return status;
}

void names_map_free(struct names_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        free(map->entries[i].pattern);
        for (int part = 0; part < NAMES_MAP_PARTS; part++) free(map->entries[i].targets[part]);
    }
    free(map->entries);
    free(map->path);
    *map = (struct names_map){0};
}
