/*
 * What a run tells the person: which checkpoints do not fit text to image, what it ignores, and each warning
 * once and in time.
 */
#include "weights_support.h"

#include "ref/cli.h"
#include "ref/pipeline.h"

#include <stdlib.h>
#include <string.h>

/* --- Checkpoints -------------------------------------------------------------------------- */

/* The UNet of an inpainting checkpoint, as in stable-diffusion-inpainting: conv_in takes the latents, the
 * masked picture's latents and the mask. */
static void make_inpainting_unet(const char *model)
{
    const char *weights = path_in(model, "unet/diffusion_pytorch_model.safetensors");
    const char *config = path_in(model, "unet/config.json");
    struct tensor_set *whole = open_set(weights), *set = empty_set();
    for (size_t i = 0; i < tensor_set_count(whole); i++) {
        const char *name = tensor_set_name(whole, i);
        struct tensor tensor = *tensor_set_at(whole, i);
        if (strcmp(name, "conv_in.weight") != 0) {
            add_tensor(set, name, &tensor);
            continue;
        }
        tensor.shape[1] = 9;
        tensor.data = calloc(1, tensor_bytes(&tensor));
        ck_assert_ptr_nonnull(tensor.data);
        add_tensor(set, name, &tensor);
        free(tensor.data);
    }
    write_set(set, weights);
    tensor_set_free(set);
    tensor_set_free(whole);

    struct error error = {""};
    cJSON *json = NULL;
    ck_assert_msg(json_read_file(config, &json, &error) == STATUS_OK, "%s", error.message);
    cJSON_ReplaceItemInObjectCaseSensitive(json, "in_channels", cJSON_CreateNumber(9));
    char *text = cJSON_Print(json);
    write_bytes(config, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
}

START_TEST(an_inpainting_unet_is_named)
{
    const char *model = copy_model("tiny-sd");
    make_inpainting_unet(model);
    struct pipeline pipeline;
    struct error error = {""};
    enum status status = pipeline_open(model, NULL, &pipeline, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "unet/config.json: in_channels: expected 4", "got 9",
        "inpainting", NULL);
}
END_TEST

/* --- Warnings ----------------------------------------------------------------------------- */

/* The shipped recipe says 10 steps and gives the sigmas of 10: nothing is ignored. */
static const struct {
    const char *keys, *warning; /* NULL: none */
} schedules[] = {
    {"\"num_inference_steps\": 2, \"sigmas\": [14.6, 1.5, 0.0]", NULL},
    {"\"sigmas\": [14.6, 1.5, 0.0]", NULL},
    {"\"num_inference_steps\": 3, \"sigmas\": [14.6, 1.5, 0.0]",
        "num_inference_steps: ignored, the custom schedule has 2 steps"},
    {"\"num_inference_steps\": 50, \"timesteps\": [999, 500]",
        "num_inference_steps: ignored, the custom schedule has 2 steps"},
};

START_TEST(a_number_of_steps_beside_a_schedule)
{
    char text[256];
    snprintf(text, sizeof text,
        "{\"prompt\": \"a\", \"height\": 16, \"width\": 16, %s, "
        "\"scheduler\": {\"_class_name\": \"EulerDiscreteScheduler\"}}",
        schedules[_i].keys);
    struct error error = {""};
    cJSON *json = NULL;
    struct recipe recipe = {0};
    struct pipeline pipeline = {0};
    struct pictures pictures = {0};
    struct warnings warnings = {0};
    const struct run_options options = {0};
    enum status status = json_parse(text, strlen(text), "recipe", &json, &error);
    if (status == STATUS_OK) status = recipe_read(json, &recipe, &error);
    if (status == STATUS_OK) status = pipeline_open(golden_path("models/tiny-sdxl"), NULL, &pipeline, &error);
    if (status == STATUS_OK)
        status = pipeline_run_f32(&pipeline, &recipe, &options, &pictures, &warnings, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert_uint_eq(warnings.count, schedules[_i].warning ? 1 : 0);
    if (schedules[_i].warning) ck_assert_str_eq(warnings.items[0], schedules[_i].warning);
    free(pictures.pixels);
    warnings_free(&warnings);
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    cJSON_Delete(json);
}
END_TEST

/* Before the long part and again at the end: what was said is not repeated, what came later is added. */
START_TEST(warnings_are_shown_once)
{
    char *text = NULL;
    size_t size = 0;
    struct invocation invocation = {.messages = open_memstream(&text, &size)};
    ck_assert_ptr_nonnull(invocation.messages);
    warnings_add(&invocation.warnings, "a");
    warnings_add(&invocation.warnings, "b");
    warnings_add(&invocation.warnings, "a");
    cli_show_warnings(&invocation);
    fflush(invocation.messages);
    ck_assert_str_eq(text, "warning: a\nwarning: b\n");
    warnings_add(&invocation.warnings, "b");
    warnings_add(&invocation.warnings, "c");
    cli_show_warnings(&invocation);
    cli_show_warnings(&invocation);
    fclose(invocation.messages);
    ck_assert_str_eq(text, "warning: a\nwarning: b\nwarning: c\n");
    free(text);
    warnings_free(&invocation.warnings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run messages");
    TCase *checkpoints = tcase_create("checkpoints");
    tcase_add_checked_fixture(checkpoints, make_test_folder, drop_test_folder);
    tcase_add_test(checkpoints, an_inpainting_unet_is_named);
    suite_add_tcase(suite, checkpoints);
    TCase *warnings = tcase_create("warnings");
    tcase_set_timeout(warnings, 60);
    tcase_add_loop_test(
        warnings, a_number_of_steps_beside_a_schedule, 0, (int)(sizeof schedules / sizeof *schedules));
    tcase_add_test(warnings, warnings_are_shown_once);
    suite_add_tcase(suite, warnings);
    return run_suite(suite);
}
