/*
 * libFuzzer's mutator for the targets whose input is JSON. Bytes changed at random hardly ever make another
 * JSON text, and hardly ever another scheduler; so most of the changes are made in the document: values that
 * are telling, keys of another class (mutation_support.h), and, where there is a scheduler's config, options
 * that its class has with values that they may have.
 */
#include "../mutation_support.h"

#include "sched/solver.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- Values ------------------------------------------------------------------------------- */

static const char *const words[] = {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp",
    "epsilon", "sample", "v_prediction", "flow_prediction", "leading", "trailing", "linspace", "zero",
    "sigma_min", "dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis", "data_prediction",
    "noise_prediction", "midpoint", "heun", "logrho", "bh1", "bh2", "learned", "learned_range", "fixed_small",
    "fixed_small_log", "fixed_large", "fixed_large_log", "discrete", "continuous", "log_linear", "karras",
    "exponential", "documented", "diffusers"};
static const double numbers[] = {0, 1e-5, 0.0001, 0.00085, 0.002, 0.012, 0.02, 0.1, 0.29, 0.5, 0.7, 0.995, 1,
    1.15, 2, 3, 5, 7, 10, 14.6146, 40, 80, 157, 500, 700, 999, 1348, -1, -5.1, 1e-7, 1e-30, 1e6, 1e30, 1e300};
static const int integers[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 10, 20, 25, 50, 64, 100, 250, 999, 1000, 1001, -1, 2000};

static cJSON *random_number(uint64_t *state)
{
    return cJSON_CreateNumber(numbers[below(state, COUNT(numbers))]);
}

static cJSON *random_integer(uint64_t *state)
{
    return cJSON_CreateNumber(integers[below(state, COUNT(integers))]);
}

/* A list that falls, from about `first`, now and then with an entry that does not; to 0 where `to_zero`. */
static cJSON *falling_list(double first, bool whole, bool to_zero, uint64_t *state)
{
    cJSON *list = cJSON_CreateArray();
    size_t length = 1 + below(state, 20);
    for (size_t i = 0; i < length; i++) {
        double number = below(state, 40) ? first : numbers[below(state, COUNT(numbers))];
        cJSON_AddItemToArray(list, cJSON_CreateNumber(whole ? floor(number) : number));
        first *= 0.3 + (double)below(state, 70) / 100;
    }
    if (to_zero) cJSON_AddItemToArray(list, cJSON_CreateNumber(0));
    return list;
}

static cJSON *value_of_option(const struct option *option, uint64_t *state)
{
    switch (option->type) {
    case OPTION_BOOL:
    case OPTION_OPTIONAL_BOOL:
        return below(state, 12) ? cJSON_CreateBool(below(state, 2) == 1) : cJSON_CreateNull();
    case OPTION_INT:
        return below(state, 8) ? random_integer(state)
                               : cJSON_CreateNumber((double)option->maximum + (double)below(state, 3) - 1);
    case OPTION_STRING: return cJSON_CreateString(words[below(state, COUNT(words))]);
    case OPTION_NUMBERS: return falling_list(0.3, false, below(state, 8) == 0, state);
    case OPTION_EXTENDED_NUMBER: return below(state, 4) ? random_number(state) : cJSON_CreateRaw("-Infinity");
    default: return below(state, 8) ? random_number(state) : cJSON_CreateNull();
    }
}

/* --- Changes ------------------------------------------------------------------------------ */

static void put(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    cJSON_AddItemToObject(object, key, value);
}

static cJSON *object_at(cJSON *json, const char *key)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(json, key);
    if (cJSON_IsObject(object)) return object;
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    return cJSON_AddObjectToObject(json, key);
}

/* An option of the class, of the one that the config names or of any. */
static void change_config(cJSON *config, uint64_t *state)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "_class_name"));
    if (!name || below(state, 16) == 0) {
        put(config, "_class_name",
            cJSON_CreateString(scheduler_class_name(below(state, scheduler_class_count()))));
        return;
    }
    const struct solver *solver = scheduler_class_solver(name);
    if (!solver) solver = scheduler_class_solver(scheduler_class_name(0));
    size_t tables = 0;
    while (tables < MAX_OPTION_TABLES && solver->options[tables].rows) tables++;
    if (tables == 0) return;
    const struct option_table *table = &solver->options[below(state, tables)];
    if (table->count == 0) return;
    const struct option *option = &table->rows[below(state, table->count)];
    if (below(state, 5) == 0)
        cJSON_DeleteItemFromObjectCaseSensitive(config, option->name);
    else
        put(config, option->name, value_of_option(option, state));
}

static void change_request(cJSON *asked, uint64_t *state)
{
    static const char *const keys[] = {"num_inference_steps", "timesteps", "sigmas"};
    for (size_t i = 0; i < COUNT(keys) && below(state, 4); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(asked, keys[i]);
    switch (below(state, 10)) {
    case 0: put(asked, "mu", random_number(state)); break;
    case 1: put(asked, "strength", random_number(state)); break;
    case 2: put(asked, "original_inference_steps", random_integer(state)); break;
    case 3: put(asked, "sampling_eps", random_number(state)); break;
    case 4: put(asked, "timesteps", falling_list(999, true, false, state)); break;
    case 5:
        put(asked, "sigmas", falling_list(below(state, 2) ? 14.6 : 1, false, below(state, 3), state));
        break;
    default: put(asked, "num_inference_steps", cJSON_CreateNumber(1 + (double)below(state, 40)));
    }
}

static void change_step(cJSON *kwargs, uint64_t *state)
{
    static const char *const keys[] = {"eta", "s_churn", "s_tmin", "s_tmax", "s_noise"};
    if (below(state, 8) == 0)
        put(kwargs, "use_clipped_model_output", cJSON_CreateBool(below(state, 2) == 1));
    else if (below(state, 8) == 0)
        put(kwargs, "order", random_integer(state));
    else
        put(kwargs, keys[below(state, COUNT(keys))], random_number(state));
}

static void change_options(cJSON *options, uint64_t *state)
{
    static const char *const flags[] = {"coefficients", "explain", "list"};
    static const char *const choices[][2] = {{"format", "json"}, {"format", "csv"}, {"format", "table"},
        {"arithmetic", "f64"}, {"arithmetic", "both"}, {"semantics", "documented"}};
    char text[128];
    size_t choice = below(state, COUNT(choices)), size;
    const char *const *known = scheduler_known_options(&size);
    switch (below(state, 7)) {
    case 0: put(options, flags[below(state, COUNT(flags))], cJSON_CreateTrue()); break;
    case 1: cJSON_DeleteItemFromObjectCaseSensitive(options, flags[below(state, COUNT(flags))]); break;
    case 2: put(options, "steps", cJSON_CreateNumber(1 + (double)below(state, 60))); break;
    case 3: put(options, "sigmas", falling_list(14.6, false, true, state)); break;
    case 4: put(options, "timesteps", falling_list(999, true, false, state)); break;
    case 5:
        snprintf(text, sizeof text, "%s=%s", known[below(state, size)],
            below(state, 2) ? words[below(state, COUNT(words))] : "1");
        put(options, "set", cJSON_CreateString(text));
        break;
    default: put(options, choices[choice][0], cJSON_CreateString(choices[choice][1]));
    }
}

/* A document that is a scheduler's config, or holds one as a case, a recipe and an architecture do. */
static bool change_schedule(cJSON *json, uint64_t *state)
{
    cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
    const bool is_case = cJSON_GetObjectItemCaseSensitive(json, "set_timesteps") != NULL;
    if (!cJSON_IsObject(config)) config = json;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "_class_name"));
    if (!name || !scheduler_class_solver(name)) return false;
    for (size_t n = 1 + below(state, 3); n > 0; n--) {
        size_t place = is_case ? below(state, 10) : 0;
        if (place < 5)
            change_config(config, state);
        else if (place < 8)
            change_request(object_at(json, "set_timesteps"), state);
        else if (place == 8)
            change_step(object_at(json, "step_kwargs"), state);
        else
            change_options(object_at(json, "options"), state);
    }
    return true;
}

/* Every option of every class as a key, with a value that some option has. */
static const cJSON *donor(void)
{
    static cJSON *options;
    if (options) return options;
    options = cJSON_CreateObject();
    size_t count;
    const char *const *names = scheduler_known_options(&count);
    for (size_t i = 0; i < count; i++) cJSON_AddStringToObject(options, names[i], words[i % COUNT(words)]);
    return options;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint64_t state = seed;
    struct error error;
    cJSON *json = NULL;
    if (below(&state, 4) == 0 || json_parse((const char *)data, size, "", &json, &error) != STATUS_OK)
        return LLVMFuzzerMutate(data, size, max_size);
    char *text = NULL;
    if (below(&state, 3) && change_schedule(json, &state))
        text = cJSON_PrintUnformatted(json);
    else
        text = damaged_json(json, donor(), &state);
    cJSON_Delete(json);
    const size_t length = text ? strlen(text) : 0;
    const bool fits = text && length > 0 && length <= max_size;
    if (fits) memcpy(data, text, length);
    free(text);
    return fits ? length : LLVMFuzzerMutate(data, size, max_size);
}
