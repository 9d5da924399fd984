/*
 * A recipe: the arguments of one pipeline call, under Diffusers' own names, with their defaults, plus what
 * makes the run reproducible (seed, generator) and the checkpoint's variant and scheduler.
 *
 * On the command line the same names stand with hyphens; both become one JSON object, and this is the one
 * place that reads it.
 */
#ifndef REF_RECIPE_H
#define REF_RECIPE_H

#include "sched/error.h"
#include "sched/generator.h"
#include "sched/json.h"

#include <stdbool.h>
#include <stdint.h>

/* A string or a list of strings; Diffusers tells them apart, and "not given" from "". */
struct prompts {
    bool given, is_list;
    size_t count;
    char **items;
};

struct size_pair {
    bool given;
    int64_t height, width; /* or top, left for the crop's corner */
};

struct recipe {
    char *name; /* what the recipe shows, for people; NULL where not given */
    char *description;

    struct prompts prompt, prompt_2, negative_prompt, negative_prompt_2;
    int64_t height, width; /* 0: the model's own size */
    bool has_num_inference_steps;
    int64_t num_inference_steps;
    double *timesteps; /* custom schedules, NULL where not given */
    size_t num_timesteps;
    double *sigmas;
    size_t num_sigmas;
    double denoising_end; /* SDXL: stop at this fraction of the schedule; 0 where not given */
    bool has_guidance_scale;
    double guidance_scale; /* 7.5 for SD, 5.0 for SDXL where not given */
    double guidance_rescale;
    double eta;
    bool has_clip_skip;
    int64_t clip_skip;
    int64_t num_images_per_prompt;
    struct size_pair original_size, crops_coords_top_left, target_size; /* SDXL */
    struct size_pair negative_original_size, negative_crops_coords_top_left, negative_target_size;

    char **seeds; /* one for the whole batch, or one a picture */
    size_t num_seeds;
    enum generator_kind generator;
    char *latents; /* a tensor file with the initial noise, before init_noise_sigma; NULL: drawn */
    char *noise;   /* a file with the draws (noise.h); NULL: the generator's */
    char *variant; /* "fp16"; NULL */
    cJSON
        *scheduler; /* overrides of the checkpoint's scheduler config, with or without `_class_name`; NULL */
    cJSON *source;  /* the object this was read from, with seed and generator, for trace and picture */
};

/* Reads and checks a recipe. Unknown keys, and arguments of the Diffusers call that Plumb does not have, are
 * refused by name. `json` is copied. On failure `*recipe` is empty. */
enum status recipe_read(const cJSON *json, struct recipe *recipe, struct error *error);
void recipe_free(struct recipe *recipe); /* accepts an empty one */

#endif
