#include "cli.h"

#include "cli_help.h"
#include "cli_refuse.h"
#include "safe_text.h"
#include "usual_names.h"

#include "sched/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Values ------------------------------------------------------------------------------- */

static enum status refuse_argument(
    const struct cli_option *option, const char *expected, const char *text, struct error *error)
{
    return error_input(error, "--%s: expected %s, got \"%.80s\"", option->name, expected, text);
}

static enum status read_integer(const struct cli_option *option, const char *text, struct error *error)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < option->minimum || value > option->maximum) {
        char expected[96];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)option->minimum,
            (long long)option->maximum);
        return refuse_argument(option, expected, text, error);
    }
    *(int64_t *)option->value = value;
    return STATUS_OK;
}

static enum status read_number(const struct cli_option *option, const char *text, struct error *error)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0)
        return refuse_argument(option, "a number that is not negative", text, error);
    *(double *)option->value = value;
    return STATUS_OK;
}

static enum status read_choice(const struct cli_option *option, const char *text, struct error *error)
{
    char expected[256] = "one of ", meant[64];
    size_t count = 0;
    for (; option->choices[count]; count++) {
        if (strcmp(text, option->choices[count]) == 0) {
            *(int *)option->value = (int)count;
            return STATUS_OK;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", count ? ", " : "", option->choices[count]);
    }
    const char *likely = likely_name(text, option->choices, count);
    return error_input(error, "--%s: expected %s, got \"%.80s\"%s", option->name, expected, text,
        did_you_mean(likely, "", meant, sizeof meant));
}

/* The numbers of a JSON array, or of a list with commas made into one. */
enum status cli_read_numbers(
    const char *text, const char *name, struct cli_numbers *numbers, struct error *error)
{
    size_t length = strlen(text);
    char *array = malloc(length + 16);
    if (!array) return error_memory(error, length + 16);
    const char *first = text + strspn(text, " \t\n");
    int used = sprintf(array, *first == '[' ? "{\"list\":%s}" : "{\"list\":[%s]}", text);
    cJSON *json = NULL;
    double *values = NULL;
    size_t count = 0;
    enum status status = json_parse(array, (size_t)used, name, &json, NULL);
    free(array);
    if (status == STATUS_BAD_INPUT || (status == STATUS_OK && cJSON_GetArraySize(json) != 1))
        status = error_input(error,
            "%s: expected numbers with commas between them, or a JSON array, got \"%.80s\"", name, text);
    else if (status != STATUS_OK)
        status = error_memory(error, length);
    if (status == STATUS_OK) {
        status = json_get_doubles(json, "list", length + 1, &values, &count, NULL, error);
        for (size_t i = 0; status == STATUS_OK && i < count; i++)
            if (!isfinite(values[i])) status = error_input(error, "list[%zu]: expected a finite number", i);
        if (status == STATUS_OK && count == 0) status = error_input(error, "expected at least one number");
        error_prefix(error, status, "%s: ", name);
    }
    cJSON_Delete(json);
    if (status != STATUS_OK) {
        free(values);
        return status;
    }
    free(numbers->values);
    *numbers = (struct cli_numbers){values, count};
    return STATUS_OK;
}

cJSON *cli_value(const char *text)
{
    if (strcmp(text, "None") == 0) return cJSON_CreateNull();
    if (strcmp(text, "True") == 0) return cJSON_CreateTrue();
    if (strcmp(text, "False") == 0) return cJSON_CreateFalse();
    cJSON *value = NULL;
    enum status status = json_parse(text, strlen(text), "value", &value, NULL);
    return status == STATUS_BAD_INPUT ? cJSON_CreateString(text) : value;
}

/* Puts `value` (freed on failure; NULL where memory was out for it) under `key` of `*object`. */
static enum status put(cJSON **object, const char *key, cJSON *value, struct error *error)
{
    if (!*object) *object = cJSON_CreateObject();
    if (!*object || !value) {
        cJSON_Delete(value);
        return error_memory(error, sizeof(cJSON));
    }
    cJSON_DeleteItemFromObjectCaseSensitive(*object, key);
    if (cJSON_AddItemToObject(*object, key, value)) return STATUS_OK;
    cJSON_Delete(value);
    return error_memory(error, sizeof(cJSON));
}

enum status cli_set(cJSON **object, const char *setting, struct error *error)
{
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting) return error_input(error, "expected key=value, got \"%.80s\"", setting);
    char *key = strndup(setting, (size_t)(equals - setting));
    if (!key) return error_memory(error, strlen(setting));
    enum status status = put(object, key, cli_value(equals + 1), error);
    free(key);
    return status;
}

/* "a,b,c", or "[a, b, c]", as which the list is read. */
static cJSON *list_of_strings(const char *text)
{
    size_t length = strlen(text);
    bool in_brackets = length > 1 && text[0] == '[' && text[length - 1] == ']';
    if (!strchr(text, ',') && !in_brackets) return cJSON_CreateString(text);
    cJSON *list = cJSON_CreateArray();
    char *copy = strndup(text + in_brackets, length - 2 * in_brackets), *rest = copy, *item;
    while (list && rest && (item = strsep(&rest, ","))) {
        cJSON *string = cJSON_CreateString(item + strspn(item, " "));
        if (!string || !cJSON_AddItemToArray(list, string)) {
            cJSON_Delete(string);
            cJSON_Delete(list);
            list = NULL;
        }
    }
    if (!copy) {
        cJSON_Delete(list);
        list = NULL;
    }
    free(copy);
    return list;
}

static enum status put_key(const struct cli_option *option, const char *text, struct error *error)
{
    char key[64];
    snprintf(key, sizeof key, "%s", option->name);
    for (char *c = key; *c; c++)
        if (*c == '-') *c = '_';
    cJSON **object = option->value;
    switch (option->kind) {
    case CLI_KEY_STRING: return put(object, key, cJSON_CreateString(text), error);
    case CLI_KEY_STRINGS: return put(object, key, list_of_strings(text), error);
    case CLI_KEY_NUMBERS: {
        struct cli_numbers numbers = {0};
        enum status status = cli_read_numbers(text, option->name, &numbers, error);
        if (status == STATUS_OK)
            status = put(object, key, cJSON_CreateDoubleArray(numbers.values, (int)numbers.count), error);
        free(numbers.values);
        return error_prefix(error, status, "--");
    }
    default: return put(object, key, cli_value(text), error);
    }
}

static enum status read_argument(const struct cli_option *option, const char *text, struct error *error)
{
    if (option->given) *option->given = true;
    switch (option->kind) {
    case CLI_FLAG: *(bool *)option->value = true; return STATUS_OK;
    case CLI_STRING:
        if (!*text) return refuse_argument(option, "a name", text, error);
        *(const char **)option->value = text;
        return STATUS_OK;
    case CLI_INTEGER: return read_integer(option, text, error);
    case CLI_NUMBER: return read_number(option, text, error);
    case CLI_NUMBERS:
        return error_prefix(error, cli_read_numbers(text, option->name, option->value, error), "--");
    case CLI_CHOICE: return read_choice(option, text, error);
    case CLI_SETTING: return error_prefix(error, cli_set(option->value, text, error), "--%s: ", option->name);
    default: return put_key(option, text, error);
    }
}

/* --- The command line --------------------------------------------------------------------- */

enum { HELP = 1, FIRST_OPTION = 1000 }; /* getopt's values: FIRST_OPTION + i stands for option i */

/* getopt's own table: every name and every alias, and --help. */
static struct option *long_options(const struct cli_usage *usage)
{
    struct option *table = calloc(2 * usage->option_count + 2, sizeof *table);
    if (!table) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        int has_argument = option->kind == CLI_FLAG ? no_argument : required_argument;
        table[n++] = (struct option){option->name, has_argument, NULL, FIRST_OPTION + (int)i};
        if (option->alias)
            table[n++] = (struct option){option->alias, has_argument, NULL, FIRST_OPTION + (int)i};
    }
    table[n] = (struct option){"help", no_argument, NULL, HELP};
    return table;
}

static void explain(struct invocation *invocation, const struct cli_usage *usage)
{
    const char *command = invocation->argv[0];
    switch (invocation->help_form) {
    case HELP_AS_TEXT: help_write_command(invocation->out, command, usage); break;
    case HELP_AS_MANUAL_PAGE: man_write_command(invocation->out, command, usage); break;
    case HELP_AS_COMPLETION: completion_write_command(invocation->out, command, usage); break;
    }
    invocation->helped = true;
}

static enum status parse(
    struct invocation *invocation, const struct cli_usage *usage, const struct option *table)
{
    struct error *error = &invocation->error;
    opterr = 0;
    optind = 0; /* GNU getopt: begin anew */
    int found;
    while ((found = getopt_long(invocation->argc, invocation->argv, ":h", table, NULL)) != -1) {
        const char *word = invocation->argv[optind - 1];
        if (found == HELP || found == 'h') {
            explain(invocation, usage);
            return STATUS_OK;
        }
        if (found == ':')
            return error_input(error, "%s needs a value; see plumb %s --help", word, invocation->argv[0]);
        if (found == '?') return cli_refuse_option(invocation, table);
        enum status status = read_argument(&usage->options[found - FIRST_OPTION], optarg, error);
        if (status != STATUS_OK) return status;
    }
    invocation->positionals = invocation->argv + optind;
    invocation->positional_count = (size_t)(invocation->argc - optind);
    if (invocation->positional_count < usage->minimum_positionals)
        return error_input(
            error, "too few arguments; usage: plumb %s %s", invocation->argv[0], usage->arguments);
    if (invocation->positional_count > usage->maximum_positionals)
        return cli_refuse_argument(invocation, usage, invocation->positionals[usage->maximum_positionals]);
    return STATUS_OK;
}

enum status cli_parse(struct invocation *invocation, const struct cli_usage *usage)
{
    if (invocation->sought_option) {
        cli_seek_option(invocation, usage);
        return STATUS_OK;
    }
    struct option *table = long_options(usage);
    if (!table) return error_memory(&invocation->error, (2 * usage->option_count + 2) * sizeof *table);
    enum status status = parse(invocation, usage, table);
    free(table);
    return status;
}

/* --- Numbers ------------------------------------------------------------------------------ */

const char *show_float(float value, char buffer[32])
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(buffer, 32, "%.*g", digits, (double)value);
        if (isnan(value) || strtof(buffer, NULL) == value) break;
    }
    return buffer;
}

const char *show_double(double value, char buffer[32])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(buffer, 32, "%.*g", digits, value);
        if (isnan(value) || strtod(buffer, NULL) == value) break;
    }
    return buffer;
}

void cli_write_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        struct text_character character = text_character(text);
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else if (character.is_utf8)
            fwrite(text, 1, character.bytes, out);
        else
            fputs("\\ufffd", out);
        text += character.bytes;
    }
    fputc('"', out);
}

void cli_write_json_number(FILE *out, double value)
{
    char text[32];
    show_double(value, text);
    fprintf(out, isfinite(value) ? "%s" : "\"%s\"", isnan(value) ? "nan" : text);
}
