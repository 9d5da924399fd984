/*
 * The one JSON reader: cJSON behind checks that name the key and say what would be right.
 *
 * Every getter takes the object, the key, and where the value goes. A key that is absent or null leaves
 * `*value` untouched and returns STATUS_OK with `*found` false (`found` may be NULL); so a caller sets
 * defaults first. A value of the wrong type or range is STATUS_BAD_INPUT with a message such as
 *     block_out_channels[1]: expected an integer from 1 to 65536, got "64"
 * to which callers put the file's name in front (error_prefix).
 */
#ifndef SCHED_JSON_H
#define SCHED_JSON_H

#include "error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Parses `length` bytes, which must be one JSON value and nothing after it. Accepts what Python's json module
 * writes besides: Infinity and -Infinity (lambda_min_clipped is one in published configs). Refuses NaN,
 * duplicate keys in an object, and nesting deeper than 64. `name` is the file or source, put in front of
 * messages. The caller frees `*out` with cJSON_Delete. */
enum status json_parse(const char *text, size_t length, const char *name, cJSON **out, struct error *error);

/* Reads and parses a file of at most `JSON_MAX_FILE` bytes. */
#define JSON_MAX_FILE ((size_t)64 << 20)
enum status json_read_file(const char *path, cJSON **out, struct error *error);

/* Puts `item`, which it takes, under a key of the object. False where memory is out, or was for `item`, which
 * is then NULL: the item is freed. */
bool json_put(cJSON *object, const char *key, cJSON *item);

/* A short rendering of a value for messages ("got ..."); cut to the buffer. "?" where memory is out, which
 * only a value that is cut needs. Returns `buffer`. */
const char *json_show(const cJSON *value, char *buffer, size_t size);

enum status json_get_int(const cJSON *object, const char *key, int64_t minimum, int64_t maximum,
    int64_t *value, bool *found, struct error *error);
enum status json_get_double(
    const cJSON *object, const char *key, double *value, bool *found, struct error *error);
enum status json_get_bool(
    const cJSON *object, const char *key, bool *value, bool *found, struct error *error);
/* `*value` points into the JSON document and lives as long as it does. */
enum status json_get_string(
    const cJSON *object, const char *key, const char **value, bool *found, struct error *error);
/* A list of numbers; `*values` is allocated (free()), NULL and 0 where the key is absent. At most `maximum`
 * items. */
enum status json_get_doubles(const cJSON *object, const char *key, size_t maximum, double **values,
    size_t *count, bool *found, struct error *error);

/* Whether `object` has the key that a message such as those above begins with. */
bool json_has_key_of_error(const cJSON *object, const struct error *error);

#endif
