#include "verify_diagnosis.h"

#include "suspects.h"

#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tensors of more elements are not looked into: three copies in double would be more than a run holds. */
#define MOST_ELEMENTS ((size_t)1 << 26)
/* A suspect fits within this many times what verify calls rounding: the fault has a rounding of its own. */
#define SLACK 2.0
/* It must take away at least this share of the error. */
#define EXPLAINED 4.0
/* Of several that fit, those within this factor of the nearest are all named. */
#define TIED 2.0

/* --- Values ------------------------------------------------------------------------------- */

void values_free(struct values *values)
{
    free(values->items);
    *values = (struct values){0};
}

static bool values_of(struct diagnosis *d, const struct tensor *tensor, struct values *out)
{
    size_t count = tensor_count(tensor);
    *out = (struct values){.count = count, .rank = tensor->rank};
    memcpy(out->shape, tensor->shape, sizeof out->shape);
    out->items = malloc((count + 1) * sizeof *out->items);
    if (!out->items) {
        d->status = error_memory(d->error, count * sizeof *out->items);
        return false;
    }
    for (size_t i = 0; i < count; i++) out->items[i] = tensor_get_double(tensor, i);
    return true;
}

double values_distance(const double *a, const double *b, size_t count)
{
    long double squares = 0;
    size_t finite = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = a[i] - b[i];
        if (!isfinite(difference)) continue;
        squares += (long double)difference * difference;
        finite++;
    }
    return finite > 0 ? (double)sqrtl(squares / (long double)finite) : 0;
}

double values_rms(const double *x, size_t count)
{
    long double squares = 0;
    size_t finite = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) continue;
        squares += (long double)x[i] * x[i];
        finite++;
    }
    return finite > 0 ? (double)sqrtl(squares / (long double)finite) : 0;
}

bool values_finite_alike(const double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(a[i]) != !isfinite(b[i])) return false;
    return true;
}

/* --- Recomputing -------------------------------------------------------------------------- */

bool diagnosis_recompute(struct diagnosis *d, const char *name, const struct variation *variation,
    bool rounded, struct values *out)
{
    struct error error = {""};
    struct tensor_set *set = NULL;
    *out = (struct values){0};
    if (d->status != STATUS_OK) return false;
    enum status status = tensor_set_create(&set, &error);
    if (status == STATUS_OK)
        status = verify_recompute(
            d->pipeline, d->recipe, d->theirs, d->options, name, rounded, variation, set, NULL, &error);
    const struct tensor *tensor = status == STATUS_OK ? tensor_set_find(set, name) : NULL;
    bool found = tensor && values_of(d, tensor, out);
    if (status == STATUS_MACHINE) {
        d->status = status;
        if (d->error) *d->error = error;
    }
    tensor_set_free(set);
    return found;
}

bool diagnosis_input(struct diagnosis *d, const char *name, struct values *out)
{
    *out = (struct values){0};
    if (d->status != STATUS_OK) return false;
    const struct tensor *recorded = tensor_set_find(d->theirs, name);
    if (recorded) return tensor_count(recorded) <= MOST_ELEMENTS && values_of(d, recorded, out);
    return diagnosis_recompute(d, name, NULL, false, out);
}

const struct layer_names *diagnosis_names(struct diagnosis *d)
{
    if (!d->names && d->status == STATUS_OK) d->status = layer_names_create(d->pipeline, &d->names, d->error);
    return d->names;
}

/* --- Which layers matter ------------------------------------------------------------------ */

/* Layers that are run before a recorded value have no part in what comes after it, unless something in
 * between is not recorded: then it may have gone past. What the UNet makes of the text is kept from before
 * the first step. */
struct reach_watch {
    struct diagnosis *d;
    bool gap; /* a value was shown that is not recorded */
};

static enum status watch_reach(
    void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct reach_watch *watch = context;
    struct layer_visits *reach = &watch->d->reach;
    (void)value, (void)error;
    bool recorded = tensor_set_find(watch->d->theirs, name) != NULL;
    if (strcmp(name, watch->d->row->name) == 0) return STATUS_OK;
    bool is_module = strstr(name, "act.") != NULL;
    if (!recorded && is_module) watch->gap = true;
    if (!recorded || watch->gap) return STATUS_OK;
    size_t kept = 0;
    for (size_t i = 0; i < reach->count; i++)
        if (name_matches(reach->items[i], "*.attn2.to_[kv]")) reach->items[kept++] = reach->items[i];
    reach->count = kept;
    return STATUS_OK;
}

bool diagnosis_reaches(struct diagnosis *d, const char *layers)
{
    if (!d->reach_is_known && diagnosis_names(d)) {
        struct reach_watch watch = {.d = d};
        struct observer observer = {.context = &watch, .see = watch_reach};
        struct layer_variation noting;
        struct values unused;
        layer_variation_init(&noting, d->pipeline, d->names, NULL, 0);
        noting.visits = &d->reach;
        struct variation variation = {.observer = &observer, .replacement = &noting.replacement};
        if (diagnosis_recompute(d, d->row->name, &variation, true, &unused)) values_free(&unused);
        d->reach_is_known = true;
    }
    for (size_t i = 0; i < d->reach.count; i++)
        if (fnmatch(layers, d->reach.items[i], 0) == 0) return true;
    return d->reach.failed;
}

const char *step_name(char buffer[64], int step, const char *name)
{
    snprintf(buffer, 64, "step.%02d.%s", step, name);
    return buffer;
}

bool name_matches(const char *name, const char *globs)
{
    char list[512];
    snprintf(list, sizeof list, "%s", globs);
    char *rest = NULL;
    for (char *glob = strtok_r(list, " ", &rest); glob; glob = strtok_r(NULL, " ", &rest))
        if (fnmatch(glob, name, 0) == 0) return true;
    return false;
}

/* --- What fits ---------------------------------------------------------------------------- */

double diagnosis_tolerance(const struct diagnosis *d, const double *candidate)
{
    /* Of bytes, one in a hundred may lie the other side of a half. */
    if (d->row->theirs->dtype == DTYPE_U8) return 0.1;
    double growth = 1, exact = values_rms(d->exact.items, d->exact.count);
    if (exact > 0) growth = fmax(1, values_rms(candidate, d->wrong.count) / exact);
    /* Half a unit of float32 for what has no floor, because it is exact. */
    double least = values_rms(candidate, d->wrong.count) * 0x1p-24;
    return SLACK * d->options->rounding * fmax(d->floor, least) * growth;
}

static void keep(struct diagnosis *d, double distance, const char *format, va_list arguments)
{
    if (d->fit_count == MOST_FITS) return;
    struct fit *fit = &d->fits[d->fit_count++];
    fit->distance = distance;
    fit->far_fetched = d->is_far_fetched;
    vsnprintf(fit->text, sizeof fit->text, format, arguments);
}

void suspect_found(struct diagnosis *d, double distance, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(d, distance, format, arguments);
    va_end(arguments);
}

/* Whether `candidate` explains them, within `tolerance`. Where nothing is wrong but the shape, no value
 * does. */
static bool explains(const struct diagnosis *d, const double *candidate, double tolerance, double *distance)
{
    if (!values_finite_alike(d->wrong.items, candidate, d->wrong.count)) return false;
    if (d->error_rms == 0 && values_finite_alike(d->wrong.items, d->exact.items, d->wrong.count))
        return false;
    *distance = values_distance(d->wrong.items, candidate, d->wrong.count);
    return *distance <= tolerance && *distance * EXPLAINED <= d->error_rms;
}

bool suspect_values(struct diagnosis *d, const double *candidate, size_t count, const char *format, ...)
{
    double distance;
    if (d->status != STATUS_OK || count != d->wrong.count) return false;
    if (!explains(d, candidate, diagnosis_tolerance(d, candidate), &distance)) return false;
    va_list arguments;
    va_start(arguments, format);
    keep(d, distance, format, arguments);
    va_end(arguments);
    return true;
}

/* A pass in single precision is a fraction of one in double, and tells most candidates off: what fits takes
 * away at least half of the error in that, too. */
static bool is_worth_it(struct diagnosis *d, const struct variation *variation)
{
    const struct verify_options *own = d->options;
    struct verify_options single = *own;
    struct values candidate;
    single.their_format = FORMAT_F32;
    d->options = &single;
    bool found = diagnosis_recompute(d, d->row->name, variation, true, &candidate);
    d->options = own;
    if (!found) return false;
    bool near = candidate.count == d->wrong.count &&
                values_distance(d->wrong.items, candidate.items, candidate.count) * 2 <= d->error_rms;
    values_free(&candidate);
    return near;
}

bool suspect_variation(struct diagnosis *d, const struct variation *variation, const char *format, ...)
{
    struct values candidate, rounded;
    double distance = INFINITY, tolerance;
    if (!is_worth_it(d, variation)) return false;
    if (!diagnosis_recompute(d, d->row->name, variation, false, &candidate)) return false;
    bool fits = candidate.count == d->wrong.count;
    if (fits) {
        tolerance = diagnosis_tolerance(d, candidate.items);
        fits = explains(d, candidate.items, tolerance, &distance);
        /* Near, but further than the right computation's rounding: the faulty one's own rounding decides. */
        if (!fits && distance > tolerance && distance * 8 * EXPLAINED < d->error_rms &&
            diagnosis_recompute(d, d->row->name, variation, true, &rounded)) {
            double own = values_distance(rounded.items, candidate.items, candidate.count);
            fits = explains(d, candidate.items, d->options->rounding * own, &distance);
            values_free(&rounded);
        }
    }
    values_free(&candidate);
    if (!fits) return false;
    va_list arguments;
    va_start(arguments, format);
    keep(d, distance, format, arguments);
    va_end(arguments);
    return true;
}

/* --- One row ------------------------------------------------------------------------------ */

static int compare_fits(const void *a, const void *b)
{
    double x = ((const struct fit *)a)->distance, y = ((const struct fit *)b)->distance;
    return (x > y) - (x < y);
}

/* The far-fetched ones last. */
static int compare_tied(const void *a, const void *b)
{
    int x = ((const struct fit *)a)->far_fetched, y = ((const struct fit *)b)->far_fetched;
    return x != y ? x - y : compare_fits(a, b);
}

/* The fits that are equally good, as one text: "a; or b"; NULL where memory is out. */
static char *tell(struct diagnosis *d)
{
    qsort(d->fits, d->fit_count, sizeof *d->fits, compare_fits);
    double limit = fmax(d->fits[0].distance, d->floor) * TIED;
    size_t told = 1, length = strlen(d->fits[0].text) + 1;
    while (told < d->fit_count && d->fits[told].distance <= limit)
        length += strlen(d->fits[told++].text) + strlen("; or ");
    qsort(d->fits, told, sizeof *d->fits, compare_tied);
    char *text = malloc(length), *end = text;
    if (!text) {
        d->status = error_memory(d->error, length);
        return NULL;
    }
    for (size_t i = 0; i < told; i++)
        end += snprintf(end, length - (size_t)(end - text), "%s%s", i > 0 ? "; or " : "", d->fits[i].text);
    return text;
}

static void try_all(struct diagnosis *d)
{
    void (*const tables[])(struct diagnosis *) = {suspects_stages, suspects_values, suspects_call,
        suspects_corner, suspects_layers, suspects_small_scales, suspects_none};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (d->status == STATUS_OK && d->fit_count == 0) tables[i](d);
}

/* A row of another shape was not judged: its floor is not known yet. */
static void find_floor(struct diagnosis *d)
{
    struct values ours;
    if (d->row->verdict != VERIFY_SHAPE || !diagnosis_recompute(d, d->row->name, NULL, true, &ours)) return;
    d->floor = values_distance(ours.items, d->exact.items, d->exact.count);
    values_free(&ours);
}

static enum status diagnose_row(struct diagnosis *d, struct verify_row *row)
{
    d->row = row;
    d->fit_count = 0;
    d->reach.count = 0;
    d->reach_is_known = false;
    d->floor = row->floor.rms;
    if (!row->theirs || tensor_count(row->theirs) > MOST_ELEMENTS || tensor_count(row->theirs) == 0)
        return STATUS_OK;
    if (values_of(d, row->theirs, &d->wrong) && diagnosis_recompute(d, row->name, NULL, false, &d->exact)) {
        bool same = d->wrong.count == d->exact.count;
        d->error_rms = same ? values_distance(d->wrong.items, d->exact.items, d->wrong.count) : INFINITY;
        find_floor(d);
        try_all(d);
        if (d->status == STATUS_OK && d->fit_count > 0) row->diagnosis = tell(d);
    }
    values_free(&d->wrong);
    values_free(&d->exact);
    return d->status;
}

static bool is_wrong(const struct verify_row *row)
{
    return row->verdict == VERIFY_WRONG || row->verdict == VERIFY_NONFINITE || row->verdict == VERIFY_SHAPE ||
           row->verdict == VERIFY_SUSPECT;
}

/* The first wrong row of a stage, or where none is wrong the first suspect one; NULL. */
static struct verify_row *first_of(struct verification *verification, enum verify_stage stage)
{
    struct verify_row *first = NULL;
    for (size_t i = 0; i < verification->count; i++) {
        struct verify_row *row = &verification->rows[i];
        if (row->stage != stage || !is_wrong(row)) continue;
        if (row->verdict != VERIFY_SUSPECT) return row;
        if (!first) first = row;
    }
    return first;
}

enum status verify_diagnose(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, struct verification *verification,
    struct error *error)
{
    struct diagnosis *d = calloc(1, sizeof *d);
    if (!d) return error_memory(error, sizeof *d);
    *d = (struct diagnosis){.pipeline = pipeline,
        .recipe = recipe,
        .theirs = theirs,
        .options = options,
        .verification = verification,
        .error = error};
    for (int stage = 0; stage < VERIFY_STAGES && d->status == STATUS_OK; stage++) {
        struct verify_row *row = first_of(verification, (enum verify_stage)stage);
        if (row) diagnose_row(d, row);
    }
    enum status status = d->status;
    layer_visits_free(&d->reach);
    layer_names_free(d->names);
    free(d);
    return status;
}
