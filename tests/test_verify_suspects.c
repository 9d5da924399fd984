/*
 * Each suspect, planted: a pipeline of our own with that fault leaves a trace, and the diagnosis of it must
 * name the fault. Layers by the table of suspects_layers.c, every entry of it; arguments of the call; and
 * tensors edited after the run.
 */
#include "support.h"

#include "kernels/cpu.h"
#include "ref/suspects.h"
#include "ref/verify.h"
#include "sched/generator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Runs --------------------------------------------------------------------------------- */

/* The calls that are made: one a model. */
static const struct {
    const char *folder, *recipe;
} calls[] = {
    {"models/tiny-sd", "{\"prompt\":\"a red cube on a table\",\"height\":24,\"width\":24,"
                       "\"num_inference_steps\":2,\"guidance_scale\":7.5,\"seed\":\"11\"}"},
    {"models/tiny-sd21v",
        "{\"prompt\":\"a red cube on a table\",\"height\":24,\"width\":16,\"num_inference_steps\":2,"
        "\"guidance_scale\":6,\"guidance_rescale\":0.7,\"seed\":\"12\"}"},
    {"models/tiny-sdxl",
        "{\"prompt\":\"a red cube\",\"prompt_2\":\"on a table\",\"negative_prompt\":\"blue\",\"height\":32,"
        "\"width\":48,\"num_inference_steps\":2,\"guidance_scale\":4,\"crops_coords_top_left\":[2,5],"
        "\"original_size\":[60,50],\"seed\":\"13\","
        "\"scheduler\":{\"_class_name\":\"EulerDiscreteScheduler\"}}"},
};
#define CALLS (sizeof calls / sizeof *calls)

struct setting {
    struct pipeline pipeline;
    struct recipe recipe;
    struct layer_names *names;
};

static void read_recipe(const char *text, const char *key, const char *value, struct recipe *recipe)
{
    struct error error = {""};
    cJSON *json = cJSON_Parse(text);
    ck_assert_ptr_nonnull(json);
    if (key) {
        const char *option = strchr(key, '.');
        cJSON *object = option ? cJSON_GetObjectItem(json, "scheduler") : json;
        if (!object) object = cJSON_AddObjectToObject(json, "scheduler");
        cJSON_DeleteItemFromObject(object, option ? option + 1 : key);
        cJSON *item = cJSON_Parse(value);
        if (cJSON_IsNull(item))
            cJSON_Delete(item);
        else
            cJSON_AddItemToObject(object, option ? option + 1 : key, item);
    }
    ck_assert_msg(recipe_read(json, recipe, &error) == STATUS_OK, "%s", error.message);
    cJSON_Delete(json);
}

static void open_setting(size_t call, struct setting *setting)
{
    struct error error = {""};
    enum status status =
        pipeline_open(golden_path("%s", calls[call].folder), NULL, &setting->pipeline, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    read_recipe(calls[call].recipe, NULL, NULL, &setting->recipe);
    ck_assert_int_eq(layer_names_create(&setting->pipeline, &setting->names, &error), STATUS_OK);
}

static void close_setting(struct setting *setting)
{
    layer_names_free(setting->names);
    recipe_free(&setting->recipe);
    pipeline_close(&setting->pipeline);
}

/* A run in single precision with a variation; the trace is the caller's. */
static struct trace *run_with(const struct setting *setting, const struct variation *variation, bool modules)
{
    struct error error = {""};
    struct trace *trace = NULL;
    struct pictures pictures = {0};
    ck_assert_int_eq(trace_create(&trace, &error), STATUS_OK);
    const struct run_options options = {.trace = trace,
        .trace_modules = modules,
        .observer = variation->observer,
        .replacement = variation->replacement};
    enum status status = pipeline_run_f32(&setting->pipeline,
        variation->recipe ? variation->recipe : &setting->recipe, &options, &pictures, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    free(pictures.pixels);
    return trace;
}

static void verify_trace(
    const struct setting *setting, const struct tensor_set *theirs, struct verification *verification)
{
    struct error error = {""};
    struct verify_options options = VERIFY_OPTIONS_DEFAULT;
    options.free_run = false;
    enum status status =
        verify(&setting->pipeline, &setting->recipe, theirs, &options, verification, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

/* A fault that was not named. */
static void show_miss(const char *fault, const struct verification *v)
{
    const struct verify_row *row = v->first_wrong;
    printf("%s: %s: %s\n", fault, row ? row->name : "nothing is wrong",
        row && row->diagnosis ? row->diagnosis : "no diagnosis");
}

/* --- Layers ------------------------------------------------------------------------------- */

/* No checkpoint here differs with it: all have the shift 0. */
static bool cannot_show(const struct layer_suspect *suspect)
{
    return suspect->rules[0].change == LAYER_FREQ_SHIFT && suspect->rules[0].number == 0;
}

/* Which stage's rows the suspect may be the reason of. */
static bool is_its_stage(const struct layer_suspect *suspect, const struct verify_row *row)
{
    return name_matches(row->name, suspect->rows);
}

/* Plants it in the first model that it makes a difference to; whether it was named. */
static bool plant_layers(const struct setting *settings, const struct layer_suspect *suspect, bool modules)
{
    for (size_t k = 0; k < CALLS; k++) {
        struct layer_variation layers;
        struct verification v = {0};
        const struct setting *setting = &settings[k];
        layer_variation_init(
            &layers, &setting->pipeline, setting->names, suspect->rules, layer_rule_count(suspect));
        struct trace *trace =
            run_with(setting, &(struct variation){.replacement = &layers.replacement}, modules);
        verify_trace(setting, trace_tensors(trace), &v);
        const struct verify_row *row = v.first_wrong;
        bool wrong = row != NULL, staged = wrong && is_its_stage(suspect, row);
        bool named = wrong && row->diagnosis && strstr(row->diagnosis, suspect->text);
        if (wrong && !named) show_miss(suspect->text, &v);
        if (wrong && !staged) ck_abort_msg("%s: %s is called wrong", suspect->text, row->name);
        verification_free(&v);
        trace_free(trace);
        if (wrong) return named;
    }
    if (!cannot_show(suspect)) printf("%s: makes no difference to any model\n", suspect->text);
    return cannot_show(suspect);
}

/* Every entry of the table, with all modules recorded (odd entries) or the stages alone (even ones). */
START_TEST(every_layer_suspect)
{
    struct setting settings[CALLS];
    size_t named = 0, count = layer_suspect_count();
    for (size_t k = 0; k < CALLS; k++) open_setting(k, &settings[k]);
    for (size_t i = 0; i < count; i++) named += plant_layers(settings, layer_suspect_at(i), i % 3 != 0);
    for (size_t k = 0; k < CALLS; k++) close_setting(&settings[k]);
    printf("%zu of %zu layer suspects named\n", named, count);
    ck_assert_uint_ge(named * 10, count * 9);
}
END_TEST

int main(void)
{
    kernels_set_threads(1);
    Suite *suite = suite_create("verify_suspects");
    TCase *layers = tcase_create("layers");
    tcase_set_timeout(layers, 600);
    tcase_add_test(layers, every_layer_suspect);
    suite_add_tcase(suite, layers);
    return run_suite(suite);
}
