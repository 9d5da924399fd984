/*
 * Memory: a dry pass says to the byte what the real one needs; the plans of the full-size models stay within
 * their bounds, and grow as the number of pixels does; what a run then has in use is what was planned.
 */
#include "memory_passes.h"
#include "program.h"

#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static void open_pipeline(const char *name, struct pipeline *pipeline)
{
    struct error error = {""};
    enum status status = pipeline_open(golden_path("models/%s", name), NULL, pipeline, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

/* The dry pass and the real one call the same kernels with the same shapes and reach the same peak; an arena
 * that is smaller by one allocation's grain does not do. */
static void check_model(
    const struct pipeline *pipeline, enum model model, model_pass *run, struct pass_way way, const char *what)
{
    /* 9 x 8 latents: a side that halves with a remainder. */
    struct pass dry = run(pipeline, model, 9, 8, way, 0);
    ck_assert_msg(dry.status == STATUS_OK, "%s: %s", what, dry.error.message);
    struct pass full = run(pipeline, model, 9, 8, way, dry.peak);
    ck_assert_msg(full.status == STATUS_OK, "%s: %s", what, full.error.message);
    ck_assert_msg(full.peak == dry.peak, "%s: planned %zu bytes, used %zu", what, dry.peak, full.peak);
    ck_assert_msg(dry.calls > 20 && full.calls == dry.calls && full.hash == dry.hash,
        "%s: %zu calls of kernels planned, %zu made", what, dry.calls, full.calls);
    struct pass small = run(pipeline, model, 9, 8, way, dry.peak - 64);
    expect_error(small.status, STATUS_MACHINE, &small.error, "out of memory", NULL);
}

static const char *const names[] = {"tiny-sd", "tiny-sd21v", "tiny-sdxl", "shapes-xl"};

START_TEST(dry_passes_plan_to_the_byte)
{
    struct pipeline pipeline;
    const struct pass_way plain = {FORMAT_F32, false}, watched = {FORMAT_F32, true};
    const char *name = names[_i / GEMM_KINDS];
    open_pipeline(name, &pipeline);
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS)); /* whose scratch differs */
    for (int threads = 1; threads <= 3; threads += 2) {
        kernels_set_threads(threads);
        for (enum model model = 0; model < MODELS; model++) {
            for (enum number_format format = FORMAT_F32; format < NUMBER_FORMATS; format++)
                check_model(&pipeline, model, model_pass_f32, (struct pass_way){format, false}, name);
            check_model(&pipeline, model, model_pass_f32, watched, name);
            check_model(&pipeline, model, model_pass_f64, watched, name);
            check_model(&pipeline, model, model_pass_f64, plain, name);
        }
    }
    pipeline_close(&pipeline);
}
END_TEST

/* --- Full-size models, by their shapes ---------------------------------------------------- */

static struct memory_plan plan_of(const char *architecture, int size, int images, bool f64)
{
    struct pipeline pipeline;
    struct error error = {""};
    struct recipe recipe = {0};
    struct memory_plan plan;
    const struct run_options options = {0};
    char text[128];
    snprintf(text, sizeof text,
        "{\"prompt\": \"\", \"height\": %d, \"width\": %d, \"num_images_per_prompt\": %d}", size, size,
        images);
    cJSON *json = cJSON_Parse(text);
    enum status status = recipe_read(json, &recipe, &error);
    cJSON_Delete(json);
    if (status == STATUS_OK) status = pipeline_of_architecture(architecture, DTYPE_F16, &pipeline, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    kernels_set_threads(2);
    status = (f64 ? pipeline_plan_f64 : pipeline_plan_f32)(&pipeline, &recipe, &options, &plan, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    return plan;
}

static void show(const char *architecture, int size, int images, const struct memory_plan *plan)
{
    printf("%-5s %4d x %-4d, batch %d: text %6.1f, denoising %7.1f, decoding %8.1f MiB\n", architecture, size,
        size, images, (double)plan->stages[STAGE_TEXT_ENCODERS].activations / (double)MIB,
        (double)plan->stages[STAGE_DENOISING].activations / (double)MIB,
        (double)plan->stages[STAGE_DECODING].activations / (double)MIB);
}

/* What PyTorch takes beside its weights for the same is 1.4 GiB; stable-diffusion.cpp decodes in 1.7. */
START_TEST(stable_diffusion_fits)
{
    struct memory_plan plan = plan_of("sd15", 512, 1, false);
    show("sd15", 512, 1, &plan);
    ck_assert_uint_le(plan.stages[STAGE_DENOISING].activations, 400 * MIB);
    ck_assert_uint_le(plan.stages[STAGE_DECODING].activations, 800 * MIB);
}
END_TEST

/* 2.5 GiB of anonymous memory, less what the program and its libraries keep. */
START_TEST(sdxl_fits)
{
    struct memory_plan plan = plan_of("sdxl", 1024, 1, false);
    show("sdxl", 1024, 1, &plan);
    ck_assert_uint_le(plan.arena + plan.pictures, (2560 - 128) * MIB);
    plan = plan_of("sdxl", 512, 1, true); /* the oracle, on a machine of 24 GB with 10 GB of weights */
    ck_assert_uint_le(plan.arena, 2048 * MIB);
}
END_TEST

/* Twice the pictures or twice the pixels take twice the memory, and not more: there is no matrix of all
 * scores of attention, which would grow with the square of the pixels. A few per cent are the grain of
 * scratch. */
START_TEST(memory_grows_as_the_work_does)
{
    static const char *const architectures[] = {"sd15", "sdxl"};
    static const int sizes[] = {512, 768, 1024, 1536};
    const char *name = architectures[_i];
    struct memory_plan unit = plan_of(name, sizes[0], 1, false);
    for (int s = 0; s < 4; s++)
        for (int images = 1; images <= 4; images *= 2) {
            struct memory_plan plan = plan_of(name, sizes[s], images, false);
            show(name, sizes[s], images, &plan);
            double work = images * (double)(sizes[s] * sizes[s]) / (sizes[0] * sizes[0]);
            for (enum stage stage = STAGE_DENOISING; stage < STAGES; stage++)
                ck_assert_double_le((double)plan.stages[stage].activations,
                    1.05 * work * (double)unit.stages[stage].activations);
        }
}
END_TEST

/* --- The program -------------------------------------------------------------------------- */

/* "... 12.3 MiB planned, 14.5 MiB in use" */
START_TEST(a_run_uses_what_was_planned)
{
    ck_assert_int_eq(
        plumb("run golden/models/shapes-xl --prompt 'a red ring' --steps 2 --height 256 --width 256 "
              "--threads 2 --report-memory --trace-modules --trace %s/t.safetensors",
            test_folder),
        0);
    const char *said = strstr(err, "memory beside the weights: ");
    ck_assert_msg(said, "%s", err);
    double planned = 0, used = 0;
    ck_assert_int_eq(
        sscanf(said, "memory beside the weights: %lf MiB planned, %lf MiB in use", &planned, &used), 2);
    printf("planned %.1f MiB, in use %.1f MiB\n", planned, used);
    ck_assert_double_ge(planned, 10);
    ck_assert_double_ge(used, 0.9 * planned);
    /* What the program, libgomp and OpenBLAS keep, whose buffers are the larger part. Sanitizers keep
     * more. */
    if (strstr(getenv("PLUMB") ? getenv("PLUMB") : "", "sanitize") == NULL)
        ck_assert_double_le(used, planned + 128);
}
END_TEST

START_TEST(info_shows_a_plan)
{
    ck_assert_int_eq(
        plumb("info --plan golden/models/tiny-sdxl --height 32 --width 48 --images 2 --threads 3"), 0);
    expect_in(out, "StableDiffusionXLPipeline: 48 x 32 pixels, 2 pictures, f32, 3 threads");
    expect_in(out, "text_encoder_2");
    expect_in(out, "denoising");
    ck_assert_int_eq(plumb("info --plan sdxl --dtype bf16 --precision f64 --format json"), 0);
    cJSON *report = cJSON_Parse(out);
    ck_assert_ptr_nonnull(report);
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(report, "models");
    ck_assert_int_eq(cJSON_GetArraySize(models), 4);
    const cJSON *unet = cJSON_GetArrayItem(models, 2);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(unet, "model")->valuestring, "unet");
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(unet, "types")->valuestring, "BF16");
    ck_assert_double_eq(cJSON_GetObjectItemCaseSensitive(unet, "parameters")->valuedouble, 2567463684);
    ck_assert_double_eq(cJSON_GetObjectItemCaseSensitive(unet, "weights")->valuedouble, 2 * 2567463684.0);
    cJSON_Delete(report);
}
END_TEST

START_TEST(info_refuses_a_plan)
{
    expect_failure(plumb("info --height 64"), STATUS_BAD_INPUT, 0, "--plan", NULL);
    expect_failure(plumb("info --plan sdxxl"), STATUS_BAD_INPUT, 0, "sdxxl", "sdxl", NULL);
    expect_failure(plumb("info --plan golden/models/none"), STATUS_BAD_INPUT, 0, "golden/models/none", NULL);
    expect_failure(
        plumb("info --plan sd15 --height 100 --width 100"), STATUS_BAD_INPUT, 0, "multiples of 8", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *plans = tcase_create("plans");
    tcase_set_timeout(plans, 120);
    tcase_add_loop_test(
        plans, dry_passes_plan_to_the_byte, 0, GEMM_KINDS * (int)(sizeof names / sizeof *names));
    tcase_add_test(plans, stable_diffusion_fits);
    tcase_add_test(plans, sdxl_fits);
    tcase_add_loop_test(plans, memory_grows_as_the_work_does, 0, 2);
    suite_add_tcase(suite, plans);
    TCase *program = tcase_create("program");
    tcase_set_timeout(program, 120);
    tcase_add_checked_fixture(program, make_test_folder, drop_program_folder);
    tcase_add_test(program, a_run_uses_what_was_planned);
    tcase_add_test(program, info_shows_a_plan);
    tcase_add_test(program, info_refuses_a_plan);
    suite_add_tcase(suite, program);
    return run_suite(suite);
}
