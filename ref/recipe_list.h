/*
 * Many runs in one command: a list of recipes, seeds, and the part of them that one machine takes.
 *
 * A list is JSON Lines: a recipe's object a line, with three keys of its own. `recipe` is a file with the
 * arguments that the line's are put over, `checkpoint` the folder where it is not the command's, and `name`
 * what its files are called. What the command line says wins over every line.
 */
#ifndef REF_RECIPE_LIST_H
#define REF_RECIPE_LIST_H

#include "cli_recipe.h"

struct list_item {
    size_t line;      /* in the list, from 1; 0: there is no list */
    char *name;       /* of its files, without folder and ending; no two items have the same */
    char *checkpoint; /* NULL: the command's */
    cJSON *recipe;    /* which recipe_read() takes */
};

struct recipe_list {
    const char *path; /* NULL: the items are the command line's, a seed each */
    struct list_item *items;
    size_t count, capacity;
};

/* Reads the list (NULL: the command line's recipe alone), each line with each of the seeds ("0-99",
 * "1,5,7-9"; NULL: as it says itself). Every recipe is checked; an error names file, line and key. `path`
 * must outlive the list. */
enum status recipe_list_read(const char *path, const struct cli_recipe *arguments, const char *seeds,
    struct recipe_list *list, struct error *error);
void recipe_list_free(struct recipe_list *list); /* accepts one that is all zero */

/* One of `count` parts: item k is in part k mod count. A list's parts are the same on every machine, have no
 * item in common and are all of it together. */
struct shard {
    size_t part, count; /* part from 0; 0 of 1 is everything */
};
/* "2/8": the second of eight. */
enum status shard_read(const char *text, struct shard *shard, struct error *error);
static inline bool shard_has(const struct shard *shard, size_t item)
{
    return item % shard->count == shard->part;
}

#endif
