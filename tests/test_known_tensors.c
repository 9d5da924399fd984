/*
 * The list of a run's tensors, which a dry pass gives, against the golden traces: every tensor that
 * Diffusers' pipelines recorded is known, with its shape, and nothing about a clean trace is unknown, changed
 * or twice.
 */
#include "file_support.h"
#include "recorded_model.h"

#include "ref/pipeline.h"
#include "ref/their_tensors.h"
#include "ref/verify_recipe.h"

#include <stdio.h>
#include <stdlib.h>
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

/* --- As another port would have dumped it ------------------------------------------------- */

static const char their_map[] =
    "{\"uc/*\": {\"to\": \"act.unet.*\", \"half\": \"uncond\"}, \"tx/*\": {\"to\": \"act.unet.*\", \"half\": "
    "\"text\"}, \"eps_*\": [\"step.{1-1:02d}.noise_pred_text\", \"step.{1-1:02d}.noise_pred_uncond\"]}";

/* Adds a tensor with its channels last, and where there is one batch without it. */
static void put_channels_last(struct tensor_set *dump, const char *name, struct tensor tensor)
{
    static const int sides[] = {0, 2, 3, 1};
    struct tensor last = tensor;
    void *owned = NULL;
    if (tensor.rank == 4) {
        ck_assert_int_eq(tensor_transpose(&tensor, sides, &last, NULL), STATUS_OK);
        owned = last.data;
    }
    if (last.rank > 1 && last.shape[0] == 1) {
        last.rank--;
        memmove(last.shape, last.shape + 1, (size_t)last.rank * sizeof last.shape[0]);
    }
    add_tensor(dump, name, &last);
    free(owned);
}

/* Half of a guided batch. */
static struct tensor half(struct tensor tensor, int which)
{
    tensor.shape[0] /= 2;
    tensor.data = (char *)tensor.data + (size_t)which * tensor_bytes(&tensor);
    return tensor;
}

/* Both predictions of a step in one batch, text first, counted from 1. */
static void put_predictions(struct tensor_set *dump, const struct tensor_set *trace, int step)
{
    char name[32];
    const struct tensor *text = need_tensor(trace, "step.%02d.noise_pred_text", step);
    const struct tensor *uncond = need_tensor(trace, "step.%02d.noise_pred_uncond", step);
    struct tensor both = *text;
    const size_t bytes = tensor_bytes(text);
    both.shape[0] *= 2;
    both.data = malloc(2 * bytes);
    ck_assert_ptr_nonnull(both.data);
    memcpy(both.data, text->data, bytes);
    memcpy((char *)both.data + bytes, uncond->data, bytes);
    snprintf(name, sizeof name, "eps_%d", step + 1);
    put_channels_last(dump, name, both);
    free(both.data);
}

static void put_as_they_would(
    struct tensor_set *dump, const char *name, const struct tensor *tensor, const struct tensor_set *trace)
{
    char theirs[160];
    int step;
    snprintf(theirs, sizeof theirs, "%s", name);
    for (char *c = theirs; *c; c++)
        if (*c == '.') *c = '/';
    if (strncmp(name, "act.unet.", 9) == 0) {
        memcpy(theirs + 6, "uc/", 3);
        put_channels_last(dump, theirs + 6, half(*tensor, 0));
        memcpy(theirs + 6, "tx/", 3);
        put_channels_last(dump, theirs + 6, half(*tensor, 1));
    } else if (strstr(name, "noise_pred_text") && sscanf(name, "step.%d.", &step) == 1) {
        put_predictions(dump, trace, step);
    } else if (strcmp(name, "image_u8") == 0) {
        add_tensor(dump, theirs, tensor); /* has its channels last already */
    } else if (!strstr(name, "noise_pred_uncond")) {
        put_channels_last(dump, theirs, *tensor);
    }
}

/* Other names, channels last, no batch of one, halves of guidance apart where ours are together and together
 * where ours are apart: it all comes back bit for bit. */
START_TEST(the_same_run_in_their_form)
{
    struct tensor_set *trace = golden_tensors("models/traces/sdxl-ays10-sde.safetensors"),
                      *dump = empty_set();
    struct expected_run run = {0};
    struct their_tensors theirs;
    struct error error = {""};
    const char *path = path_in(test_folder, "%s", _i ? "dump.npz" : "dump.safetensors");
    const char *map = path_in(test_folder, "names.json");
    expect_run(trace, &run);
    size_t expected = 0;
    for (size_t i = 0; i < tensor_set_count(trace); i++) {
        const char *name = tensor_set_name(trace, i);
        if (strncmp(name, "f64.", 4) == 0) continue;
        put_as_they_would(dump, name, tensor_set_at(trace, i), trace);
        expected++;
    }
    write_set(dump, path);
    write_bytes(map, their_map, strlen(their_map));
    enum status status =
        their_tensors_open(path, &(struct their_options){map, true}, &run.known, &theirs, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert_uint_eq(theirs.count, expected);
    ck_assert(theirs.unknown_count == 0 && theirs.twice_count == 0 && theirs.ignored == 0);
    for (size_t i = 0; i < theirs.count; i++) {
        const char *name = theirs.records[i].name;
        const struct tensor *ours = need_tensor(trace, "%s", name), *back = tensor_set_at(theirs.tensors, i);
        ck_assert_msg(ours->dtype == back->dtype && tensor_same_shape(ours, back), "%s", name);
        ck_assert_msg(memcmp(ours->data, back->data, tensor_bytes(ours)) == 0, "%s: other bits", name);
    }
    their_tensors_free(&theirs);
    tensor_set_free(dump);
    tensor_set_free(trace);
    close_run(&run);
}
END_TEST

/* --- The list ----------------------------------------------------------------------------- */

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
    TCase *forms = tcase_create("forms");
    tcase_set_timeout(forms, 60);
    tcase_add_checked_fixture(forms, make_test_folder, drop_test_folder);
    tcase_add_loop_test(forms, the_same_run_in_their_form, 0, 2);
    suite_add_tcase(suite, forms);
    return run_suite(suite);
}
