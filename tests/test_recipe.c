/*
 * Recipes: what is read, what is refused and in which words, and the scheduler config that a run starts from.
 */
#include "support.h"

#include "ref/pipeline.h"
#include "sched/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status read_text(const char *text, struct recipe *recipe, struct error *error)
{
    cJSON *json;
    enum status status = json_parse(text, strlen(text), "recipe", &json, error);
    if (status == STATUS_OK) status = recipe_read(json, recipe, error);
    cJSON_Delete(json);
    return status;
}

START_TEST(defaults_are_those_of_the_pipeline_call)
{
    struct recipe r;
    struct error error = {""};
    ck_assert_int_eq(read_text("{\"prompt\": \"a cat\"}", &r, &error), STATUS_OK);
    ck_assert_str_eq(r.prompt.items[0], "a cat");
    ck_assert(!r.prompt.is_list && !r.negative_prompt.given && !r.has_clip_skip && !r.has_guidance_scale);
    ck_assert_int_eq(r.num_inference_steps, 50);
    ck_assert_int_eq(r.num_images_per_prompt, 1);
    ck_assert_int_eq(r.height, 0);
    ck_assert(r.eta == 0 && r.guidance_rescale == 0);
    ck_assert_uint_eq(r.num_seeds, 1);
    ck_assert_str_eq(r.seeds[0], "0");
    ck_assert_int_eq(r.generator, GENERATOR_NUMPY_PCG64);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(r.source, "seed")->valuestring, "0");
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(r.source, "generator")->valuestring, "numpy-pcg64");
    recipe_free(&r);
}
END_TEST

START_TEST(every_argument_is_read)
{
    struct recipe r;
    struct error error = {""};
    const char *text =
        "{\"name\": \"n\", \"prompt\": [\"a\", \"b\"], \"prompt_2\": [\"c\", \"d\"], \"negative_prompt\": "
        "\"\","
        "\"height\": 64, \"width\": 48, \"sigmas\": [14.6, 0.0], \"num_inference_steps\": 10,"
        "\"guidance_scale\": 1, \"guidance_rescale\": 0.7, \"eta\": 0.5, \"clip_skip\": 2,"
        "\"num_images_per_prompt\": 3, \"original_size\": [96, 128], \"crops_coords_top_left\": [8, 16],"
        "\"seed\": [1, \"340282366920938463463374607431768211455\"], \"generator\": \"torch-cpu\","
        "\"variant\": \"fp16\", \"scheduler\": {\"_class_name\": \"DDIMScheduler\"}, \"latents\": null}";
    enum status status = read_text(text, &r, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert(r.prompt.is_list && r.prompt.count == 2 && strcmp(r.prompt_2.items[1], "d") == 0);
    ck_assert(r.negative_prompt.given && !r.negative_prompt.is_list && r.negative_prompt.items[0][0] == '\0');
    ck_assert(r.height == 64 && r.width == 48 && r.num_sigmas == 2 && r.sigmas[0] == 14.6 &&
              r.has_num_inference_steps);
    ck_assert(r.has_guidance_scale && r.guidance_scale == 1 && r.guidance_rescale == 0.7 && r.eta == 0.5);
    ck_assert(r.has_clip_skip && r.clip_skip == 2 && r.num_images_per_prompt == 3);
    ck_assert(r.original_size.given && r.original_size.height == 96 && r.original_size.width == 128);
    ck_assert(r.crops_coords_top_left.height == 8 && !r.target_size.given && !r.latents);
    ck_assert_uint_eq(r.num_seeds, 2);
    ck_assert_str_eq(r.seeds[1], "340282366920938463463374607431768211455");
    ck_assert(r.generator == GENERATOR_TORCH_CPU && strcmp(r.variant, "fp16") == 0 && r.scheduler);
    recipe_free(&r);
}
END_TEST

static const struct {
    const char *text, *message; /* `message` is a part of what is said */
} refused[] = {
    {"[]", "expected a JSON object"},
    {"{\"promt\": \"a\"}", "promt: no such argument (did you mean prompt?)"},
    {"{\"prompt_embeds\": []}", "prompt_embeds: an argument of the Diffusers call that a recipe cannot have"},
    {"{\"prompt\": 3}", "prompt[0]: expected a string, got 3"},
    {"{\"prompt\": []}", "prompt: expected 1 to"},
    {"{\"height\": \"64\"}", "height: expected an integer from 0 to 65536, got \"64\""},
    {"{\"num_inference_steps\": 0}", "num_inference_steps: expected an integer from 1"},
    {"{\"num_inference_steps\": 2.5}", "num_inference_steps: expected an integer"},
    {"{\"timesteps\": [999, \"1\"]}", "timesteps[1]: expected a number, got \"1\""},
    {"{\"timesteps\": [999], \"sigmas\": [1, 0]}", "timesteps and sigmas: only one"},
    {"{\"eta\": 2}", "eta: expected a number from 0 to 1, got 2"},
    {"{\"clip_skip\": -1}", "clip_skip: expected an integer from 0"},
    {"{\"original_size\": [1]}", "original_size: expected two integers, got [1]"},
    {"{\"seed\": -1}", "seed[0]: expected a non-negative integer"},
    {"{\"seed\": 1.5}", "seed[0]: expected a non-negative integer"},
    {"{\"seed\": 18446744073709551615}", "(above 2^53 as a string)"},
    {"{\"generator\": \"cuda\"}", "generator: expected numpy-pcg64"},
    {"{\"scheduler\": \"DDIM\"}", "scheduler: expected an object"},
    {"{\"guidance_scale\": Infinity}", "guidance_scale: expected a number from"},
    {"{\"prompt\": \"a\", \"prompt\": \"b\"}", "stands twice"},
};

START_TEST(a_wrong_recipe_is_refused_by_name)
{
    struct recipe r;
    struct error error = {""};
    ck_assert_int_eq(read_text(refused[_i].text, &r, &error), STATUS_BAD_INPUT);
    ck_assert_msg(strstr(error.message, refused[_i].message) != NULL, "%s: said \"%s\", expected \"%s\"",
        refused[_i].text, error.message, refused[_i].message);
}
END_TEST

/* --- The scheduler config of a run -------------------------------------------------------- */

/* What a pipeline of this kind with this scheduler_config.json makes of a recipe's `scheduler`. */
static cJSON *config_of(bool is_xl, const char *checkpoint, const char *overrides)
{
    struct error error = {""};
    struct pipeline pipeline = {.is_xl = is_xl};
    struct recipe recipe = {0};
    ck_assert_int_eq(
        json_parse(checkpoint, strlen(checkpoint), "checkpoint", &pipeline.scheduler_config, &error),
        STATUS_OK);
    if (overrides)
        ck_assert_int_eq(
            json_parse(overrides, strlen(overrides), "overrides", &recipe.scheduler, &error), STATUS_OK);
    cJSON *config = NULL;
    enum status status = pipeline_scheduler_config(&pipeline, &recipe, &config, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    cJSON_Delete(pipeline.scheduler_config);
    cJSON_Delete(recipe.scheduler);
    return config;
}

static void expect_config(bool is_xl, const char *checkpoint, const char *overrides, const char *expected)
{
    struct error error = {""};
    cJSON *config = config_of(is_xl, checkpoint, overrides), *wanted;
    ck_assert_int_eq(json_parse(expected, strlen(expected), "expected", &wanted, &error), STATUS_OK);
    char got[400];
    ck_assert_msg(cJSON_Compare(config, wanted, true), "%s with %s: got %s, expected %s", checkpoint,
        overrides ? overrides : "nothing", json_show(config, got, sizeof got), expected);
    cJSON_Delete(config);
    cJSON_Delete(wanted);
}

/* Checked against diffusers 0.35.1 itself: a PNDM config without steps_offset, corrected to 1 by the
 * pipeline, becomes a DDIMScheduler with steps_offset 0 and clip_sample true by from_config(). */
START_TEST(outdated_configs_are_corrected_as_the_pipeline_does)
{
    const char *pndm = "{\"_class_name\": \"PNDMScheduler\"}", *ddim = "{\"_class_name\": \"DDIMScheduler\"}";
    expect_config(false, pndm, NULL, "{\"_class_name\": \"PNDMScheduler\", \"steps_offset\": 1}");
    expect_config(false, ddim, NULL,
        "{\"_class_name\": \"DDIMScheduler\", \"steps_offset\": 1, \"clip_sample\": false}");
    expect_config(false, pndm, ddim, ddim);
    expect_config(false, "{\"_class_name\": \"PNDMScheduler\", \"steps_offset\": 0, \"clip_sample\": true}",
        ddim, "{\"_class_name\": \"DDIMScheduler\", \"steps_offset\": 1, \"clip_sample\": false}");
    /* What a person sets stands; SDXL's pipeline corrects nothing. */
    expect_config(false, "{\"_class_name\": \"PNDMScheduler\", \"steps_offset\": 1}", "{\"steps_offset\": 0}",
        "{\"_class_name\": \"PNDMScheduler\", \"steps_offset\": 0}");
    expect_config(true, ddim, NULL, ddim);
}
END_TEST

/* The schedulers of the published folders, in full. */
#define SD15 "configs/schedulers/sd15.json"
#define SDXL "configs/schedulers/sdxl.json"

/* What a run warns of when its checkpoint has the scheduler config of `file`. */
static const struct {
    const char *file, *overrides, *warning; /* NULL: none */
} leftovers[] = {
    {SD15, NULL, NULL},
    {SDXL, NULL, NULL},
    {SD15, "{\"clip_sample\": false}", "option clip_sample is ignored by PNDMScheduler"},
    {SDXL, "{\"_class_name\": \"DPMSolverMultistepScheduler\"}",
        "option interpolation_type is ignored by DPMSolverMultistepScheduler"},
    {SDXL, "{\"_class_name\": \"DDIMScheduler\", \"use_lu_lambdas\": true}",
        "options ignored by DDIMScheduler: interpolation_type, use_karras_sigmas, use_lu_lambdas"},
};

START_TEST(leftovers_of_a_published_config_are_not_warned_of)
{
    struct error error = {""};
    cJSON *file = NULL;
    ck_assert_msg(json_read_file(leftovers[_i].file, &file, &error) == STATUS_OK, "%s", error.message);
    char *text = cJSON_PrintUnformatted(file);
    cJSON *config = config_of(strcmp(leftovers[_i].file, SDXL) == 0, text, leftovers[_i].overrides);
    struct warnings warnings = {0};
    struct scheduler *scheduler = NULL;
    ck_assert_msg(scheduler_create(config, &scheduler, &warnings, &error) == STATUS_OK, "%s", error.message);
    ck_assert_uint_eq(warnings.count, leftovers[_i].warning ? 1 : 0);
    if (leftovers[_i].warning) ck_assert_str_eq(warnings.items[0], leftovers[_i].warning);
    scheduler_free(scheduler);
    warnings_free(&warnings);
    cJSON_free(text);
    cJSON_Delete(config);
    cJSON_Delete(file);
}
END_TEST

static const struct {
    const char *file, *overrides;
    const char *warning; /* a part of it; NULL: none */
} predictions[] = {
    {"{}", "{\"prediction_type\": \"v_prediction\"}",
        "\"v_prediction\", but the checkpoint's scheduler has \"epsilon\""},
    {"{\"prediction_type\": \"v_prediction\"}", "{\"prediction_type\": \"epsilon\"}",
        "\"epsilon\", but the checkpoint's scheduler has \"v_prediction\""},
    {"{\"prediction_type\": \"v_prediction\"}", "{\"prediction_type\": \"v_prediction\"}", NULL},
    {"{\"prediction_type\": \"v_prediction\"}", "{}", NULL},
    {"{}", "{\"prediction_type\": \"epsilon\"}", NULL},
};

START_TEST(another_prediction_than_the_checkpoints_is_warned_of)
{
    struct error error = {""};
    struct pipeline pipeline = {.is_xl = true};
    struct recipe recipe = {0};
    struct warnings warnings = {0};
    cJSON *config = NULL;
    const char *file = predictions[_i].file, *overrides = predictions[_i].overrides;
    ck_assert_int_eq(json_parse(file, strlen(file), "file", &pipeline.scheduler_config, &error), STATUS_OK);
    ck_assert_int_eq(
        json_parse(overrides, strlen(overrides), "overrides", &recipe.scheduler, &error), STATUS_OK);
    ck_assert_int_eq(pipeline_scheduler_config(&pipeline, &recipe, &config, &warnings, &error), STATUS_OK);
    ck_assert_uint_eq(warnings.count, predictions[_i].warning ? 1 : 0);
    if (predictions[_i].warning) ck_assert_ptr_nonnull(strstr(warnings.items[0], predictions[_i].warning));
    warnings_free(&warnings);
    cJSON_Delete(config);
    cJSON_Delete(recipe.scheduler);
    cJSON_Delete(pipeline.scheduler_config);
}
END_TEST

START_TEST(a_misspelt_scheduler_option_is_refused)
{
    struct error error = {""};
    struct pipeline pipeline = {.is_xl = true, .scheduler_config = cJSON_CreateObject()};
    struct recipe recipe = {.scheduler = cJSON_CreateObject()};
    cJSON_AddTrueToObject(recipe.scheduler, "use_karas_sigmas");
    cJSON *config;
    ck_assert_int_eq(pipeline_scheduler_config(&pipeline, &recipe, &config, NULL, &error), STATUS_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(error.message, "did you mean use_karras_sigmas"));
    ck_assert_ptr_null(config);
    cJSON_Delete(pipeline.scheduler_config);
    cJSON_Delete(recipe.scheduler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe");
    TCase *reading = tcase_create("reading");
    tcase_add_test(reading, defaults_are_those_of_the_pipeline_call);
    tcase_add_test(reading, every_argument_is_read);
    tcase_add_loop_test(
        reading, a_wrong_recipe_is_refused_by_name, 0, (int)(sizeof refused / sizeof *refused));
    suite_add_tcase(suite, reading);
    TCase *config = tcase_create("scheduler config");
    tcase_add_test(config, outdated_configs_are_corrected_as_the_pipeline_does);
    tcase_add_loop_test(config, leftovers_of_a_published_config_are_not_warned_of, 0,
        (int)(sizeof leftovers / sizeof *leftovers));
    tcase_add_loop_test(config, another_prediction_than_the_checkpoints_is_warned_of, 0,
        (int)(sizeof predictions / sizeof *predictions));
    tcase_add_test(config, a_misspelt_scheduler_option_is_refused);
    suite_add_tcase(suite, config);
    return run_suite(suite);
}
