/*
 * What a verification comes to: the worst of each stage, and the conclusion in words.
 */
#include "verify_report.h"

#include "verify_names.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool verify_is_bad(enum verify_verdict verdict)
{
    return verdict == VERIFY_WRONG || verdict == VERIFY_NONFINITE || verdict == VERIFY_SHAPE;
}

bool verify_has_error(const struct verify_row *row)
{
    return row->verdict <= VERIFY_NONFINITE;
}

/* --- Summaries ---------------------------------------------------------------------------- */

/* What could not be checked is the least of worries. */
static int gravity(enum verify_verdict verdict)
{
    return verdict == VERIFY_UNCHECKED ? -1 : (int)verdict;
}

static bool is_worse(const struct verify_row *row, const struct verify_row *than)
{
    if (row->verdict != than->verdict) return gravity(row->verdict) > gravity(than->verdict);
    return verify_has_error(row) && row->multiple > than->multiple;
}

static void add_to_summary(struct verify_stage_summary *summary, const struct verify_row *row)
{
    summary->rows++;
    summary->verdicts[row->verdict]++;
    if (!summary->worst || is_worse(row, summary->worst)) summary->worst = row;
    summary->verdict = summary->worst->verdict;
}

struct verify_stage_summary verify_summarise(const struct verification *verification, enum verify_stage stage)
{
    struct verify_stage_summary summary = {.verdict = VERIFY_UNCHECKED};
    for (size_t i = 0; i < verification->count; i++)
        if (verification->rows[i].stage == stage) add_to_summary(&summary, &verification->rows[i]);
    return summary;
}

struct verify_stage_summary verify_summarise_all(const struct verification *verification)
{
    struct verify_stage_summary summary = {.verdict = VERIFY_UNCHECKED};
    for (size_t i = 0; i < verification->count; i++) add_to_summary(&summary, &verification->rows[i]);
    return summary;
}

/* --- Rows to draw ------------------------------------------------------------------------- */

static bool can_be_drawn(const struct verify_row *row)
{
    return verify_has_error(row) && row->error.unequal > 0;
}

static size_t add_row(const struct verify_row *row, size_t count, size_t most, const struct verify_row **rows)
{
    if (!row || !can_be_drawn(row) || count == most) return count;
    for (size_t i = 0; i < count; i++)
        if (rows[i] == row) return count;
    rows[count] = row;
    return count + 1;
}

size_t verify_rows_to_draw(
    const struct verification *verification, size_t most, const struct verify_row **rows)
{
    size_t count = add_row(verification->first_wrong, 0, most, rows);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) {
        struct verify_stage_summary summary = verify_summarise(verification, stage);
        if (summary.verdict != VERIFY_ROUNDING) count = add_row(summary.worst, count, most, rows);
    }
    /* Where little or nothing is wrong, what comes nearest to it. */
    for (bool more = true; more && count < most;) {
        const struct verify_row *next = NULL;
        for (size_t i = 0; i < verification->count; i++) {
            const struct verify_row *row = &verification->rows[i];
            bool taken = !can_be_drawn(row);
            for (size_t k = 0; k < count; k++) taken |= rows[k] == row;
            if (!taken && (!next || is_worse(row, next))) next = row;
        }
        size_t before = count;
        if (next && (next->verdict != VERIFY_ROUNDING || count < most / 2))
            count = add_row(next, count, most, rows);
        more = count > before;
    }
    return count;
}

/* --- Words -------------------------------------------------------------------------------- */

const char *verify_show_place(const struct verify_row *row, char *buffer, size_t size)
{
    if (row->step < 0)
        snprintf(buffer, size, "%s", verify_stage_names[row->stage]);
    else
        snprintf(buffer, size, "%s, step %d", verify_stage_names[row->stage], row->step);
    return buffer;
}

const char *verify_show_multiple(const struct verify_row *row, char buffer[32])
{
    const double m = row->multiple;
    if (!verify_has_error(row)) {
        buffer[0] = '\0';
    } else if (isfinite(m) && m >= 1e6) {
        snprintf(buffer, 32, "%.2e", m); /* 1.79e+07, of which 1.79e7 is enough */
        char *exponent = strchr(buffer, 'e') + 1;
        snprintf(exponent, 8, "%d", atoi(exponent));
    } else {
        snprintf(buffer, 32, m >= 1000 && m < 1e6 ? "%.0f" : "%.3g", m);
    }
    return buffer;
}

static void say(struct verify_conclusion *conclusion, bool *failed, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void say(struct verify_conclusion *conclusion, bool *failed, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    if (text && !conclusion->headline) {
        conclusion->headline = text;
        return;
    }
    char **more = text ? realloc(conclusion->paragraphs, (conclusion->count + 1) * sizeof *more) : NULL;
    if (!more) {
        free(text);
        *failed = true;
        return;
    }
    conclusion->paragraphs = more;
    more[conclusion->count++] = text;
}

/* What a stage is computed from. */
static const char *stage_input(enum verify_stage stage)
{
    static const char *const inputs[VERIFY_STAGES] = {
        [VERIFY_TOKENS] = "the prompt",
        [VERIFY_TEXT_ENCODER] = "the token ids",
        [VERIFY_CONDITIONING] = "the text encoders' outputs",
        [VERIFY_SCHEDULE] = "the scheduler's config",
        [VERIFY_NOISE] = "the seed",
        [VERIFY_MODEL_INPUT] = "the latents of the step before",
        [VERIFY_UNET] = "the model input, the timestep and the embeddings",
        [VERIFY_GUIDANCE] = "the two halves of the prediction",
        [VERIFY_STEP] = "the noise prediction, the sample and the noise",
        [VERIFY_DECODER] = "the final latents",
        [VERIFY_PICTURE] = "the decoder's image",
    };
    return inputs[stage];
}

/* The UNet's embeddings of timestep and sizes are beside the path that the latents take. */
static bool is_embedding(const char *key)
{
    static const char *const modules[] = {"act.unet.time_", "act.unet.add_"};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (strncmp(key, modules[i], strlen(modules[i])) == 0) return true;
    return false;
}

static bool is_embedded_by(const char *key, const char *by)
{
    return (strcmp(key, "act.unet.time_proj") == 0 && strcmp(by, "act.unet.time_embedding") == 0) ||
           (strcmp(key, "act.unet.add_time_proj") == 0 && strcmp(by, "act.unet.add_embedding") == 0);
}

/* Whether `row` may be on the way to `to` within one stage: the same model, the same prompt, the same step;
 * the halves of guidance are computed beside each other. */
static bool is_on_the_way(const struct verify_row *row, const struct verify_row *to)
{
    struct verify_place a, b;
    if (row->stage != to->stage || row->step != to->step) return false;
    if (!verify_place(row->name, &a) || !verify_place(to->name, &b)) return false;
    if (a.encoder != b.encoder || a.negative != b.negative) return false;
    if (strcmp(b.key, "act.unet.conv_in") == 0) return false;
    if (is_embedding(a.key) || is_embedding(b.key)) return is_embedded_by(a.key, b.key);
    return a.is_module || row->stage == VERIFY_DECODER || row->stage == VERIFY_STEP;
}

/* The last tensor before a wrong one that was found right and that it comes from; NULL: the stage's
 * inputs. */
static const struct verify_row *right_before(
    const struct verification *verification, const struct verify_row *wrong)
{
    for (const struct verify_row *row = wrong; row-- > verification->rows;)
        if (row->verdict == VERIFY_ROUNDING && is_on_the_way(row, wrong)) return row;
    return NULL;
}

static void say_error(const struct verify_report *report, const struct verify_row *row,
    struct verify_conclusion *conclusion, bool *failed)
{
    const struct difference *e = &row->error;
    const char *format = number_format_names[report->options->their_format];
    char multiple[32], place[80], index[200];
    verify_show_multiple(row, multiple);
    verify_show_place(row, place, sizeof place);
    tensor_show_index(row->theirs, e->worst, index, sizeof index);
    if (row->verdict == VERIFY_NONFINITE)
        say(conclusion, failed,
            "The first tensor that is wrong is %s (%s): %zu among its %zu elements infinite or not a "
            "number, where the exact answer on the same inputs has %zu. The first is at %s: %g, where %g "
            "is exact.",
            row->name, place, e->nonfinite_a, e->count, e->nonfinite_b, index, e->worst_a, e->worst_b);
    else if (isinf(row->multiple))
        say(conclusion, failed,
            "The first tensor that is wrong is %s (%s): %zu of its %zu elements are not those that the "
            "same inputs give, and nothing is rounded here. The largest difference is at %s: %.9g, where "
            "%.9g is exact.",
            row->name, place, e->unequal, e->count, index, e->worst_a, e->worst_b);
    else
        say(conclusion, failed,
            "The first tensor that is wrong is %s (%s): %s floors. Its error from the exact answer on the "
            "same inputs is %.2g (root mean square), where a correct implementation in %s is %.2g off. It "
            "is largest at %s: %.9g, where %.9g is exact.",
            row->name, place, multiple, e->rms, format, row->floor.rms, index, e->worst_a, e->worst_b);
}

/* What is wrong in the other stages: each was computed from its own recorded inputs. */
static void say_other_stages(
    const struct verify_report *report, struct verify_conclusion *conclusion, bool *failed)
{
    const struct verification *v = report->verification;
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) {
        struct verify_stage_summary summary = verify_summarise(v, stage);
        const struct verify_row *first = NULL;
        size_t bad = 0;
        for (size_t i = 0; i < v->count; i++) {
            if (v->rows[i].stage != stage || !verify_is_bad(v->rows[i].verdict)) continue;
            if (!first) first = &v->rows[i];
            bad++;
        }
        if (!first || (stage == v->first_wrong->stage && bad == 1)) continue;
        char multiple[32];
        verify_show_multiple(summary.worst, multiple);
        if (stage == v->first_wrong->stage && verify_has_error(summary.worst) &&
            isfinite(summary.worst->multiple))
            say(conclusion, failed,
                "In the same stage (%s) %zu of %zu tensors are wrong, %s the most: %s floors.",
                verify_stage_names[stage], bad, summary.rows, summary.worst->name, multiple);
        else if (stage == v->first_wrong->stage)
            say(conclusion, failed, "In the same stage (%s) %zu of %zu tensors are wrong.",
                verify_stage_names[stage], bad, summary.rows);
        else
            say(conclusion, failed,
                "Also wrong, from inputs of its own: %s, %zu of %zu tensors; the first is %s%s%s.",
                verify_stage_names[stage], bad, summary.rows, first->name, first->diagnosis ? ": " : "",
                first->diagnosis ? first->diagnosis : "");
    }
}

static void conclude_wrong(
    const struct verify_report *report, struct verify_conclusion *conclusion, bool *failed)
{
    const struct verify_row *first = report->verification->first_wrong;
    const struct verify_row *before = right_before(report->verification, first);
    char multiple[32], place[80];
    verify_show_multiple(first, multiple);
    verify_show_place(first, place, sizeof place);
    if (first->verdict == VERIFY_SHAPE) {
        say(conclusion, failed, "%s has another shape", first->name);
        say(conclusion, failed, "The first tensor that is wrong is %s (%s): %s.", first->name, place,
            first->reason ? first->reason : "it has another shape");
    } else {
        if (first->verdict == VERIFY_NONFINITE)
            say(conclusion, failed, "%s is not finite", first->name);
        else if (isinf(first->multiple))
            say(conclusion, failed, "%s is wrong: other numbers, where nothing is rounded", first->name);
        else
            say(conclusion, failed, "%s is wrong: %s floors", first->name, multiple);
        say_error(report, first, conclusion, failed);
    }
    if (before)
        say(conclusion, failed,
            "Its inputs are right, for they are your own recorded ones: the fault is between %s, which is "
            "rounding, and %s.",
            before->name, first->name);
    else
        say(conclusion, failed,
            "Its inputs are right, for they are your own recorded ones: the fault is between %s and %s.",
            stage_input(first->stage), first->name);
    if (first->diagnosis)
        say(conclusion, failed, "Diagnosis: %s.", first->diagnosis);
    else if (report->options->diagnose && first->verdict == VERIFY_WRONG)
        say(conclusion, failed, "None of the known faults fits it.");
    say_other_stages(report, conclusion, failed);
}

static void conclude_without_wrong(
    const struct verify_report *report, struct verify_conclusion *conclusion, bool *failed)
{
    const struct verification *v = report->verification;
    struct verify_stage_summary all = verify_summarise_all(v);
    size_t checked = v->count - v->verdicts[VERIFY_UNCHECKED];
    char multiple[32];
    if (checked == 0 || !all.worst) {
        say(conclusion, failed, "nothing could be checked");
        say(conclusion, failed, "None of the %zu recorded tensors could be checked.", v->count);
        return;
    }
    verify_show_multiple(all.worst, multiple);
    if (all.verdict == VERIFY_ROUNDING) {
        say(conclusion, failed, "all %zu tensors are rounding", checked);
        say(conclusion, failed,
            "Every tensor that could be checked, %zu of %zu, is rounding: computed from your own recorded "
            "inputs, none is further than %s floor%s from the exact answer (%s).",
            checked, v->count, multiple, strcmp(multiple, "1") == 0 ? "" : "s", all.worst->name);
        return;
    }
    const struct verify_row *first = v->rows;
    while (first->verdict != VERIFY_SUSPECT) first++;
    char first_multiple[32];
    verify_show_multiple(first, first_multiple);
    say(conclusion, failed, "%zu of %zu tensors are suspect", v->verdicts[VERIFY_SUSPECT], checked);
    say(conclusion, failed,
        "No tensor is wrong. %zu of %zu are suspect, which is between %g and %g floors; the first is %s "
        "at %s, the furthest %s at %s. That may be another order of summation, or a fault too small to "
        "tell from it.",
        v->verdicts[VERIFY_SUSPECT], checked, report->options->rounding, report->options->wrong, first->name,
        first_multiple, all.worst->name, multiple);
}

enum status verify_conclude(
    const struct verify_report *report, struct verify_conclusion *conclusion, struct error *error)
{
    bool failed = false;
    *conclusion = (struct verify_conclusion){0};
    if (report->verification->first_wrong)
        conclude_wrong(report, conclusion, &failed);
    else
        conclude_without_wrong(report, conclusion, &failed);
    size_t unchecked = report->verification->verdicts[VERIFY_UNCHECKED];
    if (unchecked > 0 && unchecked < report->verification->count)
        say(conclusion, &failed, "%zu of %zu tensors could not be checked; each says why.", unchecked,
            report->verification->count);
    if (!failed) return STATUS_OK;
    verify_conclusion_free(conclusion);
    return error_memory(error, 0);
}

void verify_conclusion_free(struct verify_conclusion *conclusion)
{
    free(conclusion->headline);
    for (size_t i = 0; i < conclusion->count; i++) free(conclusion->paragraphs[i]);
    free(conclusion->paragraphs);
    *conclusion = (struct verify_conclusion){0};
}
