#include "config_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 120

/* "a", "a or b", "a, b or c" into `text`. */
static void join_choices(char *text, size_t size, const char *const *choices, size_t count)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        used += (size_t)snprintf(text + used, size - used, "%s%s", between, choices[i]);
    }
}

static enum status check_one_of(const cJSON *item, const struct config_field *field, struct error *error)
{
    char shown[SHOWN], expected[SHOWN];
    json_show(item, shown, sizeof shown);
    size_t count = 0;
    for (; count < 3 && field->supported[count]; count++)
        if (strcmp(shown, field->supported[count]) == 0) return STATUS_OK;
    join_choices(expected, sizeof expected, field->supported, count);
    return error_input(
        error, "%s: expected %s, which is what Plumb implements, got %s", field->name, expected, shown);
}

static enum status check_unknown(const cJSON *item, struct error *error)
{
    if (cJSON_IsNull(item) || cJSON_IsFalse(item)) return STATUS_OK;
    char shown[SHOWN];
    return error_input(error,
        "%.100s: a field that Plumb does not know; expected none or one that is off (null or false), got %s",
        item->string, json_show(item, shown, sizeof shown));
}

enum status config_check_fields(
    const cJSON *config, const struct config_field *fields, size_t count, struct error *error)
{
    if (!cJSON_IsObject(config)) return error_input(error, "expected a JSON object");
    const cJSON *item;
    cJSON_ArrayForEach(item, config)
    {
        if (item->string[0] == '_') continue;
        const struct config_field *field = NULL;
        for (size_t i = 0; i < count && !field; i++)
            if (strcmp(fields[i].name, item->string) == 0) field = &fields[i];
        enum status status = STATUS_OK;
        if (!field)
            status = check_unknown(item, error);
        else if (field->use == FIELD_ONE_OF)
            status = check_one_of(item, field, error);
        else if (field->use == FIELD_READ && cJSON_IsNull(item))
            status = error_input(error, "%s: expected a value, got null", field->name);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status config_check_class(const cJSON *config, const char *class_name, struct error *error)
{
    const char *name = class_name;
    enum status status = json_get_string(config, "_class_name", &name, NULL, error);
    if (status == STATUS_OK && strcmp(name, class_name) != 0)
        status = error_input(error, "_class_name: expected \"%s\", got \"%.100s\"", class_name, name);
    return status;
}

static enum status check_integer(const cJSON *item, const char *key, int index, int64_t minimum,
    int64_t maximum, int64_t *value, struct error *error)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (number == floor(number) && number >= (double)minimum && number <= (double)maximum) {
        *value = (int64_t)number;
        return STATUS_OK;
    }
    char shown[SHOWN];
    return error_input(error, "%s[%d]: expected an integer from %" PRId64 " to %" PRId64 ", got %s", key,
        index, minimum, maximum, json_show(item, shown, sizeof shown));
}

static enum status check_list(const cJSON *list, const char *key, const char *of, struct error *error)
{
    char shown[SHOWN];
    int size = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (size >= 1 && size <= CONFIG_MAX_LEVELS) return STATUS_OK;
    return error_input(error, "%s: expected a list of 1 to %d %s, got %s", key, CONFIG_MAX_LEVELS, of,
        json_show(list, shown, sizeof shown));
}

enum status config_get_list(const cJSON *config, const char *key, int64_t minimum, int64_t maximum,
    int64_t values[CONFIG_MAX_LEVELS], int *levels, bool *found, struct error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, key);
    if (found) *found = list && !cJSON_IsNull(list);
    if (!list || cJSON_IsNull(list)) return STATUS_OK;
    enum status status = check_list(list, key, "integers", error);
    int i = 0;
    for (const cJSON *item = list->child; item && status == STATUS_OK; item = item->next, i++)
        status = check_integer(item, key, i, minimum, maximum, &values[i], error);
    *levels = i;
    return status;
}

enum status config_get_levels(const cJSON *config, const char *key, int levels, int64_t minimum,
    int64_t maximum, int64_t values[CONFIG_MAX_LEVELS], bool *found, struct error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    if (cJSON_IsArray(item)) {
        int count = 0;
        enum status status = config_get_list(config, key, minimum, maximum, values, &count, found, error);
        if (status == STATUS_OK && count != levels)
            status = error_input(error, "%s: expected an integer or one for each of the %d levels, got %d",
                key, levels, count);
        return status;
    }
    int64_t value = 0;
    bool one = false;
    enum status status = json_get_int(config, key, minimum, maximum, &value, &one, error);
    for (int i = 0; one && status == STATUS_OK && i < levels; i++) values[i] = value;
    if (found) *found = one;
    return status;
}

enum status config_get_names(const cJSON *config, const char *key, const char *const *names,
    int values[CONFIG_MAX_LEVELS], int *levels, bool *found, struct error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, key);
    if (found) *found = list && !cJSON_IsNull(list);
    if (!list || cJSON_IsNull(list)) return STATUS_OK;
    enum status status = check_list(list, key, "names", error);
    if (status != STATUS_OK) return status;
    int i = 0;
    for (const cJSON *item = list->child; item; item = item->next, i++) {
        int choice = 0;
        while (names[choice] && !(cJSON_IsString(item) && strcmp(item->valuestring, names[choice]) == 0))
            choice++;
        if (!names[choice]) {
            char shown[SHOWN], expected[SHOWN];
            join_choices(expected, sizeof expected, names, (size_t)choice);
            return error_input(
                error, "%s[%d]: expected %s, got %s", key, i, expected, json_show(item, shown, sizeof shown));
        }
        values[i] = choice;
    }
    *levels = i;
    return STATUS_OK;
}
