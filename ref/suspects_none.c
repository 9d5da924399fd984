/*
 * Where no known fault gives what they recorded: what can be said all the same. In which precision it may be
 * computed, where in the tensor the error lies, which parts of a step are not weighed as ours are.
 */
#include "suspects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Precision ---------------------------------------------------------------------------- */

/* Whether the error is what a computation in a narrower format has. */
static void try_formats(struct diagnosis *d)
{
    static const enum number_format formats[] = {FORMAT_TF32, FORMAT_F16, FORMAT_BF16};
    const struct verify_options *own = d->options;
    if (own->their_format != FORMAT_F32 || !dtype_is_float(d->row->theirs->dtype)) return;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && d->fit_count == 0; i++) {
        struct verify_options options = *own;
        struct values rounded;
        options.their_format = formats[i];
        d->options = &options;
        bool found = diagnosis_recompute(d, d->row->name, NULL, true, &rounded);
        d->options = own;
        if (!found) continue;
        double floor = values_distance(rounded.items, d->exact.items, d->exact.count);
        if (d->error_rms <= own->rounding * floor && d->error_rms * own->rounding >= floor)
            suspect_found(d, d->error_rms,
                "is as far from the exact answer as a computation in %s: try "
                "--their-dtype %s",
                number_format_names[formats[i]], number_format_names[formats[i]]);
        values_free(&rounded);
    }
}

/* --- Place -------------------------------------------------------------------------------- */

/* Which part of a tensor is wrong: along each axis from `first` to `last`. */
struct box {
    int64_t first[TENSOR_MAX_RANK], last[TENSOR_MAX_RANK];
    size_t wrong;     /* elements */
    size_t nonfinite; /* of them */
};

static struct box find_box(const struct diagnosis *d, double limit)
{
    const struct values *x = &d->exact;
    struct box box = {.wrong = 0};
    int64_t at[TENSOR_MAX_RANK] = {0};
    for (size_t i = 0; i < x->count; i++) {
        if (!(fabs(d->wrong.items[i] - x->items[i]) <= limit)) {
            for (int k = 0; k < x->rank; k++) {
                if (box.wrong == 0 || at[k] < box.first[k]) box.first[k] = at[k];
                if (box.wrong == 0 || at[k] > box.last[k]) box.last[k] = at[k];
            }
            box.wrong++;
            box.nonfinite += isfinite(d->wrong.items[i]) == 0;
        }
        for (int k = x->rank - 1; k >= 0 && ++at[k] == x->shape[k]; k--) at[k] = 0;
    }
    return box;
}

/* "[0, 2, 0:4, :]": as NumPy slices it */
static void show_box(const struct values *x, const struct box *box, char *buffer, size_t size)
{
    int length = snprintf(buffer, size, "[");
    for (int k = 0; k < x->rank; k++) {
        const char *comma = k > 0 ? ", " : "";
        size_t left = size - (size_t)length;
        if (box->first[k] == 0 && box->last[k] == x->shape[k] - 1 && x->shape[k] > 1)
            length += snprintf(buffer + length, left, "%s:", comma);
        else if (box->first[k] == box->last[k])
            length += snprintf(buffer + length, left, "%s%lld", comma, (long long)box->first[k]);
        else
            length += snprintf(buffer + length, left, "%s%lld:%lld", comma, (long long)box->first[k],
                (long long)box->last[k] + 1);
    }
    snprintf(buffer + length, size - (size_t)length, "]");
}

/* Whether all that is wrong lies at the border of pictures [B, C, H, W]. */
static bool only_border(const struct diagnosis *d, double limit)
{
    const struct values *x = &d->exact;
    if (x->rank != 4 || x->shape[2] < 5 || x->shape[3] < 5) return false;
    for (size_t i = 0; i < x->count; i++) {
        int64_t column = (int64_t)i % x->shape[3], row = (int64_t)i / x->shape[3] % x->shape[2];
        bool border = row == 0 || column == 0 || row == x->shape[2] - 1 || column == x->shape[3] - 1;
        if (!border && !(fabs(d->wrong.items[i] - x->items[i]) <= limit)) return false;
    }
    return true;
}

/* Whether all elements that are within `limit` are so by far, and the others are not near it: a small error
 * of all elements leaves a few beyond any limit. */
static bool is_patch(const struct diagnosis *d, double limit)
{
    double squares = 0;
    for (size_t i = 0; i < d->exact.count; i++) {
        double error = fabs(d->wrong.items[i] - d->exact.items[i]);
        if (error <= limit) squares += error * error;
    }
    double rest = sqrt(squares / (double)d->exact.count);
    bool apart = d->error_rms > limit || !values_finite_alike(d->wrong.items, d->exact.items, d->exact.count);
    return apart && rest <= d->options->rounding * d->floor;
}

/* Says where the wrong elements lie, where a box of at most 1 / `share` of all holds them; for 1, whatever
 * part of the tensor it is. */
static void try_place(struct diagnosis *d, size_t share)
{
    /* What rounding may do to a single element: eight times a root mean square is next to impossible. */
    double limit = 8 * diagnosis_tolerance(d, d->exact.items);
    char where[160];
    struct box box = find_box(d, limit);
    if (box.wrong == 0 || box.wrong * 2 > d->exact.count) return;
    size_t inside = 1;
    for (int k = 0; k < d->exact.rank; k++) inside *= (size_t)(box.last[k] - box.first[k] + 1);
    if (share > 1 && (inside * share > d->exact.count || !is_patch(d, limit))) return;
    show_box(&d->exact, &box, where, sizeof where);
    const char *what = box.nonfinite == box.wrong ? ", not a number," : "";
    if (inside * 2 <= d->exact.count)
        suspect_found(d, d->error_rms, "is right but for %zu element%s%s in %s", box.wrong,
            box.wrong == 1 ? "" : "s", what, where);
    else if (only_border(d, limit))
        suspect_found(d, d->error_rms, "is right but at the border, in %zu elements: padding", box.wrong);
    else
        suspect_found(d, d->error_rms, "is right but for %zu of %zu elements", box.wrong, d->exact.count);
}

void suspects_corner(struct diagnosis *d)
{
    if (d->wrong.count == d->exact.count && dtype_is_float(d->row->theirs->dtype)) try_place(d, 4);
}

/* A constant for each channel: a bias that is missing, or there twice. */
static void try_channels(struct diagnosis *d)
{
    const struct values *x = &d->exact;
    if (x->rank < 3) return;
    size_t inner = 1, channels;
    int axis = x->rank == 4 ? 1 : x->rank - 1;
    for (int k = axis + 1; k < x->rank; k++) inner *= (size_t)x->shape[k];
    channels = (size_t)x->shape[axis];
    double per_channel = (double)x->count / (double)channels;
    double *candidate = malloc((x->count + 1) * sizeof *candidate);
    double *shift = calloc(channels, sizeof *shift);
    if (!candidate || !shift) d->status = error_memory(d->error, x->count * sizeof *candidate);
    for (size_t i = 0; d->status == STATUS_OK && i < x->count; i++)
        shift[i / inner % channels] += (d->wrong.items[i] - x->items[i]) / per_channel;
    for (size_t i = 0; d->status == STATUS_OK && i < x->count; i++)
        candidate[i] = x->items[i] + shift[i / inner % channels];
    if (d->status == STATUS_OK && per_channel >= 4)
        suspect_values(d, candidate, x->count, "is ours with a constant added to each %s: a bias",
            x->rank == 4 ? "channel" : "feature");
    free(shift);
    free(candidate);
}

/* --- A step's parts ----------------------------------------------------------------------- */

#define MOST_PARTS 6

/* Solves the symmetric system m x = v of n unknowns by elimination; false where it has no one solution. */
static bool solve(int n, double m[MOST_PARTS][MOST_PARTS], double v[MOST_PARTS], double x[MOST_PARTS])
{
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(m[i][k]) > fabs(m[pivot][k])) pivot = i;
        if (fabs(m[pivot][k]) < 1e-12) return false;
        for (int j = 0; j < n; j++) {
            double held = m[k][j];
            m[k][j] = m[pivot][j], m[pivot][j] = held;
        }
        double held = v[k];
        v[k] = v[pivot], v[pivot] = held;
        for (int i = k + 1; i < n; i++) {
            double factor = m[i][k] / m[k][k];
            for (int j = k; j < n; j++) m[i][j] -= factor * m[k][j];
            v[i] -= factor * v[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        x[k] = v[k];
        for (int j = k + 1; j < n; j++) x[k] -= m[k][j] * x[j];
        x[k] /= m[k][k];
    }
    return true;
}

struct parts {
    struct values values[MOST_PARTS];
    const char *names[MOST_PARTS];
    int count;
};

/* Least squares: the weights with which the parts make `target`; the root mean square of what is left. */
static double weigh(const struct parts *parts, const double *target, size_t n, double weights[MOST_PARTS])
{
    double m[MOST_PARTS][MOST_PARTS], v[MOST_PARTS], squares = 0;
    for (int i = 0; i < parts->count; i++) {
        v[i] = 0;
        for (size_t k = 0; k < n; k++) v[i] += parts->values[i].items[k] * target[k];
        for (int j = 0; j < parts->count; j++) {
            m[i][j] = 0;
            for (size_t k = 0; k < n; k++) m[i][j] += parts->values[i].items[k] * parts->values[j].items[k];
        }
    }
    if (!solve(parts->count, m, v, weights)) return INFINITY;
    for (size_t k = 0; k < n; k++) {
        double rest = target[k];
        for (int i = 0; i < parts->count; i++) rest -= weights[i] * parts->values[i].items[k];
        squares += rest * rest;
    }
    return sqrt(squares / (double)n);
}

static void add_part(struct diagnosis *d, struct parts *parts, const char *tensor, const char *name)
{
    struct values values;
    if (parts->count == MOST_PARTS || !diagnosis_input(d, tensor, &values)) return;
    if (values.count == d->wrong.count && values_rms(values.items, values.count) > 0) {
        parts->values[parts->count] = values;
        parts->names[parts->count++] = name;
    } else {
        values_free(&values);
    }
}

/* A solver's step is a sum of the sample, the model's outputs so far and the noise: the weights that theirs
 * has, beside ours. */
static void try_weights(struct diagnosis *d)
{
    struct parts parts = {.count = 0};
    char name[64];
    int step = d->row->step;
    if (!name_matches(d->row->name, "step.*.latents")) return;
    add_part(d, &parts, step > 0 ? step_name(name, step - 1, "latents") : "latents.init", "the sample");
    add_part(d, &parts, step_name(name, step, "noise_pred"), "the model's output");
    if (tensor_set_find(d->theirs, step_name(name, step, "noise"))) add_part(d, &parts, name, "the noise");
    if (step > 0) {
        add_part(d, &parts, step_name(name, step - 1, "noise_pred"), "the output before");
        add_part(
            d, &parts, step > 1 ? step_name(name, step - 2, "latents") : "latents.init", "the sample before");
    }
    double theirs[MOST_PARTS], ours[MOST_PARTS];
    size_t n = d->wrong.count;
    double tolerance = diagnosis_tolerance(d, d->wrong.items);
    if (d->status == STATUS_OK && parts.count > 1 && weigh(&parts, d->wrong.items, n, theirs) <= tolerance &&
        weigh(&parts, d->exact.items, n, ours) <= tolerance) {
        char text[SUSPECT_TEXT];
        int length = 0;
        for (int i = 0; i < parts.count; i++) {
            if (fabs(theirs[i] - ours[i]) < 1e-5 * (fabs(ours[i]) + 1e-3)) continue;
            length += snprintf(text + length, sizeof text - (size_t)length, "%s%s %.6g times, not %.6g",
                length > 0 ? ", " : "", parts.names[i], theirs[i], ours[i]);
            if (length >= (int)sizeof text) length = (int)sizeof text - 1;
        }
        if (length > 0) suspect_found(d, d->error_rms, "takes %s", text);
    }
    for (int i = 0; i < parts.count; i++) values_free(&parts.values[i]);
}

/* --- What is left ------------------------------------------------------------------------- */

/* Integers: where they first differ. */
static void tell_first(struct diagnosis *d)
{
    for (size_t i = 0; i < d->wrong.count; i++) {
        if (d->wrong.items[i] == d->exact.items[i]) continue;
        suspect_found(d, d->error_rms,
            "no known fault; first differs at element %zu: %.10g, where %.10g is "
            "expected",
            i, d->wrong.items[i], d->exact.items[i]);
        return;
    }
}

static void tell_likeness(struct diagnosis *d)
{
    double cosine = d->row->error.cosine;
    double ratio = values_rms(d->wrong.items, d->wrong.count) / values_rms(d->exact.items, d->exact.count);
    const char *what = cosine > 0.999  ? "close to ours"
                       : cosine > 0.9  ? "like ours, with much besides"
                       : cosine > 0.3  ? "only partly like ours"
                       : cosine > -0.3 ? "unlike ours: other inputs, or another tensor"
                                       : "opposed to ours";
    suspect_found(
        d, d->error_rms, "no known fault; it is %s (cosine %.4f, %.4g times as large)", what, cosine, ratio);
}

void suspects_none(struct diagnosis *d)
{
    if (d->wrong.count != d->exact.count) return;
    if (!dtype_is_float(d->row->theirs->dtype)) {
        tell_first(d);
        return;
    }
    try_weights(d);
    if (d->fit_count == 0) try_place(d, 1);
    if (d->fit_count == 0) try_channels(d);
    if (d->fit_count == 0) try_formats(d);
    if (d->fit_count == 0 && d->status == STATUS_OK) tell_likeness(d);
}
