/*
 * `plumb schedule` as a whole, and the schedule that it shows. The input is a case (golden/sched/) whose keys
 * scheduler, set_timesteps and step_kwargs count, with the command's options beside them:
 *
 *     {"scheduler": {"_class_name": "DDIMScheduler", ...}, "set_timesteps": {"num_inference_steps": 5},
 *      "options": {"steps": 5, "set": ["eta=1", "beta_end=2"], "format": "json", "coefficients": true}}
 *
 * The library and the command each refuse with a reason, or give a finite, well-formed schedule that can be
 * run (schedule_check.h).
 */
#include "scheduler_input.h"

#include "ref/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARGUMENTS = 64, ARGUMENT_SIZE = 512 };

struct command_line {
    char *words[MOST_ARGUMENTS + 1];
    int count;
};

static void add_word(struct command_line *line, const char *prefix, const char *text)
{
    if (line->count == MOST_ARGUMENTS) return;
    char *word = malloc(ARGUMENT_SIZE);
    fuzz_require(word, "out of memory");
    snprintf(word, ARGUMENT_SIZE, "%s%s", prefix, text);
    line->words[line->count++] = word;
    line->words[line->count] = NULL;
}

static void add_value(struct command_line *line, const char *name, const cJSON *value)
{
    char shown[ARGUMENT_SIZE];
    const char *text = cJSON_IsString(value) ? value->valuestring : json_show(value, shown, sizeof shown);
    add_word(line, "--", name);
    if (!cJSON_IsBool(value) && text[0] != '-') add_word(line, "", text);
}

/* Numbers within what the library allows, but of more steps than a moment's (scheduler_input.h). */
static bool takes_long(const char *text)
{
    for (const char *c = text; *c; c++) {
        char *end = NULL;
        if (!isdigit((unsigned char)*c)) continue;
        double number = strtod(c, &end);
        if (number > 4000 && number <= 1e6) return true;
        c = end - 1;
    }
    return false;
}

/* Options that write files, and one that makes every table there is, are left out. */
static struct command_line make_command_line(const char *config_path, const cJSON *options)
{
    struct command_line line = {.count = 0};
    add_word(&line, "", "schedule");
    add_word(&line, "", config_path);
    const cJSON *option;
    cJSON_ArrayForEach(option, options)
    {
        const cJSON *value;
        if (!option->string || option->string[0] == 'p' || strncmp(option->string, "ta", 2) == 0) continue;
        const bool is_list = cJSON_IsArray(option) && cJSON_IsString(option->child);
        if (!is_list) {
            add_value(&line, option->string, option);
            continue;
        }
        cJSON_ArrayForEach(value, option) add_value(&line, option->string, value);
    }
    return line;
}

/* The command's table as JSON: our own reader, which refuses NaN, takes it, and its lists fit each other. */
static void check_table(const cJSON *table)
{
    const cJSON *timesteps = cJSON_GetObjectItemCaseSensitive(table, "timesteps");
    const cJSON *sigmas = cJSON_GetObjectItemCaseSensitive(table, "sigmas");
    fuzz_require(cJSON_IsArray(timesteps) && cJSON_IsArray(sigmas), "a table without timesteps or sigmas");
    const int steps = cJSON_GetArraySize(timesteps), levels = cJSON_GetArraySize(sigmas);
    fuzz_require(levels == steps || levels == steps + 1, "%d timesteps and %d sigmas", steps, levels);
}

static void check_output(const char *text, size_t size, const cJSON *options)
{
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "format"));
    const bool is_table = !cJSON_GetObjectItemCaseSensitive(options, "list") &&
                          !cJSON_GetObjectItemCaseSensitive(options, "help");
    fuzz_require(size > 0, "nothing is written");
    if (!is_table || !format || strcmp(format, "json") != 0) return;
    cJSON *json = NULL;
    struct error error = {""};
    enum status status = json_parse(text, size, "output", &json, &error);
    fuzz_require(status == STATUS_OK, "the table is no JSON: %s", error.message);
    check_table(json);
    cJSON_Delete(json);
}

static void run_command(const cJSON *config, const cJSON *options, bool may_be_undefined)
{
    char *text = cJSON_PrintUnformatted(config), *out = NULL, *messages = NULL;
    size_t out_size = 0, messages_size = 0;
    fuzz_require(text, "out of memory");
    struct command_line line = make_command_line(fuzz_file("scheduler.json", text, strlen(text)), options);
    struct invocation invocation = {.argc = line.count,
        .argv = line.words,
        .out = open_memstream(&out, &out_size),
        .messages = open_memstream(&messages, &messages_size)};
    fuzz_require(invocation.out && invocation.messages, "out of memory");
    bool long_run = false;
    for (int i = 2; i < line.count; i++) long_run = long_run || takes_long(line.words[i]);
    enum status status = long_run ? STATUS_BAD_INPUT : command_schedule(&invocation);
    fclose(invocation.out);
    fclose(invocation.messages);
    if (!long_run && fuzz_accepted(status, &invocation.error) && !may_be_undefined)
        check_output(out, out_size, options);
    warnings_free(&invocation.warnings);
    for (int i = 0; i < line.count; i++) free(line.words[i]);
    free(out);
    free(messages);
    cJSON_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json = fuzz_json(data, size);
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(json, "set_timesteps");
    const cJSON *kwargs = cJSON_GetObjectItemCaseSensitive(json, "step_kwargs");
    if (cJSON_IsObject(config) && !scheduler_input_takes_long(config, asked)) {
        /* The one class whose timesteps may be no numbers, as diffusers' are. */
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(config, "_class_name");
        const bool undefined =
            cJSON_IsString(name) && strcmp(name->valuestring, "KDPM2AncestralDiscreteScheduler") == 0;
        scheduler_input_run(
            config, cJSON_IsObject(asked) ? asked : NULL, cJSON_IsObject(kwargs) ? kwargs : NULL);
        run_command(config, cJSON_GetObjectItemCaseSensitive(json, "options"), undefined);
    }
    cJSON_Delete(json);
    return 0;
}
