#include "sample_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_STEPS 1000000
#define MOST_ELEMENTS ((size_t)1 << 31)

/* The object under a key; NULL where there is none. */
static enum status find_object(const cJSON *json, const char *key, const cJSON **object, struct error *error)
{
    *object = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!*object || cJSON_IsNull(*object)) *object = NULL;
    char shown[80];
    if (*object && !cJSON_IsObject(*object))
        return error_input(
            error, "%s: expected an object, got %s", key, json_show(*object, shown, sizeof shown));
    return STATUS_OK;
}

static enum status read_request(const cJSON *json, struct sample_case *c, struct error *error)
{
    const cJSON *object;
    enum status status = find_object(json, "set_timesteps", &object, error);
    if (status != STATUS_OK) return status;
    if (!object) return error_input(error, "set_timesteps: missing; expected an object with its arguments");
    status = schedule_request_read(object, &c->arguments, error);
    return error_prefix(error, status, "set_timesteps: ");
}

static enum status read_options(const cJSON *json, struct step_options *options, struct error *error)
{
    const cJSON *object;
    enum status status = find_object(json, "step_kwargs", &object, error);
    if (status == STATUS_OK) status = step_options_read(object, options, error);
    return error_prefix(error, status, "step_kwargs: ");
}

static enum status read_shape(const cJSON *json, struct sample_case *c, struct error *error)
{
    double *sides;
    size_t count, elements = 1;
    enum status status = json_get_doubles(json, "shape", TENSOR_MAX_RANK, &sides, &count, NULL, error);
    if (status == STATUS_OK && count < 1) status = error_input(error, "shape: expected a list of sizes");
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (!(sides[i] >= 1) || sides[i] != floor(sides[i]) ||
            sides[i] > (double)(MOST_ELEMENTS / elements)) {
            status = error_input(error, "shape[%zu]: expected a positive size, got %g", i, sides[i]);
            break;
        }
        c->shape[i] = (int64_t)sides[i];
        elements *= (size_t)sides[i];
    }
    free(sides);
    if (status != STATUS_OK) return status;
    c->rank = (int)count;
    c->batch = (size_t)c->shape[0];
    c->sample_size = elements / c->batch;
    return STATUS_OK;
}

/* A seed may be larger than what a JSON number holds exactly: then it is a string. */
static enum status read_seed(const cJSON *json, struct sample_case *c, struct error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "seed");
    const char *generator = "numpy-pcg64";
    char text[80];
    enum status status = json_get_string(json, "generator", &generator, NULL, error);
    if (status != STATUS_OK) return status;
    c->generator = generator_kind_of(generator);
    if (c->generator == GENERATOR_KINDS)
        return error_input(error, "generator: expected " GENERATOR_NAMES ", got \"%.60s\"", generator);
    if (!item || cJSON_IsNull(item)) return STATUS_OK;
    if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 9007199254740992.0 &&
        item->valuedouble == floor(item->valuedouble)) {
        snprintf(text, sizeof text, "%.0f", item->valuedouble);
        c->seed = strdup(text);
    } else if (cJSON_IsString(item)) {
        c->seed = strdup(item->valuestring);
    } else {
        return error_input(error, "seed: expected a non-negative integer (above 2^53 as a string), got %s",
            json_show(item, text, sizeof text));
    }
    return c->seed ? STATUS_OK : error_memory(error, sizeof text);
}

enum status sample_case_read(const char *path, struct sample_case *c, struct error *error)
{
    *c = (struct sample_case){.begin_index = -1};
    enum status status = json_read_file(path, &c->json, error);
    if (status != STATUS_OK) return status;
    int64_t begin_index = -1;
    status = cJSON_IsObject(c->json) ? STATUS_OK : error_input(error, "expected a case, a JSON object");
    if (status == STATUS_OK) status = find_object(c->json, "scheduler", &c->scheduler, error);
    if (status == STATUS_OK && !c->scheduler)
        status = error_input(error, "scheduler: missing; expected a scheduler config with _class_name");
    if (status == STATUS_OK) status = read_request(c->json, c, error);
    if (status == STATUS_OK) status = read_options(c->json, &c->options, error);
    if (status == STATUS_OK) status = read_shape(c->json, c, error);
    if (status == STATUS_OK) status = read_seed(c->json, c, error);
    if (status == STATUS_OK)
        status = json_get_int(c->json, "begin_index", 0, MOST_STEPS, &begin_index, NULL, error);
    if (status == STATUS_OK) status = json_get_bool(c->json, "tables_only", &c->tables_only, NULL, error);
    c->begin_index = (int)begin_index;
    if (status != STATUS_OK) sample_case_free(c);
    return error_prefix(error, status, "%s: ", path);
}

void sample_case_free(struct sample_case *c)
{
    cJSON_Delete(c->json);
    schedule_request_free(&c->arguments);
    free(c->seed);
    *c = (struct sample_case){0};
}
