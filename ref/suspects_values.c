/*
 * What the numbers alone show: ours in another order or layout, another tensor under this name, ours times a
 * constant, nothing but zeros, ours as a narrower format stores it. No model is run but to see the other
 * values of the tensor's own stage.
 */
#include "suspects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Order -------------------------------------------------------------------------------- */

/* y[.. i_p[0], i_p[1] ..] = x[i_0, i_1, ..]: x with its axes in the order `axes` */
static void permute(const struct values *x, const int *axes, double *y)
{
    size_t strides[TENSOR_MAX_RANK] = {0};
    size_t stride = 1;
    for (int k = x->rank - 1; k >= 0; k--) strides[k] = stride, stride *= (size_t)x->shape[k];
    int64_t at[TENSOR_MAX_RANK] = {0};
    for (size_t i = 0; i < x->count; i++) {
        size_t from = 0;
        for (int k = 0; k < x->rank; k++) from += strides[axes[k]] * (size_t)at[k];
        y[i] = x->items[from];
        for (int k = x->rank - 1; k >= 0 && ++at[k] == x->shape[axes[k]]; k--) at[k] = 0;
    }
}

/* What an order of axes is called. */
static const char *name_of_axes(int rank, const int *axes, char *buffer, size_t size)
{
    static const struct {
        int rank, axes[4];
        const char *name;
    } known[] = {
        {4, {0, 2, 3, 1}, "channels last: NHWC where NCHW is expected"},
        {4, {0, 3, 1, 2}, "channels moved to the front twice: NHWC was taken for NCHW"},
        {4, {0, 1, 3, 2}, "height and width exchanged"},
        {4, {1, 0, 2, 3}, "pictures and channels exchanged"},
        {3, {0, 2, 1}, "tokens and features exchanged"},
        {3, {1, 0, 2}, "the sequence first: tokens before prompts"},
        {2, {1, 0}, "rows and columns exchanged"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].rank == rank && memcmp(known[i].axes, axes, (size_t)rank * sizeof *axes) == 0)
            return known[i].name;
    int length = snprintf(buffer, size, "axes in the order (");
    for (int k = 0; k < rank; k++)
        length += snprintf(buffer + length, size - (size_t)length, "%s%d", k ? ", " : "", axes[k]);
    snprintf(buffer + length, size - (size_t)length, ")");
    return buffer;
}

static bool next_permutation(int *axes, int rank)
{
    int i = rank - 2;
    while (i >= 0 && axes[i] > axes[i + 1]) i--;
    if (i < 0) return false;
    int j = rank - 1;
    while (axes[j] < axes[i]) j--;
    int held = axes[i];
    axes[i] = axes[j], axes[j] = held;
    for (int a = i + 1, b = rank - 1; a < b; a++, b--) held = axes[a], axes[a] = axes[b], axes[b] = held;
    return true;
}

/* Our numbers in another order of the axes, whatever shape is written over them. */
static void try_layouts(struct diagnosis *d, double *room)
{
    int axes[TENSOR_MAX_RANK] = {0, 1, 2, 3};
    char buffer[64];
    if (d->exact.count != d->wrong.count || d->exact.rank < 1 || d->exact.rank > 4) return;
    bool same_shape = d->exact.rank == d->wrong.rank &&
                      memcmp(d->exact.shape, d->wrong.shape, (size_t)d->exact.rank * sizeof(int64_t)) == 0;
    if (!same_shape && d->error_rms <= diagnosis_tolerance(d, d->exact.items))
        suspect_found(d, d->error_rms, "has our numbers under another shape");
    while (d->fit_count == 0 && next_permutation(axes, d->exact.rank)) {
        permute(&d->exact, axes, room);
        suspect_values(d, room, d->exact.count, "is ours in another layout: %s",
            name_of_axes(d->exact.rank, axes, buffer, sizeof buffer));
    }
}

/* x with axis `axis` moved on by `shift` places, what comes in at the end being what went out, or zero; or
 * turned round. */
enum motion { MOTION_ROLL, MOTION_SHIFT, MOTION_REVERSE };
static void move_axis(const struct values *x, int axis, enum motion motion, int64_t shift, double *y)
{
    size_t inner = 1, outer = 1;
    int64_t side = x->shape[axis];
    for (int k = 0; k < axis; k++) outer *= (size_t)x->shape[k];
    for (int k = axis + 1; k < x->rank; k++) inner *= (size_t)x->shape[k];
    for (size_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < side; i++) {
            int64_t from = motion == MOTION_REVERSE ? side - 1 - i : i - shift;
            bool inside = from >= 0 && from < side;
            if (!inside && motion == MOTION_ROLL) from = (from + side) % side, inside = true;
            double *to = y + (o * (size_t)side + (size_t)i) * inner;
            const double *source = x->items + (o * (size_t)side + (size_t)(inside ? from : 0)) * inner;
            for (size_t k = 0; k < inner; k++) to[k] = inside ? source[k] : 0;
        }
}

static void try_motions(struct diagnosis *d, double *room)
{
    static const char *const picture[] = {"pictures", "channels", "rows", "columns"};
    static const char *const tokens[] = {"prompts", "tokens", "features"};
    const struct values *x = &d->exact;
    if (x->count != d->wrong.count) return;
    for (int axis = 0; axis < x->rank && axis < 4; axis++) {
        const char *name = x->rank == 4 ? picture[axis] : x->rank == 3 ? tokens[axis] : "elements";
        int64_t side = x->shape[axis];
        if (side < 2) continue;
        if (axis == 0 && side % 2 == 0) {
            move_axis(x, axis, MOTION_ROLL, side / 2, room);
            if (suspect_values(
                    d, room, x->count, "has the two halves of ours along the first axis exchanged"))
                continue;
        }
        move_axis(x, axis, MOTION_REVERSE, 0, room);
        suspect_values(d, room, x->count, "has the %s of ours in the reverse order%s", name,
            x->rank == 4 && side == 3 ? ": BGR for RGB" : "");
        for (int shift = -1; shift <= 1; shift += 2)
            for (int motion = MOTION_ROLL; motion <= MOTION_SHIFT; motion++) {
                move_axis(x, axis, (enum motion)motion, shift, room);
                suspect_values(d, room, x->count, "is ours with the %s one place further %s%s", name,
                    shift > 0 ? "back" : "in front",
                    motion == MOTION_ROLL ? ", round the end" : ", zeros moving in");
            }
    }
}

/* They recorded several of ours in one: both halves of guidance, or all pictures of a batch. */
static void try_parts(struct diagnosis *d)
{
    size_t part = d->exact.count;
    if (part == 0 || d->wrong.count <= part || d->wrong.count % part != 0) return;
    size_t parts = d->wrong.count / part;
    for (size_t i = 0; i < parts; i++) {
        double distance = values_distance(d->wrong.items + i * part, d->exact.items, part);
        if (distance <= diagnosis_tolerance(d, d->exact.items))
            suspect_found(d, distance, "holds ours as part %zu of %zu along the first axis", i + 1, parts);
    }
}

/* --- Other tensors ------------------------------------------------------------------------ */

/* What they recorded for something that comes before this in the pipeline. */
static void try_recorded(struct diagnosis *d, double *room)
{
    for (const struct verify_row *row = d->verification->rows; row < d->row; row++) {
        if (!row->theirs || !dtype_is_float(row->theirs->dtype) ||
            tensor_count(row->theirs) != d->wrong.count)
            continue;
        for (size_t i = 0; i < d->wrong.count; i++) room[i] = tensor_get_double(row->theirs, i);
        suspect_values(d, room, d->wrong.count, "equals what you recorded as %s", row->name);
    }
}

/* An observer that holds each value of the stage against theirs. */
struct search {
    struct diagnosis *d;
    double *room;
};

static enum status see_other(void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct search *search = context;
    struct diagnosis *d = search->d;
    (void)error;
    if (tensor_count(value) != d->wrong.count || !dtype_is_float(value->dtype) ||
        strcmp(name, d->row->name) == 0)
        return STATUS_OK;
    for (size_t i = 0; i < d->wrong.count; i++) search->room[i] = tensor_get_double(value, i);
    suspect_values(d, search->room, d->wrong.count, "equals ours of %s", name);
    return STATUS_OK;
}

/* The values that our own run shows on the way to this one. */
static void try_siblings(struct diagnosis *d, double *room)
{
    struct search search = {d, room};
    struct observer observer = {.context = &search, .see = see_other};
    struct variation watched = {.observer = &observer};
    struct values unused = {0};
    if (diagnosis_recompute(d, d->row->name, &watched, false, &unused)) values_free(&unused);
}

/* The same tensor of the neighbouring steps, and the other half of guidance, each from its own inputs. */
static void try_neighbours(struct diagnosis *d)
{
    struct values other;
    char name[64];
    int step = d->row->step;
    if (step < 0) return;
    const char *what = strchr(d->row->name + strlen("step."), '.');
    if (!what) return;
    what++;
    bool uncond = strcmp(what, "noise_pred_uncond") == 0, text = strcmp(what, "noise_pred_text") == 0;
    if (uncond || text) {
        const char *half = uncond ? "noise_pred_text" : "noise_pred_uncond";
        if (diagnosis_recompute(d, step_name(name, step, half), NULL, false, &other)) {
            suspect_values(d, other.items, other.count,
                "equals ours of %s: the two halves of guidance are exchanged", name);
            values_free(&other);
        }
    }
    for (int near = step > 0 ? step - 1 : 0; near <= step + 1; near++) {
        if (near == step || !diagnosis_recompute(d, step_name(name, near, what), NULL, false, &other))
            continue;
        suspect_values(d, other.items, other.count, "equals ours of %s%s", name,
            strcmp(what, "noise") != 0 ? ""
            : near > step              ? ": a draw too many before it"
                                       : ": a draw too few before it");
        values_free(&other);
    }
}

/* --- One number for all ------------------------------------------------------------------- */

/* Least squares: theirs = scale * ours + bias over what is finite. */
static void fit_line(const struct diagnosis *d, bool with_bias, double *scale, double *bias)
{
    const double *x = d->exact.items, *y = d->wrong.items;
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < d->exact.count; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) continue;
        n += 1, sx += x[i], sy += y[i], sxx += x[i] * x[i], sxy += x[i] * y[i];
    }
    double spread = with_bias ? n * sxx - sx * sx : sxx;
    *scale = spread == 0 ? 1 : (with_bias ? n * sxy - sx * sy : sxy) / spread;
    *bias = with_bias && n > 0 ? (sy - *scale * sx) / n : 0;
}

/* A number of the run that a tensor may have been multiplied or divided by in error. */
struct constant {
    double value;
    const char *name;
};

static const char *name_of_scale(const struct diagnosis *d, double scale, char *buffer, size_t size)
{
    const double guidance = d->recipe->has_guidance_scale ? d->recipe->guidance_scale
                            : d->pipeline->is_xl          ? 5.0
                                                          : 7.5;
    const struct constant known[] = {
        {0.18215, "the scaling_factor of SD 1 and 2"},
        {0.13025, "the scaling_factor of SDXL"},
        {guidance, "the guidance_scale"},
        {255, "255"},
        {127.5, "127.5"},
        {sqrt(2), "the square root of 2"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool times = fabs(scale / known[i].value - 1) < 1e-5, over = fabs(scale * known[i].value - 1) < 1e-5;
        if (times || over) {
            snprintf(buffer, size, ", which is %s%s", over ? "1 over " : "", known[i].name);
            return buffer;
        }
    }
    return fabs(scale + 1) < 1e-6 ? ": the sign is the other one" : "";
}

/* A norm's epsilon or an activation may change what comes out of it by nearly one factor: so little is a
 * scale only where no layer explains it. */
#define PLAIN_SCALE 1e-3

static bool try_scale(struct diagnosis *d, double least, double *room)
{
    double scale, bias;
    char name[96];
    size_t n = d->exact.count;
    fit_line(d, false, &scale, &bias);
    if (fabs(scale - 1) <= least) return false;
    for (size_t i = 0; i < n; i++) room[i] = scale * d->exact.items[i];
    return suspect_values(
        d, room, n, "is ours times %.7g%s", scale, name_of_scale(d, scale, name, sizeof name));
}

static bool try_bias(struct diagnosis *d, double *room)
{
    double sum = 0;
    size_t n = d->exact.count;
    for (size_t i = 0; i < n; i++) sum += d->wrong.items[i] - d->exact.items[i];
    for (size_t i = 0; i < n; i++) room[i] = d->exact.items[i] + sum / (double)n;
    return suspect_values(d, room, n, "is ours with the constant bias %.6g", sum / (double)n);
}

static bool try_line(struct diagnosis *d, double least, double *room)
{
    double scale, bias;
    size_t n = d->exact.count;
    fit_line(d, true, &scale, &bias);
    if (fabs(scale - 1) <= least) return false;
    for (size_t i = 0; i < n; i++) room[i] = scale * d->exact.items[i] + bias;
    bool halved = fabs(scale - 0.5) < 1e-5 && fabs(bias - 0.5) < 1e-5;
    return suspect_values(d, room, n, "is ours times %.7g plus %.6g%s", scale, bias,
        halved ? ": 0..1 where -1..1 is expected" : "");
}

/* Too few elements lie on a line by accident. */
static bool has_line(const struct diagnosis *d)
{
    return d->exact.count == d->wrong.count && d->exact.count >= 8;
}

void suspects_small_scales(struct diagnosis *d)
{
    if (!has_line(d)) return;
    double *room = malloc((d->exact.count + 1) * sizeof *room);
    if (!room)
        d->status = error_memory(d->error, d->exact.count * sizeof *room);
    else if (!try_scale(d, 0, room) && !try_bias(d, room))
        try_line(d, 0, room);
    free(room);
}

static void try_constants(struct diagnosis *d)
{
    double first = d->wrong.items[0];
    for (size_t i = 1; i < d->wrong.count; i++)
        if (!(d->wrong.items[i] == first)) return;
    if (d->wrong.count > 1 && isfinite(first))
        suspect_found(d, 0, first == 0 ? "is nothing but zeros" : "is %g everywhere", first);
}

/* --- Narrow formats ----------------------------------------------------------------------- */

static void try_storage(struct diagnosis *d, double *room)
{
    size_t n = d->wrong.count;
    if (n != d->exact.count || !dtype_is_float(d->row->theirs->dtype)) return;
    for (int format = FORMAT_F16; format <= FORMAT_BF16; format++) {
        bool representable = true;
        for (size_t i = 0; i < n && representable; i++)
            representable =
                !isfinite(d->wrong.items[i]) || (double)number_format_round((enum number_format)format,
                                                    (float)d->wrong.items[i]) == d->wrong.items[i];
        if (!representable) continue;
        for (size_t i = 0; i < n; i++)
            room[i] = (double)number_format_round((enum number_format)format, (float)d->exact.items[i]);
        double distance = values_distance(d->wrong.items, room, n);
        if (distance * 3 <= d->error_rms)
            suspect_found(d, distance, "is ours as %s stores it: every number is one of %s",
                number_format_names[format], number_format_names[format]);
    }
}

/* Beyond the largest of f16: infinite there, or held at it. The rest is as it should be, so that no error is
 * left that a suspect could take away. */
static void try_overflow(struct diagnosis *d)
{
    static const double largest = 65504, beyond = 65520;
    size_t n = d->wrong.count, over = 0, held = 0, infinite = 0;
    double squares = 0;
    if (n != d->exact.count) return;
    for (size_t i = 0; i < n; i++) {
        double ours = d->exact.items[i], theirs = d->wrong.items[i];
        bool is_over = fabs(ours) > largest;
        over += is_over;
        held += is_over && fabs(theirs) == largest;
        infinite += fabs(ours) >= beyond && !isfinite(theirs);
        if (!is_over && !isfinite(theirs)) return;
        if (!is_over) squares += (theirs - ours) * (theirs - ours);
    }
    double distance = sqrt(squares / (double)n);
    if (over == 0 || distance > diagnosis_tolerance(d, d->exact.items)) return;
    if (held == over)
        suspect_found(d, distance, "is ours held at the largest number of f16, 65504, in %zu elements", over);
    else if (held + infinite == over)
        suspect_found(d, distance,
            "overflows where ours is beyond the largest number of f16, 65504: %zu elements", over);
}

/* Not finite, where all of ours is: the largest of ours, everything, or here and there. */
static void try_nonfinite(struct diagnosis *d)
{
    size_t n = d->wrong.count, nonfinite = 0, infinite = 0;
    double least_lost = INFINITY, most_kept = 0;
    if (n != d->exact.count) return;
    for (size_t i = 0; i < n; i++) {
        double ours = fabs(d->exact.items[i]);
        if (!isfinite(ours)) return;
        infinite += isinf(d->wrong.items[i]) != 0;
        nonfinite += isfinite(d->wrong.items[i]) == 0;
        if (isfinite(d->wrong.items[i]))
            most_kept = fmax(most_kept, ours);
        else
            least_lost = fmin(least_lost, ours);
    }
    if (infinite > 0 && infinite == nonfinite && least_lost >= 0.99 * most_kept)
        suspect_found(d, 0,
            "overflows where ours is largest, from %.4g on (%zu of %zu elements): as beyond 65504, "
            "the largest number of f16, inside",
            least_lost, nonfinite, n);
    else if (nonfinite * 2 > n)
        suspect_found(d, 0,
            "is not a number in %zu of %zu elements, on finite inputs: an overflow inside, as "
            "beyond 65504, the largest number of f16 (plumb run --range shows where)",
            nonfinite, n);
}

static bool all_finite(const struct values *x)
{
    for (size_t i = 0; i < x->count; i++)
        if (!isfinite(x->items[i])) return false;
    return true;
}

/* A downsampler of odd sides gives one row and column less where it pads the end of each axis alone, or not
 * at all: a 3x3 convolution of stride 2 makes (n + 1) / 2 of n with a border all round, n / 2 with half of
 * it. */
static void try_sides(struct diagnosis *d)
{
    const struct values *theirs = &d->wrong, *ours = &d->exact;
    if (!strstr(d->row->name, ".downsamplers.") || theirs->rank != 4 || ours->rank != 4) return;
    bool shorter = false;
    for (int k = 0; k < 4; k++) {
        const int64_t less = ours->shape[k] - theirs->shape[k];
        if (less < 0 || less > (k < 2 ? 0 : 1)) return;
        shorter = shorter || less == 1;
    }
    if (shorter)
        suspect_found(d, 0, "has the sides of padding (0, 1, 0, 1), or of none, where it is 1 on all sides");
}

void suspects_values(struct diagnosis *d)
{
    size_t most = d->wrong.count > d->exact.count ? d->wrong.count : d->exact.count;
    double *room = malloc((most + 1) * sizeof *room);
    if (!room) {
        d->status = error_memory(d->error, most * sizeof *room);
        return;
    }
    try_sides(d);
    if (d->fit_count == 0) try_overflow(d);
    if (d->fit_count == 0 && !all_finite(&d->wrong)) suspects_call(d); /* zero terminal SNR divides by zero */
    if (d->fit_count == 0) try_nonfinite(d);
    if (d->fit_count == 0) try_constants(d);
    if (d->fit_count == 0) try_parts(d);
    if (d->fit_count == 0) try_layouts(d, room);
    if (d->fit_count == 0) try_motions(d, room);
    if (d->fit_count == 0) try_recorded(d, room);
    if (d->fit_count == 0) try_neighbours(d);
    if (d->fit_count == 0) try_siblings(d, room);
    if (d->fit_count == 0) try_storage(d, room);
    if (d->fit_count == 0 && has_line(d) && !try_scale(d, PLAIN_SCALE, room)) try_line(d, PLAIN_SCALE, room);
    free(room);
}
