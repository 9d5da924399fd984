/*
 * Every value that a run computes, in its order, with what another backend recorded of it; and which models
 * have to be run so that what is recorded can be checked.
 */
#ifndef REF_VERIFY_VALUES_H
#define REF_VERIFY_VALUES_H

#include "verify_names.h"

struct verify_value {
    char *name;
    struct verify_place place;
    struct tensor shape;           /* as the run in single precision has it; no data */
    const struct tensor *recorded; /* of whatever shape; NULL where it is not */
    const struct tensor *theirs;   /* the same where the shape is ours, so that it can stand for our value */
    bool is_target;                /* to be judged */
    size_t row;                    /* of the verification, where it is recorded */
    bool is_kept;  /* ours has to wait for the exact one: targets, and what bytes are made of */
    size_t offset; /* where it then lies (verify_kept.h) */
};

struct verify_name {
    const char *name;
    size_t at; /* index of the value */
};

struct verify_values {
    struct verify_value *items;  /* in the order in which they are computed */
    struct verify_name *by_name; /* in the order of the names */
    size_t count, capacity;
    size_t steps;   /* of the loop, as far as it is run */
    size_t kept;    /* bytes of all that are kept */
    bool is_guided; /* there are two halves */
};

/* What a run of `recipe` computes, from a dry pass. With `target` NULL all that is recorded is a target. */
enum status verify_values_of_run(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const char *target, struct verify_values *values, struct error *error);
void verify_values_free(struct verify_values *values); /* accepts empty ones */

/* The value of this name, and of this key at this step; NULL where the run has none. */
struct verify_value *verify_value_find(const struct verify_values *values, const char *name);
struct verify_value *verify_value_at(const struct verify_values *values, size_t step, const char *key);

/*
 * Which models are run. A recorded value needs the model that makes it, and what that model reads, as far as
 * it is not recorded itself. Backwards from the end: the picture needs the decoder, that the last latents,
 * those the last step's prediction, and so on up to the first recorded value on that way.
 *
 * What takes no model, a step's model input or the decoder's input, is checked where it can be, but the loop
 * is not run for its sake: a dump of one step in the middle is one pass of the UNet. Nor is it run for a
 * multistep solver's memory of predictions from steps of which nothing is recorded.
 */
struct verify_needs {
    bool encoders[TEXT_ENCODERS][2]; /* [1] on the negative prompt */
    bool vae;
    bool *unet;    /* by step */
    size_t passes; /* of the UNet */
};
enum status verify_needs_find(
    const struct verify_values *values, struct verify_needs *needs, struct error *error);
void verify_needs_free(struct verify_needs *needs);

#endif
