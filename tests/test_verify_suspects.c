/*
 * Each suspect, planted: a pipeline of our own with that fault leaves a trace, and the diagnosis of it must
 * name the fault. Layers by the table of suspects_layers.c, every entry of it; arguments of the call;
 * timesteps; and values edited in the run or in its trace.
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
    {"models/tiny-sd",
        "{\"prompt\":\"a red cube\",\"negative_prompt\":\"a table\",\"height\":16,\"width\":24,"
        "\"num_inference_steps\":4,\"guidance_scale\":3,\"seed\":\"14\","
        "\"scheduler\":{\"_class_name\":\"DPMSolverMultistepScheduler\"}}"},
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
    fflush(stdout); /* a failed test's buffer is lost */
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
    fflush(stdout);
    ck_assert_uint_ge(named * 10, count * 9);
}
END_TEST

/* --- The call ----------------------------------------------------------------------------- */

/* Whether a trace's first wrong tensor, which must be one of `rows`, is said to have one of the faults whose
 * words '|' parts. */
static bool is_named(const struct setting *setting, const struct tensor_set *theirs, const char *fault,
    const char *rows, const char *words)
{
    struct verification v = {0};
    char spellings[256], *rest = NULL;
    bool named = false;
    verify_trace(setting, theirs, &v);
    const struct verify_row *row = v.first_wrong;
    ck_assert_msg(row && name_matches(row->name, rows), "%s: %s is the first wrong, not %s", fault,
        row ? row->name : "nothing", rows);
    snprintf(spellings, sizeof spellings, "%s", words);
    for (char *word = strtok_r(spellings, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        named = named || (row->diagnosis && strstr(row->diagnosis, word));
    if (!named) show_miss(fault, &v);
    verification_free(&v);
    return named;
}

/* An argument with another value in the run than in the call that is verified. */
static const struct {
    size_t call;
    const char *key, *value; /* null takes the key out */
    const char *rows, *words;
} arguments[] = {
    {0, "guidance_scale", "5", "step.00.noise_pred", "with the scale 5, not 7.5"},
    {1, "guidance_scale", "7.5", "step.00.noise_pred", "with the scale 7.5, not 6"},
    {2, "guidance_scale", "6", "step.00.noise_pred", "with the scale 6, not 4"},
    {1, "guidance_rescale", "0", "step.00.noise_pred", "without guidance_rescale"},
    {1, "guidance_rescale", "0.5", "step.00.noise_pred", "guidance_rescale 0.5, not 0.7"},
    {0, "seed", "12", "init_noise", "the seed 12"},
    {2, "seed", "12", "init_noise", "the seed 12"},
    {0, "generator", "\"numpy-mt19937\"", "init_noise", "\"numpy-mt19937\""},
    {2, "generator", "\"torch-cpu\"", "init_noise", "\"torch-cpu\""},
    {0, "scheduler.timestep_spacing", "\"trailing\"", "timesteps", "timestep_spacing \"trailing\""},
    {1, "scheduler.timestep_spacing", "\"linspace\"", "timesteps", "timestep_spacing \"linspace\""},
    {2, "scheduler.timestep_spacing", "\"linspace\"", "timesteps", "timestep_spacing \"linspace\""},
    {0, "scheduler.steps_offset", "0", "timesteps", "steps_offset 0"},
    {2, "scheduler.steps_offset", "0", "timesteps", "steps_offset 0"},
    {2, "scheduler.final_sigmas_type", "\"sigma_min\"", "sigmas", "final_sigmas_type \"sigma_min\""},
    {3, "scheduler.final_sigmas_type", "\"sigma_min\"", "sigmas", "final_sigmas_type \"sigma_min\""},
    {3, "scheduler.use_karras_sigmas", "true", "timesteps sigmas", "use_karras_sigmas true"},
    {3, "scheduler.solver_order", "1", "step.01.latents", "solver_order 1"},
    {3, "scheduler.solver_type", "\"heun\"", "step.01.latents", "solver_type \"heun\""},
    {0, "scheduler.prediction_type", "\"v_prediction\"", "step.00.latents", "epsilon taken as v-prediction"},
    {1, "scheduler.prediction_type", "\"epsilon\"", "step.00.latents", "v-prediction taken as epsilon"},
    {3, "scheduler.prediction_type", "\"sample\"", "step.00.latents", "epsilon taken as the sample"},
    {0, "negative_prompt", "\"blue\"", "negative_input_ids.text_encoder", "element"},
    {2, "negative_prompt", "\"\"", "negative_input_ids.text_encoder", "negative_prompt \"\""},
    {2, "negative_prompt", "null", "negative_prompt_embeds", "is zeros"},
    {2, "prompt_2", "null", "input_ids.text_encoder_2", "with prompt_2 nothing"},
    {2, "crops_coords_top_left", "null", "add_time_ids", "with crops_coords_top_left nothing"},
    {2, "original_size", "null", "add_time_ids", "with original_size nothing"},
    {0, "clip_skip", "1", "prompt_embeds negative_prompt_embeds last_hidden_state.*",
        "hidden_states[-2]|clip_skip 1"},
    {2, "clip_skip", "1", "prompt_embeds negative_prompt_embeds", "hidden_states[-3]|clip_skip 1"},
};

START_TEST(arguments_of_the_call)
{
    struct setting settings[CALLS];
    size_t named = 0, count = sizeof arguments / sizeof *arguments;
    for (size_t k = 0; k < CALLS; k++) open_setting(k, &settings[k]);
    for (size_t i = 0; i < count; i++) {
        char fault[128];
        struct recipe recipe;
        read_recipe(calls[arguments[i].call].recipe, arguments[i].key, arguments[i].value, &recipe);
        struct trace *trace =
            run_with(&settings[arguments[i].call], &(struct variation){.recipe = &recipe}, false);
        snprintf(fault, sizeof fault, "call %zu with %s %s", arguments[i].call, arguments[i].key,
            arguments[i].value);
        named += is_named(
            &settings[arguments[i].call], trace_tensors(trace), fault, arguments[i].rows, arguments[i].words);
        trace_free(trace);
        recipe_free(&recipe);
    }
    for (size_t k = 0; k < CALLS; k++) close_setting(&settings[k]);
    printf("%zu of %zu arguments named\n", named, count);
    fflush(stdout);
    ck_assert_uint_ge(named * 10, count * 9);
}
END_TEST

/* --- Values ------------------------------------------------------------------------------- */

static void put(const struct tensor *tensor, size_t i, double value)
{
    if (tensor->dtype == DTYPE_I64)
        ((int64_t *)tensor->data)[i] = (int64_t)value;
    else if (tensor->dtype == DTYPE_F32)
        ((float *)tensor->data)[i] = (float)value;
    else
        ck_abort_msg("a tensor of %s is not edited", dtype_name(tensor->dtype));
}

static void put_zeros(const struct tensor *tensor, const struct tensor *other)
{
    (void)other;
    memset(tensor->data, 0, tensor_bytes(tensor));
}

/* What pads with the end token is padded with the id 0, and the other way round. */
static void pad_otherwise(const struct tensor *tensor, const struct tensor *other)
{
    size_t length = (size_t)tensor->shape[1], end = 0;
    (void)other;
    for (size_t i = 1; i < length; i++)
        if (tensor_get_double(tensor, i) > tensor_get_double(tensor, end)) end = i;
    double end_id = tensor_get_double(tensor, end);
    bool is_end = tensor_get_double(tensor, length - 1) == end_id;
    for (size_t i = end + 1; i < length; i++) put(tensor, i, is_end ? 0 : end_id);
}

/* tensor[.., i, j] = copy[.., i, (j - 1) % width] */
static void roll(const struct tensor *tensor, const struct tensor *copy)
{
    size_t width = (size_t)tensor->shape[tensor->rank - 1];
    for (size_t i = 0; i < tensor_count(tensor); i++)
        put(tensor, i, tensor_get_double(copy, i - i % width + (i % width + width - 1) % width));
}

static void flip(const struct tensor *tensor, const struct tensor *copy)
{
    size_t width = (size_t)tensor->shape[tensor->rank - 1];
    for (size_t i = 0; i < tensor_count(tensor); i++)
        put(tensor, i, tensor_get_double(copy, i - i % width + width - 1 - i % width));
}

/* The numbers column by column, under the same shape. */
static void transpose(const struct tensor *tensor, const struct tensor *copy)
{
    size_t height = (size_t)tensor->shape[2], width = (size_t)tensor->shape[3], plane = height * width;
    for (size_t i = 0; i < tensor_count(tensor); i++)
        put(tensor, i, tensor_get_double(copy, i - i % plane + i % height * width + i % plane / height));
}

static void put_nan(const struct tensor *tensor, const struct tensor *copy)
{
    (void)copy;
    put(tensor, tensor_count(tensor) / 2, (double)NAN);
}

/* The second quarter of the rows and the first of the columns, in every channel. */
static void clear_tile(const struct tensor *tensor, const struct tensor *copy)
{
    size_t height = (size_t)tensor->shape[2], width = (size_t)tensor->shape[3];
    (void)copy;
    for (size_t i = 0; i < tensor_count(tensor); i++)
        if (i % width < width / 4 && i / width % height / (height / 4) == 1) put(tensor, i, 0);
}

static void store_as_bf16(const struct tensor *tensor, const struct tensor *copy)
{
    for (size_t i = 0; i < tensor_count(tensor); i++)
        put(tensor, i, (double)number_format_round(FORMAT_BF16, (float)tensor_get_double(copy, i)));
}

static void take_over(const struct tensor *tensor, const struct tensor *other)
{
    memcpy(tensor->data, other->data, tensor_bytes(tensor));
}

static void reshape(const struct tensor *tensor, int rank, const int64_t *shape)
{
    struct tensor *changed = (struct tensor *)(uintptr_t)tensor; /* the trace's own, put right afterwards */
    changed->rank = rank;
    memcpy(changed->shape, shape, (size_t)rank * sizeof *shape);
}

/* All numbers in a row. */
static void flatten(const struct tensor *tensor, const struct tensor *copy)
{
    (void)copy;
    reshape(tensor, 1, (int64_t[]){(int64_t)tensor_count(tensor)});
}

/* [B, C, H, W] as [B, H, W, C], and said to be so. */
static void put_channels_last(const struct tensor *tensor, const struct tensor *copy)
{
    const size_t channels = (size_t)copy->shape[1], plane = (size_t)(copy->shape[2] * copy->shape[3]);
    for (size_t i = 0; i < tensor_count(tensor); i++) {
        const size_t picture = i / (channels * plane), place = i / channels % plane, channel = i % channels;
        put(tensor, i, tensor_get_double(copy, (picture * channels + channel) * plane + place));
    }
    reshape(tensor, 4, (int64_t[]){copy->shape[0], copy->shape[2], copy->shape[3], copy->shape[1]});
}

/* [B, C, H, W] as [B, C, W, H], and said to be so. */
static void put_columns_first(const struct tensor *tensor, const struct tensor *copy)
{
    transpose(tensor, copy);
    reshape(tensor, 4, (int64_t[]){copy->shape[0], copy->shape[1], copy->shape[3], copy->shape[2]});
}

/* What a value is overwritten with: in the run, which goes on with it, or in its trace. */
struct edit {
    const char *row;
    void (*apply)(const struct tensor *tensor, const struct tensor *other);
    const char *other; /* the tensor that `apply` is given; NULL: a copy of the row's own */
    const char *words;
};

static const struct edit in_the_run[] = {
    {"negative_prompt_embeds", put_zeros, NULL, "is zeros"},
    {"input_ids.text_encoder", pad_otherwise, NULL, "is padded with"},
    {"step.01.noise_pred", put_zeros, NULL, "nothing but zeros"},
};
static const struct edit in_the_trace[] = {
    {"latents.final", roll, NULL, "is ours with the columns one place further back, round the end"},
    {"step.01.noise_pred_text", roll, NULL, "is ours with the columns one place further back, round the end"},
    {"image", roll, NULL, "is ours with the columns one place further back, round the end"},
    {"step.01.noise_pred_uncond", flip, NULL, "columns of ours in the reverse order"},
    {"image", flip, NULL, "columns of ours in the reverse order"},
    {"init_noise", transpose, NULL, "height and width exchanged"},
    {"step.01.latents", transpose, NULL, "height and width exchanged"},
    {"step.00.noise_pred_text", put_nan, NULL, "right but for 1 element, not a number, in"},
    {"image", put_nan, NULL, "right but for 1 element, not a number, in"},
    {"vae_input", put_nan, NULL, "right but for 1 element, not a number, in"},
    {"step.00.noise_pred", clear_tile, NULL, "is right but for"},
    {"image", clear_tile, NULL, "is right but for"},
    {"step.00.noise_pred_uncond", store_as_bf16, NULL, "as bf16 stores it"},
    {"step.01.latents", store_as_bf16, NULL, "as bf16 stores it"},
    {"step.01.noise_pred_text", take_over, "step.00.noise_pred_text", "as step.00.noise_pred_text"},
    {"step.01.noise_pred_uncond", take_over, "step.01.noise_pred_text", "halves of guidance are exchanged"},
    {"step.01.noise_pred", flatten, NULL, "has our numbers under another shape"},
    {"prompt_embeds", flatten, NULL, "has our numbers under another shape"},
    {"step.00.latents", put_channels_last, NULL, "channels last"},
    {"image", put_channels_last, NULL, "channels last"},
    {"step.00.noise_pred_uncond", put_columns_first, NULL, "height and width exchanged"},
};

/* A run's own trace has values as they are before an observer changes them: this one has them after. */
struct edited_run {
    const struct edit *edit;
    struct trace *trace;
};

static enum status edit_in_the_run(
    void *context, const char *name, const struct tensor *value, struct error *error)
{
    const struct edited_run *run = context;
    if (strcmp(name, run->edit->row) == 0) run->edit->apply(value, value);
    return strstr(name, "act.") ? STATUS_OK : trace_add(run->trace, value, error, "%s", name);
}

static bool plant_in_the_run(const struct setting *setting, const struct edit *edit)
{
    struct error error = {""};
    struct edited_run run = {.edit = edit};
    struct observer observer = {.context = &run, .see = edit_in_the_run};
    ck_assert_int_eq(trace_create(&run.trace, &error), STATUS_OK);
    trace_free(run_with(setting, &(struct variation){.observer = &observer}, false));
    bool named = is_named(setting, trace_tensors(run.trace), edit->words, edit->row, edit->words);
    trace_free(run.trace);
    return named;
}

/* The trace is as it was afterwards. */
static bool plant_in_the_trace(
    const struct setting *setting, const struct tensor_set *tensors, const struct edit *edit)
{
    const struct tensor *tensor = need_tensor(tensors, "%s", edit->row);
    struct tensor copy = *tensor;
    copy.data = malloc(tensor_bytes(tensor));
    ck_assert_ptr_nonnull(copy.data);
    memcpy(copy.data, tensor->data, tensor_bytes(tensor));
    edit->apply(tensor, edit->other ? need_tensor(tensors, "%s", edit->other) : &copy);
    bool named = is_named(setting, tensors, edit->words, edit->row, edit->words);
    memcpy(tensor->data, copy.data, tensor_bytes(tensor));
    reshape(tensor, copy.rank, copy.shape);
    free(copy.data);
    return named;
}

START_TEST(edited_values)
{
    static const size_t models[] = {3, 2};
    size_t named = 0, count = 0;
    for (size_t k = 0; k < 2; k++) {
        struct setting setting;
        open_setting(models[k], &setting);
        struct trace *trace = run_with(&setting, &(struct variation){.recipe = NULL}, false);
        for (size_t i = 0; i < sizeof in_the_run / sizeof *in_the_run; i++, count++)
            named += plant_in_the_run(&setting, &in_the_run[i]);
        for (size_t i = 0; i < sizeof in_the_trace / sizeof *in_the_trace; i++, count++)
            named += plant_in_the_trace(&setting, trace_tensors(trace), &in_the_trace[i]);
        trace_free(trace);
        close_setting(&setting);
    }
    printf("%zu of %zu edits named\n", named, count);
    fflush(stdout);
    ck_assert_uint_ge(named * 10, count * 9);
}
END_TEST

/* --- Inputs that are not what is recorded ------------------------------------------------- */

/* A model is given something else than its input, which is recorded: a run's own trace has values as they are
 * before an observer changes them. */
struct other_given {
    size_t call;
    const char *input;
    enum { GIVEN_LATENTS, GIVEN_WIDTHS_FIRST, GIVEN_EARLIER } what;
    const char *row, *words;
};
static const struct other_given others_given[] = {
    {2, "step.01.model_input", GIVEN_LATENTS, "step.01.noise_pred_uncond",
        "has not scaled: what is recorded as step.01.model_input is not what"},
    {2, "step.01.model_input", GIVEN_EARLIER, "step.01.noise_pred_uncond",
        "of the step before: what is recorded as step.01.model_input"},
    {3, "step.02.model_input", GIVEN_EARLIER, "step.02.noise_pred_uncond",
        "the model input of the step before"},
    {2, "add_time_ids", GIVEN_WIDTHS_FIRST, "step.00.noise_pred_uncond",
        "before the height in add_time_ids: what is recorded as add_time_ids"},
    {0, "vae_input", GIVEN_LATENTS, "image", "has not divided: what is recorded as vae_input"},
};

struct giving {
    const struct other_given *given;
    struct tensor latents; /* where the run keeps them */
    struct tensor earlier; /* a copy of the last model input; owned */
};

static enum status give_other(
    void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct giving *giving = context;
    const struct other_given *given = giving->given;
    const char *key = strrchr(name, '.');
    (void)error;
    if (strcmp(name, given->input) == 0 && given->what == GIVEN_WIDTHS_FIRST)
        for (size_t i = 0; i + 1 < tensor_count(value); i += 2) {
            const double height = tensor_get_double(value, i);
            put(value, i, tensor_get_double(value, i + 1));
            put(value, i + 1, height);
        }
    else if (strcmp(name, given->input) == 0)
        take_over(value, given->what == GIVEN_LATENTS ? &giving->latents : &giving->earlier);
    if (key && strcmp(key, ".model_input") == 0) {
        if (!giving->earlier.data) giving->earlier.data = malloc(tensor_bytes(value));
        ck_assert_ptr_nonnull(giving->earlier.data);
        memcpy(giving->earlier.data, value->data, tensor_bytes(value));
    }
    if (strncmp(name, "latents.", 8) == 0 || (key && strcmp(key, ".latents") == 0)) giving->latents = *value;
    return STATUS_OK;
}

START_TEST(what_is_recorded_is_not_what_a_model_was_given)
{
    const size_t count = sizeof others_given / sizeof *others_given;
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        struct setting setting;
        struct giving giving = {.given = &others_given[i]};
        struct observer observer = {.context = &giving, .see = give_other};
        open_setting(others_given[i].call, &setting);
        struct trace *trace = run_with(&setting, &(struct variation){.observer = &observer}, false);
        named += is_named(&setting, trace_tensors(trace), others_given[i].words, others_given[i].row,
            others_given[i].words);
        trace_free(trace);
        free(giving.earlier.data);
        close_setting(&setting);
    }
    printf("%zu of %zu other inputs named\n", named, count);
    fflush(stdout);
    ck_assert_uint_eq(named, count);
}
END_TEST

/* The UNet is told one less than the timestep of the first step. */
START_TEST(timesteps_off_by_one)
{
    for (size_t k = 0; k < CALLS; k++) {
        struct setting setting;
        struct layer_variation layers;
        open_setting(k, &setting);
        struct trace *trace = run_with(&setting, &(struct variation){.recipe = NULL}, false);
        const struct tensor *timesteps = need_tensor(trace_tensors(trace), "timesteps");
        struct layer_rule rule = {"unet.time_proj", LAYER_TIMESTEP, tensor_get_double(timesteps, 0) - 1};
        trace_free(trace);
        layer_variation_init(&layers, &setting.pipeline, setting.names, &rule, 1);
        trace = run_with(&setting, &(struct variation){.replacement = &layers.replacement}, false);
        ck_assert(is_named(
            &setting, trace_tensors(trace), calls[k].folder, "step.00.noise_pred_uncond", "one less"));
        trace_free(trace);
        close_setting(&setting);
    }
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
    TCase *planted = tcase_create("calls and values");
    tcase_set_timeout(planted, 600);
    tcase_add_test(planted, arguments_of_the_call);
    tcase_add_test(planted, edited_values);
    tcase_add_test(planted, what_is_recorded_is_not_what_a_model_was_given);
    tcase_add_test(planted, timesteps_off_by_one);
    suite_add_tcase(suite, planted);
    return run_suite(suite);
}
