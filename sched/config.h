/*
 * The options of a scheduler class: a table of what it knows, and a struct that holds what was given.
 *
 * A solver lists its options (name, type, default, place in its struct) in its own file; groups that several
 * classes share with the same defaults are listed here. Reading a config fills every option, given or
 * default, checks the types, and warns of keys that the class does not have. Which *values* are right is the
 * solver's business, since diffusers looks at some of them only when they are used.
 */
#ifndef SCHED_CONFIG_H
#define SCHED_CONFIG_H

#include "error.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>

struct number_list {
    double *values; /* NULL: not given, or null */
    size_t count;
};

struct optional_number {
    bool given; /* false: not given, or null */
    double value;
};

struct optional_bool {
    bool given; /* false: not given, or null */
    bool value;
};

/* The type of an option, and of the struct's member that holds it. */
enum option_type {
    OPTION_BOOL,            /* bool */
    OPTION_OPTIONAL_BOOL,   /* struct optional_bool; no default */
    OPTION_INT,             /* int */
    OPTION_NUMBER,          /* double, finite */
    OPTION_EXTENDED_NUMBER, /* double, infinities allowed */
    OPTION_OPTIONAL_NUMBER, /* struct optional_number */
    OPTION_STRING,          /* char *, owned by the config; NULL where null is allowed and given */
    OPTION_NUMBERS,         /* struct number_list, owned by the config */
};

struct option {
    const char *name;
    size_t offset; /* of the member in the solver's struct */
    enum option_type type;
    double number;        /* the default of a bool (0 or 1), an int or a number; 0 in an optional one: none */
    const char *string;   /* the default of a string */
    int minimum, maximum; /* of an int */
    bool nullable;        /* null is allowed: false, NULL, or not given */
};

/* Name and place of an option, from the name of the member: a row of a table is
 * {OPTION_MEMBER(ddim_config, clip_sample), .type = OPTION_BOOL, .number = true}. */
#define OPTION_MEMBER(owner, member) .name = #member, .offset = offsetof(struct owner, member)

struct option_table {
    const struct option *rows;
    size_t count;
    bool ignored; /* the class's constructor takes them, and nothing ever reads them */
};
/* The initialisers of a table: from its array of rows, from the first rows of an array, and of options that
 * the class ignores. */
#define OPTION_TABLE_OF(rows)                                                                                \
    {                                                                                                        \
        rows, sizeof(rows) / sizeof(rows)[0], false                                                          \
    }
#define OPTION_TABLE_FIRST(rows, count)                                                                      \
    {                                                                                                        \
        rows, count, false                                                                                   \
    }
#define OPTION_TABLE_IGNORED(rows, count)                                                                    \
    {                                                                                                        \
        rows, count, true                                                                                    \
    }
#define MAX_OPTION_TABLES 8 /* a solver's list of tables ends with an empty one, or is full */

/* What two or more classes share. A solver with options of its own has a struct whose first member is this
 * one. A class that does not list an option leaves its member zero. */
struct scheduler_config {
    /* noise_schedule_options, and rescale_betas_zero_snr where the class has it */
    int num_train_timesteps;
    double beta_start, beta_end;
    char *beta_schedule;
    struct number_list trained_betas;
    bool rescale_betas_zero_snr;
    /* the grid; their defaults differ from class to class */
    char *timestep_spacing;
    int steps_offset;
    char *prediction_type;
    bool set_alpha_to_one; /* DDIM, PNDM, LCM, TCD */
    /* clipping_options */
    bool clip_sample;
    double clip_sample_range;
    /* thresholding_options */
    bool thresholding;
    double dynamic_thresholding_ratio, sample_max_value;
    /* sigma_options */
    bool use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas;
    char *final_sigmas_type;
    /* sigma_range_options, or inherited_sigma_options */
    struct optional_number sigma_min, sigma_max;
    struct optional_number inherited_sigma_min, inherited_sigma_max;
};

/* num_train_timesteps, beta_schedule and trained_betas, which are alike everywhere, then beta_start and
 * beta_end */
enum { BETA_KINDS = 3 };
extern const struct option noise_schedule_options[5];
/* beta_start and beta_end with Stable Diffusion's values as defaults: Heun, DPM2, DPM-Solver SDE */
extern const struct option latent_beta_options[2];
/* thresholding .. sample_max_value */
extern const struct option thresholding_options[3];
/* use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas, then final_sigmas_type, which not all
 * have */
enum { SIGMA_KINDS = 3 };
extern const struct option sigma_options[4];
/* sigma_min and sigma_max, the range of a kind of sigmas. The others that can make such sigmas have no such
 * options, but their code looks for them: a config of another class, which diffusers' from_config keeps
 * whole, sets their range too. */
extern const struct option sigma_range_options[2], inherited_sigma_options[2];
/* timestep_spacing and steps_offset, then prediction_type, with the defaults of DDIM, DDPM and PNDM */
enum { GRID_ONLY = 2 };
extern const struct option integer_grid_options[3];
/* clip_sample, which is true by default, and clip_sample_range */
extern const struct option clipping_options[2];
/* prediction_type, timestep_spacing and steps_offset, with the defaults of the classes that have sigmas, then
 * rescale_betas_zero_snr, which not all have */
enum { SIGMA_GRID = 3 };
extern const struct option sigma_grid_options[4];

/* Bounds of the integers that size memory or enter a sum: no real config comes near them. */
#define MAX_TRAIN_TIMESTEPS 1000000
#define MAX_INFERENCE_STEPS 1000000

/* Allocates `size` bytes (the solver's struct), sets defaults, reads `json`. A value of the wrong type is
 * refused with the option's name and the value; a key that the class does not have is a warning; keys that
 * start with '_' are not looked at. */
enum status config_read(const cJSON *json, const char *class_name, const struct option_table *tables,
    size_t size, struct scheduler_config **out, struct warnings *warnings, struct error *error);
void config_free(struct scheduler_config *config, const struct option_table *tables); /* accepts NULL */

/* The config as JSON text that config_read() reads to the same: `_class_name` and every option. `*text` is
 * allocated (free()). */
enum status config_write(const struct scheduler_config *config, const char *class_name,
    const struct option_table *tables, char **text, struct error *error);

/* Whether an option (NULL for null) has the value. */
bool option_is(const char *option, const char *value);

/* "NAME: expected one of A, B or C, got VALUE", for an option whose value is none of them. `choices` is that
 * list in words. */
enum status option_refuse(const char *name, const char *value, const char *choices, struct error *error);

#endif
