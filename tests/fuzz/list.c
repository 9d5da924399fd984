/*
 * A list of runs: the seeds of --seeds (a few characters, so that they are soon counted; none: without), a
 * zero byte, and JSON Lines. Refused, or items with recipes that can be read and names that files can have,
 * no two the same.
 */
#include "fuzz.h"

#include "ref/recipe_list.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check(const struct recipe_list *list)
{
    const char **names = malloc((list->count + 1) * sizeof *names);
    fuzz_require(names, "out of memory");
    for (size_t i = 0; i < list->count; i++) {
        struct recipe recipe;
        struct error error = {""};
        const struct list_item *item = &list->items[i];
        fuzz_require(recipe_read(item->recipe, &recipe, &error) == STATUS_OK, "%s", error.message);
        recipe_free(&recipe);
        fuzz_require(*item->name && *item->name != '.' && !strpbrk(item->name, "/\\ \n"), "a name");
        names[i] = item->name;
    }
    qsort(names, list->count, sizeof *names, compare_names);
    for (size_t i = 1; i < list->count; i++)
        fuzz_require(strcmp(names[i - 1], names[i]) != 0, "%s stands twice", names[i]);
    free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t most = 4; /* "0-99" */
    char *seeds = fuzz_piece(&data, &size);
    if (strlen(seeds) > most) seeds[most] = '\0';
    const struct cli_recipe arguments = {0};
    struct recipe_list list;
    struct error error = {""};
    const char *path = fuzz_file("list.jsonl", data, size);
    if (fuzz_accepted(recipe_list_read(path, &arguments, *seeds ? seeds : NULL, &list, &error), &error)) {
        check(&list);
        recipe_list_free(&list);
    }
    free(seeds);
    return 0;
}
