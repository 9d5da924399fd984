/*
 * `plumb verify` over every scheduler class: a run of Plumb's own in single precision, dumped whole, in one
 * step, and as predictions alone. What a solver remembers is made of what was recorded; where a prediction
 * that it needs was not, the step says so and nothing is called wrong.
 */
#include "support.h"
#include "verify_subject.h"

#include "kernels/cpu.h"
#include "sched/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 5
/* In the middle: a multistep solver has come to its full order, a method of two calls a step stands between
 * them. */
#define MIDDLE "step.03.*"
#define PREDICTIONS "step.*.noise_pred"
#define LATENTS "step.*.latents" /* and the predictions: what is dumped first */

/* A run of the class on the trace's model; false where a pipeline cannot run the class. */
static bool run_class(struct subject *subject, const char *class_name, struct trace **trace)
{
    struct error error = {""};
    struct pictures pictures = {0};
    char text[256];
    cJSON *json = NULL;
    snprintf(text, sizeof text,
        "{\"prompt\": \"a cat\", \"num_inference_steps\": %d, \"height\": 24, \"width\": 24, \"seed\": 3, "
        "\"scheduler\": {\"_class_name\": \"%s\"}}",
        STEPS, class_name);
    ck_assert_int_eq(json_parse(text, strlen(text), "recipe", &json, &error), STATUS_OK);
    recipe_free(&subject->recipe);
    ck_assert_int_eq(recipe_read(json, &subject->recipe, &error), STATUS_OK);
    cJSON_Delete(json);
    ck_assert_int_eq(trace_create(trace, &error), STATUS_OK);
    const struct run_options options = {.trace = *trace};
    enum status status =
        pipeline_run_f32(&subject->pipeline, &subject->recipe, &options, &pictures, NULL, &error);
    free(pictures.pixels);
    if (status == STATUS_OK) return true;
    bool has_no_step = strstr(error.message, "has no step()") || strstr(error.message, "Brownian path");
    ck_assert_msg(status == STATUS_BAD_INPUT && has_no_step, "%s: %s", class_name, error.message);
    return false;
}

/* Verifies the part; returns how many rows are rounding, and nothing is worse than unchecked. */
static size_t count_rounding(
    const struct subject *subject, const char *class_name, const char *glob, size_t *rows)
{
    struct tensor_set *part =
        subject_part(subject, glob, strcmp(glob, LATENTS) == 0 ? PREDICTIONS : NULL, NULL);
    struct verification verification = subject_verify(subject, part);
    for (size_t i = 0; i < verification.count; i++) {
        const struct verify_row *row = &verification.rows[i];
        ck_assert_msg(row->verdict == VERIFY_ROUNDING || row->verdict == VERIFY_UNCHECKED,
            "%s: %s: %s is %s: %.3g floors", class_name, glob, row->name, verify_verdict_names[row->verdict],
            row->multiple);
        ck_assert_msg(
            (row->verdict == VERIFY_UNCHECKED) == (row->reason != NULL), "%s: %s", class_name, row->name);
    }
    size_t rounding = verification.verdicts[VERIFY_ROUNDING];
    *rows = verification.count;
    verification_free(&verification);
    tensor_set_free(part);
    return rounding;
}

START_TEST(every_class_is_checked_whole_and_in_part)
{
    struct subject subject;
    struct trace *trace;
    const char *class_name = scheduler_class_name((size_t)_i);
    subject_open("sd-pndm6", &subject);
    if (run_class(&subject, class_name, &trace)) {
        struct tensor_set *golden = subject.tensors;
        subject.tensors = (struct tensor_set *)(uintptr_t)trace_tensors(trace);
        size_t rows, rounding = count_rounding(&subject, class_name, "*", &rows);
        ck_assert_uint_gt(rows, 5 * STEPS);
        ck_assert_msg(rounding == rows, "%s: %zu of %zu tensors", class_name, rounding, rows);
        /* The halves and their guidance at least, whatever the step itself lacks. */
        rounding = count_rounding(&subject, class_name, MIDDLE, &rows);
        ck_assert_msg(
            rounding >= 3 && rounding < rows, "%s: %zu of %zu of a step", class_name, rounding, rows);
        rounding = count_rounding(&subject, class_name, PREDICTIONS, &rows);
        ck_assert_uint_ge(rows, STEPS);
        ck_assert_uint_eq(rounding, rows);
        /* Without prompt and seed the first steps cannot be checked, but none is wrong. */
        subject.options.prompt_unknown = subject.options.seed_unknown = true;
        count_rounding(&subject, class_name, LATENTS, &rows);
        ck_assert_uint_ge(rows, 2 * STEPS);
        subject.tensors = golden;
    }
    trace_free(trace);
    subject_close(&subject);
}
END_TEST

int main(void)
{
    kernels_set_threads(1);
    Suite *suite = suite_create("verify schedulers");
    TCase *tcase = tcase_create("classes");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_class_is_checked_whole_and_in_part, 0, (int)scheduler_class_count());
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
