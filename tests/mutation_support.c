#include "mutation_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)(next_random(state) % limit) : 0;
}

uint64_t mutation_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* --- JSON --------------------------------------------------------------------------------- */

/* Any value of a document but the whole: the object or list that it is in, and where. */
struct place {
    cJSON *parent;
    int index;
};

#define MOST_PLACES 2048

static size_t find_places(cJSON *value, struct place *places, size_t count)
{
    int index = 0;
    cJSON *child;
    cJSON_ArrayForEach(child, value)
    {
        if (count == MOST_PLACES) break;
        places[count++] = (struct place){value, index++};
        count = find_places(child, places, count);
    }
    return count;
}

static cJSON *at(const struct place *place)
{
    return cJSON_GetArrayItem(place->parent, place->index);
}

/* Fuzzers use this file too, where Check's assertions cannot be. */
static void need(const void *memory)
{
    if (!memory) abort();
}

static cJSON *random_value(const cJSON *json, uint64_t *state)
{
    static struct place places[MOST_PLACES];
    cJSON *copy = cJSON_Duplicate(json, true);
    size_t count = find_places(copy, places, 0);
    cJSON *value = count ? cJSON_Duplicate(at(&places[below(state, count)]), true) : cJSON_CreateNull();
    cJSON_Delete(copy);
    return value;
}

/* Where signs, sizes and types turn over, as JSON text. */
static cJSON *telling_value(uint64_t *state)
{
    static const char *const values[] = {"0", "-0.0", "1", "-1", "2", "3", "0.5", "1.5", "-1e-3", "1e-300",
        "5e-324", "1e-46", "1e38", "1e39", "1e308", "-1e308", "1e999", "Infinity", "-Infinity", "127", "999",
        "1000", "1001", "65536", "65537", "999999", "1000000", "1000001", "2147483647", "2147483648",
        "-2147483648", "4294967296", "9007199254740993", "1e19", "true", "false", "null", "\"\"", "\"1\"",
        "\"\\u00e9\"", "[]", "[[]]", "[1]", "[0, 0]", "[null]", "[\"a\", 1]", "[1e308, -1e308]", "{}",
        "{\"a\": 1}"};
    return cJSON_CreateRaw(values[below(state, sizeof values / sizeof *values)]);
}

static cJSON *near_or_far(const cJSON *item, uint64_t *state)
{
    if (!cJSON_IsNumber(item)) return telling_value(state);
    static const double factors[] = {-1, 0.5, 2, 0.999, 1.001, 10, 1000, 1e-6, 1e6};
    double number = item->valuedouble;
    return cJSON_CreateNumber(
        below(state, 2) ? number * factors[below(state, 9)] : number + (double)below(state, 5) - 2);
}

static void replace(const struct place *place, cJSON *value)
{
    need(value);
    if (cJSON_IsArray(place->parent))
        cJSON_ReplaceItemInArray(place->parent, place->index, value);
    else
        cJSON_ReplaceItemInObjectCaseSensitive(place->parent, at(place)->string, value);
}

/* The value gets another key, which the object may have already. */
static void rename_key(const struct place *place, const cJSON *donor, uint64_t *state)
{
    cJSON *other = cJSON_GetArrayItem(donor, (int)below(state, (size_t)cJSON_GetArraySize(donor)));
    if (!cJSON_IsObject(place->parent) || !other || !other->string) return;
    cJSON *item = cJSON_DetachItemFromArray(place->parent, place->index);
    cJSON_AddItemToObject(place->parent, other->string, item);
}

/* An entry of a list once more, beside itself: lists as long as their limit become one longer. */
static void repeat(const struct place *place)
{
    if (!cJSON_IsArray(place->parent)) return;
    cJSON *copy = cJSON_Duplicate(at(place), true);
    need(copy);
    if (!cJSON_InsertItemInArray(place->parent, place->index, copy)) cJSON_Delete(copy);
}

static void damage_tree(cJSON *json, const cJSON *donor, uint64_t *state)
{
    static struct place places[MOST_PLACES];
    size_t count = find_places(json, places, 0);
    if (count == 0) return;
    const struct place *place = &places[below(state, count)];
    switch (below(state, 9)) {
    case 0:
    case 1: replace(place, telling_value(state)); break;
    case 2:
    case 3: replace(place, near_or_far(at(place), state)); break;
    case 4: replace(place, random_value(json, state)); break;
    case 5: replace(place, random_value(donor, state)); break;
    case 6: rename_key(place, donor, state); break;
    case 7: repeat(place); break;
    default: cJSON_DeleteItemFromArray(place->parent, place->index); break;
    }
}

static void damage_bytes(char *text, uint64_t *state)
{
    size_t length = strlen(text);
    for (size_t n = 1 + below(state, 4); n > 0 && length > 0; n--) {
        static const char telling[] = "{}[],:\"\\-.0123456789eEtfnIN \xc3\xff";
        size_t i = below(state, length);
        switch (below(state, 4)) {
        case 0: text[i] = (char)(text[i] ^ 1 << below(state, 7)); break;
        case 1: text[i] = telling[below(state, sizeof telling - 1)]; break;
        case 2: memmove(text + i, text + i + 1, length - i); break; /* with the NUL */
        default: text[i + below(state, length - i)] = '\0'; break;
        }
        length = strlen(text);
    }
}

char *damaged_json(const cJSON *json, const cJSON *donor, uint64_t *state)
{
    cJSON *copy = cJSON_Duplicate(json, true);
    need(copy);
    for (size_t n = 1 + below(state, 3); n > 0; n--) damage_tree(copy, donor, state);
    char *text = cJSON_PrintUnformatted(copy);
    need(text);
    cJSON_Delete(copy);
    if (below(state, 4) == 0) damage_bytes(text, state);
    return text;
}
