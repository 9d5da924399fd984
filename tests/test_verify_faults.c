/*
 * Planted faults: the first wrong tensor must be named in all of them, the fault itself in nine of ten, and
 * nothing may be wrong where nothing was planted. The faults of golden/faults/ were made by Diffusers' own
 * modules, without our code.
 */
#include "support.h"

#include "kernels/cpu.h"
#include "ref/verify.h"
#include "ref/verify_recipe.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What a diagnosis must say ------------------------------------------------------------ */

/* Words that tell each suspect of golden/faults/index.json; those of several spellings are parted by '|'. */
static const char *const words_of[][2] = {
    {"GEGLU halves swapped", "GEGLU's halves exchanged"},
    {"GELU for quick GELU", "erf GELU where quick_gelu"},
    {"another final sigma", "final_sigmas_type|set_alpha_to_one"},
    {"another layer's output", "hidden_states[|clip_skip"},
    {"another pad token", "is padded with"},
    {"another scaling factor", "scaling_factor of SD 1 and 2"},
    {"another timestep spacing", "timestep_spacing"},
    {"bilinear upsampling", "bilinear enlargement"},
    {"bytes truncated", "cut to integers"},
    {"channels last", "channels last"},
    {"constant bias", "constant bias"},
    {"constant bias by channel", "no bias in conv_in|a constant added to each channel"},
    {"constant scale", "is ours times 1.01"},
    {"encoders in the other order", "text_encoder_2's features before text_encoder's"},
    {"epsilon as v-prediction", "prediction_type \"v_prediction\""},
    {"final norm added", "with the final norm"},
    {"final norm left out", "without the final norm"},
    {"frequency shift of 1", "downscale_freq_shift 1"},
    {"guidance from the text half", "text + guidance_scale * (text - uncond)"},
    {"guidance halves swapped", "halves of guidance are exchanged|the halves are exchanged"},
    {"guidance rescale by channel", "deviations of each channel"},
    {"guidance rescale left out", "guidance_rescale is left out|without guidance_rescale"},
    {"image in 0 to 1", "0..1"},
    {"init_noise_sigma left out", "without init_noise_sigma"},
    {"model input not scaled", "scale_model_input is missing"},
    {"no causal mask", "no causal mask"},
    {"noise drawn when not needed", "draw"},
    {"noise of numpy-pcg64", "generator \"numpy-pcg64\""},
    {"noise of torch-cpu", "generator \"torch-cpu"},
    {"norm epsilon", "epsilon"},
    {"not a number", "not a number"},
    {"number of heads read as their size", "taken for the heads' size"},
    {"overflow of half precision", "largest number of f16"},
    {"padding of the downsampler", "in the downsamplers"},
    {"pooled at another position", "is pooled at token"},
    {"quick GELU for GELU", "quick_gelu where erf GELU"},
    {"scaling factor left out", "not divided by scaling_factor"},
    {"sine and cosine exchanged", "sine and cosine"},
    {"solver of order 1", "solver_order 1"},
    {"tanh GELU", "tanh GELU"},
    {"the empty prompt for zeros", "negative_prompt \"\""},
    {"timestep in bf16", "rounded to bf16"},
    {"timestep of another step", "the step before's"},
    {"timestep off by one", "one less|one more|steps_offset 0"},
    {"transposed weights", "transposed"},
    {"v-prediction as epsilon", "prediction_type \"epsilon\""},
    {"width before height", "width before its height"},
    {"zero terminal SNR left out", "rescale_betas_zero_snr false"},
    {"zeros for the empty prompt", "zeros"},
};

/* Whether the diagnosis names the suspect. */
static bool names_suspect(const char *diagnosis, const char *suspect)
{
    char words[256];
    const char *spellings = NULL;
    for (size_t i = 0; i < sizeof words_of / sizeof *words_of; i++)
        if (strcmp(words_of[i][0], suspect) == 0) spellings = words_of[i][1];
    ck_assert_msg(spellings != NULL, "%s: no words for this suspect", suspect);
    snprintf(words, sizeof words, "%s", spellings);
    char *rest = NULL;
    for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (diagnosis && strstr(diagnosis, word)) return true;
    return false;
}

/* --- A faulty trace ----------------------------------------------------------------------- */

struct faulty {
    struct tensor_set *base, *overlay, *tensors;
    struct pipeline pipeline;
    struct recipe recipe;
};

static bool is_absent(const cJSON *fault, const char *name)
{
    const cJSON *pattern;
    cJSON_ArrayForEach(pattern, cJSON_GetObjectItemCaseSensitive(fault,
                                    "absent")) if (fnmatch(pattern->valuestring, name, 0) == 0) return true;
    return false;
}

/* The base trace without what is absent, and the overlay over the rest. */
static void overlay(struct faulty *faulty, const cJSON *fault)
{
    struct error error = {""};
    ck_assert_int_eq(tensor_set_create(&faulty->tensors, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(faulty->base); i++) {
        const char *name = tensor_set_name(faulty->base, i);
        if (is_absent(fault, name) || strncmp(name, "f64.", 4) == 0) continue;
        const struct tensor *tensor = tensor_set_find(faulty->overlay, name);
        enum status status =
            tensor_set_add(faulty->tensors, name, tensor ? tensor : tensor_set_at(faulty->base, i), &error);
        ck_assert_msg(status == STATUS_OK, "%s", error.message);
    }
    for (size_t i = 0; i < tensor_set_count(faulty->overlay); i++) {
        const char *name = tensor_set_name(faulty->overlay, i);
        if (tensor_set_find(faulty->base, name)) continue;
        ck_assert_int_eq(
            tensor_set_add(faulty->tensors, name, tensor_set_at(faulty->overlay, i), &error), STATUS_OK);
    }
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static void open_faulty(struct faulty *faulty, const cJSON *fault)
{
    struct error error = {""};
    struct warnings warnings = {0};
    struct verify_options options = VERIFY_OPTIONS_DEFAULT;
    cJSON *json = NULL;
    faulty->base = golden_tensors("%s", text_of(fault, "base"));
    faulty->overlay = golden_tensors("faults/%s.safetensors", text_of(fault, "name"));
    overlay(faulty, fault);
    ck_assert_int_eq(verify_recipe_of_metadata(faulty->base, &json, &warnings, &error), STATUS_OK);
    const char *variant = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "variant"));
    const char *folder = golden_path("%s", text_of(fault, "model"));
    ck_assert_msg(
        pipeline_open(folder, variant, &faulty->pipeline, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(
        verify_recipe_complete(faulty->tensors, &faulty->pipeline, json, &options, &error), STATUS_OK);
    ck_assert_msg(recipe_read(json, &faulty->recipe, &error) == STATUS_OK, "%s", error.message);
    cJSON_Delete(json);
    warnings_free(&warnings);
}

static void close_faulty(struct faulty *faulty)
{
    recipe_free(&faulty->recipe);
    pipeline_close(&faulty->pipeline);
    tensor_set_free(faulty->tensors);
    tensor_set_free(faulty->overlay);
    tensor_set_free(faulty->base);
}

/* --- Diffusers' faults -------------------------------------------------------------------- */

struct score {
    size_t faults, stages, suspects, named, controls;
};

static bool is_among(const cJSON *names, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, names) if (strcmp(item->valuestring, name) == 0) return true;
    return false;
}

static void judge(const struct verification *v, const cJSON *fault, struct score *score)
{
    const cJSON *expected = cJSON_GetObjectItemCaseSensitive(fault, "first_wrong");
    const char *suspect = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fault, "suspect"));
    const char *first = v->first_wrong ? v->first_wrong->name : "nothing";
    const char *diagnosis = v->first_wrong ? v->first_wrong->diagnosis : NULL;
    bool control = cJSON_GetArraySize(expected) == 0;
    bool right = control ? !v->first_wrong : is_among(expected, first);
    bool named = suspect && names_suspect(diagnosis, suspect);
    score->faults++;
    score->stages += right;
    score->suspects += suspect != NULL;
    score->named += named;
    if (!right || (suspect && !named))
        printf("%s: %s %s: %s, not %s\n", text_of(fault, "name"), right ? "right" : "WRONG", first,
            diagnosis ? diagnosis : "no diagnosis", suspect ? suspect : "a fault");
}

START_TEST(faults_of_diffusers)
{
    cJSON *index = golden_json("faults/index.json");
    struct score score = {0};
    const char *only = getenv("PLUMB_FAULT");
    const cJSON *fault;
    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(index, "faults"))
    {
        struct error error = {""};
        struct faulty faulty = {0};
        struct verification v = {0};
        struct verify_options options = VERIFY_OPTIONS_DEFAULT;
        if (only && fnmatch(only, text_of(fault, "name"), 0) != 0) continue;
        options.free_run = false;
        open_faulty(&faulty, fault);
        enum status status =
            verify(&faulty.pipeline, &faulty.recipe, faulty.tensors, &options, &v, NULL, &error);
        ck_assert_msg(status == STATUS_OK, "%s: %s", text_of(fault, "name"), error.message);
        judge(&v, fault, &score);
        verification_free(&v);
        close_faulty(&faulty);
    }
    printf("%zu faults: %zu first wrong tensors, %zu of %zu suspects\n", score.faults, score.stages,
        score.named, score.suspects);
    fflush(stdout); /* a failed test's buffer is lost */
    cJSON_Delete(index);
    ck_assert_uint_eq(score.stages, score.faults);
    ck_assert_uint_ge(score.named * 10, score.suspects * 9);
}
END_TEST

int main(void)
{
    kernels_set_threads(1);
    Suite *suite = suite_create("verify_faults");
    TCase *diffusers = tcase_create("faults of Diffusers");
    tcase_set_timeout(diffusers, 600);
    tcase_add_test(diffusers, faults_of_diffusers);
    suite_add_tcase(suite, diffusers);
    return run_suite(suite);
}
