#include "config.h"
#include "known_options.h"
#include "nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option noise_schedule_options[5] = {
    {OPTION_MEMBER(scheduler_config, num_train_timesteps), .type = OPTION_INT, .number = 1000, .minimum = 1,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, beta_schedule), .type = OPTION_STRING, .string = "linear"},
    {OPTION_MEMBER(scheduler_config, trained_betas), .type = OPTION_NUMBERS},
    {OPTION_MEMBER(scheduler_config, beta_start), .type = OPTION_NUMBER, .number = 0.0001},
    {OPTION_MEMBER(scheduler_config, beta_end), .type = OPTION_NUMBER, .number = 0.02},
};

const struct option latent_beta_options[2] = {
    {OPTION_MEMBER(scheduler_config, beta_start), .type = OPTION_NUMBER, .number = 0.00085},
    {OPTION_MEMBER(scheduler_config, beta_end), .type = OPTION_NUMBER, .number = 0.012},
};

const struct option thresholding_options[3] = {
    {OPTION_MEMBER(scheduler_config, thresholding), .type = OPTION_BOOL},
    {OPTION_MEMBER(scheduler_config, dynamic_thresholding_ratio), .type = OPTION_NUMBER, .number = 0.995},
    {OPTION_MEMBER(scheduler_config, sample_max_value), .type = OPTION_NUMBER, .number = 1.0},
};

const struct option integer_grid_options[3] = {
    {OPTION_MEMBER(scheduler_config, timestep_spacing), .type = OPTION_STRING, .string = "leading",
        .nullable = true},
    {OPTION_MEMBER(scheduler_config, steps_offset), .type = OPTION_INT, .minimum = -MAX_TRAIN_TIMESTEPS,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "epsilon",
        .nullable = true},
};

const struct option clipping_options[2] = {
    {OPTION_MEMBER(scheduler_config, clip_sample), .type = OPTION_BOOL, .number = true, .nullable = true},
    {OPTION_MEMBER(scheduler_config, clip_sample_range), .type = OPTION_NUMBER, .number = 1},
};

const struct option sigma_grid_options[4] = {
    {OPTION_MEMBER(scheduler_config, prediction_type), .type = OPTION_STRING, .string = "epsilon"},
    {OPTION_MEMBER(scheduler_config, timestep_spacing), .type = OPTION_STRING, .string = "linspace"},
    {OPTION_MEMBER(scheduler_config, steps_offset), .type = OPTION_INT, .minimum = -MAX_TRAIN_TIMESTEPS,
        .maximum = MAX_TRAIN_TIMESTEPS},
    {OPTION_MEMBER(scheduler_config, rescale_betas_zero_snr), .type = OPTION_BOOL},
};

/* None is refused here although the signatures say Optional: the constructors add the three up. */
const struct option sigma_options[4] = {
    {OPTION_MEMBER(scheduler_config, use_karras_sigmas), .type = OPTION_BOOL},
    {OPTION_MEMBER(scheduler_config, use_exponential_sigmas), .type = OPTION_BOOL},
    {OPTION_MEMBER(scheduler_config, use_beta_sigmas), .type = OPTION_BOOL},
    {OPTION_MEMBER(scheduler_config, final_sigmas_type), .type = OPTION_STRING, .string = "zero"},
};

const struct option sigma_range_options[2] = {
    {OPTION_MEMBER(scheduler_config, sigma_min), .type = OPTION_OPTIONAL_NUMBER},
    {OPTION_MEMBER(scheduler_config, sigma_max), .type = OPTION_OPTIONAL_NUMBER},
};

const struct option inherited_sigma_options[2] = {
    {.name = "sigma_min",
        .offset = offsetof(struct scheduler_config, inherited_sigma_min),
        .type = OPTION_OPTIONAL_NUMBER},
    {.name = "sigma_max",
        .offset = offsetof(struct scheduler_config, inherited_sigma_max),
        .type = OPTION_OPTIONAL_NUMBER},
};

/* The tables of a solver, one row after the other: returns NULL after the last. */
static const struct option *option_at(const struct option_table *tables, size_t i)
{
    for (size_t table = 0; table < MAX_OPTION_TABLES && tables[table].rows; table++) {
        if (i < tables[table].count) return &tables[table].rows[i];
        i -= tables[table].count;
    }
    return NULL;
}

static void *member_of(struct scheduler_config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static enum status copy_string(char **member, const char *text, struct error *error)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) return error_memory(error, strlen(text) + 1);
    free(*member);
    *member = copy;
    return STATUS_OK;
}

static enum status set_default(
    struct scheduler_config *config, const struct option *option, struct error *error)
{
    void *member = member_of(config, option);
    switch (option->type) {
    case OPTION_BOOL: *(bool *)member = option->number != 0; break;
    case OPTION_INT: *(int *)member = (int)option->number; break;
    case OPTION_NUMBER:
    case OPTION_EXTENDED_NUMBER: *(double *)member = option->number; break;
    case OPTION_STRING: return copy_string(member, option->string, error);
    case OPTION_OPTIONAL_NUMBER:
        *(struct optional_number *)member =
            (struct optional_number){.given = option->number != 0, .value = option->number};
        break;
    case OPTION_OPTIONAL_BOOL: /* not given: empty */
    case OPTION_NUMBERS: break;
    }
    return STATUS_OK;
}

static enum status refuse_nonfinite(const char *name, double value, struct error *error)
{
    if (isfinite(value)) return STATUS_OK;
    return error_input(error, "%s: expected a finite number, got %sInfinity", name, value < 0 ? "-" : "");
}

static enum status read_numbers(
    const cJSON *json, const char *name, struct number_list *list, struct error *error)
{
    enum status status =
        json_get_doubles(json, name, MAX_TRAIN_TIMESTEPS, &list->values, &list->count, NULL, error);
    for (size_t i = 0; status == STATUS_OK && i < list->count; i++)
        status = refuse_nonfinite(name, list->values[i], error);
    return status;
}

/* Reads one option that the config gives. */
static enum status read_option(
    const cJSON *json, struct scheduler_config *config, const struct option *option, struct error *error)
{
    void *member = member_of(config, option);
    const char *name = option->name;
    enum status status = STATUS_OK;
    switch (option->type) {
    case OPTION_BOOL: return json_get_bool(json, name, (bool *)member, NULL, error);
    case OPTION_OPTIONAL_BOOL: {
        struct optional_bool *optional = member;
        return json_get_bool(json, name, &optional->value, &optional->given, error);
    }
    case OPTION_INT: {
        int64_t value = 0;
        status = json_get_int(json, name, option->minimum, option->maximum, &value, NULL, error);
        if (status == STATUS_OK) *(int *)member = (int)value;
        return status;
    }
    case OPTION_NUMBER:
        status = json_get_double(json, name, member, NULL, error);
        return status == STATUS_OK ? refuse_nonfinite(name, *(double *)member, error) : status;
    case OPTION_EXTENDED_NUMBER: return json_get_double(json, name, member, NULL, error);
    case OPTION_OPTIONAL_NUMBER: {
        struct optional_number *number = member;
        status = json_get_double(json, name, &number->value, &number->given, error);
        return status == STATUS_OK ? refuse_nonfinite(name, number->value, error) : status;
    }
    case OPTION_STRING: {
        const char *text = NULL;
        status = json_get_string(json, name, &text, NULL, error);
        return status == STATUS_OK ? copy_string(member, text, error) : status;
    }
    case OPTION_NUMBERS: return read_numbers(json, name, member, error);
    }
    return status;
}

static const char *type_in_words(enum option_type type)
{
    switch (type) {
    case OPTION_BOOL:
    case OPTION_OPTIONAL_BOOL: return "true or false";
    case OPTION_INT: return "an integer";
    case OPTION_STRING: return "a string";
    case OPTION_NUMBERS: return "a list of numbers";
    default: return "a number";
    }
}

/* null: false, no string or no number where the class's constructor takes None, refused elsewhere. */
static enum status read_null(
    struct scheduler_config *config, const struct option *option, struct error *error)
{
    if (option->type == OPTION_NUMBERS || option->type == OPTION_OPTIONAL_BOOL) return STATUS_OK;
    if (option->type == OPTION_OPTIONAL_NUMBER) {
        *(struct optional_number *)member_of(config, option) = (struct optional_number){0};
        return STATUS_OK;
    }
    if (!option->nullable)
        return error_input(error, "%s: expected %s, got null", option->name, type_in_words(option->type));
    if (option->type == OPTION_BOOL) *(bool *)member_of(config, option) = false;
    if (option->type == OPTION_STRING) return copy_string(member_of(config, option), NULL, error);
    return STATUS_OK;
}

static bool reads_option(const struct option_table *tables, const char *name)
{
    for (size_t table = 0; table < MAX_OPTION_TABLES && tables[table].rows; table++)
        for (size_t i = 0; !tables[table].ignored && i < tables[table].count; i++)
            if (strcmp(tables[table].rows[i].name, name) == 0) return true;
    return false;
}

/* Keys that the class has no option for, or one that it never reads: those that are known in one warning
 * (published configs carry a handful), and one each for what may be misspelt. */
static void warn_of_others(
    const cJSON *json, const char *class_name, const struct option_table *tables, struct warnings *warnings)
{
    char ignored[512] = "";
    size_t used = 0, count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *key = item->string, *nearest = NULL;
        if (key[0] == '_' || reads_option(tables, key)) continue;
        if (scheduler_option_is_known(key, &nearest)) {
            if (used < sizeof ignored)
                used +=
                    (size_t)snprintf(ignored + used, sizeof ignored - used, "%s%s", count ? ", " : "", key);
            count++;
        } else if (nearest) {
            warnings_add(warnings, "option %.100s is unknown and ignored by %s; did you mean %s?", key,
                class_name, nearest);
        } else {
            warnings_add(warnings, "option %.100s is unknown and ignored by %s", key, class_name);
        }
    }
    if (count == 1) warnings_add(warnings, "option %s is ignored by %s", ignored, class_name);
    if (count > 1) warnings_add(warnings, "options ignored by %s: %s", class_name, ignored);
}

enum status config_read(const cJSON *json, const char *class_name, const struct option_table *tables,
    size_t size, struct scheduler_config **out, struct warnings *warnings, struct error *error)
{
    *out = NULL;
    struct scheduler_config *config = calloc(1, size);
    if (!config) return error_memory(error, size);
    enum status status = STATUS_OK;
    const struct option *option;
    for (size_t i = 0; status == STATUS_OK && (option = option_at(tables, i)); i++)
        status = set_default(config, option, error);
    for (size_t i = 0; status == STATUS_OK && (option = option_at(tables, i)); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, option->name);
        if (item && cJSON_IsNull(item)) status = read_null(config, option, error);
        if (item && !cJSON_IsNull(item)) status = read_option(json, config, option, error);
    }
    if (status != STATUS_OK) {
        config_free(config, tables);
        return status;
    }

    warn_of_others(json, class_name, tables, warnings);
    *out = config;
    return STATUS_OK;
}

void config_free(struct scheduler_config *config, const struct option_table *tables)
{
    if (!config) return;
    const struct option *option;
    for (size_t i = 0; (option = option_at(tables, i)); i++) {
        if (option->type == OPTION_STRING) free(*(char **)member_of(config, option));
        if (option->type == OPTION_NUMBERS) free(((struct number_list *)member_of(config, option))->values);
    }
    free(config);
}

/* A finite number or an infinity, as json_parse() reads both. */
static cJSON *number_item(double value)
{
    if (isfinite(value)) return cJSON_CreateNumber(value);
    return cJSON_CreateRaw(value < 0 ? "-Infinity" : "Infinity");
}

/* The value of one option as JSON; NULL where memory is out. */
static cJSON *option_item(const struct scheduler_config *config, const struct option *option)
{
    const void *member = (const char *)config + option->offset;
    switch (option->type) {
    case OPTION_BOOL: return cJSON_CreateBool(*(const bool *)member);
    case OPTION_INT: return cJSON_CreateNumber(*(const int *)member);
    case OPTION_NUMBER:
    case OPTION_EXTENDED_NUMBER: return number_item(*(const double *)member);
    case OPTION_OPTIONAL_BOOL: {
        const struct optional_bool *optional = member;
        return optional->given ? cJSON_CreateBool(optional->value) : cJSON_CreateNull();
    }
    case OPTION_OPTIONAL_NUMBER: {
        const struct optional_number *number = member;
        return number->given ? number_item(number->value) : cJSON_CreateNull();
    }
    case OPTION_STRING: {
        const char *text = *(char *const *)member;
        return text ? cJSON_CreateString(text) : cJSON_CreateNull();
    }
    case OPTION_NUMBERS: {
        const struct number_list *list = member;
        return list->values ? cJSON_CreateDoubleArray(list->values, (int)list->count) : cJSON_CreateNull();
    }
    }
    return NULL;
}

/* Null is written where an option may be null, and stands for a list or an optional number that is not given;
 * a bool that null made false is written as false. */
enum status config_write(const struct scheduler_config *config, const char *class_name,
    const struct option_table *tables, char **text, struct error *error)
{
    *text = NULL;
    cJSON *json = cJSON_CreateObject();
    bool complete = json && cJSON_AddStringToObject(json, "_class_name", class_name);
    const struct option *option;
    for (size_t i = 0; complete && (option = option_at(tables, i)); i++) {
        cJSON *item = option_item(config, option);
        complete = item && cJSON_AddItemToObject(json, option->name, item);
        if (!complete) cJSON_Delete(item);
    }
    if (complete) *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return *text ? STATUS_OK : error_memory(error, 0);
}

bool option_is(const char *option, const char *value)
{
    return option && strcmp(option, value) == 0;
}

enum status option_refuse(const char *name, const char *value, const char *choices, struct error *error)
{
    if (!value) return error_input(error, "%s: expected %s, got null", name, choices);
    char quoted[256], meant[96];
    const char *names[16];
    size_t count = 0;
    snprintf(quoted, sizeof quoted, "%s", choices);
    for (char *rest = quoted, *name_of_choice; count < 16 && strsep(&rest, "\"") && rest;)
        if ((name_of_choice = strsep(&rest, "\"")) && rest) names[count++] = name_of_choice;
    return error_input(error, "%s: expected %s, got \"%.100s\"%s", name, choices, value,
        did_you_mean(nearest_name(value, names, count), "", meant, sizeof meant));
}
