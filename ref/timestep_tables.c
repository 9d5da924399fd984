#include "timestep_tables.h"

#include "sched/scheduler.h"

#include <stdlib.h>
#include <string.h>

/* Counts of steps: 1 to 50 and then these. 61 and 103 are the first for which np.arange gives a trailing grid
 * one entry too many. */
static const int further_counts[] = {61, 64, 80, 100, 103, 250, 999, 1000};
enum {
    FIRST_COUNTS = 50,
    COUNTS = FIRST_COUNTS + sizeof further_counts / sizeof *further_counts,
    LONGEST_LIST = 103 /* of numbers that may have decimals, written whole */
};

/* A kind of sigmas is a class's options at these values; a class that lacks one of them lacks the kind. */
struct kind {
    const char *name, *option, *value;
};
static const struct kind kinds[] = {
    {"plain", NULL, NULL},
    {"karras", "use_karras_sigmas", "true"},
    {"exponential", "use_exponential_sigmas", "true"},
    {"beta", "use_beta_sigmas", "true"},
    {"lu", "use_lu_lambdas", "true"},
    {"flow", "use_flow_sigmas", "true, \"prediction_type\": \"flow_prediction\""},
    {"sigma_schedule=exponential", "sigma_schedule", "\"exponential\""},
};

/* Names of schedules, a line each, and the lines of their table. */
struct block {
    char *names, *lines;
};

/* --- One table ---------------------------------------------------------------------------- */

/* Integers as arithmetic runs: "981 -20*49" is 981 and 49 more, each 20 less than the one before. */
static void write_integers(FILE *out, const double *values, size_t count)
{
    for (size_t i = 0; i < count;) {
        const double step = i + 1 < count ? values[i + 1] - values[i] : 0;
        size_t n = 0;
        while (i + n + 1 < count && values[i + n + 1] - values[i + n] == step) n++;
        fprintf(out, " %.0f", values[i]);
        if (n < 2) {
            i++;
        } else {
            fprintf(out, " %+.0f*%zu", step, n);
            i += n + 1;
        }
    }
}

/* Five digits; of a long list the ends and the sum. */
static void write_fractions(FILE *out, const double *values, size_t count)
{
    const bool is_long = count > LONGEST_LIST;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        if (is_long && i == 3) fputs(" ...", out);
        if (!is_long || i < 3 || i + 3 >= count) fprintf(out, " %.5g", values[i]);
    }
    if (is_long) fprintf(out, " sum %.7g", sum);
}

static void write_line(FILE *out, struct scheduler *scheduler, int count)
{
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = count};
    fprintf(out, "%d:", count);
    if (scheduler_set_timesteps(scheduler, &request, NULL, NULL) != STATUS_OK)
        fputs(" refused", out);
    else if (scheduler->timestep_dtype == TIMESTEP_INT64)
        write_integers(out, scheduler->timesteps, scheduler->num_timesteps);
    else
        write_fractions(out, scheduler->timesteps, scheduler->num_timesteps);
    fputc('\n', out);
}

/* The config with Stable Diffusion's betas where the class has betas. */
static enum status make_scheduler(const char *class_name, const char *spacing, const struct kind *kind,
    struct scheduler **scheduler, struct error *error)
{
    char text[512];
    const bool has_betas = scheduler_class_has_option(class_name, "beta_start");
    snprintf(text, sizeof text, "{\"_class_name\": \"%s\"%s%s%s%s%s%s%s%s}", class_name,
        has_betas ? ", \"beta_start\": 0.00085, \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\""
                  : "",
        spacing ? ", \"timestep_spacing\": \"" : "", spacing ? spacing : "", spacing ? "\"" : "",
        kind->option ? ", \"" : "", kind->option ? kind->option : "", kind->option ? "\": " : "",
        kind->option ? kind->value : "");
    cJSON *config = NULL;
    enum status status = json_parse(text, strlen(text), class_name, &config, error);
    if (status == STATUS_OK) status = scheduler_create(config, scheduler, NULL, error);
    cJSON_Delete(config);
    return status;
}

static enum status make_lines(
    const char *class_name, const char *spacing, const struct kind *kind, char **lines, struct error *error)
{
    struct scheduler *scheduler = NULL;
    size_t size;
    enum status status = make_scheduler(class_name, spacing, kind, &scheduler, error);
    if (status != STATUS_OK) return status;
    FILE *text = open_memstream(lines, &size);
    for (int i = 0; text && i < COUNTS; i++)
        write_line(text, scheduler, i < FIRST_COUNTS ? i + 1 : further_counts[i - FIRST_COUNTS]);
    scheduler_free(scheduler);
    bool complete = text && !ferror(text);
    if (text && fclose(text) != 0) complete = false;
    return complete && *lines ? STATUS_OK : error_memory(error, 0);
}

/* --- All tables --------------------------------------------------------------------------- */

struct blocks {
    struct block *items;
    size_t count;
};

/* Takes `lines`. */
static enum status add_block(struct blocks *blocks, const char *name, char *lines, struct error *error)
{
    size_t i = 0;
    while (i < blocks->count && strcmp(blocks->items[i].lines, lines) != 0) i++;
    if (i < blocks->count) {
        free(lines);
        char *names = NULL;
        if (asprintf(&names, "%s= %s\n", blocks->items[i].names, name) < 0) return error_memory(error, 0);
        free(blocks->items[i].names);
        blocks->items[i].names = names;
        return STATUS_OK;
    }
    struct block *larger = realloc(blocks->items, (blocks->count + 1) * sizeof *larger);
    if (larger) blocks->items = larger;
    struct block block = {.lines = lines};
    if (!larger || asprintf(&block.names, "= %s\n", name) < 0) {
        free(lines);
        return error_memory(error, 0);
    }
    blocks->items[blocks->count++] = block;
    return STATUS_OK;
}

static enum status add_class(struct blocks *blocks, const char *class_name, struct error *error)
{
    static const char *const spacings[] = {"leading", "linspace", "trailing"};
    const bool has_spacing = scheduler_class_has_option(class_name, "timestep_spacing");
    const int short_length = (int)(strlen(class_name) - strlen("Scheduler"));
    enum status status = STATUS_OK;
    for (size_t s = 0; s < (has_spacing ? 3 : 1); s++) {
        const char *spacing = has_spacing ? spacings[s] : NULL;
        for (size_t k = 0; status == STATUS_OK && k < sizeof kinds / sizeof *kinds; k++) {
            char name[128], *lines = NULL;
            if (kinds[k].option && !scheduler_class_has_option(class_name, kinds[k].option)) continue;
            snprintf(name, sizeof name, "%.*s %s %s", short_length, class_name, spacing ? spacing : "-",
                kinds[k].name);
            status = make_lines(class_name, spacing, &kinds[k], &lines, error);
            if (status == STATUS_OK) status = add_block(blocks, name, lines, error);
        }
    }
    return status;
}

/* By name without the word Scheduler, which all end in. */
static int compare_names(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    const size_t left_length = strlen(left) - strlen("Scheduler"),
                 right_length = strlen(right) - strlen("Scheduler");
    const int order = memcmp(left, right, left_length < right_length ? left_length : right_length);
    return order ? order : (left_length > right_length) - (left_length < right_length);
}

enum status timestep_tables_write(FILE *out, struct error *error)
{
    struct blocks blocks = {0};
    const size_t count = scheduler_class_count();
    const char **names = calloc(count, sizeof *names);
    enum status status = names ? STATUS_OK : error_memory(error, count * sizeof *names);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) names[i] = scheduler_class_name(i);
    if (status == STATUS_OK) qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) status = add_class(&blocks, names[i], error);
    for (size_t i = 0; i < blocks.count; i++) {
        if (status == STATUS_OK) fprintf(out, "%s%s", blocks.items[i].names, blocks.items[i].lines);
        free(blocks.items[i].names);
        free(blocks.items[i].lines);
    }
    free(blocks.items);
    free(names);
    return status;
}
