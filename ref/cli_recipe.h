/*
 * The arguments of a pipeline call on the command line: the options that `plumb run` and `plumb verify`
 * share, and the recipe that they and a file make together.
 */
#ifndef REF_CLI_RECIPE_H
#define REF_CLI_RECIPE_H

#include "cli.h"
#include "recipe.h"

struct cli_recipe {
    const char *file, *scheduler;
    cJSON *keys;     /* what the command line says of the recipe */
    cJSON *settings; /* --set */
    int semantics;
};

/* Writes the options, at most MAX_RECIPE_OPTIONS, and returns how many. */
enum { MAX_RECIPE_OPTIONS = 40 };
size_t cli_recipe_options(struct cli_recipe *recipe, struct cli_option *options);
/* After cli_parse(): what --semantics says joins the settings. */
enum status cli_recipe_finish(struct cli_recipe *recipe, struct error *error);

/* The recipe's file, or where there is none a copy of `otherwise` (NULL: an empty recipe), with what the
 * command line says over it. The caller frees `*json`. */
enum status cli_recipe_json(
    const struct cli_recipe *recipe, const cJSON *otherwise, cJSON **json, struct error *error);
/* Puts these arguments over a recipe's; a schedule, given in any way, over one that is given in another. */
enum status cli_recipe_put(cJSON *recipe, const cJSON *keys, struct error *error);
/* Reads the recipe of it, and says where it stands what is wrong with it. */
enum status cli_recipe_read(
    const struct cli_recipe *arguments, const cJSON *json, struct recipe *recipe, struct error *error);
/* Puts the recipe's file in front of what is said of it: of all but what the command line has set. */
void cli_recipe_refer(const struct cli_recipe *recipe, enum status status, struct error *error);
void cli_recipe_free(struct cli_recipe *recipe);

#endif
