/*
 * The list of a run's tensors, which a dry pass gives, against the golden traces: every tensor that
 * Diffusers' pipelines recorded is known, with its shape, and nothing about a clean trace is unknown, changed
 * or twice.
 */
#include "recorded_model.h"
#include "support.h"

#include "ref/pipeline.h"
#include "ref/their_tensors.h"
#include "ref/verify_recipe.h"

#include <stdio.h>
#include <string.h>

/* The pipeline and the recipe of a golden trace, and what they compute. */
struct expected_run {
    struct pipeline pipeline;
    struct recipe recipe;
    struct known_tensors known;
};

static void expect_run(const struct tensor_set *trace, struct expected_run *run)
{
    struct error error = {""};
    cJSON *json = NULL, *info = NULL;
    const char *text = tensor_set_metadata(trace, "info");
    ck_assert_int_eq(json_parse(text, strlen(text), "info", &info, &error), STATUS_OK);
    ck_assert_int_eq(verify_recipe_of_metadata(trace, &json, NULL, &error), STATUS_OK);
    const char *variant = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "variant"));
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(info, "model"));
    enum status status = pipeline_open(
        golden_path("models/%s%s", model, variant ? "-fp16" : ""), variant, &run->pipeline, &error);
    if (status == STATUS_OK) status = recipe_read(json, &run->recipe, &error);
    if (status == STATUS_OK) status = known_tensors_of_run(&run->pipeline, &run->recipe, &run->known, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    cJSON_Delete(json);
    cJSON_Delete(info);
}

static void close_run(struct expected_run *run)
{
    known_tensors_free(&run->known);
    recipe_free(&run->recipe);
    pipeline_close(&run->pipeline);
}

START_TEST(golden_traces_are_known)
{
    const char *path = golden_path("models/traces/%s.safetensors", RECORDED[_i]);
    struct tensor_set *trace = golden_tensors("models/traces/%s.safetensors", RECORDED[_i]);
    struct expected_run run = {0};
    struct their_tensors theirs;
    struct warnings warnings = {0};
    struct error error = {""};
    expect_run(trace, &run);
    enum status status = their_tensors_open(
        path, &(struct their_options){.map = NULL}, &run.known, &theirs, &warnings, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert(theirs.unknown_count == 0 && theirs.twice_count == 0 && warnings.count == 0);
    ck_assert_uint_eq(theirs.count + theirs.ignored, tensor_set_count(trace));
    for (size_t i = 0; i < theirs.count; i++) {
        char ours[160], recorded[160];
        const struct their_record *record = &theirs.records[i];
        const struct tensor *tensor = tensor_set_at(theirs.tensors, i);
        const struct known_tensor *known = known_tensors_find(&run.known, record->name);
        struct tensor shape = {.rank = known->rank};
        memcpy(shape.shape, known->shape, sizeof shape.shape);
        ck_assert_str_eq(record->name, record->their_name);
        ck_assert_msg(record->change == NULL, "%s: %s", record->name, record->change);
        ck_assert_msg(tensor_same_shape(tensor, &shape), "%s: recorded %s, known %s", record->name,
            tensor_show_shape(tensor, recorded, sizeof recorded),
            tensor_show_shape(&shape, ours, sizeof ours));
    }
    their_tensors_free(&theirs);
    tensor_set_free(trace);
    close_run(&run);
}
END_TEST

START_TEST(a_list_by_hand)
{
    struct known_tensors known = {0};
    const int64_t shape[] = {2, 3};
    for (size_t i = 0; i < 600; i++) {
        char name[32];
        snprintf(name, sizeof name, "x.%zu", i * 7 % 300); /* each twice, the first with a shape */
        ck_assert_int_eq(
            known_tensors_add(&known, name, i < 300 ? 2 : UNKNOWN_RANK, i < 300 ? shape : NULL, NULL),
            STATUS_OK);
    }
    known_tensors_order(&known);
    ck_assert_uint_eq(known.count, 300);
    for (size_t i = 0; i < known.count; i++) {
        ck_assert(known.items[i].rank == 2 && known.items[i].shape[1] == 3);
        ck_assert_ptr_eq(known_tensors_find(&known, known.items[i].name), &known.items[i]);
        if (i > 0) ck_assert_str_lt(known.items[i - 1].name, known.items[i].name);
    }
    ck_assert(known_tensors_find(&known, "x.300") == NULL);
    known_tensors_free(&known);
    known_tensors_order(&known);
    ck_assert(known_tensors_find(&known, "x.1") == NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("known tensors");
    TCase *cases = tcase_create("known");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, golden_traces_are_known, 0, RECORDED_COUNT);
    tcase_add_test(cases, a_list_by_hand);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
