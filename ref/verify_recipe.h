/*
 * Which pipeline call made a dump: what its own metadata say of it, and what the shapes of its tensors show.
 */
#ifndef REF_VERIFY_RECIPE_H
#define REF_VERIFY_RECIPE_H

#include "verify.h"

/* The recipe in the metadata of a trace: under `recipe`, as Plumb writes it, or from `info`, as the golden
 * traces have it (call, seed, noise_source, scheduler, scheduler_config). NULL where there is none, or where
 * it cannot be read, which is a warning. The caller frees `*json`. */
enum status verify_recipe_of_metadata(
    const struct tensor_set *theirs, cJSON **json, struct warnings *warnings, struct error *error);

/* Puts into a recipe what it does not say and the tensors do: the size of the pictures, how many there are. A
 * prompt that nobody gave becomes as many empty ones; `*options` then says that it, or the seed, is not
 * known. Of a whole scheduler config only what differs from the checkpoint's is left, as a person would write
 * it. */
enum status verify_recipe_complete(const struct tensor_set *theirs, const struct pipeline *pipeline,
    cJSON *json, struct verify_options *options, struct error *error);

/* Where the recipe does not say how many steps there are: as many as give the recorded number of timesteps,
 * with a warning that says so. */
enum status verify_recipe_count_steps(const struct tensor_set *theirs, const struct pipeline *pipeline,
    struct recipe *recipe, struct warnings *warnings, struct error *error);

/* The precision of a backend by the types of its tensors: f16 or bf16 where all that its models made is, else
 * f32. */
enum number_format verify_format_of(const struct tensor_set *theirs);

#endif
