/*
 * Teacher forcing. Each value that the run shows is judged against the recorded one, and then overwritten by
 * it.
 */
#include "verify_watch.h"

#include "float_norm.h"
#include "verify_judge.h"
#include "verify_roundings.h"
#include "verify_sinusoid.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Elements ----------------------------------------------------------------------------- */

static void set_element(const struct tensor *tensor, size_t i, double value)
{
    if (tensor->dtype == DTYPE_F64) ((double *)tensor->data)[i] = value;
    if (tensor->dtype == DTYPE_F32) ((float *)tensor->data)[i] = (float)value;
}

static void fill(const struct tensor *tensor, double value)
{
    for (size_t i = 0, n = tensor_count(tensor); i < n; i++) set_element(tensor, i, value);
}

static void copy_elements(const struct tensor *to, const struct tensor *from)
{
    size_t count = tensor_count(to);
    if (to->dtype == from->dtype) {
        memcpy(to->data, from->data, tensor_bytes(to));
    } else if (to->dtype == DTYPE_I64) {
        for (size_t i = 0; i < count; i++) ((int64_t *)to->data)[i] = tensor_get_int(from, i);
    } else if (to->dtype == DTYPE_U8) {
        for (size_t i = 0; i < count; i++) ((uint8_t *)to->data)[i] = (uint8_t)tensor_get_int(from, i);
    } else {
        for (size_t i = 0; i < count; i++) set_element(to, i, tensor_get_double(from, i));
    }
}

/* --- The latents behind a model input ----------------------------------------------------- */

/* scale_model_input() multiplies. Where only its result is recorded, the latents are that over the factor,
 * and the factor is what it makes of ones. */
static void ask_for_scale(
    struct watch *watch, const struct verify_value *known, const struct tensor *latents, bool unknown)
{
    const size_t next = (size_t)known->place.step + 1;
    watch->latents = *latents;
    watch->latents_are_ones = false;
    if (!unknown || watch->purpose == VERIFY_PASS_FREE || next >= watch->pass->values->steps) return;
    const struct verify_value *model_input = verify_value_at(watch->pass->values, next, "model_input");
    if (!model_input || !model_input->theirs) return;
    fill(latents, 1);
    watch->latents_are_ones = true;
}

/* Before `model_input` becomes theirs: the latents that it was made of become those that theirs was made of,
 * unless they are recorded. */
static void take_scale(
    struct watch *watch, const struct verify_value *known, const struct tensor *model_input)
{
    char before[32];
    snprintf(before, sizeof before, "step.%02d.latents", known->place.step - 1);
    const struct verify_value *latents =
        verify_value_find(watch->pass->values, known->place.step > 0 ? before : "latents.init");
    if (!latents || latents->theirs) return;
    const size_t count = tensor_count(model_input);
    size_t largest = 0;
    for (size_t i = 1; i < count; i++)
        if (fabs(tensor_get_double(&watch->latents, i)) > fabs(tensor_get_double(&watch->latents, largest)))
            largest = i;
    double inverse = tensor_get_double(&watch->latents, largest) / tensor_get_double(model_input, largest);
    if (!isfinite(inverse)) return;
    for (size_t i = 0; i < count; i++)
        set_element(&watch->latents, i, tensor_get_double(known->theirs, i) * inverse);
    watch->no_latents = false;
}

/* --- Targets ------------------------------------------------------------------------------ */

static struct tensor kept_value(const struct watch *watch, const struct verify_value *known)
{
    struct tensor ours = known->shape;
    ours.data = watch->pass->kept->data + known->offset;
    return ours;
}

static enum status judge(struct watch *watch, const struct verify_value *known, struct verify_row *row,
    const struct tensor *value, struct error *error)
{
    const struct verify_options *options = watch->pass->options;
    const struct tensor ours = kept_value(watch, known);
    const struct verify_evidence evidence = {known->theirs, value, &ours};
    if (watch_finds_unknown(watch, known, value) || watch->latents_are_ones) {
        const enum status status = watch_why_unknown(watch, &known->place, &row->reason, error);
        row->verdict = VERIFY_UNCHECKED;
        if (status != STATUS_OK || row->reason) return status;
    }
    if (known->place.stage == VERIFY_PICTURE)
        return verify_judge_picture(row, &evidence, &watch->image, watch->image_floor, options, error);
    return verify_judge(row, &evidence, options, error);
}

static enum status copy_out(
    struct watch *watch, const struct verify_value *known, const struct tensor *value, struct error *error)
{
    if (watch_finds_unknown(watch, known, value) || watch->latents_are_ones) {
        char *text;
        enum status status = watch_why_unknown(watch, &known->place, &text, error);
        if (text) status = error_input(error, "%s: cannot be computed: %s", known->name, text);
        free(text);
        if (status != STATUS_OK) return status;
    }
    return tensor_set_add(watch->pass->out, known->name, value, error);
}

static enum status see_target(
    struct watch *watch, const struct verify_value *known, const struct tensor *value, struct error *error)
{
    struct verify_row *row =
        known->recorded && watch->pass->verification ? &watch->pass->verification->rows[known->row] : NULL;
    switch (watch->purpose) {
    case VERIFY_PASS_OURS:
        memcpy(watch->pass->kept->data + known->offset, value->data, tensor_bytes(value));
        return STATUS_OK;
    case VERIFY_PASS_EXACT: return row ? judge(watch, known, row, value, error) : STATUS_OK;
    case VERIFY_PASS_FREE:
        if (!row) return STATUS_OK;
        row->drifted = true;
        return tensor_difference_quantiles(known->theirs, value,
            verify_result_type(known->theirs, watch->pass->options->their_format), &row->drift, error);
    case VERIFY_PASS_ROUNDINGS: {
        const struct tensor ours = kept_value(watch, known);
        verify_note_rounding(watch->pass->roundings, known->row, value, &ours);
        return STATUS_OK;
    }
    default: return copy_out(watch, known, value, error);
    }
}

/* --- One value ---------------------------------------------------------------------------- */

/* What no run can go by stays ours: ids that the encoder has no embedding for, sigmas that are none. */
static bool may_stand(const struct watch *watch, const struct verify_value *known)
{
    if (known->place.stage == VERIFY_SCHEDULE)
        for (size_t i = 0, n = tensor_count(known->theirs); i < n; i++) {
            double value = tensor_get_double(known->theirs, i);
            if (!(isfinite(value) && value >= 0)) return false;
        }
    if (known->place.stage != VERIFY_TOKENS) return true;
    int64_t size = text_encoder_vocabulary_size(watch->pass->pipeline->text_encoders[known->place.encoder]);
    for (size_t i = 0, n = tensor_count(known->theirs); i < n; i++) {
        int64_t id = tensor_get_int(known->theirs, i);
        if (id < 0 || id >= size) return false;
    }
    return true;
}

/* What goes into a model gets a rounding error, as the first product that it enters would have it. */
static void round_operand(struct watch *watch, const struct verify_value *known, const struct tensor *value)
{
    const enum verify_stage stage = known->place.stage;
    if (stage == VERIFY_TEXT_ENCODER || stage == VERIFY_CONDITIONING || stage == VERIFY_MODEL_INPUT ||
        stage == VERIFY_UNET || stage == VERIFY_DECODER)
        verify_round_otherwise(watch->pass->roundings, watch->pass->options->their_format, value);
}

/* Whether a variation is about what the run goes on with here. */
static bool stays_ours(const struct watch *watch, const char *name)
{
    const struct variation *variation = watch->pass->variation;
    return variation && variation->stays && fnmatch(variation->stays, name, 0) == 0;
}

/* Theirs in the place of ours; returns whether the value is unknown from here on. */
static bool replace(struct watch *watch, const struct verify_value *known, const struct tensor *value)
{
    const bool is_draw = known->place.stage == VERIFY_NOISE && strcmp(known->place.key, "latents.init") != 0;
    if (known->theirs && may_stand(watch, known) && !stays_ours(watch, known->name) &&
        (watch->purpose != VERIFY_PASS_FREE || is_draw)) {
        if (known->place.stage == VERIFY_MODEL_INPUT) take_scale(watch, known, value);
        watch->latents_are_ones = watch->latents_are_ones && known->place.stage != VERIFY_MODEL_INPUT;
        copy_elements(value, known->theirs);
        if (watch->purpose == VERIFY_PASS_ROUNDINGS) round_operand(watch, known, value);
        return false;
    }
    if (known->place.is_module || !watch_finds_unknown(watch, known, value)) return false;
    fill(value, (double)NAN);
    return true;
}

static enum status see_value(
    struct watch *watch, const struct verify_value *known, const struct tensor *value, struct error *error)
{
    const size_t at = (size_t)(known - watch->pass->values->items);
    enum status status = STATUS_OK;
    if (watch->seen[at]) return STATUS_OK;
    watch->last = known->name;
    watch->seen[at] = 1;
    if (known->is_kept && watch->purpose == VERIFY_PASS_EXACT && strcmp(known->name, "image") == 0) {
        const struct tensor ours = kept_value(watch, known);
        watch->image_floor = known->theirs ? 0 : tensor_difference(&ours, value).rms;
    }
    if (known->is_target || (known->is_kept && watch->purpose == VERIFY_PASS_OURS))
        status = see_target(watch, known, value, error);
    if (status != STATUS_OK) return status;
    bool unknown = replace(watch, known, value);
    watch_note_unknown(watch, &known->place, unknown);
    if (strcmp(known->name, "latents.init") == 0 || strcmp(known->place.key, "latents") == 0)
        ask_for_scale(watch, known, value, unknown);
    if (strcmp(known->name, "image") == 0) watch->image = *value;
    if (!known->is_target || --watch->targets_left > 0) return STATUS_OK;
    watch->done = true;
    return STATUS_DISAGREE; /* which ends the run */
}

/* --- Sinusoids ---------------------------------------------------------------------------- */

/* The numbers of a value, after it has become theirs. */
static enum status note_numbers(struct numbers *numbers, const struct tensor *value, struct error *error)
{
    numbers->count = tensor_count(value);
    numbers->items = malloc((numbers->count + 1) * sizeof *numbers->items);
    if (!numbers->items) return error_memory(error, numbers->count * sizeof *numbers->items);
    for (size_t i = 0; i < numbers->count; i++) numbers->items[i] = tensor_get_double(value, i);
    return STATUS_OK;
}

static void put_sinusoid(
    const struct watch *watch, const struct verify_value *known, const struct tensor *value)
{
    const struct numbers *timesteps = &watch->timesteps, *ids = &watch->time_ids;
    const char *module = strstr(known->name, "act.");
    if (!watch->pass->with_exact_sinusoid || known->place.stage != VERIFY_UNET || !module) return;
    module += strlen("act.");
    const struct unet *unet = watch->pass->pipeline->unet;
    if (strcmp(module, "unet.time_proj") == 0 && (size_t)known->place.step < timesteps->count)
        verify_put_exact_sinusoid(unet, module, value, timesteps->items + known->place.step, 1);
    else
        verify_put_exact_sinusoid(unet, module, value, ids->items, ids->count);
}

/* A text encoder's last hidden state is the output of its last norm: where the module's own is not recorded,
 * it is the other name that counts, before what is computed from it. */
static const struct verify_value *other_name(const struct watch *watch, const struct verify_value *known)
{
    static const char norm[] = ".text_model.final_layer_norm";
    size_t length = strlen(known->name);
    char name[64];
    if (known->place.stage != VERIFY_TEXT_ENCODER || known->theirs || length < sizeof norm ||
        strcmp(known->name + length - strlen(norm), norm) != 0)
        return NULL;
    snprintf(name, sizeof name, "%slast_hidden_state.%s", known->place.negative ? "negative_" : "",
        text_encoder_names[known->place.encoder]);
    return verify_value_find(watch->pass->values, name);
}

static enum status see(void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct watch *watch = context;
    const struct variation *variation = watch->pass->variation;
    enum status status = STATUS_OK;
    if (variation && variation->observer)
        status = variation->observer->see(variation->observer->context, name, value, error);
    const struct verify_value *known = verify_value_find(watch->pass->values, name);
    const struct verify_value *other = known ? other_name(watch, known) : NULL;
    if (known) put_sinusoid(watch, known, value);
    if (status == STATUS_OK && known) status = see_value(watch, known, value, error);
    if (status == STATUS_OK && other) status = see_value(watch, other, value, error);
    if (status == STATUS_OK && strcmp(name, "timesteps") == 0)
        status = note_numbers(&watch->timesteps, value, error);
    if (status == STATUS_OK && strcmp(name, "add_time_ids") == 0)
        status = note_numbers(&watch->time_ids, value, error);
    return status;
}

/* What an operator has computed (observer.h). */
static enum status round_otherwise(
    void *context, const char *kernel, const void *weight, const struct tensor *result, struct error *error)
{
    const struct watch *watch = context;
    (void)kernel, (void)weight, (void)error;
    verify_round_otherwise(watch->pass->roundings, watch->pass->options->their_format, result);
    return STATUS_OK;
}

/* --- The run ------------------------------------------------------------------------------ */

static enum status show_progress(void *context, size_t step, size_t steps, struct error *error)
{
    (void)error;
    static const char *const names[] = {
        "in their precision", "exact", "free", "other roundings", "one value"};
    const struct watch *watch = context;
    const struct verify_options *options = watch->pass->options;
    if (options->progress) options->progress(options->progress_context, names[watch->purpose], step, steps);
    return STATUS_OK;
}

/* What the run did not come to. */
static enum status give_reasons(const struct watch *watch, struct error *error)
{
    const struct verify_values *values = watch->pass->values;
    for (size_t i = 0; i < values->count; i++) {
        if (!values->items[i].is_target || watch->seen[i]) continue;
        struct verify_row *row = &watch->pass->verification->rows[values->items[i].row];
        row->verdict = VERIFY_UNCHECKED;
        row->reason = watch_reason("the scheduler takes no noise at this step");
        if (!row->reason) return error_memory(error, 0);
    }
    return STATUS_OK;
}

enum status verify_pass_run(struct verify_pass *pass, enum verify_purpose purpose, bool exact,
    struct warnings *warnings, struct error *error)
{
    struct watch watch = {
        .pass = pass, .purpose = purpose, .last_unknown_pred = -1, .last_unknown_latents = -1};
    struct pictures pictures = {0};
    const struct variation *variation = pass->variation;
    const struct observer observer = {.context = &watch,
        .see = see,
        .needs = watch_needs,
        .result = purpose == VERIFY_PASS_ROUNDINGS ? round_otherwise : NULL};
    const struct run_options options = {
        .observer = &observer,
        .format = exact ? FORMAT_F32 : pass->options->their_format,
        .replacement = variation                          ? variation->replacement
                       : purpose == VERIFY_PASS_ROUNDINGS ? &float_norms_f32
                                                          : NULL,
        .progress = show_progress,
        .progress_context = &watch,
    };
    watch.seen = calloc(pass->values->count + 1, 1);
    if (!watch.seen) return error_memory(error, pass->values->count);
    for (size_t i = 0; i < pass->values->count; i++) watch.targets_left += pass->values->items[i].is_target;
    pipeline_run_function *run = exact ? pipeline_run_f64 : pipeline_run_f32;
    enum status status = STATUS_OK;
    if (watch.targets_left > 0)
        status = run(pass->pipeline, pass->recipe, &options, &pictures, warnings, error);
    if (watch.done && status == STATUS_DISAGREE) status = STATUS_OK;
    if (status == STATUS_BAD_INPUT && watch.last)
        error_prefix(error, status, "the run stops after %s: ", watch.last);
    if (status == STATUS_OK && purpose == VERIFY_PASS_EXACT) status = give_reasons(&watch, error);
    free(pictures.pixels);
    free(watch.timesteps.items);
    free(watch.time_ids.items);
    free(watch.seen);
    return status;
}
