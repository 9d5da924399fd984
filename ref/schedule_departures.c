/*
 * The names of departures. Whether a row is touched is found by comparing the semantics
 * (schedule_departures_find.c); which departure it is follows from the class, its options and what differs.
 */
#include "schedule_departures.h"

#include "cli.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* An option and the values with which the departure is there, "a|b"; "set" is any value but null and
 * false. */
struct condition {
    const char *option, *values;
};

struct departure {
    const char *heading;                  /* of sched/DEVIATIONS.md */
    const char *classes;                  /* "|DDIM|PNDM|", NULL for all */
    unsigned signs;                       /* a row shows at least one of them */
    int order;                            /* the step has this order, 0 for any */
    bool custom_timesteps, custom_sigmas; /* the request has them */
    struct condition conditions[2];
    bool extra_step; /* np.arange counts one step more than the request has */
};

#define DPM_CLASSES                                                                                          \
    "|DPMSolverMultistep|DPMSolverMultistepInverse|DPMSolverSinglestep|DEISMultistep|UniPCMultistep|"        \
    "SASolver|"
#define TRANSFORMED                                                                                          \
    {                                                                                                        \
        "use_karras_sigmas|use_exponential_sigmas|use_beta_sigmas|use_flow_sigmas", "set"                    \
    }

static const struct departure departures[] = {
    {.heading = "One step more than was asked for",
        .signs = DEPARTS_IN_COUNT | DEPARTS_IN_SIGMA | DEPARTS_IN_TIMESTEP,
        .extra_step = true,
        .conditions = {{"timestep_spacing", "trailing"}}},
    {.heading = "A stride in the place of the list",
        .classes = "|DDIM|DDIMInverse|PNDM|",
        .signs = DEPARTS_IN_STEP | DEPARTS_IN_TIMESTEP},
    {.heading = "The root of a logarithm",
        .classes = "|DDPM|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"variance_type", "fixed_large_log"}}},
    {.heading = "A last step that adds noise",
        .classes = "|LCM|TCD|",
        .signs = DEPARTS_IN_STEP,
        .custom_timesteps = true},
    {.heading = "A range of sigmas that the class has no options for",
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_SIGMA,
        .conditions = {TRANSFORMED, {"sigma_min|sigma_max", "set"}}},
    {.heading = "Log-linear interpolation that does not interpolate",
        .classes = "|EulerDiscrete|",
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_SIGMA,
        .conditions = {{"interpolation_type", "log_linear"}}},
    {.heading = "A step down that rounding swallows",
        .classes = "|EulerAncestralDiscrete|KDPM2AncestralDiscrete|",
        .signs = DEPARTS_IN_STEP | DEPARTS_IN_TIMESTEP},
    {.heading = "Timesteps rounded in half of the calls",
        .classes = "|KDPM2Discrete|KDPM2AncestralDiscrete|",
        .signs = DEPARTS_IN_TIMESTEP,
        .conditions = {{"use_karras_sigmas", "set"}}},
    {.heading = "The shift is applied twice",
        .classes = "|FlowMatchEulerDiscrete|FlowMatchHeunDiscrete|FlowMatchLCM|",
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_SIGMA,
        .conditions = {{"shift", "set"}}},
    {.heading = "Given timesteps are not those of the sigmas",
        .classes = "|FlowMatchEulerDiscrete|FlowMatchLCM|",
        .signs = DEPARTS_IN_TIMESTEP,
        .custom_timesteps = true},
    {.heading = "Order 3 takes half of its last term",
        .classes = "|DPMSolverMultistep|DPMSolverMultistepInverse|EDMDPMSolverMultistep|",
        .signs = DEPARTS_IN_STEP,
        .order = 3,
        .conditions = {{"algorithm_type", "dpmsolver|dpmsolver++|deis|sde-dpmsolver++"}}},
    {.heading = "A wrong sign in the third order of the SDE",
        .classes = "|DPMSolverMultistep|DPMSolverSinglestep|",
        .signs = DEPARTS_IN_STEP,
        .order = 3,
        .conditions = {{"algorithm_type", "sde-dpmsolver++"}}},
    {.heading = "No third order of sde-dpmsolver",
        .classes = "|DPMSolverMultistep|DPMSolverMultistepInverse|",
        .signs = DEPARTS_IN_STEP,
        .order = 3,
        .conditions = {{"algorithm_type", "sde-dpmsolver|sde-dpmsolver++"}}},
    {.heading = "Timesteps cut, not rounded",
        .classes = DPM_CLASSES,
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_COUNT,
        .conditions =
            {{"use_karras_sigmas|use_exponential_sigmas|use_beta_sigmas|use_flow_sigmas|use_lu_lambdas",
                "set"}}},
    {.heading = "The last step does nothing",
        .classes = DPM_CLASSES,
        .signs = DEPARTS_IN_SIGMA,
        .conditions = {TRANSFORMED}},
    {.heading = "The inverse's flow sigmas fall",
        .classes = "|DPMSolverMultistepInverse|",
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_SIGMA | DEPARTS_IN_COUNT,
        .conditions = {{"use_flow_sigmas", "set"}}},
    {.heading = "DEIS divides by the wrong sigma for a flow",
        .classes = "|DEISMultistep|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"prediction_type", "flow_prediction"}}},
    {.heading = "Predicted noise cannot be thresholded",
        .classes = "|DPMSolverSinglestep|SASolver|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"thresholding", "set"}}},
    {.heading = "Sigmas that are a ramp",
        .classes = "|EDMEuler|",
        .signs = DEPARTS_IN_TIMESTEP | DEPARTS_IN_SIGMA,
        .custom_sigmas = true},
    {.heading = "Predictions of the sample",
        .classes = "|EDMEuler|EDMDPMSolverMultistep|CosineDPMSolverMultistep|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"prediction_type", "sample"}}},
    {.heading = "Noise that is not handed on",
        .classes = "|EDMDPMSolverMultistep|",
        .signs = DEPARTS_IN_STEP,
        .order = 3,
        .conditions = {{"algorithm_type", "sde-dpmsolver++"}}},
    {.heading = "A last step without end",
        .classes = "|CosineDPMSolverMultistep|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"final_sigmas_type", "zero"}}},
    {.heading = "A last step of no length",
        .classes = "|CosineDPMSolverMultistep|",
        .signs = DEPARTS_IN_STEP,
        .conditions = {{"final_sigmas_type", "sigma_min"}}},
};
enum { COUNT = sizeof departures / sizeof *departures };
_Static_assert(COUNT <= 32, "a departure is a bit of a uint32_t");

size_t departure_count(void)
{
    return COUNT;
}

const char *departure_heading(size_t departure)
{
    return departures[departure].heading;
}

/* As GitHub names a heading's place: small letters, a hyphen for a blank, and no other punctuation. */
const char *departure_link(size_t departure, char buffer[160])
{
    size_t length = (size_t)snprintf(buffer, 160, "sched/DEVIATIONS.md#");
    for (const char *c = departures[departure].heading; *c && length < 159; c++)
        if (isalnum((unsigned char)*c) || *c == '-' || *c == ' ')
            buffer[length++] = (char)(*c == ' ' ? '-' : tolower((unsigned char)*c));
    buffer[length] = '\0';
    return buffer;
}

/* --- Which departure it is ---------------------------------------------------------------- */

/* The next name of a list "a|b"; NULL at its end. `*length` is the name's. */
static const char *next_name(const char **list, size_t *length)
{
    const char *name = *list;
    if (!*name) return NULL;
    *length = strcspn(name, "|");
    *list = name + *length + (name[*length] == '|');
    return name;
}

static bool has_value(const cJSON *option, const char *values)
{
    if (!option || cJSON_IsNull(option) || cJSON_IsFalse(option)) return false;
    if (strcmp(values, "set") == 0) return true;
    const char *name;
    size_t length;
    while (cJSON_IsString(option) && (name = next_name(&values, &length)) != NULL)
        if (strlen(option->valuestring) == length && memcmp(option->valuestring, name, length) == 0)
            return true;
    return false;
}

static bool holds(const cJSON *options, const struct condition *condition)
{
    const char *names = condition->option, *name;
    size_t length;
    char key[64];
    while ((name = next_name(&names, &length)) != NULL) {
        snprintf(key, sizeof key, "%.*s", (int)length, name);
        if (has_value(cJSON_GetObjectItemCaseSensitive(options, key), condition->values)) return true;
    }
    return false;
}

static bool is_of_class(const cJSON *options, const char *classes)
{
    if (!classes) return true;
    const char *class_name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "_class_name"));
    const size_t whole = class_name ? strlen(class_name) : 0, suffix = strlen("Scheduler");
    if (whole <= suffix) return false;
    char key[80];
    snprintf(key, sizeof key, "|%.*s|", (int)(whole - suffix), class_name);
    return strstr(classes, key) != NULL;
}

/* np.arange(T, 0, -T / N) has more than N entries. */
static bool has_extra_step(const cJSON *options, const struct schedule_request *request)
{
    const cJSON *trained = cJSON_GetObjectItemCaseSensitive(options, "num_train_timesteps");
    const double T = cJSON_GetNumberValue(trained), N = request->num_inference_steps;
    return N > 0 && ceil(T / (T / N)) > N;
}

uint32_t departures_that_explain(
    const cJSON *options, const struct schedule_request *request, unsigned signs, int order)
{
    uint32_t found = 0;
    for (size_t d = 0; d < COUNT; d++) {
        const struct departure *departure = &departures[d];
        bool applies = (departure->signs & signs) != 0 && is_of_class(options, departure->classes);
        applies = applies && (departure->order == 0 || departure->order == order);
        applies = applies && (!departure->custom_timesteps || request->timesteps);
        applies = applies && (!departure->custom_sigmas || request->sigmas);
        applies = applies && (!departure->extra_step || has_extra_step(options, request));
        for (size_t c = 0; applies && c < 2 && departure->conditions[c].option; c++)
            applies = holds(options, &departure->conditions[c]);
        if (applies) found |= UINT32_C(1) << d;
    }
    return found;
}

/* --- What is written ---------------------------------------------------------------------- */

uint32_t schedule_departures_of(const struct schedule_table *table)
{
    uint32_t all = 0;
    for (size_t i = 0; table->departures && i < table->count; i++) all |= table->departures[i];
    return all;
}

const char *schedule_departure_mark(const struct schedule_table *table, size_t row, char buffer[33])
{
    const uint32_t all = schedule_departures_of(table);
    size_t length = 0;
    char letter = 'a';
    for (size_t d = 0; d < COUNT; d++) {
        if (!(all >> d & 1)) continue;
        if (table->departures[row] >> d & 1) buffer[length++] = letter;
        letter++;
    }
    buffer[length] = '\0';
    return buffer;
}

/* "step 0", "steps 3 to 5, 7": the rows that are marked with a departure. */
static void write_rows(const struct schedule_table *table, size_t d, FILE *out)
{
    size_t rows = 0;
    for (size_t i = 0; i < table->count; i++) rows += table->departures[i] >> d & 1;
    const char *separator = rows > 1 ? "steps " : "step ";
    for (size_t i = 0; i < table->count; i++) {
        if (!(table->departures[i] >> d & 1)) continue;
        size_t last = i;
        while (last + 1 < table->count && (table->departures[last + 1] >> d & 1)) last++;
        fprintf(out, "%s%zu", separator, i);
        if (last > i) fprintf(out, " to %zu", last);
        separator = ", ";
        i = last;
    }
}

void schedule_departures_write(const struct schedule_table *table, FILE *out)
{
    const uint32_t all = schedule_departures_of(table);
    char letter = 'a', link[160];
    if (!all) return;
    fprintf(out, "\nWhere diffusers departs from its documentation, and --semantics documented differs:\n");
    for (size_t d = 0; d < COUNT; d++) {
        if (!(all >> d & 1)) continue;
        fprintf(out, "  %c  %s (", letter++, departures[d].heading);
        write_rows(table, d, out);
        fprintf(out, "): %s\n", departure_link(d, link));
    }
}

void schedule_departures_write_json(const struct schedule_table *table, FILE *out)
{
    const uint32_t all = schedule_departures_of(table);
    const char *separator = "";
    char link[160];
    fprintf(out, "[");
    for (size_t d = 0; d < COUNT; d++) {
        if (!(all >> d & 1)) continue;
        fprintf(out, "%s{\"departure\": ", separator);
        cli_write_json_string(out, departures[d].heading);
        fprintf(out, ", \"see\": ");
        cli_write_json_string(out, departure_link(d, link));
        fprintf(out, ", \"steps\": [");
        const char *comma = "";
        for (size_t i = 0; i < table->count; i++) {
            if (!(table->departures[i] >> d & 1)) continue;
            fprintf(out, "%s%zu", comma, i);
            comma = ", ";
        }
        fprintf(out, "]}");
        separator = ", ";
    }
    fprintf(out, "]");
}
