#include "verify.h"

#include "verify_diagnosis.h"
#include "verify_pass.h"
#include "verify_roundings.h"
#include "verify_sinusoid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct verify_options VERIFY_OPTIONS_DEFAULT = {
    .their_format = FORMAT_F32, .rounding = 4, .wrong = 8, .free_run = true, .diagnose = true};

/* --- Rows --------------------------------------------------------------------------------- */

/* A recorded tensor that this run does not have; its name is a pipeline's all the same. */
static char *why_not_there(const struct verify_values *values, const struct verify_place *place)
{
    char *text = NULL;
    int length;
    if (place->step >= (int)values->steps)
        length = asprintf(&text, "the schedule has %zu steps", values->steps);
    else if (place->negative || strcmp(place->key, "noise_pred_uncond") == 0)
        length = asprintf(&text, "the run has none: guidance is off, or zeros stand for the negative prompt");
    else
        length = asprintf(&text, "this checkpoint's run has no such tensor");
    return length < 0 ? NULL : text;
}

static char *show_shapes(const struct verify_value *value)
{
    char ours[160], theirs[160], *text = NULL;
    tensor_show_shape(&value->shape, ours, sizeof ours);
    tensor_show_shape(value->recorded, theirs, sizeof theirs);
    return asprintf(&text, "expected %s, got %s", ours, theirs) < 0 ? NULL : text;
}

static enum status make_rows(struct verify_values *values, const struct tensor_set *theirs,
    struct verification *v, struct error *error)
{
    const size_t most = tensor_set_count(theirs);
    v->rows = calloc(most + 1, sizeof *v->rows);
    if (!v->rows) return error_memory(error, most * sizeof *v->rows);
    for (size_t i = 0; i < values->count; i++) {
        struct verify_value *value = &values->items[i];
        if (!value->recorded) continue;
        value->row = v->count;
        struct verify_row *row = &v->rows[v->count++];
        row->stage = value->place.stage;
        row->step = value->place.step;
        row->theirs = value->recorded;
        row->name = value->name; /* replaced below by the set's, which lives longer */
        if (value->theirs) continue;
        row->verdict = VERIFY_SHAPE;
        row->reason = show_shapes(value);
    }
    for (size_t i = 0; i < most; i++) {
        const char *name = tensor_set_name(theirs, i);
        const struct verify_value *value = verify_value_find(values, name);
        struct verify_place place;
        if (value) v->rows[value->row].name = name;
        if (value || !verify_place(name, &place)) continue;
        v->rows[v->count++] = (struct verify_row){.name = name,
            .stage = place.stage,
            .step = place.step,
            .theirs = tensor_set_at(theirs, i),
            .verdict = VERIFY_UNCHECKED,
            .reason = why_not_there(values, &place)};
    }
    for (size_t i = 0; i < v->count; i++) {
        struct verify_row *row = &v->rows[i];
        const bool needs_reason = row->verdict == VERIFY_SHAPE || row->verdict == VERIFY_UNCHECKED;
        if (needs_reason && !row->reason) return error_memory(error, 0);
        row->their_name = row->name;
    }
    return STATUS_OK;
}

static void count_verdicts(struct verification *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct verify_row *row = &v->rows[i];
        v->verdicts[row->verdict]++;
        if (!v->first_wrong && (row->verdict == VERIFY_WRONG || row->verdict == VERIFY_NONFINITE ||
                                   row->verdict == VERIFY_SHAPE))
            v->first_wrong = row;
    }
}

void verification_free(struct verification *verification)
{
    for (size_t i = 0; i < verification->count; i++) {
        free(verification->rows[i].diagnosis);
        free(verification->rows[i].reason);
    }
    free(verification->rows);
    *verification = (struct verification){0};
}

/* --- The whole ---------------------------------------------------------------------------- */

/* Whether a free run can be made and is worth its time: it runs every step, also those that nothing is
 * recorded of. */
static bool runs_free(
    const struct verify_pass *pass, const struct verify_needs *needs, struct warnings *warnings)
{
    const struct verify_options *options = pass->options;
    if (!options->free_run) return false;
    if (options->prompt_unknown || options->seed_unknown) {
        warnings_add(warnings, "the drift of a whole run is left out, since the %s is not known",
            options->prompt_unknown ? "prompt" : "seed");
        return false;
    }
    if (needs->passes >= pass->values->steps) return true;
    warnings_add(warnings,
        "the drift of a whole run is left out: it would take %zu passes of the UNet for the %zu that are "
        "checked; plumb run --trace and plumb compare show it",
        pass->values->steps, needs->passes);
    return false;
}

enum status verify(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, struct verification *verification,
    struct warnings *warnings, struct error *error)
{
    struct verify_values values = {0};
    struct verify_needs needs = {0};
    struct verify_kept kept = {0};
    struct verify_pass pass = {.pipeline = pipeline,
        .recipe = recipe,
        .theirs = theirs,
        .options = options,
        .values = &values,
        .needs = &needs,
        .kept = &kept,
        .verification = verification};
    *verification = (struct verification){0};
    enum status status = verify_values_of_run(pipeline, recipe, theirs, NULL, &values, error);
    if (status == STATUS_OK) status = make_rows(&values, theirs, verification, error);
    if (status == STATUS_OK) status = verify_needs_find(&values, &needs, error);
    if (status == STATUS_OK) status = verify_kept_open(values.kept, &kept, error);
    if (status == STATUS_OK) status = verify_pass_run(&pass, VERIFY_PASS_OURS, false, warnings, error);
    if (status == STATUS_OK) status = verify_pass_run(&pass, VERIFY_PASS_EXACT, true, NULL, error);
    if (status == STATUS_OK) status = verify_judge_sinusoids(&pass, error);
    if (status == STATUS_OK) status = verify_judge_roundings(&pass, error);
    if (status == STATUS_OK && runs_free(&pass, &needs, warnings)) {
        pass.needs = NULL;
        status = verify_pass_run(&pass, VERIFY_PASS_FREE, false, NULL, error);
    }
    verify_kept_close(&kept);
    verify_needs_free(&needs);
    verify_values_free(&values);
    if (status == STATUS_OK) count_verdicts(verification);
    if (status == STATUS_OK && options->diagnose)
        status = verify_diagnose(pipeline, recipe, theirs, options, verification, error);
    if (status != STATUS_OK) verification_free(verification);
    return status;
}

enum status verify_recompute(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, const char *name, bool rounded,
    const struct variation *variation, struct tensor_set *out, struct warnings *warnings, struct error *error)
{
    struct verify_values values = {0};
    struct verify_needs needs = {0};
    struct verify_pass pass = {.pipeline = pipeline,
        .recipe = variation && variation->recipe ? variation->recipe : recipe,
        .theirs = theirs,
        .options = options,
        .variation = variation,
        .values = &values,
        .needs = &needs,
        .out = out};
    enum status status = verify_values_of_run(pipeline, pass.recipe, theirs, name, &values, error);
    if (status == STATUS_OK && !verify_value_find(&values, name))
        status = error_input(error, "%.120s: the run computes no such tensor", name);
    if (status == STATUS_OK) status = verify_needs_find(&values, &needs, error);
    if (status == STATUS_OK)
        status = verify_pass_run(&pass, VERIFY_PASS_ONE_VALUE, !rounded, warnings, error);
    if (status == STATUS_OK && !tensor_set_find(out, name))
        status = error_input(error, "%.120s: the run does not come to it", name);
    verify_needs_free(&needs);
    verify_values_free(&values);
    return status;
}
