/*
 * Valid scheduler configs, cases, recipes and model configs, damaged at random (mutation_support.h). What
 * reads them must say what is wrong or give something that can be used; under the sanitizers this looks for
 * reads out of place, undefined conversions and leaks.
 *
 * PLUMB_MUTATIONS sets how many attempts there are of each kind, PLUMB_MUTATION_START the first.
 */
#include "file_support.h"
#include "mutation_support.h"
#include "schedule_check.h"

#include "ref/checkpoint.h"
#include "ref/recipe.h"
#include "ref/sample_case.h"
#include "ref/text_encoder.h"
#include "ref/unet.h"
#include "ref/vae.h"
#include "sched/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The attempts of a test; `made` of them gave something. */
struct attempts {
    uint64_t start, count, made;
};

static struct attempts attempts_of(uint64_t count)
{
    return (struct attempts){
        mutation_setting("PLUMB_MUTATION_START", 0), mutation_setting("PLUMB_MUTATIONS", count), 0};
}

/* Damage that never matters, or always, tests nothing. */
static void expect_both_ends(const struct attempts *attempts, const char *what)
{
    if (getenv("PLUMB_MUTATIONS"))
        fprintf(stderr, "%s: %llu attempts, %llu accepted\n", what, (unsigned long long)attempts->count,
            (unsigned long long)attempts->made);
    else
        ck_assert_msg(attempts->made > attempts->count / 50 && attempts->made < attempts->count,
            "%s: of %llu, %llu are accepted", what, (unsigned long long)attempts->count,
            (unsigned long long)attempts->made);
}

static void expect_reason(enum status status, const struct error *error, const char *text)
{
    ck_assert_msg(status == STATUS_BAD_INPUT && error->message[0], "status %d, message \"%s\": %.2000s",
        (int)status, error->message, text);
}

/* The text as JSON; NULL, and a reason given, where it is none. */
static cJSON *parse(const char *text)
{
    cJSON *json = NULL;
    struct error error = {""};
    enum status status = json_parse(text, strlen(text), "damaged", &json, &error);
    if (status != STATUS_OK) expect_reason(status, &error, text);
    return json;
}

/* --- Schedulers --------------------------------------------------------------------------- */

/* Between them they have every class, most options, and every way to ask for a schedule. */
static const char *const cases[] = {"ddim_eta05_clipped_output", "ddim_threshold", "ddim_trained_betas",
    "pndm_plms", "pndm_prk", "euler_churn", "euler_zero_snr_trailing", "euler_custom_timesteps",
    "euler_beta_sigmas", "doc_ays_sigmas_euler", "doc_ays_timesteps_dpmpp_sde", "dpmpp_3m", "dpmpp_flow",
    "dpmpp_cosine_lambda_clip", "dpmpp_learned_range", "dpm_sde", "dpmpp_lu_lambdas", "dpmpp_sde_heun",
    "dpmpp_inverse", "dpm_single_3_dpmsolver", "deis_3_karras", "unipc_bh1_3_noise", "sasolver_data",
    "ddim_inverse", "ddpm_learned_range", "ddpm_custom_timesteps", "lcm_strength", "tcd_custom_timesteps",
    "ipndm", "cm", "score_ve", "score_vp", "euler_a_leading", "heun_karras_clip", "lms_karras_order3",
    "kdpm2_karras", "kdpm2a_exponential_v", "dpm_sde_torchsde", "edm_euler", "edm_dpm", "cosine_dpm",
    "flow_euler_dynamic", "flow_stochastic", "flow_heun", "flow_lcm"};

/* What Plumb reads of a case. */
static cJSON *case_json(const char *name)
{
    static const char *const keys[] = {"scheduler", "set_timesteps", "step_kwargs", "shape", "seed",
        "generator", "begin_index", "tables_only"};
    cJSON *json = golden_json("sched/%s.json", name), *kept = cJSON_CreateObject();
    for (size_t i = 0; i < COUNT(keys); i++) {
        cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(json, keys[i]);
        if (item) cJSON_AddItemToObject(kept, keys[i], item);
    }
    cJSON_Delete(json);
    return kept;
}

START_TEST(cases_have_every_class)
{
    for (size_t i = 0; i < scheduler_class_count(); i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT(cases) && !found; k++) {
            cJSON *json = case_json(cases[k]);
            const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(config, "_class_name");
            found = strcmp(name->valuestring, scheduler_class_name(i)) == 0;
            cJSON_Delete(json);
        }
        ck_assert_msg(found, "%s", scheduler_class_name(i));
    }
}
END_TEST

/* The request of a damaged case, as a caller of the library may make it. */
static void check_request(const cJSON *json, const char *text, struct attempts *attempts)
{
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(json, "set_timesteps");
    int64_t steps = 0, original_steps = 0;
    struct schedule_request request = {0};
    double *timesteps = NULL, *sigmas = NULL;
    bool found;
    enum status status = json_get_int(
        asked, "num_inference_steps", INT32_MIN, INT32_MAX, &steps, &request.has_num_inference_steps, NULL);
    if (status == STATUS_OK) status = json_get_double(asked, "mu", &request.mu, &request.has_mu, NULL);
    if (status == STATUS_OK)
        status = json_get_doubles(asked, "timesteps", 1000, &timesteps, &request.num_timesteps, &found, NULL);
    if (status == STATUS_OK)
        status = json_get_doubles(asked, "sigmas", 1000, &sigmas, &request.num_sigmas, &found, NULL);
    if (status == STATUS_OK)
        status = json_get_int(asked, "original_inference_steps", INT32_MIN, INT32_MAX, &original_steps,
            &request.has_original_inference_steps, NULL);
    if (status == STATUS_OK)
        status = json_get_double(asked, "strength", &request.strength, &request.has_strength, NULL);
    if (status == STATUS_OK)
        status =
            json_get_double(asked, "sampling_eps", &request.sampling_eps, &request.has_sampling_eps, NULL);
    request.num_inference_steps = (int)steps;
    request.original_inference_steps = (int)original_steps;
    request.timesteps = timesteps;
    request.sigmas = sigmas;
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "scheduler");
    if (status == STATUS_OK && config) {
        const struct step_options options = STEP_OPTIONS_DEFAULT;
        struct schedule_verdict single = check_schedule_f32(config, &request, &options, 0);
        struct schedule_verdict twofold = check_schedule_f64(config, &request, &options, 0);
        ck_assert_msg(!single.fault[0], "%s: %s", single.fault, text);
        ck_assert_msg(!twofold.fault[0], "f64: %s: %s", twofold.fault, text);
        attempts->made += single.made || twofold.made;
    }
    free(timesteps);
    free(sigmas);
}

START_TEST(damaged_schedulers)
{
    struct attempts attempts = attempts_of(200);
    cJSON *seed = case_json(cases[_i]);
    for (uint64_t n = attempts.start; n < attempts.start + attempts.count; n++) {
        uint64_t state = n * COUNT(cases) + (uint64_t)_i;
        cJSON *donor = case_json(cases[below(&state, COUNT(cases))]);
        cJSON *options = cJSON_GetObjectItemCaseSensitive(donor, "scheduler");
        char *text = damaged_json(seed, options, &state);
        cJSON *json = parse(text);
        if (json) check_request(json, text, &attempts);
        cJSON_Delete(json);
        free(text);
        cJSON_Delete(donor);
    }
    cJSON_Delete(seed);
    expect_both_ends(&attempts, cases[_i]);
}
END_TEST

/* --- Cases -------------------------------------------------------------------------------- */

static bool run_case(const char *path, const struct tensor_set *inputs, const char *text, bool twofold)
{
    struct sample_case sample_case;
    struct tensor_set *outputs = empty_set();
    struct warnings warnings = {0};
    struct error error = {""};
    enum status status = sample_case_read(path, &sample_case, &error);
    if (status == STATUS_OK) {
        status = twofold ? sample_case_run_f64(&sample_case, inputs, outputs, &warnings, &error)
                         : sample_case_run_f32(&sample_case, inputs, outputs, &warnings, &error);
        sample_case_free(&sample_case);
    }
    if (status != STATUS_OK) expect_reason(status, &error, text);
    tensor_set_free(outputs);
    warnings_free(&warnings);
    return status == STATUS_OK;
}

START_TEST(damaged_cases)
{
    struct attempts attempts = attempts_of(100);
    const char *path = path_in(test_folder, "case.json");
    struct tensor_set *inputs = golden_tensors("sched/%s.safetensors", cases[_i]);
    cJSON *seed = case_json(cases[_i]);
    for (uint64_t n = attempts.start; n < attempts.start + attempts.count; n++) {
        uint64_t state = ~(n * COUNT(cases) + (uint64_t)_i);
        char *text = damaged_json(seed, seed, &state);
        write_bytes(path, text, strlen(text));
        attempts.made += run_case(path, inputs, text, n % 2 == 1);
        free(text);
    }
    cJSON_Delete(seed);
    tensor_set_free(inputs);
    expect_both_ends(&attempts, cases[_i]);
}
END_TEST

/* --- Recipes ------------------------------------------------------------------------------ */

static const char every_key[] =
    "{\"name\": \"n\", \"prompt\": [\"a\", \"b\"], \"prompt_2\": [\"c\", \"d\"], \"negative_prompt\": \"\", "
    "\"negative_prompt_2\": [\"e\", \"f\"], \"height\": 64, \"width\": 48, \"timesteps\": [999, 500.5], "
    "\"sigmas\": null, \"num_inference_steps\": 10, \"denoising_end\": 0.8, \"guidance_scale\": 1, "
    "\"guidance_rescale\": 0.7, \"eta\": 0.5, \"clip_skip\": 2, \"num_images_per_prompt\": 3, "
    "\"original_size\": [96, 128], \"crops_coords_top_left\": [8, 16], \"target_size\": [64, 48], "
    "\"negative_original_size\": [1, 1], \"negative_crops_coords_top_left\": [0, 0], "
    "\"negative_target_size\": [2, 2], \"seed\": [1, \"340282366920938463463374607431768211455\"], "
    "\"generator\": \"torch-cpu\", \"variant\": \"fp16\", \"latents\": \"l.npy\", "
    "\"scheduler\": {\"_class_name\": \"DDIMScheduler\", \"trained_betas\": [0.1, 0.2]}}";

/* What the pipeline takes for granted of a recipe that was read. */
static void check_recipe(const struct recipe *r, const char *text)
{
    bool sound = r->num_seeds >= 1 && r->num_images_per_prompt >= 1 && r->num_inference_steps >= 1 &&
                 r->height >= 0 && r->width >= 0 && r->clip_skip >= 0 && r->eta >= 0 && r->eta <= 1 &&
                 r->source && (!r->prompt.given || r->prompt.count >= 1) && (!r->timesteps || !r->sigmas);
    for (size_t i = 0; i < r->num_seeds; i++) sound = sound && r->seeds[i];
    for (size_t i = 0; i < r->prompt.count; i++) sound = sound && r->prompt.items[i];
    ck_assert_msg(sound, "read, but not sound: %s", text);
}

START_TEST(damaged_recipes)
{
    struct attempts attempts = attempts_of(6000);
    cJSON *seed = parse(every_key);
    for (uint64_t n = attempts.start; n < attempts.start + attempts.count; n++) {
        uint64_t state = n;
        char *text = damaged_json(seed, seed, &state);
        cJSON *json = parse(text);
        struct recipe recipe = {0};
        struct error error = {""};
        enum status status = json ? recipe_read(json, &recipe, &error) : STATUS_BAD_INPUT;
        if (status == STATUS_OK) {
            attempts.made++;
            check_recipe(&recipe, text);
        } else if (json) {
            expect_reason(status, &error, text);
        }
        recipe_free(&recipe);
        cJSON_Delete(json);
        free(text);
    }
    cJSON_Delete(seed);
    expect_both_ends(&attempts, "recipes");
}
END_TEST

/* --- Models ------------------------------------------------------------------------------- */

static enum status open_unet(const struct checkpoint *checkpoint, const char *name, struct error *error)
{
    (void)name;
    struct unet *unet;
    enum status status = unet_open(checkpoint, NULL, &unet, error);
    if (status == STATUS_OK) unet_free(unet);
    return status;
}

static enum status open_vae(const struct checkpoint *checkpoint, const char *name, struct error *error)
{
    (void)name;
    struct vae *vae;
    enum status status = vae_open(checkpoint, NULL, &vae, error);
    if (status == STATUS_OK) vae_free(vae);
    return status;
}

static enum status open_encoder(const struct checkpoint *checkpoint, const char *name, struct error *error)
{
    struct text_encoder *encoder;
    enum status status = text_encoder_open(checkpoint, name, NULL, &encoder, error);
    if (status == STATUS_OK) text_encoder_free(encoder);
    return status;
}

static const struct {
    const char *model, *component;
    enum status (*open)(const struct checkpoint *checkpoint, const char *name, struct error *error);
} components[] = {{"tiny-sd", "unet", open_unet}, {"tiny-sdxl", "unet", open_unet},
    {"tiny-sdxl", "vae", open_vae}, {"tiny-sd", "text_encoder", open_encoder},
    {"tiny-sdxl", "text_encoder_2", open_encoder}};

START_TEST(damaged_model_configs)
{
    struct attempts attempts = attempts_of(1000);
    const char *name = components[_i].component, *copy = path_in(test_folder, "copy");
    copy_folder(golden_path("models/%s", components[_i].model), copy);
    const char *path = path_in(copy, "%s/config.json", name);
    cJSON *seed = golden_json("models/%s/%s/config.json", components[_i].model, name);
    struct checkpoint checkpoint;
    struct error error = {""};
    ck_assert_int_eq(checkpoint_open(copy, &checkpoint, &error), STATUS_OK);
    for (uint64_t n = attempts.start; n < attempts.start + attempts.count; n++) {
        uint64_t state = n * COUNT(components) + (uint64_t)_i;
        char *text = damaged_json(seed, seed, &state);
        write_bytes(path, text, strlen(text));
        enum status status = components[_i].open(&checkpoint, name, &error);
        if (status == STATUS_OK)
            attempts.made++;
        else
            expect_reason(status, &error, text);
        free(text);
    }
    cJSON_Delete(seed);
    checkpoint_close(&checkpoint);
    expect_both_ends(&attempts, path);
}
END_TEST

START_TEST(damaged_model_indices)
{
    struct attempts attempts = attempts_of(2000);
    const char *path = path_in(test_folder, "model_index.json");
    cJSON *seed = golden_json("models/tiny-sdxl/model_index.json");
    for (uint64_t n = attempts.start; n < attempts.start + attempts.count; n++) {
        uint64_t state = n;
        char *text = damaged_json(seed, seed, &state);
        write_bytes(path, text, strlen(text));
        struct checkpoint checkpoint;
        struct error error = {""};
        enum status status = checkpoint_open(test_folder, &checkpoint, &error);
        if (status == STATUS_OK) {
            attempts.made++;
            checkpoint_close(&checkpoint);
        } else {
            expect_reason(status, &error, text);
        }
        free(text);
    }
    cJSON_Delete(seed);
    expect_both_ends(&attempts, "model_index.json");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damaged JSON");
    TCase *tests = tcase_create("mutations");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, make_test_folder, drop_test_folder);
    tcase_add_test(tests, cases_have_every_class);
    tcase_add_loop_test(tests, damaged_schedulers, 0, (int)COUNT(cases));
    tcase_add_loop_test(tests, damaged_cases, 0, (int)COUNT(cases));
    tcase_add_test(tests, damaged_recipes);
    tcase_add_loop_test(tests, damaged_model_configs, 0, (int)COUNT(components));
    tcase_add_test(tests, damaged_model_indices);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
