/*
 * A model's config.json, field by field: every field is either read, or has no bearing on the arithmetic, or
 * must have a value that Plumb implements. What is none of these is refused by name and value, so that no
 * checkpoint runs as something else than it is.
 */
#ifndef REF_CONFIG_FIELDS_H
#define REF_CONFIG_FIELDS_H

#include "sched/error.h"
#include "sched/json.h"

#define CONFIG_MAX_LEVELS 8
#define CONFIG_MAX_SIDE                                                                                      \
    65536 /* channels, dimensions: far above any model, and products of four fit in 64 bits */

enum config_field_use {
    FIELD_READ,         /* read by the model's own code; null is refused */
    FIELD_READ_OR_NULL, /* the same; null means the default */
    FIELD_NO_BEARING,   /* any value: training, the encoder, how the library runs */
    FIELD_ONE_OF,       /* only the values in `supported` */
};

struct config_field {
    const char *name;
    enum config_field_use use;
    const char *supported[3]; /* as JSON text: "\"silu\"", "null" */
};

/* Checks every key of `config` against the table. Keys that begin with '_' are the library's own notes. A key
 * that the table lacks is a feature of a newer library: refused unless it is off (null or false). */
enum status config_check_fields(
    const cJSON *config, const struct config_field *fields, size_t count, struct error *error);
/* `_class_name` is `class_name`, or absent. */
enum status config_check_class(const cJSON *config, const char *class_name, struct error *error);

/* One integer a level: a list of `levels` of them, or one for all. An absent or null key leaves `values`. */
enum status config_get_levels(const cJSON *config, const char *key, int levels, int64_t minimum,
    int64_t maximum, int64_t values[CONFIG_MAX_LEVELS], bool *found, struct error *error);
/* A list of 1 to CONFIG_MAX_LEVELS integers; `*levels` is how many. */
enum status config_get_list(const cJSON *config, const char *key, int64_t minimum, int64_t maximum,
    int64_t values[CONFIG_MAX_LEVELS], int *levels, bool *found, struct error *error);
/* A list of strings, each one of `names` (ended by NULL): `values` are indices into `names`. */
enum status config_get_names(const cJSON *config, const char *key, const char *const *names,
    int values[CONFIG_MAX_LEVELS], int *levels, bool *found, struct error *error);

#endif
