#include "class_list.h"
#include "cli.h"
#include "table.h"

#include "sched/known_options.h"
#include "sched/solver.h"
#include "sched/uncovered_classes.h"

#include <stdlib.h>
#include <string.h>

/* A list of names as it grows. */
struct names {
    const char *items[128];
    size_t count;
};

static void add(struct names *names, bool wanted, const char *name)
{
    const size_t room = sizeof names->items / sizeof *names->items;
    if (wanted && names->count < room) names->items[names->count++] = name;
}

/* --- What a class takes ------------------------------------------------------------------- */

static const struct option *find_option(const struct solver *solver, const char *name, bool *ignored)
{
    for (size_t t = 0; t < MAX_OPTION_TABLES && solver->options[t].rows; t++)
        for (size_t i = 0; i < solver->options[t].count; i++) {
            const struct option *option = &solver->options[t].rows[i];
            if (strcmp(option->name, name) != 0) continue;
            *ignored = solver->options[t].ignored;
            return option;
        }
    return NULL;
}

/* Of all options that there are, those that the class uses, takes and ignores, and does not have. */
static void sort_options(
    const struct solver *solver, struct names *uses, struct names *ignores, struct names *refuses)
{
    size_t count = 0;
    const char *const *known = scheduler_known_options(&count);
    for (size_t i = 0; i < count; i++) {
        bool ignored = false;
        const struct option *option = find_option(solver, known[i], &ignored);
        add(uses, option && !ignored, known[i]);
        add(ignores, option && ignored, known[i]);
        add(refuses, !option, known[i]);
    }
}

static void collect_arguments(const struct solver *solver, struct names *taken, struct names *refused)
{
    const struct {
        bool takes;
        const char *name;
    } arguments[] = {
        {true, "num_inference_steps"},
        {solver->takes_timesteps, "timesteps"},
        {solver->takes_sigmas, "sigmas"},
        {solver->takes_mu, "mu"},
        {solver->takes_strength, "original_inference_steps"},
        {solver->takes_strength, "strength"},
        {solver->takes_sampling_eps, "sampling_eps"},
    };
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        add(arguments[i].takes ? taken : refused, true, arguments[i].name);
}

/* What there is to know of a step beyond its arguments. */
static void collect_traits(const struct solver *solver, struct names *traits)
{
    add(traits, solver->takes_eta, "takes eta");
    add(traits, solver->needs_noise != NULL, "may draw noise");
    add(traits, solver->takes_variance, "takes a predicted variance");
    add(traits, solver->correct != NULL, "has a corrector");
    add(traits, solver->add_noise == NULL, "no add_noise()");
    add(traits, solver->lacks_step, "no step(), only step_pred(): not for plumb run");
}

/* --- As a table --------------------------------------------------------------------------- */

enum { WIDEST_LINE = 76 }; /* of the last column */

/* Rows of the table: the first with `first` and `second` in front, the names broken into lines. */
static void add_rows(struct table *table, const char *first, const char *second, const struct names *names)
{
    char line[WIDEST_LINE + 64] = "";
    for (size_t i = 0; i < names->count || (i == 0 && names->count == 0); i++) {
        const char *name = names->count ? names->items[i] : "-";
        const char *comma = i + 1 < names->count ? "," : "";
        const size_t used = strlen(line);
        if (used > 0 && used + strlen(name) + 2 > WIDEST_LINE) {
            table_add(table, "%s", first);
            table_add(table, "%s", second);
            table_add(table, "%s", line);
            first = second = "";
            line[0] = '\0';
        }
        const size_t begin = strlen(line);
        snprintf(line + begin, sizeof line - begin, "%s%.60s%s", begin ? " " : "", name, comma);
    }
    table_add(table, "%s", first);
    table_add(table, "%s", second);
    table_add(table, "%s", line);
}

static void add_class(struct table *table, const struct solver *solver, bool in_full)
{
    struct names uses = {{0}, 0}, ignores = {{0}, 0}, refuses = {{0}, 0};
    struct names taken = {{0}, 0}, refused = {{0}, 0}, traits = {{0}, 0};
    sort_options(solver, &uses, &ignores, &refuses);
    collect_arguments(solver, &taken, &refused);
    collect_traits(solver, &traits);
    add_rows(table, solver->class_name, "uses", &uses);
    if (ignores.count > 0) add_rows(table, "", "takes and ignores", &ignores);
    if (in_full) {
        add_rows(table, "", "refuses", &refuses);
    } else {
        char others[64];
        snprintf(others, sizeof others, "the other %zu options", refuses.count);
        add_rows(table, "", "refuses", &(struct names){{others}, 1});
    }
    add_rows(table, "", "set_timesteps takes", &taken);
    add_rows(table, "", "and refuses", &refused);
    if (traits.count > 0) add_rows(table, "", "step", &traits);
}

static enum status write_table(
    const struct solver *const *solvers, size_t count, bool all, FILE *out, struct error *error)
{
    struct table classes = {.alignment = "lll"}, others = {.alignment = "ll"};
    add_rows(&classes, "class", "", &(struct names){{"options and arguments"}, 1});
    for (size_t i = 0; i < count; i++) add_class(&classes, solvers[i], !all);
    enum status status = table_write(&classes, out, "", error);
    if (status == STATUS_OK && all) {
        fputs("\nAn option that a class refuses is a TypeError of its constructor in diffusers, where "
              "from_config() drops it; here it is\nignored with a warning. --list CLASS names them.\n\n"
              "Classes of diffusers 0.40.0 that are not covered:\n\n",
            out);
        for (size_t i = 0; i < uncovered_class_count(); i++) {
            table_add(&others, "%s", uncovered_class_at(i)->class_name);
            table_add(&others, "%s", uncovered_class_at(i)->reason);
        }
        status = table_write(&others, out, "", error);
    }
    table_free(&classes);
    table_free(&others);
    return status;
}

/* --- As JSON ------------------------------------------------------------------------------ */

static cJSON *default_of(const struct option *option)
{
    switch (option->type) {
    case OPTION_BOOL: return cJSON_CreateBool(option->number != 0);
    case OPTION_STRING: return option->string ? cJSON_CreateString(option->string) : cJSON_CreateNull();
    case OPTION_INT:
    case OPTION_NUMBER: return cJSON_CreateNumber(option->number);
    case OPTION_EXTENDED_NUMBER: /* JSON has no infinity: a string, which Python's float() reads */
        if (option->number - option->number != 0)
            return cJSON_CreateString(option->number < 0 ? "-inf" : "inf");
        return cJSON_CreateNumber(option->number);
    case OPTION_OPTIONAL_NUMBER:
        return option->number != 0 ? cJSON_CreateNumber(option->number) : cJSON_CreateNull();
    default: return cJSON_CreateNull();
    }
}

/* False where memory is out; cJSON's own functions do nothing then. */
static bool put_names(cJSON *object, const char *key, const struct names *names)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    bool done = list != NULL;
    for (size_t i = 0; i < names->count; i++)
        done = done && cJSON_AddItemToArray(list, cJSON_CreateString(names->items[i]));
    return done;
}

static cJSON *class_as_json(const struct solver *solver)
{
    struct names uses = {{0}, 0}, ignores = {{0}, 0}, refuses = {{0}, 0};
    struct names taken = {{0}, 0}, refused = {{0}, 0}, traits = {{0}, 0};
    sort_options(solver, &uses, &ignores, &refuses);
    collect_arguments(solver, &taken, &refused);
    collect_traits(solver, &traits);
    cJSON *object = cJSON_CreateObject();
    bool done = cJSON_AddStringToObject(object, "class", solver->class_name) != NULL;
    cJSON *defaults = cJSON_AddObjectToObject(object, "uses");
    for (size_t i = 0; i < uses.count; i++) {
        bool ignored;
        const struct option *option = find_option(solver, uses.items[i], &ignored);
        done = done && json_put(defaults, uses.items[i], default_of(option));
    }
    done = done && put_names(object, "takes_and_ignores", &ignores);
    done = done && put_names(object, "refuses", &refuses);
    done = done && put_names(object, "set_timesteps_takes", &taken);
    done = done && put_names(object, "set_timesteps_refuses", &refused);
    done = done && put_names(object, "step", &traits);
    if (done) return object;
    cJSON_Delete(object);
    return NULL;
}

static enum status write_json(
    const struct solver *const *solvers, size_t count, bool all, FILE *out, struct error *error)
{
    cJSON *document = cJSON_CreateObject();
    cJSON *classes = cJSON_AddArrayToObject(document, "classes");
    bool done = classes != NULL;
    for (size_t i = 0; i < count; i++)
        done = done && cJSON_AddItemToArray(classes, class_as_json(solvers[i]));
    cJSON *others = all ? cJSON_AddObjectToObject(document, "not_covered") : NULL;
    for (size_t i = 0; others && i < uncovered_class_count(); i++)
        done = done && cJSON_AddStringToObject(
                           others, uncovered_class_at(i)->class_name, uncovered_class_at(i)->reason);
    char *text = done ? cJSON_Print(document) : NULL;
    if (text) fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(document);
    return text ? STATUS_OK : error_memory(error, sizeof(cJSON));
}

/* --- The command -------------------------------------------------------------------------- */

enum status class_list_write(char *const *names, size_t count, bool as_json, FILE *out, struct error *error)
{
    const bool all = count == 0;
    const size_t wanted = all ? scheduler_class_count() : count;
    const struct solver **solvers = calloc(wanted, sizeof *solvers);
    enum status status = solvers ? STATUS_OK : error_memory(error, wanted * sizeof *solvers);
    for (size_t i = 0; status == STATUS_OK && i < wanted; i++) {
        const char *class_name = all ? scheduler_class_name(i) : NULL;
        if (!all) status = cli_scheduler_class(names[i], &class_name, error);
        if (status == STATUS_OK) solvers[i] = scheduler_class_solver(class_name);
    }
    if (status == STATUS_OK)
        status = as_json ? write_json(solvers, wanted, all, out, error)
                         : write_table(solvers, wanted, all, out, error);
    free(solvers);
    return status;
}
