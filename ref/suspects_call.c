/*
 * Another argument of the call, or another option of its scheduler: what a port read wrongly, has another
 * default for, or does not know. Each is the whole pipeline's run with that one change, of which only the
 * wrong tensor's stage is computed.
 */
#include "suspects.h"

#include "sched/scheduler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEDULE "timesteps sigmas alphas_cumprod"
#define STEPS "latents.init step.*.latents latents.final step.*.model_input"
#define NOISE "init_noise latents.init step.*.noise"
#define SIZES "add_time_ids"
#define PROMPTS                                                                                              \
    "input_ids.* negative_input_ids.* prompt_embeds negative_prompt_embeds pooled_prompt_embeds "            \
    "negative_pooled_prompt_embeds add_text_embeds last_hidden_state.* negative_last_hidden_state.* "        \
    "text_embeds.* negative_text_embeds.*"

/* An argument with another value. */
struct argument {
    const char *rows;
    const char *key;    /* "guidance_scale"; an option of the scheduler: "scheduler.timestep_spacing" */
    const char *values; /* JSON, a list of what is tried; null: as if it were not given */
};

static const struct argument arguments[] = {
    {SCHEDULE " " STEPS, "scheduler.timestep_spacing", "[\"leading\",\"linspace\",\"trailing\"]"},
    {SCHEDULE " " STEPS, "scheduler.steps_offset", "[0,1]"},
    {SCHEDULE " " STEPS, "scheduler.final_sigmas_type", "[\"zero\",\"sigma_min\"]"},
    {SCHEDULE " " STEPS, "scheduler.use_karras_sigmas", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler.use_exponential_sigmas", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler.use_beta_sigmas", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler.use_lu_lambdas", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler.interpolation_type", "[\"linear\",\"log_linear\"]"},
    {SCHEDULE " " STEPS, "scheduler.rescale_betas_zero_snr", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler.beta_schedule", "[\"scaled_linear\",\"linear\",\"squaredcos_cap_v2\"]"},
    {SCHEDULE " " STEPS, "scheduler.beta_end", "[0.012,0.02]"},
    {SCHEDULE " " STEPS, "scheduler.beta_start", "[0.00085,0.0001]"},
    {SCHEDULE " " STEPS, "scheduler.skip_prk_steps", "[true,false]"},
    {SCHEDULE " " STEPS, "scheduler._semantics", "[\"documented\",\"diffusers\"]"},
    {STEPS, "scheduler.prediction_type", "[\"epsilon\",\"v_prediction\",\"sample\"]"},
    {STEPS, "scheduler.algorithm_type",
        "[\"dpmsolver++\",\"sde-dpmsolver++\",\"dpmsolver\",\"sde-dpmsolver\"]"},
    {STEPS, "scheduler.solver_order", "[1,2,3]"},
    {STEPS, "scheduler.solver_type", "[\"midpoint\",\"heun\",\"logrho\",\"bh1\",\"bh2\"]"},
    {STEPS, "scheduler.lower_order_final", "[true,false]"},
    {STEPS, "scheduler.euler_at_final", "[true,false]"},
    {STEPS, "scheduler.set_alpha_to_one", "[true,false]"},
    {STEPS, "scheduler.clip_sample", "[true,false]"},
    {STEPS, "scheduler.thresholding", "[true,false]"},
    {STEPS, "scheduler.predict_x0", "[true,false]"},
    {STEPS, "scheduler.variance_type",
        "[\"fixed_small\",\"fixed_small_log\",\"fixed_large\",\"fixed_large_log\"]"},
    {STEPS, "eta", "[0,1]"},
    {SCHEDULE " " STEPS, "scheduler._class_name",
        "[\"DDIMScheduler\",\"EulerDiscreteScheduler\",\"EulerAncestralDiscreteScheduler\","
        "\"DPMSolverMultistepScheduler\",\"PNDMScheduler\",\"UniPCMultistepScheduler\","
        "\"HeunDiscreteScheduler\","
        "\"LMSDiscreteScheduler\",\"DEISMultistepScheduler\",\"DDPMScheduler\","
        "\"DPMSolverSinglestepScheduler\"]"},
    {NOISE, "generator",
        "[\"numpy-pcg64\",\"numpy-mt19937\",\"torch-cpu\",\"torch-cpu-plain\",\"torch-cuda\"]"},
    {PROMPTS, "prompt_2", "[null]"},
    {PROMPTS, "negative_prompt", "[null,\"\"]"},
    {PROMPTS, "negative_prompt_2", "[null]"},
    {PROMPTS, "clip_skip", "[null,1,2,3]"},
    {SIZES, "original_size", "[null]"},
    {SIZES, "crops_coords_top_left", "[null]"},
    {SIZES, "target_size", "[null]"},
    {SIZES, "negative_original_size", "[null]"},
    {SIZES, "negative_target_size", "[null]"},
    {SIZES, "negative_crops_coords_top_left", "[null]"},
};

/* --- A changed call ----------------------------------------------------------------------- */

bool put_argument(cJSON *json, const char *key, const cJSON *value)
{
    static const char prefix[] = "scheduler.";
    cJSON *object = json;
    if (strncmp(key, prefix, strlen(prefix)) == 0) {
        key += strlen(prefix);
        object = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
        if (!object) object = cJSON_AddObjectToObject(json, "scheduler");
        if (!object) return false;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (cJSON_IsNull(value)) return true;
    cJSON *copy = cJSON_Duplicate(value, true);
    if (copy && cJSON_AddItemToObject(object, key, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

/* What the call has under a key now, of the scheduler what its whole config says; NULL for nothing. */
static const cJSON *present(const struct diagnosis *d, const cJSON *config, const char *key)
{
    static const char prefix[] = "scheduler.";
    if (strncmp(key, prefix, strlen(prefix)) == 0)
        return cJSON_GetObjectItemCaseSensitive(config, key + strlen(prefix));
    return cJSON_GetObjectItemCaseSensitive(d->recipe->source, key);
}

/* The part of a key that a person looks for. */
static const char *option_name(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot ? dot + 1 : key;
}

static const char *show_value(const cJSON *value, const char *key, char *buffer, size_t size)
{
    const char *nothing = strchr(key, '.') ? "the default" : "nothing";
    if (!value || cJSON_IsNull(value))
        snprintf(buffer, size, "%s", nothing);
    else
        json_show(value, buffer, size);
    return buffer;
}

/* ": v-prediction taken as epsilon", or nothing where the values speak for themselves */
static const char *mistaken(const char *key, const cJSON *own, const cJSON *value, char *buffer, size_t size)
{
    static const char *const names[][2] = {
        {"epsilon", "epsilon"}, {"v_prediction", "v-prediction"}, {"sample", "the sample"}};
    const char *was = NULL, *is = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && strcmp(key, "scheduler.prediction_type") == 0;
         i++) {
        const char *of_own = cJSON_GetStringValue(own), *of_value = cJSON_GetStringValue(value);
        if (of_own && strcmp(of_own, names[i][0]) == 0) was = names[i][1];
        if (of_value && strcmp(of_value, names[i][0]) == 0) is = names[i][1];
    }
    if (!was || !is) return "";
    snprintf(buffer, size, ": %s taken as %s", was, is);
    return buffer;
}

/* The run of `json`, the changed call, as a suspect. True where it fits. */
static bool try_call(struct diagnosis *d, const cJSON *json, const char *text)
{
    struct recipe recipe;
    if (recipe_read(json, &recipe, NULL) != STATUS_OK) return false;
    struct variation variation = {.recipe = &recipe};
    bool fits = suspect_variation(d, &variation, "%s", text);
    recipe_free(&recipe);
    return fits;
}

/* --- The table ---------------------------------------------------------------------------- */

static void try_argument(struct diagnosis *d, const cJSON *config, const struct argument *argument)
{
    cJSON *values = cJSON_Parse(argument->values);
    const cJSON *own = present(d, config, argument->key), *value;
    cJSON_ArrayForEach(value, values)
    {
        char text[SUSPECT_TEXT], was[80], is[80], meaning[64];
        if (own ? cJSON_Compare(own, value, true) : cJSON_IsNull(value)) continue;
        cJSON *json = cJSON_Duplicate(d->recipe->source, true);
        if (json && put_argument(json, argument->key, value)) {
            snprintf(text, sizeof text, "equals ours with %s %s, not %s%s", option_name(argument->key),
                show_value(value, argument->key, is, sizeof is),
                show_value(own, argument->key, was, sizeof was),
                mistaken(argument->key, own, value, meaning, sizeof meaning));
            try_call(d, json, text);
        }
        cJSON_Delete(json);
    }
    cJSON_Delete(values);
}

/* Options that are often wrong together: the grid, its offset, the sigmas on it and their end. */
static void try_schedules(struct diagnosis *d)
{
    static const char *const spacings[] = {"\"leading\"", "\"linspace\"", "\"trailing\""};
    static const char *const sigmas[] = {
        NULL, "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};
    static const char *const ends[] = {"zero", "sigma_min"};
    for (int k = 0; k < 3 * 2 * 4 * 2 && d->fit_count == 0; k++) {
        const char *spacing = spacings[k % 3], *kind = sigmas[k / 6 % 4], *end = ends[k / 24];
        char patch[256], text[SUSPECT_TEXT];
        int length = snprintf(patch, sizeof patch,
            "{\"timestep_spacing\":%s,\"steps_offset\":%d,\"final_sigmas_type\":\"%s\"", spacing, k / 3 % 2,
            end);
        for (int i = 1; i < 4; i++)
            length += snprintf(patch + length, sizeof patch - (size_t)length, ",\"%s\":%s", sigmas[i],
                kind && strcmp(kind, sigmas[i]) == 0 ? "true" : "false");
        snprintf(patch + length, sizeof patch - (size_t)length, "}");
        cJSON *json = cJSON_Duplicate(d->recipe->source, true), *changes = cJSON_Parse(patch);
        bool whole = json && changes;
        for (const cJSON *change = changes ? changes->child : NULL; change && whole; change = change->next) {
            char key[80];
            snprintf(key, sizeof key, "scheduler.%s", change->string);
            whole = put_argument(json, key, change);
        }
        snprintf(text, sizeof text,
            "equals ours with timestep_spacing %s, steps_offset %d, final_sigmas_type \"%s\" and %s", spacing,
            k / 3 % 2, end, kind ? kind : "plain sigmas");
        if (whole) try_call(d, json, text);
        cJSON_Delete(json);
        cJSON_Delete(changes);
    }
}

/* --- Seeds -------------------------------------------------------------------------------- */

/* The call with these seeds, from each kind of generator. */
static void try_seeds(struct diagnosis *d, const cJSON *seeds, const char *what)
{
    for (int kind = 0; kind < GENERATOR_KINDS; kind++) {
        const char *generator = generator_name((enum generator_kind)kind);
        char text[SUSPECT_TEXT];
        cJSON *json = cJSON_Duplicate(d->recipe->source, true), *name = cJSON_CreateString(generator);
        bool own = (enum generator_kind)kind == d->recipe->generator;
        snprintf(
            text, sizeof text, "equals ours with %s%s%s", what, own ? "" : " from ", own ? "" : generator);
        if (json && name && put_argument(json, "seed", seeds) && put_argument(json, "generator", name))
            try_call(d, json, text);
        cJSON_Delete(name);
        cJSON_Delete(json);
    }
}

/* Takes the item over; false where memory is out, as where there is no item or no array. */
static bool append(cJSON *array, cJSON *item)
{
    if (item && cJSON_AddItemToArray(array, item)) return true;
    cJSON_Delete(item);
    return false;
}

/* One seed for all, one a picture, the next seed: for seeds below 2^53, which a double counts. */
static void try_other_seeds(struct diagnosis *d)
{
    const struct recipe *recipe = d->recipe;
    double first = recipe->num_seeds > 0 ? strtod(recipe->seeds[0], NULL) : -1;
    int64_t pictures = (int64_t)recipe->prompt.count * recipe->num_images_per_prompt;
    if (first < 0 || first > 0x1p53) return;
    cJSON *same = cJSON_CreateArray(), *counted = cJSON_CreateArray(), *turned = cJSON_CreateArray();
    bool whole = true;
    for (int64_t i = 0; i < pictures && whole; i++) {
        size_t last = recipe->num_seeds - 1 - ((size_t)i < recipe->num_seeds ? (size_t)i : 0);
        whole = append(same, cJSON_CreateNumber(first)) &&
                append(counted, cJSON_CreateNumber(first + (double)i)) &&
                append(turned, cJSON_CreateString(recipe->seeds[last]));
    }
    if (pictures > 1 && whole) {
        try_seeds(d, counted, "a generator for each picture, of the seed and those after it");
        try_seeds(d, same, "a generator for each picture, all of one seed");
    }
    if (recipe->num_seeds > 1 && whole) try_seeds(d, turned, "the seeds in the reverse order");
    const double others[] = {first + 1, first - 1, 0, 42};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        char text[64];
        cJSON *seed = cJSON_CreateNumber(others[k]);
        snprintf(text, sizeof text, "the seed %.0f", others[k]);
        if (seed && others[k] >= 0 && others[k] != first) try_seeds(d, seed, text);
        cJSON_Delete(seed);
    }
    if (recipe->num_seeds > 1) {
        cJSON *one = cJSON_CreateNumber(first);
        if (one) try_seeds(d, one, "one generator of the first seed for all pictures");
        cJSON_Delete(one);
    }
    cJSON_Delete(same);
    cJSON_Delete(counted);
    cJSON_Delete(turned);
}

/* --- All ---------------------------------------------------------------------------------- */

void suspects_call(struct diagnosis *d)
{
    cJSON *config = NULL;
    if (!d->recipe->source || d->wrong.count != d->exact.count) return;
    d->status = pipeline_scheduler_config(d->pipeline, d->recipe, &config, NULL, d->error);
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        if (d->status == STATUS_OK && name_matches(d->row->name, arguments[i].rows)) {
            d->is_far_fetched = strcmp(arguments[i].key, "scheduler._class_name") == 0;
            try_argument(d, config, &arguments[i]);
        }
    d->is_far_fetched = false;
    if (d->fit_count == 0 && name_matches(d->row->name, SCHEDULE)) try_schedules(d);
    if (d->fit_count == 0 && name_matches(d->row->name, NOISE)) try_other_seeds(d);
    cJSON_Delete(config);
}
