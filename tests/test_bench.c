/*
 * plumb bench: what it counts and reports, not how fast it is. Operations against closed forms, every
 * operator of the models known by name, reports that parse, and refusals.
 */
#include "file_support.h"
#include "program.h"
#include "support.h"

#include "ref/bench.h"

#include "sched/scheduler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tensor shaped(int rank, const int64_t *shape)
{
    struct tensor tensor = {.dtype = DTYPE_F32, .rank = rank};
    memcpy(tensor.shape, shape, (size_t)rank * sizeof *shape);
    return tensor;
}

#define SHAPE(...) shaped((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

static struct bench_source open_source(const char *architecture, int64_t latent_side)
{
    struct bench_source source = {
        .dtype = DTYPE_F32, .batch = 1, .height = latent_side, .width = latent_side};
    struct error error = {""};
    ck_assert_msg(
        architecture_open(architecture, &source.architecture, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(bench_source_size(&source, &error), STATUS_OK);
    return source;
}

/* --- Counting ----------------------------------------------------------------------------- */

START_TEST(operations_and_bytes_of_a_call)
{
    struct kernel_call linear = {
        .kernel = "linear", .x = SHAPE(2, 77, 768), .w = SHAPE(3072, 768), .y = SHAPE(2, 77, 3072)};
    ck_assert(bench_call_flops(&linear) == 2.0 * 154 * 768 * 3072);
    ck_assert(bench_call_bytes(&linear) == 4.0 * (154 * 768 + 768 * 3072 + 154 * 3072));
    linear.w.dtype = DTYPE_F16;
    ck_assert(bench_call_bytes(&linear) == 4.0 * (154 * 768 + 154 * 3072) + 2.0 * 768 * 3072);

    struct kernel_call conv = {.kernel = "conv2d",
        .x = SHAPE(2, 320, 64, 64),
        .w = SHAPE(640, 320, 3, 3),
        .y = SHAPE(2, 640, 32, 32)};
    ck_assert(bench_call_flops(&conv) == 2.0 * 2 * 640 * 32 * 32 * 320 * 9);

    struct kernel_call attention = {.kernel = "attention",
        .x = SHAPE(2, 4096, 320),
        .w = SHAPE(2, 77, 320),
        .y = SHAPE(2, 4096, 320),
        .heads = 8};
    ck_assert(bench_call_flops(&attention) == 2 * (2.0 * 2 * 8 * 4096 * 77 * 40));
    ck_assert(bench_call_bytes(&attention) == 4.0 * 2 * 320 * (2 * 4096 + 2 * 77));

    struct kernel_call add = {.kernel = "add", .x = SHAPE(2, 320), .y = SHAPE(2, 320)};
    ck_assert(bench_call_flops(&add) == 0);
    ck_assert(bench_call_bytes(&add) == 4.0 * 3 * 640);
    struct kernel_call concat = {.kernel = "concat_channels", .x = SHAPE(1, 2, 8), .y = SHAPE(1, 5, 8)};
    ck_assert(bench_call_bytes(&concat) == 4.0 * 2 * 40);
}
END_TEST

/* Sums over the convolutions, linear layers and attentions that the architectures' papers and configs name,
 * worked out by a few lines of Python that know nothing of the program: 2 K per element of a product. */
static const struct {
    const char *architecture, *part;
    int64_t latent_side;
    double flops;
} passes[] = {
    {"sd15", "text_encoder", 64, 13298503680.0},
    {"sd15", "unet", 64, 803273441280.0},
    {"sd15", "vae", 64, 2514518933504.0},
    {"sd21", "text_encoder", 96, 45127233536.0},
    {"sdxl", "text_encoder_2", 128, 97863106560.0},
    {"sdxl", "unet", 64, 1588778762240.0},
    {"sdxl", "unet", 128, 6761236398080.0},
};

START_TEST(operations_of_a_pass)
{
    struct bench_source source = open_source(passes[_i].architecture, passes[_i].latent_side);
    struct bench_stage stage;
    struct bench_timing timing = {.repeats = 1, .threads = 1};
    struct error error = {""};
    enum status status = bench_stage_measure(&source, passes[_i].part, NULL, &timing, &stage, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert_msg(stage.task.flops == passes[_i].flops, "%s %s: %.0f operations, expected %.0f",
        passes[_i].architecture, passes[_i].part, stage.task.flops, passes[_i].flops);
    architecture_close(&source.architecture);
}
END_TEST

START_TEST(medians_and_roofs)
{
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    ck_assert(bench_median(odd, 3) == 2);
    ck_assert(bench_median(even, 4) == 2.5);
    ck_assert(bench_median(one, 1) == 7);

    struct bench_peak peak = {.flops = 100, .bytes = 10};
    bool by_compute;
    struct bench_task dense = {NULL, NULL, 1000, 50}, sparse = {NULL, NULL, 1000, 200},
                      moves = {NULL, NULL, 0, 30};
    ck_assert(bench_roof(&dense, peak, &by_compute) == 10 && by_compute);
    ck_assert(bench_roof(&sparse, peak, &by_compute) == 20 && !by_compute);
    ck_assert(bench_roof(&moves, peak, &by_compute) == 3 && !by_compute);
}
END_TEST

/* --- Operators and schedulers ------------------------------------------------------------- */

/* Each operator of each part is one that can run alone; none is left out of a benchmark in silence. */
START_TEST(every_operator_runs_alone)
{
    static const char *const architectures[] = {"tiny-sd15", "tiny-sd21", "tiny-sdxl"};
    struct bench_source source = open_source(architectures[_i], 8);
    struct bench_timing timing = {.repeats = 1, .threads = 1};
    struct error error = {""};
    for (size_t m = 0; m < ARCHITECTURE_MODELS; m++) {
        struct bench_model model;
        struct bench_operators operators = {0};
        const char *part = architecture_models[m];
        if (!bench_source_has(&source, part)) continue;
        ck_assert_int_eq(bench_model_open(&source, part, 2, false, &model, &error), STATUS_OK);
        ck_assert_int_eq(bench_operators_list(&model, &operators, &error), STATUS_OK);
        ck_assert_uint_gt(operators.count, 5);
        for (size_t i = 0; i < operators.count; i++) {
            struct bench_operator *op = &operators.items[i];
            ck_assert_msg(bench_replay(NULL, &timing, op, &error) == STATUS_OK, "%s", error.message);
            char shape[200];
            bench_show_shape(op, shape, sizeof shape);
            /* The sinusoid of one number a picture is no work. */
            if (strcmp(op->call.kernel, "timestep_embedding") == 0) continue;
            ck_assert_msg(op->measured, "%s: %s of %s", part, op->call.kernel, shape);
        }
        bench_operators_free(&operators);
        bench_model_close(&model);
    }
    architecture_close(&source.architecture);
}
END_TEST

START_TEST(every_scheduler_steps)
{
    struct bench_timing timing = {.repeats = 1, .threads = 1};
    for (size_t i = 0; i < scheduler_class_count(); i++) {
        struct bench_scheduler result;
        bench_scheduler_measure(scheduler_class_name(i), NULL, &timing, &result);
        ck_assert_msg(!result.error.message[0], "%s: %s", scheduler_class_name(i), result.error.message);
    }
}
END_TEST

/* --- The command -------------------------------------------------------------------------- */

static cJSON *report(void)
{
    cJSON *json = NULL;
    struct error error = {""};
    ck_assert_msg(
        json_parse(out, strlen(out), "report", &json, &error) == STATUS_OK, "%s:\n%s", error.message, out);
    return json;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

/* Operators and stages of one part count the same operations; a list measures nothing. */
START_TEST(a_list)
{
    ck_assert_int_eq(plumb("bench --list --architecture tiny-sdxl --format json"), STATUS_OK);
    cJSON *json = report();
    const cJSON *stage, *op;
    int stages = 0;
    cJSON_ArrayForEach(stage, cJSON_GetObjectItem(json, "stages"))
    {
        const char *part = cJSON_GetObjectItem(stage, "stage")->valuestring;
        double flops = 0;
        cJSON_ArrayForEach(op, cJSON_GetObjectItem(json, "operators"))
        {
            ck_assert_ptr_null(cJSON_GetObjectItem(op, "seconds"));
            if (strcmp(cJSON_GetObjectItem(op, "part")->valuestring, part) == 0)
                flops += number(op, "calls") * number(op, "flops");
        }
        ck_assert(flops == number(stage, "flops") && flops > 0);
        ck_assert_double_gt(number(stage, "activation_bytes"), 0);
        stages++;
    }
    ck_assert_int_eq(stages, 4);
    cJSON_Delete(json);
    ck_assert_int_eq(plumb("bench --list --architecture sd15 --size 256x512"), STATUS_OK);
    expect_in(out, "latents of 32 x 64");
    expect_in(out, "[1, 320, 32, 64] to 320, 3x3");
}
END_TEST

/* Everything about one small part, and a step. */
START_TEST(measurements)
{
    ck_assert_int_eq(plumb("bench --kernels --stages --part text_encoder --architecture tiny-sd15 --repeat 1 "
                           "--threads 2 --scaling --format json"),
        STATUS_OK);
    cJSON *json = report();
    const cJSON *item, *peak = cJSON_GetObjectItem(json, "peak");
    ck_assert_double_gt(number(peak, "sgemm_flops_per_second"), 0);
    ck_assert_double_gt(number(peak, "copy_bytes_per_second"), 0);
    ck_assert_double_gt(number(cJSON_GetObjectItem(json, "peak_one_thread"), "sgemm_flops_per_second"), 0);
    ck_assert(number(json, "threads") == 2);
    const char *const lists[] = {"operators", "stages"};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_gt(cJSON_GetArraySize(cJSON_GetObjectItem(json, lists[i])), 0);
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, lists[i]))
        {
            ck_assert_double_gt(number(item, "seconds"), 0);
            ck_assert_double_gt(number(item, "share_of_roof"), 0);
            ck_assert_double_gt(number(item, "speedup"), 0);
            ck_assert((number(item, "share_of_sgemm") > 0) == (number(item, "flops") > 0));
        }
    }
    cJSON_Delete(json);

    ck_assert_int_eq(
        plumb("bench --step --stages --part unet --architecture tiny-sdxl --dtype f16 --repeat 2"),
        STATUS_OK);
    expect_in(out, "[2, 4, 16, 16]"); /* prompt and empty prompt */
    expect_in(out, "of SGEMM");
}
END_TEST

START_TEST(a_checkpoint_is_mapped)
{
    ck_assert_int_eq(plumb("bench --stages --part vae --checkpoint %s --variant fp16 --repeat 1",
                         golden_path("models/tiny-sdxl-fp16")),
        STATUS_OK);
    expect_in(out, "tiny-sdxl-fp16");
    expect_in(out, "mapped");
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *arguments, *words[2];
    } cases[] = {
        {"--architecture sd51", {"sd15, sd21, sdxl", "did you mean"}},
        {"--part vea", {"--part", "vea"}},
        {"--part text_encoder_2", {"--part", "sd15 has no text_encoder_2"}},
        {"--size 512", {"--size", "512x768"}},
        {"--size 512x500", {"--size", "multiples of 8"}},
        {"--size 0x512", {"--size", "0x512"}},
        {"--checkpoint nowhere", {"nowhere", "No such file"}},
        {"--checkpoint x --architecture sd15", {"--checkpoint, --architecture"}},
        {"--checkpoint x --dtype f16", {"--checkpoint, --dtype"}},
        {"--variant fp16", {"--variant", "--checkpoint"}},
        {"--repeat 0", {"--repeat", "0"}},
        {"--gemm cublas", {"--gemm", "openblas"}},
        {"sd15", {"sd15"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(plumb("bench --list %s", cases[i].arguments), STATUS_BAD_INPUT, 0, cases[i].words[0],
            cases[i].words[1], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("benchmarks");
    TCase *cases = tcase_create("counting");
    tcase_add_test(cases, operations_and_bytes_of_a_call);
    tcase_add_loop_test(cases, operations_of_a_pass, 0, (int)(sizeof passes / sizeof *passes));
    tcase_add_test(cases, medians_and_roofs);
    tcase_add_loop_test(cases, every_operator_runs_alone, 0, 3);
    tcase_add_test(cases, every_scheduler_steps);
    suite_add_tcase(suite, cases);

    TCase *commands = tcase_create("the command");
    tcase_add_checked_fixture(commands, make_test_folder, drop_program_folder);
    tcase_set_timeout(commands, 120);
    tcase_add_test(commands, a_list);
    tcase_add_test(commands, measurements);
    tcase_add_test(commands, a_checkpoint_is_mapped);
    tcase_add_test(commands, refusals);
    suite_add_tcase(suite, commands);
    return run_suite(suite);
}
