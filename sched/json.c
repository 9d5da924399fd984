#include "json.h"

#include "mistaken_content.h"
#include "text_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64

/* Python's json writes infinities as bare words, which JSON has not. Outside strings, `Infinity` becomes a
 * number of the same length that strtod reads as infinity. Also finds what cJSON would let pass: nesting that
 * is too deep. */
static enum status prepare(char *text, size_t length, struct error *error)
{
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MAX_DEPTH) return error_input(error, "nested deeper than %d levels", MAX_DEPTH);
        } else if (c == ']' || c == '}') {
            depth--;
        } else if (c == 'I' && length - i >= 8 && memcmp(text + i, "Infinity", 8) == 0) {
            memcpy(text + i, "1e999999", 8);
        }
    }
    return STATUS_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* An object with a key twice means something else to every reader of it. */
static enum status refuse_duplicate_keys(const cJSON *value, struct error *error)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        count++;
        if (cJSON_IsObject(item) || cJSON_IsArray(item)) {
            enum status status = refuse_duplicate_keys(item, error);
            if (status != STATUS_OK) return status;
        }
    }
    if (!cJSON_IsObject(value) || count < 2) return STATUS_OK;
    const char **keys = malloc(count * sizeof *keys);
    if (!keys) return error_memory(error, count * sizeof *keys);
    size_t n = 0;
    cJSON_ArrayForEach(item, value) keys[n++] = item->string;
    qsort(keys, count, sizeof *keys, compare_keys);
    enum status status = STATUS_OK;
    for (size_t i = 1; i < count && status == STATUS_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = error_input(error, "the key \"%.200s\" stands twice", keys[i]);
    free(keys);
    return status;
}

static size_t line_of(const char *text, const char *position)
{
    size_t line = 1;
    for (const char *c = text; c < position; c++) line += *c == '\n';
    return line;
}

enum status json_parse(const char *text, size_t length, const char *name, cJSON **out, struct error *error)
{
    *out = NULL;
    char *copy = malloc(length + 1);
    if (!copy) return error_memory(error, length + 1);
    if (length > 0) memcpy(copy, text, length); /* no text may be NULL */
    copy[length] = '\0';

    cJSON *value = NULL;
    enum status status = STATUS_OK;
    const char *mistaken = mistaken_content(text, length);
    if (mistaken)
        status = error_input(error, "expected JSON, got %s", mistaken);
    else if (memchr(text, '\0', length))
        status = error_input(error, "expected JSON, which is text, got a binary file (it holds a zero byte)");
    else
        status = prepare(copy, length, error);
    if (status == STATUS_OK) {
        const char *end = copy;
        char reason[80];
        errno = 0;
        value = cJSON_ParseWithLengthOpts(copy, length + 1, &end, true);
        if (!value && errno == ENOMEM) /* cJSON has one answer to both */
            status = error_memory(error, length);
        else if (!value)
            status = error_input(error, "not valid JSON at line %zu%s", line_of(copy, end),
                explain_json(copy, length, end, reason, sizeof reason));
    }
    if (status == STATUS_OK) status = refuse_duplicate_keys(value, error);
    free(copy);
    if (status != STATUS_OK) {
        cJSON_Delete(value);
        return error_prefix(error, status, "%s: ", name);
    }
    *out = value;
    return STATUS_OK;
}

enum status json_read_file(const char *path, cJSON **out, struct error *error)
{
    *out = NULL;
    char *text;
    size_t length;
    enum status status = text_file_read(path, JSON_MAX_FILE, "config", &text, &length, error);
    if (status == STATUS_OK) status = json_parse(text, length, path, out, error);
    free(text);
    return status;
}

bool json_put(cJSON *object, const char *key, cJSON *item)
{
    if (item && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

const char *json_show(const cJSON *value, char *buffer, size_t size)
{
    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble)) { /* cJSON would print null */
        snprintf(buffer, size, "%sInfinity", value->valuedouble < 0 ? "-" : "");
        return buffer;
    }
    /* Most values fit, and then no memory is needed; the slack is cJSON's for numbers. */
    if (size > 32 && cJSON_PrintPreallocated((cJSON *)(uintptr_t)value, buffer, (int)size - 5, false))
        return buffer;
    char *text = cJSON_PrintUnformatted(value);
    snprintf(buffer, size, "%s", text ? text : "?");
    if (text && strlen(text) >= size && size > 4) memcpy(buffer + size - 4, "...", 4);
    cJSON_free(text);
    return buffer;
}

static const cJSON *find(const cJSON *object, const char *key, bool *found)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item && cJSON_IsNull(item)) item = NULL;
    if (found) *found = item != NULL;
    return item;
}

/* "7,5", "7.5", "true": what is a value but for its comma or its quotes. */
static const char *hint_of_text(const char *text)
{
    const size_t digits = strspn(text, "-0123456789"), comma = text[digits] == ',';
    if (digits && comma && text[digits + 1] && !text[digits + 1 + strspn(text + digits + 1, "0123456789")])
        return " (with a point, not a comma)";
    char *end;
    strtod(text, &end);
    bool is_number = *text && !*end, is_word = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    return is_number || is_word ? " (without the quotes)" : "";
}

static enum status wrong_type(const cJSON *item, const char *key, const char *expected, struct error *error)
{
    char shown[120];
    bool may_be_meant = cJSON_IsString(item) && strstr(expected, "string") == NULL;
    return error_input(error, "%s: expected %s, got %s%s", key, expected,
        json_show(item, shown, sizeof shown), may_be_meant ? hint_of_text(item->valuestring) : "");
}

enum status json_get_int(const cJSON *object, const char *key, int64_t minimum, int64_t maximum,
    int64_t *value, bool *found, struct error *error)
{
    const cJSON *item = find(object, key, found);
    if (!item) return STATUS_OK;
    double number = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    /* The comparison with 2^53 keeps the cast defined and the number exact. */
    if (!(number == floor(number)) || fabs(number) > 9007199254740992.0 || number < (double)minimum ||
        number > (double)maximum) {
        char expected[96];
        snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, minimum, maximum);
        return wrong_type(item, key, expected, error);
    }
    *value = (int64_t)number;
    return STATUS_OK;
}

enum status json_get_double(
    const cJSON *object, const char *key, double *value, bool *found, struct error *error)
{
    const cJSON *item = find(object, key, found);
    if (!item) return STATUS_OK;
    if (!cJSON_IsNumber(item)) return wrong_type(item, key, "a number", error);
    *value = item->valuedouble;
    return STATUS_OK;
}

enum status json_get_bool(const cJSON *object, const char *key, bool *value, bool *found, struct error *error)
{
    const cJSON *item = find(object, key, found);
    if (!item) return STATUS_OK;
    if (!cJSON_IsBool(item)) return wrong_type(item, key, "true or false", error);
    *value = cJSON_IsTrue(item);
    return STATUS_OK;
}

enum status json_get_string(
    const cJSON *object, const char *key, const char **value, bool *found, struct error *error)
{
    const cJSON *item = find(object, key, found);
    if (!item) return STATUS_OK;
    if (!cJSON_IsString(item)) return wrong_type(item, key, "a string", error);
    *value = item->valuestring;
    return STATUS_OK;
}

enum status json_get_doubles(const cJSON *object, const char *key, size_t maximum, double **values,
    size_t *count, bool *found, struct error *error)
{
    *values = NULL;
    *count = 0;
    const cJSON *list = find(object, key, found);
    if (!list) return STATUS_OK;
    if (!cJSON_IsArray(list)) return wrong_type(list, key, "a list of numbers", error);
    size_t n = (size_t)cJSON_GetArraySize(list);
    if (n > maximum) return error_input(error, "%s: expected at most %zu numbers, got %zu", key, maximum, n);
    double *numbers = malloc((n ? n : 1) * sizeof *numbers);
    if (!numbers) return error_memory(error, n * sizeof *numbers);
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item)) {
            char shown[120];
            free(numbers);
            return error_input(
                error, "%s[%zu]: expected a number, got %s", key, i, json_show(item, shown, sizeof shown));
        }
        numbers[i++] = item->valuedouble;
    }
    *values = numbers;
    *count = n;
    return STATUS_OK;
}

bool json_has_key_of_error(const cJSON *object, const struct error *error)
{
    size_t length = strcspn(error->message, ":[, ");
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (strlen(item->string) == length && strncmp(error->message, item->string, length) == 0) return true;
    }
    return false;
}
