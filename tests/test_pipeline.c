/*
 * Whole runs against Diffusers' own: every public trace run again from its prompt and seed, every tensor of
 * it compared; and the stages between the models (guidance, sampler step, bytes) from their recorded inputs.
 */
#include "support.h"

#include "kernels/cpu.h"
#include "ref/pipeline.h"
#include "sched/guidance.h"
#include "sched/scheduler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const traces[] = {"sd-pndm6", "sd-ddim5", "sd-ddim5-torchgen", "sd21v-ddim10-zsnr-rescale",
    "sd21v-ddim6-leading", "sdxl-ays10-sde", "sdxl-ays10-sde-torchgen", "sdxl-batch2-nonsquare",
    "sdxl-dpm5-leading", "sdxl-dpm5-trailing", "sdxl-euler-sigmas", "sdxl-euler4-fp16weights",
    "sdxl-noguidance3", "sdxl-sde-karras10", "shapes-ays10-sde", "shapes-dpm5-leading",
    "shapes-dpm5-trailing", "shapes-euler-sigmas", "shapes-sde-karras20"};
#define TRACES ((int)(sizeof traces / sizeof *traces))

/* A stage from its recorded inputs: PyTorch's own float32 is within 3e-6 of float64 of the tensor's peak, two
 * correct float32 implementations within twice that. */
#define STAGE_TOLERANCE 1e-5
/* A run's drift beside PyTorch's: the same rounding, multiplied by the model, so of the same size; but not
 * the same luck, and an OpenBLAS kernel without fused multiply-add rounds twice as often (measured: up
 * to 3.1). */
#define DRIFT 4
/* A whole run lets those errors grow through up to twenty steps. */
#define RUN_TOLERANCE 1e-4

/* --- From a trace's `info` to the recipe that made it ------------------------------------- */

struct golden_run {
    struct tensor_set *tensors;
    cJSON *info;
    struct pipeline pipeline;
    struct recipe recipe;
};

static const char *info_string(const cJSON *info, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(info, key));
}

/* The recorded scheduler config as overrides: only what differs from the checkpoint's, as a person would
 * write it. */
static void add_scheduler(cJSON *recipe, const cJSON *info, const cJSON *checkpoint_config)
{
    cJSON *scheduler = cJSON_CreateObject();
    const char *class_name = info_string(info, "scheduler");
    if (strcmp(class_name, info_string(checkpoint_config, "_class_name")) != 0)
        cJSON_AddStringToObject(scheduler, "_class_name", class_name);
    const cJSON *option;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(info, "scheduler_config"))
    {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(checkpoint_config, option->string);
        if (!old || !cJSON_Compare(old, option, true))
            cJSON_AddItemToObject(scheduler, option->string, cJSON_Duplicate(option, true));
    }
    cJSON_AddItemToObject(recipe, "scheduler", scheduler);
}

static void open_golden_run(const char *name, struct golden_run *run)
{
    struct error error = {""};
    run->tensors = golden_tensors("models/traces/%s.safetensors", name);
    const char *info = tensor_set_metadata(run->tensors, "info");
    ck_assert_ptr_nonnull(info);
    ck_assert_int_eq(json_parse(info, strlen(info), name, &run->info, &error), STATUS_OK);

    const cJSON *load = cJSON_GetObjectItemCaseSensitive(run->info, "load");
    const char *variant = info_string(load, "variant");
    const char *folder = golden_path("models/%s%s", info_string(run->info, "model"), variant ? "-fp16" : "");
    ck_assert_msg(pipeline_open(folder, variant, &run->pipeline, &error) == STATUS_OK, "%s", error.message);

    cJSON *recipe = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(run->info, "call"), true);
    char seed[32];
    snprintf(seed, sizeof seed, "%.0f", cJSON_GetObjectItemCaseSensitive(run->info, "seed")->valuedouble);
    cJSON_AddStringToObject(recipe, "seed", seed);
    bool torch = strcmp(info_string(run->info, "noise_source"), "torch") == 0;
    cJSON_AddStringToObject(recipe, "generator", torch ? "torch-cpu" : "numpy-pcg64");
    add_scheduler(recipe, run->info, run->pipeline.scheduler_config);
    enum status status = recipe_read(recipe, &run->recipe, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", name, error.message);
    cJSON_Delete(recipe);
}

static void close_golden_run(struct golden_run *run)
{
    recipe_free(&run->recipe);
    pipeline_close(&run->pipeline);
    cJSON_Delete(run->info);
    tensor_set_free(run->tensors);
}

/* Runs the recipe; the caller frees trace and pictures. */
static void run_pipeline(const struct golden_run *run, pipeline_run_function *function, bool modules,
    struct trace **trace, struct pictures *pictures)
{
    struct error error = {""};
    struct warnings warnings = {0};
    ck_assert_int_eq(trace_create(trace, &error), STATUS_OK);
    struct run_options options = {.trace = *trace, .trace_modules = modules};
    enum status status = function(&run->pipeline, &run->recipe, &options, pictures, &warnings, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    warnings_free(&warnings);
}

/* --- Free runs ---------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What a prompt, a seed and a schedule fix alone, to the bit. */
static bool is_exact(const char *name)
{
    static const char *const names[] = {"add_time_ids", "timesteps", "init_noise", "alphas_cumprod"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return starts_with(name, "input_ids") || starts_with(name, "negative_input_ids");
}

/* What a run is made for. */
static bool is_result(const char *name)
{
    return strcmp(name, "latents.final") == 0 || strcmp(name, "vae_input") == 0 || strcmp(name, "image") == 0;
}

/* Whether a run's errors have grown through the steps before this tensor was made. */
static bool is_downstream(const char *name)
{
    return starts_with(name, "step.") || starts_with(name, "act.vae") || is_result(name);
}

/* The errors of a free run downstream of the first step, against the truth: largest, of any tensor's peak. */
struct drift {
    double ours, theirs;
};

/* One tensor of a free run against PyTorch's. Before the first step the tolerance is a stage's. Downstream,
 * an untrained model multiplies errors as it pleases, and by how much is a matter of luck with each tensor's
 * rounding; so there the errors of both against our own double run are gathered, and only what the run is
 * made for is held to PyTorch's. */
static void compare_free_run(const char *run, const char *key, const struct tensor *ours,
    const struct tensor *theirs, const struct tensor *truth, struct drift *drift)
{
    struct difference d = tensor_difference(ours, theirs);
    bool agrees = d.max_rel_peak <= STAGE_TOLERANCE;
    if (strcmp(key, "timesteps") == 0 && theirs->dtype == DTYPE_F32) {
        agrees = d.max_abs <= 1e-4; /* of a step: custom sigmas come through NumPy's float32 log */
    } else if (strcmp(key, "sigmas") == 0) {
        agrees = d.max_ulp <= 2; /* vendors' log and exp stand behind some of them */
    } else if (is_exact(key)) {
        agrees = d.unequal == 0;
    } else if (is_downstream(key)) {
        drift->ours = fmax(drift->ours, tensor_difference(ours, truth).max_rel_peak);
        drift->theirs = fmax(drift->theirs, tensor_difference(theirs, truth).max_rel_peak);
        agrees = !is_result(key) || d.max_rel_peak <= RUN_TOLERANCE;
    }
    ck_assert_msg(agrees, "%s: %s: %.3g of its peak %.4g apart, at [%zu]: %.9g, expected %.9g", run, key,
        d.max_rel_peak, d.peak, d.worst, d.worst_a, d.worst_b);
}

/* Bytes: within 1 on 99.9 % of the values, nowhere more than 2 (a value may lie at a rounding tie). */
static void compare_pixels(const char *run, const struct tensor *ours, const struct tensor *theirs)
{
    size_t count = tensor_count(theirs), more_than_one = 0;
    int64_t largest = 0;
    ck_assert(tensor_same_shape(ours, theirs));
    for (size_t i = 0; i < count; i++) {
        int64_t distance = llabs(tensor_get_int(ours, i) - tensor_get_int(theirs, i));
        more_than_one += distance > 1;
        largest = distance > largest ? distance : largest;
    }
    ck_assert_msg(largest <= 2 && (double)more_than_one <= 0.001 * (double)count,
        "%s: image_u8: %zu of %zu values are more than 1 apart, at most %lld", run, more_than_one, count,
        (long long)largest);
}

START_TEST(a_free_run_agrees_with_every_recorded_tensor)
{
    const char *name = traces[_i];
    struct golden_run run;
    open_golden_run(name, &run);
    struct trace *trace, *truth;
    struct pictures pictures;
    run_pipeline(&run, pipeline_run_f64, true, &truth, &pictures);
    free(pictures.pixels);
    run_pipeline(&run, pipeline_run_f32, true, &trace, &pictures);

    const struct tensor_set *ours = trace_tensors(trace);
    double image = 0;
    struct drift drift = {0};
    size_t compared = 0;
    for (size_t i = 0; i < tensor_set_count(run.tensors); i++) {
        const char *key = tensor_set_name(run.tensors, i);
        if (starts_with(key, "f64.")) continue; /* the truth in double: the models' own tests hold it */
        const struct tensor *theirs = tensor_set_at(run.tensors, i), *mine = tensor_set_find(ours, key);
        ck_assert_msg(mine != NULL, "%s: the run's trace has no %s", name, key);
        ck_assert_msg(tensor_same_shape(mine, theirs), "%s: %s: another shape", name, key);
        ck_assert_msg(mine->dtype == theirs->dtype, "%s: %s: %s, expected %s", name, key,
            dtype_name(mine->dtype), dtype_name(theirs->dtype));
        compared++;
        if (strcmp(key, "image_u8") == 0)
            compare_pixels(name, mine, theirs);
        else
            compare_free_run(name, key, mine, theirs, tensor_set_find(trace_tensors(truth), key), &drift);
        if (strcmp(key, "image") == 0) image = tensor_difference(mine, theirs).max_rel_peak;
    }
    printf("%-28s %4zu tensors; image %.1e of the peak apart; drift from the truth %.1e, PyTorch's %.1e\n",
        name, compared, image, drift.ours, drift.theirs);
    ck_assert_msg(drift.ours <= DRIFT * drift.theirs + STAGE_TOLERANCE,
        "%s: drifts %.3g of a peak from the truth, PyTorch %.3g", name, drift.ours, drift.theirs);
    free(pictures.pixels);
    trace_free(trace);
    trace_free(truth);
    close_golden_run(&run);
}
END_TEST

/* --- The stages between the models, from their recorded inputs ---------------------------- */

static void expect_close(
    const char *run, const char *stage, const struct tensor *ours, const struct tensor *theirs)
{
    struct difference d = tensor_difference(ours, theirs);
    ck_assert_msg(d.max_rel_peak <= STAGE_TOLERANCE,
        "%s: %s: %.3g of its peak %.4g apart, at [%zu]: %.9g, expected %.9g", run, stage, d.max_rel_peak,
        d.peak, d.worst, d.worst_a, d.worst_b);
}

static void check_guidance(const char *name, const struct golden_run *run, size_t step, struct tensor *out)
{
    const struct tensor *uncond = need_tensor(run->tensors, "step.%02zu.noise_pred_uncond", step);
    const struct tensor *text = need_tensor(run->tensors, "step.%02zu.noise_pred_text", step);
    double scale = cJSON_GetObjectItemCaseSensitive(run->info, "guidance_scale")->valuedouble;
    double rescale = cJSON_GetObjectItemCaseSensitive(run->info, "guidance_rescale")->valuedouble;
    size_t count = tensor_count(text), batch = (size_t)text->shape[0];
    guidance_combine(uncond->data, text->data, count, scale, out->data);
    if (rescale > 0) guidance_rescale(out->data, text->data, batch, count / batch, rescale);
    expect_close(name, "noise_pred", out, need_tensor(run->tensors, "step.%02zu.noise_pred", step));
}

static void check_step(
    const char *name, struct golden_run *run, struct scheduler *scheduler, size_t step, struct tensor *out)
{
    struct error error = {""};
    const struct tensor *sample = step ? need_tensor(run->tensors, "step.%02zu.latents", step - 1)
                                       : need_tensor(run->tensors, "latents.init");
    const struct tensor *noise_pred = need_tensor(run->tensors, "step.%02zu.noise_pred", step);
    double timestep = scheduler->timesteps[step];
    size_t count = tensor_count(sample), batch = (size_t)sample->shape[0];
    ck_assert_int_eq(
        scheduler_scale_model_input(scheduler, timestep, sample->data, count, out->data, &error), STATUS_OK);
    expect_close(name, "model_input", out, need_tensor(run->tensors, "step.%02zu.model_input", step));

    struct step_options options = STEP_OPTIONS_DEFAULT;
    options.eta = run->recipe.eta;
    char key[40];
    snprintf(key, sizeof key, "step.%02zu.noise", step);
    const struct tensor *noise = tensor_set_find(run->tensors, key);
    ck_assert_msg(scheduler_needs_noise(scheduler, timestep, &options) == (noise != NULL),
        "%s: step %zu: a draw where none is recorded, or none where one is", name, step);
    struct step_input input = {.timestep = timestep,
        .model_output = noise_pred->data,
        .model_output_size = count / batch,
        .sample = sample->data,
        .batch = batch,
        .sample_size = count / batch,
        .noise = noise ? noise->data : NULL,
        .options = options};
    enum status status = scheduler_step(scheduler, &input, out->data, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    expect_close(name, "latents", out, need_tensor(run->tensors, "step.%02zu.latents", step));
}

START_TEST(sampling_stages_agree_from_their_recorded_inputs)
{
    const char *name = traces[_i];
    struct golden_run run;
    open_golden_run(name, &run);
    struct error error = {""};
    cJSON *config;
    ck_assert_int_eq(pipeline_scheduler_config(&run.pipeline, &run.recipe, &config, NULL, &error), STATUS_OK);
    struct scheduler *scheduler;
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    bool custom = run.recipe.timesteps || run.recipe.sigmas;
    struct schedule_request request = {.has_num_inference_steps = !custom,
        .num_inference_steps = (int)run.recipe.num_inference_steps,
        .timesteps = run.recipe.timesteps,
        .num_timesteps = run.recipe.num_timesteps,
        .sigmas = run.recipe.sigmas,
        .num_sigmas = run.recipe.num_sigmas};
    status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);

    const struct tensor *latents = need_tensor(run.tensors, "latents.init");
    struct tensor out = *latents;
    out.data = malloc(tensor_bytes(latents));
    ck_assert_ptr_nonnull(out.data);
    bool guided = cJSON_GetObjectItemCaseSensitive(run.info, "guidance_scale")->valuedouble > 1;
    for (size_t step = 0; step < scheduler->num_timesteps; step++) {
        if (guided) check_guidance(name, &run, step, &out);
        check_step(name, &run, scheduler, step, &out);
    }

    struct pictures pictures;
    const struct tensor *image = need_tensor(run.tensors, "image");
    ck_assert_int_eq(pictures_from_image(image, &pictures, &error), STATUS_OK);
    const struct tensor *bytes = need_tensor(run.tensors, "image_u8");
    ck_assert_int_eq(memcmp(pictures.pixels, bytes->data, tensor_bytes(bytes)), 0);

    free(pictures.pixels);
    free(out.data);
    scheduler_free(scheduler);
    cJSON_Delete(config);
    close_golden_run(&run);
}
END_TEST

/* --- Promises ----------------------------------------------------------------------------- */

/* The same names, the same bytes. */
static void expect_identical(const struct trace *a, const struct trace *b, const char *what)
{
    const struct tensor_set *left = trace_tensors(a), *right = trace_tensors(b);
    ck_assert_uint_eq(tensor_set_count(left), tensor_set_count(right));
    for (size_t i = 0; i < tensor_set_count(left); i++) {
        const struct tensor *x = tensor_set_at(left, i),
                            *y = tensor_set_find(right, tensor_set_name(left, i));
        ck_assert_ptr_nonnull(y);
        ck_assert_msg(tensor_bytes(x) == tensor_bytes(y) && memcmp(x->data, y->data, tensor_bytes(x)) == 0,
            "%s: %s differs", what, tensor_set_name(left, i));
    }
}

START_TEST(the_number_of_threads_changes_no_bit)
{
    static const char *const names[] = {"sd-pndm6", "sdxl-batch2-nonsquare", "shapes-euler-sigmas"};
    struct golden_run run;
    open_golden_run(names[_i], &run);
    struct trace *first = NULL;
    static const int threads[] = {1, 1, 2, 3, 8}; /* the first two: a repeated run */
    for (int i = 0; i < 5; i++) {
        struct trace *trace;
        struct pictures pictures;
        kernels_set_threads(threads[i]);
        run_pipeline(&run, pipeline_run_f32, true, &trace, &pictures);
        free(pictures.pixels);
        if (!first) {
            first = trace;
            continue;
        }
        char what[64];
        snprintf(what, sizeof what, "%s with %d threads", names[_i], threads[i]);
        expect_identical(first, trace, what);
        trace_free(trace);
    }
    trace_free(first);
    close_golden_run(&run);
}
END_TEST

/* The two builds differ by rounding alone: what the single one loses over a whole run stays within the run's
 * tolerance. */
START_TEST(double_and_single_runs_agree)
{
    static const char *const names[] = {"sd-ddim5", "sd21v-ddim10-zsnr-rescale", "shapes-ays10-sde"};
    struct golden_run run;
    open_golden_run(names[_i], &run);
    struct trace *single, *twice;
    struct pictures a, b;
    run_pipeline(&run, pipeline_run_f32, false, &single, &a);
    run_pipeline(&run, pipeline_run_f64, false, &twice, &b);
    const struct tensor *image = tensor_set_find(trace_tensors(twice), "image");
    ck_assert_int_eq(image->dtype, DTYPE_F64);
    struct difference d = tensor_difference(tensor_set_find(trace_tensors(single), "image"), image);
    ck_assert_msg(
        d.max_rel_peak <= RUN_TOLERANCE, "%s: image %.3g of the peak apart", names[_i], d.max_rel_peak);
    free(a.pixels);
    free(b.pixels);
    trace_free(single);
    trace_free(twice);
    close_golden_run(&run);
}
END_TEST

/* A list of seeds: each picture of a batch is the one that its seed gives alone, bit for bit (no draw of one
 * moves another's). SDXL's time ids of a batch are rows of another order, but equal here. */
START_TEST(a_list_of_seeds_gives_each_picture_its_own)
{
    struct golden_run run;
    open_golden_run("sdxl-sde-karras10", &run);
    char seed_a[] = "23", seed_b[] = "123", *batch_seeds[] = {seed_a, seed_b};
    char **own_seeds = run.recipe.seeds;
    run.recipe.seeds = batch_seeds;
    run.recipe.num_seeds = 2;
    run.recipe.num_images_per_prompt = 2;
    struct trace *both, *alone;
    struct pictures pictures;
    run_pipeline(&run, pipeline_run_f32, false, &both, &pictures);
    free(pictures.pixels);
    const struct tensor *batch_noise = tensor_set_find(trace_tensors(both), "step.03.noise");
    const struct tensor *batch_image = tensor_set_find(trace_tensors(both), "image");
    for (size_t i = 0; i < 2; i++) {
        run.recipe.seeds = batch_seeds + i;
        run.recipe.num_seeds = 1;
        run.recipe.num_images_per_prompt = 1;
        run_pipeline(&run, pipeline_run_f32, false, &alone, &pictures);
        free(pictures.pixels);
        const struct tensor *noise = tensor_set_find(trace_tensors(alone), "step.03.noise");
        ck_assert_int_eq(
            memcmp(noise->data, (char *)batch_noise->data + i * tensor_bytes(noise), tensor_bytes(noise)), 0);
        const struct tensor *image = tensor_set_find(trace_tensors(alone), "image");
        /* No sum of a kernel runs over pictures, so a batch changes no bit. */
        ck_assert_msg(memcmp(image->data, (char *)batch_image->data + i * tensor_bytes(image),
                          tensor_bytes(image)) == 0,
            "picture %zu has other bits in a batch than alone", i);
        trace_free(alone);
    }
    trace_free(both);
    run.recipe.seeds = own_seeds;
    run.recipe.num_seeds = 1;
    close_golden_run(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *runs = tcase_create("against diffusers");
    tcase_set_timeout(runs, 600);
    tcase_add_loop_test(runs, a_free_run_agrees_with_every_recorded_tensor, 0, TRACES);
    tcase_add_loop_test(runs, sampling_stages_agree_from_their_recorded_inputs, 0, TRACES);
    suite_add_tcase(suite, runs);
    TCase *promises = tcase_create("promises");
    tcase_set_timeout(promises, 600);
    tcase_add_loop_test(promises, the_number_of_threads_changes_no_bit, 0, 3);
    tcase_add_loop_test(promises, double_and_single_runs_agree, 0, 3);
    tcase_add_test(promises, a_list_of_seeds_gives_each_picture_its_own);
    suite_add_tcase(suite, promises);
    return run_suite(suite);
}
