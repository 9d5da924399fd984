#include "range_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stages, and what stands for the layer before a text encoder's first: its embeddings have no kernel. */
static const char *const stages[] = {"unet", "vae", "text_encoder", "text_encoder_2"};
static const char *const embeddings[TEXT_ENCODERS] = {
    "text_encoder.text_model.embeddings", "text_encoder_2.text_model.embeddings"};

/* The stage that a layer's name begins with; `*layer` is moved behind it. */
static const char *split_stage(const char **layer)
{
    size_t length = strcspn(*layer, ".");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (strlen(stages[i]) == length && strncmp(stages[i], *layer, length) == 0) {
            *layer += length + 1;
            return stages[i];
        }
    return "pipeline";
}

/* --- Counting ----------------------------------------------------------------------------- */

static const enum number_format formats[RANGE_FORMATS] = {FORMAT_F16, FORMAT_BF16};

static void count_value(struct range *range, double value, double *largest)
{
    double magnitude = fabs(value);
    if (!isfinite(magnitude)) {
        range->nonfinite++;
        return;
    }
    if (magnitude > *largest) *largest = magnitude;
    for (int i = 0; i < RANGE_FORMATS; i++) {
        const struct number_limits *limits = &number_format_limits[formats[i]];
        range->narrow[i].infinite += magnitude >= limits->overflow;
        range->narrow[i].subnormal += magnitude > 0 && magnitude < limits->smallest_normal;
        range->narrow[i].zero += magnitude > 0 && magnitude <= limits->smallest / 2; /* ties go to zero */
    }
}

/* x: F32 or F64 */
static void count_tensor(struct range_report *report, struct range *range, const struct tensor *x)
{
    double largest = -1;
    size_t n = tensor_count(x);
    range->values += n;
    if (x->dtype == DTYPE_F32)
        for (size_t i = 0; i < n; i++) count_value(range, (double)((const float *)x->data)[i], &largest);
    else
        for (size_t i = 0; i < n; i++) count_value(range, ((const double *)x->data)[i], &largest);
    if (largest > range->largest || (range->largest_at[0] == '\0' && largest == range->largest)) {
        range->largest = largest;
        memcpy(range->largest_at, report->place, sizeof range->largest_at);
    }
}

/* The range of this name, a new one where there is none; NULL where memory is out. Results come in the same
 * order at every step: the next one is likely to be behind the last. */
static struct range *find_range(struct range_report *report, const char *stage, const char *layer,
    const char *operation, struct error *error, enum status *status)
{
    for (size_t tried = 0; tried < report->count; tried++) {
        size_t i = (report->next + tried) % report->count;
        struct range *range = &report->ranges[i];
        if (strcmp(range->stage, stage) == 0 && strcmp(range->operation, operation) == 0 &&
            strcmp(range->layer, layer) == 0) {
            report->next = i + 1;
            return range;
        }
    }
    if (report->count == report->capacity) {
        size_t capacity = report->capacity ? 2 * report->capacity : 256;
        struct range *ranges = realloc(report->ranges, capacity * sizeof *ranges);
        if (!ranges) {
            *status = error_memory(error, capacity * sizeof *ranges);
            return NULL;
        }
        report->ranges = ranges;
        report->capacity = capacity;
    }
    char *owned = strdup(layer);
    if (!owned) {
        *status = error_memory(error, strlen(layer));
        return NULL;
    }
    report->ranges[report->count] =
        (struct range){.stage = stage, .layer = owned, .operation = operation, .largest = -1};
    report->next = report->count + 1;
    return &report->ranges[report->count++];
}

/* --- Watching ----------------------------------------------------------------------------- */

static enum status count_result(
    void *context, const char *kernel, const void *weight, const struct tensor *result, struct error *error)
{
    struct range_report *report = context;
    enum status status = STATUS_OK;
    const char *found = weight ? layer_names_find(report->names, weight) : NULL;
    if (found) report->last = found;
    const char *layer = report->last ? report->last : "", *stage = split_stage(&layer);
    struct range *range = find_range(report, stage, layer, kernel, error, &status);
    if (range) count_tensor(report, range, result);
    return status;
}

/* Where the run is, and what of it a value's name is: "step.03.latents" is "latents" of step 3. */
static const char *note_place(struct range_report *report, const char *name)
{
    int step = 0, length = 0;
    if (sscanf(name, "step.%d.%n", &step, &length) == 1 && length > 0) {
        snprintf(report->place, sizeof report->place, "step %d", step);
        return name + length;
    }
    bool negative = strncmp(name, "negative_input_ids", strlen("negative_input_ids")) == 0;
    bool positive = strncmp(name, "input_ids", strlen("input_ids")) == 0;
    if (negative || positive)
        snprintf(report->place, sizeof report->place, "%s", negative ? "negative prompt" : "prompt");
    else if (strncmp(name, "latents", strlen("latents")) == 0)
        report->place[0] = '\0';
    return name;
}

/* A pipeline's own tensors, and what tells where the run is. */
static enum status count_seen(
    void *context, const char *name, const struct tensor *value, struct error *error)
{
    static const char *const tables[] = {"timesteps", "sigmas", "alphas_cumprod"}; /* float32 in any run */
    struct range_report *report = context;
    enum status status = STATUS_OK;
    const char *key = note_place(report, name);
    const char *encoder = strstr(key, "input_ids.");
    for (size_t i = 0; encoder && i < TEXT_ENCODERS; i++)
        if (strcmp(encoder + strlen("input_ids."), text_encoder_names[i]) == 0) report->last = embeddings[i];
    if (strstr(key, "act.") || (value->dtype != DTYPE_F32 && value->dtype != DTYPE_F64)) return STATUS_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(key, tables[i]) == 0) return STATUS_OK;
    struct range *range = find_range(report, "pipeline", key, "", error, &status);
    if (range) count_tensor(report, range, value);
    return status;
}

enum status range_report_open(
    const struct pipeline *pipeline, struct range_report *report, struct error *error)
{
    *report =
        (struct range_report){.observer = {.context = report, .see = count_seen, .result = count_result}};
    return layer_names_create(pipeline, &report->names, error);
}

void range_report_close(struct range_report *report)
{
    for (size_t i = 0; i < report->count; i++) free(report->ranges[i].layer);
    layer_names_free(report->names);
    free(report->ranges);
    *report = (struct range_report){0};
}
