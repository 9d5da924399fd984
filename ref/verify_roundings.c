#include "verify_roundings.h"

#include "splitmix.h"

#include "kernels/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMPLEMENTATIONS = 6 };

/* In floors. What is further away is not judged again: half precision that is taken for single begins
 * there. */
#define NO_CHANCE 4096

/* --- Another rounding --------------------------------------------------------------------- */

/* x as it would be with another rounding error, `r` in -1 .. 1 of the largest. */
static float rounded_otherwise(enum number_format format, float x, double r)
{
    /* What is no number of the format was computed in an upcast. */
    const bool is_stored = format != FORMAT_F32 && number_format_round(format, x) == x;
    const enum number_format stored = is_stored ? format : FORMAT_F32;
    const float moved = (float)((double)x * (1 + number_format_limits[stored].unit_roundoff * r));
    return is_stored ? number_format_round(format, moved) : moved;
}

void verify_round_otherwise(
    struct roundings *roundings, enum number_format format, const struct tensor *result)
{
    enum { SMALL = 16384 };
    float *values = result->data;
    const size_t n = tensor_count(result);
    const uint64_t key = splitmix_finalise(roundings->key + ++roundings->results * SPLITMIX_STEP);
    if (result->dtype != DTYPE_F32) return;
    if (format == FORMAT_TF32) format = FORMAT_F32; /* which rounds operands, not results */
#pragma omp parallel for num_threads(kernels_threads()) if (n > SMALL)
    for (size_t i = 0; i < n; i++) {
        const uint64_t word = splitmix_finalise(key + (i + 1) * SPLITMIX_STEP);
        values[i] = rounded_otherwise(format, values[i], (double)(int64_t)word * 0x1p-63);
    }
}

void verify_note_rounding(
    struct roundings *roundings, size_t row, const struct tensor *value, const struct tensor *ours)
{
    const struct difference difference = tensor_difference(value, ours);
    roundings->squares[row] += difference.rms * difference.rms;
    roundings->largest[row] = fmax(roundings->largest[row], difference.max_abs);
}

/* --- Judging once more -------------------------------------------------------------------- */

static const char explanation[] = "within rounding: a few of its elements hang on their inputs so much that "
                                  "other roundings of the same operations move them as far";

/* Whether a value is a model's, whose operators round. */
static bool is_of_model(const struct verify_place *place)
{
    return place->stage == VERIFY_TEXT_ENCODER || place->stage == VERIFY_CONDITIONING ||
           place->stage == VERIFY_UNET || place->stage == VERIFY_DECODER;
}

/* Leaves the targets that are judged again; returns how many. */
static size_t choose_targets(struct verify_pass *pass)
{
    size_t count = 0;
    for (size_t i = 0; i < pass->values->count; i++) {
        struct verify_value *value = &pass->values->items[i];
        const struct verify_row *row = &pass->verification->rows[value->row];
        value->is_target = value->is_target && is_of_model(&value->place) &&
                           (row->verdict == VERIFY_SUSPECT || row->verdict == VERIFY_WRONG) &&
                           row->multiple <= NO_CHANCE;
        count += value->is_target;
    }
    return count;
}

/* The verdicts by the larger floors, where they are rounding. */
static enum status choose_verdicts(struct verify_pass *pass, struct error *error)
{
    const struct roundings *roundings = pass->roundings;
    for (size_t i = 0; i < pass->values->count; i++) {
        const struct verify_value *value = &pass->values->items[i];
        struct verify_row *row = &pass->verification->rows[value->row];
        if (!value->is_target) continue;
        const double rms =
            fmax(row->floor.rms, sqrt(roundings->squares[value->row] / (double)roundings->count));
        const double max_abs = fmax(row->floor.max_abs, roundings->largest[value->row]);
        const double multiple = fmax(row->error.rms / rms, row->error.max_abs / max_abs);
        if (!(multiple <= pass->options->rounding)) continue;
        row->floor.rms = rms;
        row->floor.max_abs = max_abs;
        if (row->floor.peak > 0) row->floor.max_rel_peak = max_abs / row->floor.peak;
        row->multiple = multiple;
        row->verdict = VERIFY_ROUNDING;
        free(row->diagnosis);
        row->diagnosis = strdup(explanation);
        if (!row->diagnosis) return error_memory(error, sizeof explanation);
    }
    return STATUS_OK;
}

static enum status judge_again(struct verify_pass *pass, struct error *error)
{
    const size_t rows = pass->verification->count;
    struct verify_needs needs = {0}, *needs_before = pass->needs;
    struct roundings roundings = {
        .squares = calloc(rows, sizeof(double)), .largest = calloc(rows, sizeof(double))};
    enum status status = roundings.squares && roundings.largest
                             ? verify_needs_find(pass->values, &needs, error)
                             : error_memory(error, rows * sizeof(double));
    pass->needs = &needs;
    pass->roundings = &roundings;
    /* Ours once more: a second look at the sinusoids may have left others. */
    if (status == STATUS_OK) status = verify_pass_run(pass, VERIFY_PASS_OURS, false, NULL, error);
    while (status == STATUS_OK && roundings.count < IMPLEMENTATIONS) {
        roundings.key = splitmix_finalise(++roundings.count);
        roundings.results = 0;
        status = verify_pass_run(pass, VERIFY_PASS_ROUNDINGS, false, NULL, error);
    }
    if (status == STATUS_OK) status = choose_verdicts(pass, error);
    pass->needs = needs_before;
    pass->roundings = NULL;
    verify_needs_free(&needs);
    free(roundings.squares);
    free(roundings.largest);
    return status;
}

enum status verify_judge_roundings(struct verify_pass *pass, struct error *error)
{
    enum status status = choose_targets(pass) > 0 ? judge_again(pass, error) : STATUS_OK;
    for (size_t i = 0; i < pass->values->count; i++) /* as they were */
        pass->values->items[i].is_target = pass->values->items[i].theirs != NULL;
    return status;
}
