#include "cli_recipe.h"

#include <string.h>

/* An option that becomes the recipe's key of the same name. */
static struct cli_option key(
    struct cli_recipe *recipe, const char *name, enum cli_kind kind, const char *argument, const char *help)
{
    return (struct cli_option){
        .name = name, .kind = kind, .value = &recipe->keys, .argument = argument, .help = help};
}

size_t cli_recipe_options(struct cli_recipe *recipe, struct cli_option *options)
{
    const struct cli_option all[] = {
        {.name = "recipe",
            .kind = CLI_STRING,
            .value = &recipe->file,
            .argument = "F.json",
            .help = "the arguments of the run as a file; options below win over it"},
        key(recipe, "prompt", CLI_KEY_STRING, "S", "what to draw"),
        key(recipe, "prompt-2", CLI_KEY_STRING, "S",
            "SDXL: the second encoder's prompt, by default the same"),
        key(recipe, "negative-prompt", CLI_KEY_STRING, "S", "what not to draw"),
        key(recipe, "negative-prompt-2", CLI_KEY_STRING, "S", "SDXL: the second encoder's"),
        {.name = "scheduler",
            .kind = CLI_STRING,
            .value = &recipe->scheduler,
            .argument = "CLASS|F.json",
            .help = "another scheduler: a class with the checkpoint's options, or a config's own"},
        {.name = "set",
            .kind = CLI_SETTING,
            .value = &recipe->settings,
            .argument = "key=value",
            .help = "an option of the scheduler; may stand several times"},
        cli_semantics_option(&recipe->semantics),
        {.name = "num-inference-steps",
            .alias = "steps",
            .kind = CLI_KEY_VALUE,
            .value = &recipe->keys,
            .argument = "N",
            .help = "steps of the sampler (50)"},
        key(recipe, "timesteps", CLI_KEY_NUMBERS, "L", "custom timesteps: a,b,c or a JSON array"),
        key(recipe, "sigmas", CLI_KEY_NUMBERS, "L", "custom sigmas, the final one included"),
        key(recipe, "guidance-scale", CLI_KEY_VALUE, "X",
            "classifier-free guidance (7.5; SDXL 5); off at 1 and below"),
        key(recipe, "guidance-rescale", CLI_KEY_VALUE, "X",
            "0 to 1: brings the guided prediction's spread back"),
        key(recipe, "eta", CLI_KEY_VALUE, "X", "DDIM: 0 deterministic to 1 as random as DDPM"),
        key(recipe, "clip-skip", CLI_KEY_VALUE, "N", "take the text encoder's output N layers earlier"),
        key(recipe, "height", CLI_KEY_VALUE, "N", "pixels, a multiple of 8; by default the model's own size"),
        key(recipe, "width", CLI_KEY_VALUE, "N", "pixels, a multiple of 8"),
        {.name = "num-images-per-prompt",
            .alias = "images",
            .kind = CLI_KEY_VALUE,
            .value = &recipe->keys,
            .argument = "N",
            .help = "pictures of each prompt in one batch"},
        key(recipe, "original-size", CLI_KEY_NUMBERS, "H,W",
            "SDXL: the size the picture is said to come from"),
        key(recipe, "crops-coords-top-left", CLI_KEY_NUMBERS, "Y,X",
            "SDXL: the corner it is said to be cropped at"),
        key(recipe, "target-size", CLI_KEY_NUMBERS, "H,W", "SDXL: the size it is said to have"),
        key(recipe, "negative-original-size", CLI_KEY_NUMBERS, "H,W", "SDXL: the same for the negative half"),
        key(recipe, "negative-crops-coords-top-left", CLI_KEY_NUMBERS, "Y,X",
            "SDXL: the same for the negative half"),
        key(recipe, "negative-target-size", CLI_KEY_NUMBERS, "H,W", "SDXL: the same for the negative half"),
        key(recipe, "denoising-end", CLI_KEY_VALUE, "X", "SDXL: stop at this fraction of the schedule"),
        key(recipe, "seed", CLI_KEY_STRINGS, "S[,S...]",
            "of any size; one for the batch, or one a picture (0)"),
        key(recipe, "generator", CLI_KEY_STRING, "GENERATOR", GENERATOR_NAMES " (numpy-pcg64)"),
        key(recipe, "latents", CLI_KEY_STRING, "F",
            "initial noise from a tensor file, in place of the first draw"),
        key(recipe, "noise", CLI_KEY_STRING, "F",
            "every draw from a set of tensors, such as another run's trace"),
        key(recipe, "variant", CLI_KEY_STRING, "NAME", "the checkpoint's variant, as in fp16"),
    };
    _Static_assert(sizeof all / sizeof *all <= MAX_RECIPE_OPTIONS, "room for every option");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof *all;
}

enum status cli_recipe_finish(struct cli_recipe *recipe, struct error *error)
{
    return cli_set_semantics(&recipe->settings, recipe->semantics, error);
}

/* --scheduler and --set, over the recipe's `scheduler`. A class name keeps the options that stand there
 * already; a config file brings its own. */
static enum status merge_scheduler(const struct cli_recipe *arguments, cJSON *recipe, struct error *error)
{
    if (!arguments->scheduler && !arguments->settings) return STATUS_OK;
    cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(recipe, "scheduler");
    if (!cJSON_IsObject(scheduler)) {
        cJSON_DeleteItemFromObjectCaseSensitive(recipe, "scheduler");
        scheduler = cJSON_AddObjectToObject(recipe, "scheduler");
        if (!scheduler) return error_memory(error, 0);
    }
    cJSON *config = NULL;
    enum status status = STATUS_OK;
    if (arguments->scheduler) status = cli_scheduler_config(arguments->scheduler, NULL, &config, error);
    if (status == STATUS_OK) status = cli_merge(scheduler, config, error);
    if (status == STATUS_OK) status = cli_merge(scheduler, arguments->settings, error);
    cJSON_Delete(config);
    return status;
}

/* A schedule is given one way: what is put over a recipe takes the place of all that it says of the
 * schedule. */
static const char *const ways[] = {"num_inference_steps", "timesteps", "sigmas"};

static enum status check_schedule(const cJSON *keys, struct error *error)
{
    int given = 0;
    for (int i = 0; i < 3; i++) given += cJSON_HasObjectItem(keys, ways[i]);
    if (given <= 1) return STATUS_OK;
    return error_input(error, "--steps, --timesteps, --sigmas: only one of the three may be given");
}

enum status cli_recipe_put(cJSON *recipe, const cJSON *keys, struct error *error)
{
    bool given = false;
    for (int i = 0; i < 3; i++) given = given || cJSON_HasObjectItem(keys, ways[i]);
    for (int i = 0; i < 3 && given; i++) cJSON_DeleteItemFromObjectCaseSensitive(recipe, ways[i]);
    return cli_merge(recipe, keys, error);
}

enum status cli_recipe_json(
    const struct cli_recipe *recipe, const cJSON *otherwise, cJSON **json, struct error *error)
{
    enum status status = STATUS_OK;
    *json = NULL;
    if (recipe->file)
        status = json_read_file(recipe->file, json, error);
    else if (!(*json = otherwise ? cJSON_Duplicate(otherwise, true) : cJSON_CreateObject()))
        status = error_memory(error, 0);
    if (status == STATUS_OK && cJSON_IsObject(*json)) {
        status = check_schedule(recipe->keys, error);
        if (status == STATUS_OK) status = cli_recipe_put(*json, recipe->keys, error);
        if (status == STATUS_OK) status = merge_scheduler(recipe, *json, error);
    }
    if (status != STATUS_OK) {
        cJSON_Delete(*json);
        *json = NULL;
    }
    return status;
}

enum status cli_recipe_read(
    const struct cli_recipe *arguments, const cJSON *json, struct recipe *recipe, struct error *error)
{
    enum status status = recipe_read(json, recipe, error);
    cli_recipe_refer(arguments, status, error);
    return status;
}

void cli_recipe_refer(const struct cli_recipe *recipe, enum status status, struct error *error)
{
    bool scheduler_is_set = recipe->scheduler || recipe->settings;
    if (status != STATUS_BAD_INPUT || !recipe->file) return;
    if (json_has_key_of_error(recipe->keys, error)) return;
    if (scheduler_is_set && strncmp(error->message, "scheduler:", strlen("scheduler:")) == 0) return;
    error_prefix(error, status, "%s: ", recipe->file);
}

void cli_recipe_free(struct cli_recipe *recipe)
{
    cJSON_Delete(recipe->keys);
    cJSON_Delete(recipe->settings);
    *recipe = (struct cli_recipe){0};
}
