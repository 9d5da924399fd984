/*
 * plumb run --range: checkpoints whose weights are scaled so that one known operator overflows, or becomes
 * zero, in f16 and nothing else does; figures that a trace of the same run has too.
 */
#include "program.h"

#include "kernels/half.h"
#include "ref/range_report.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "golden/models/tiny-sdxl"
#define RUN "--prompt 'a fox' --steps 2 --guidance-scale 5"

/* A copy of the model in the test's folder, "model", with some tensors of its VAE multiplied. */
static void scale_vae(const char *model, double factor, const char *const *names)
{
    copy_folder(golden_path("models/%s", model), path_in(test_folder, "model"));
    const char *path = path_in(test_folder, "model/vae/diffusion_pytorch_model.safetensors");
    struct tensor_set *from = open_set(path), *to = empty_set();
    for (size_t i = 0; i < tensor_set_count(from); i++) {
        add_tensor(to, tensor_set_name(from, i), tensor_set_at(from, i));
        bool scaled = false;
        for (size_t j = 0; names[j]; j++) scaled = scaled || strcmp(names[j], tensor_set_name(from, i)) == 0;
        const struct tensor *copy = tensor_set_find(to, tensor_set_name(from, i));
        ck_assert_int_eq(copy->dtype, DTYPE_F32);
        for (size_t j = 0; scaled && j < tensor_count(copy); j++) ((float *)copy->data)[j] *= (float)factor;
    }
    tensor_set_free(from);
    write_set(to, path);
    tensor_set_free(to);
}

/* The report of the last command. */
static cJSON *report(void)
{
    cJSON *json = cJSON_Parse(out);
    ck_assert_msg(json, "%.200s", out);
    return json;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "%s", key);
    return item->valuedouble;
}

static double lost(const cJSON *range, const char *format, const char *how)
{
    return number(cJSON_GetObjectItemCaseSensitive(range, format), how);
}

static bool is_text(const cJSON *object, const char *key, const char *text)
{
    return strcmp(cJSON_GetObjectItemCaseSensitive(object, key)->valuestring, text) == 0;
}

static const cJSON *find(const cJSON *json, const char *stage, const char *layer, const char *operation)
{
    const cJSON *range;
    cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(json,
                                  "operators")) if (is_text(range, "stage", stage) &&
                                                    is_text(range, "layer", layer) &&
                                                    is_text(range, "operation", operation)) return range;
    ck_abort_msg("no %s of %s.%s", operation, stage, layer);
    return NULL;
}

/* How many operators have a loss of this kind. */
static int count_lossy(const cJSON *json, const char *format, const char *how)
{
    int count = 0;
    const cJSON *range;
    cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(json, "operators")) count +=
        lost(range, format, how) > 0;
    return count;
}

static const char *const models[] = {"tiny-sd", "tiny-sd21v", "tiny-sdxl", "shapes-xl"};

/* Numbers of order one to ten. */
START_TEST(sound_models_have_nothing_to_say)
{
    ck_assert_int_eq(plumb("run golden/models/%s " RUN " --range --range-format json --precision %s",
                         models[_i % 4], _i < 4 ? "f32" : "f64"),
        0);
    cJSON *json = report();
    ck_assert_int_eq(count_lossy(json, "f16", "infinite"), 0);
    ck_assert_int_eq(count_lossy(json, "bf16", "infinite"), 0);
    ck_assert_int_eq(count_lossy(json, "bf16", "zero"), 0);
    const cJSON *range;
    cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(json, "operators"))
    {
        ck_assert_double_eq(number(range, "nonfinite"), 0);
        ck_assert_double_lt(number(range, "largest"), 1000);
    }
    cJSON_Delete(json);
}
END_TEST

/* conv1 sees what a norm and SiLU leave, which is of order one, so that its result is of the order of its
 * weights; norm2 takes the factor out again. SDXL's own decoder is of this kind. */
START_TEST(one_convolution_overflows)
{
    static const char *const names[] = {"decoder.up_blocks.1.resnets.0.conv1.weight", NULL};
    scale_vae("tiny-sdxl", 1e6, names);
    ck_assert_int_eq(plumb("run %s/model " RUN " --range --range-format json --precision %s", test_folder,
                         _i == 0 ? "f32" : "f64"),
        0);
    cJSON *json = report();
    const cJSON *conv = find(json, "vae", "decoder.up_blocks.1.resnets.0.conv1", "conv2d");
    ck_assert_double_gt(number(conv, "largest"), 65520);
    ck_assert_double_gt(lost(conv, "f16", "infinite"), 0.1 * number(conv, "values"));
    ck_assert_int_eq(count_lossy(json, "f16", "infinite"), 1);
    ck_assert_int_eq(count_lossy(json, "bf16", "infinite"), 0);
    cJSON_Delete(json);

    ck_assert_int_eq(plumb("run %s/model " RUN " --range", test_folder), 0);
    expect_in(out, "In f16 these overflow, the worst first:");
    expect_in(out, "Nothing overflows in bf16.");
    const char *worst = strstr(out, "In f16 these overflow");
    expect_in(worst, "decoder.up_blocks.1.resnets.0.conv1");
    /* And so it is: where no up block is upcast, the picture of an f16 run is not a number. */
    ck_assert_int_eq(
        plumb("run %s/model " RUN " --precision bf16 --out %s/p.png", test_folder, test_folder), 0);
    ck_assert(strstr(err, "not finite") == NULL);
}
END_TEST

/* And so it is when the run is one in f16: not a number, unless the decoder is upcast, as SDXL's is where it
 * is not told otherwise; and in bf16 a picture. */
START_TEST(the_report_comes_true)
{
    static const char *const names[] = {"decoder.up_blocks.1.resnets.0.conv1.weight", NULL};
    static const struct {
        const char *model, *precision;
        bool finite;
    } cases[] = {{"tiny-sdxl", "f16", true}, {"tiny-sdxl", "bf16", true}, {"tiny-sd21v", "f16", false},
        {"tiny-sd21v", "bf16", true}};
    scale_vae(cases[_i].model, 1e5, names); /* the weights themselves are still numbers of f16 */
    ck_assert_int_eq(plumb("run %s/model " RUN " --precision %s --out %s/p.png", test_folder,
                         cases[_i].precision, test_folder),
        0);
    ck_assert_msg((strstr(err, "not finite") == NULL) == cases[_i].finite, "%s in %s: %s", cases[_i].model,
        cases[_i].precision, err);
}
END_TEST

START_TEST(a_faint_picture_is_lost)
{
    static const char *const names[] = {"decoder.conv_out.weight", "decoder.conv_out.bias", NULL};
    scale_vae("tiny-sdxl", 1e-10, names);
    ck_assert_int_eq(plumb("run %s/model " RUN " --range --range-format json", test_folder), 0);
    cJSON *json = report();
    const cJSON *conv = find(json, "vae", "decoder.conv_out", "conv2d");
    ck_assert_double_eq(lost(conv, "f16", "zero"), number(conv, "values"));
    ck_assert_double_eq(lost(conv, "f16", "subnormal"), number(conv, "values"));
    ck_assert_double_eq(lost(conv, "bf16", "zero"), 0);
    ck_assert_double_eq(lost(conv, "bf16", "subnormal"), 0);
    const cJSON *before = find(json, "vae", "decoder.conv_norm_out", "silu");
    ck_assert_double_lt(lost(before, "f16", "zero"), 0.01 * number(before, "values"));
    cJSON_Delete(json);
}
END_TEST

/* Of a trace's tensor: largest magnitude, and as f16's own conversion has them how many are infinite and how
 * many become zero. */
static void expect_as_traced(
    const cJSON *range, const struct tensor_set *trace, const char *format, int steps)
{
    double largest = 0, count = 0, infinite = 0, zero = 0;
    int at = 0;
    for (int step = 0; step < steps; step++) {
        char name[64];
        snprintf(name, sizeof name, format, step);
        const struct tensor *x = need_tensor(trace, "%s", name);
        for (size_t i = 0; i < tensor_count(x); i++, count++) {
            float value = ((const float *)x->data)[i];
            if (fabs((double)value) > largest) at = step;
            largest = fmax(largest, fabs((double)value));
            uint16_t narrow = f16_from_f32(value);
            infinite += (narrow & 0x7fffu) == 0x7c00u;
            zero += (narrow & 0x7fffu) == 0 && value != 0;
        }
    }
    char place[32] = "";
    if (steps > 1) snprintf(place, sizeof place, "step %d", at);
    ck_assert_double_eq(number(range, "largest"), largest);
    ck_assert_double_eq(number(range, "values"), count);
    ck_assert_double_eq(lost(range, "f16", "infinite"), infinite);
    ck_assert_double_eq(lost(range, "f16", "zero"), zero);
    ck_assert_msg(is_text(range, "largest_at", place), "at %s", place);
}

/* Counted by what the conversion to the narrow type makes of each number: the limits themselves, both sides
 * of the middles, and their neighbours. */
START_TEST(limits_are_the_formats_own)
{
    const float exact[] = {65504, 65520, 65536, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0x1p-26f, 0x1.8p-24f, 1, 0,
        0x1.fep127f, 0x1.ffp127f, 0x1p-126f, 0x1p-133f, 0x1p-134f, 0x1p-135f, FLT_MAX, 0x1p-149f};
    enum { EXACT = sizeof exact / sizeof *exact, COUNT = 6 * EXACT + 3 };
    float values[COUNT] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < EXACT; i++) {
        float around[] = {exact[i], nextafterf(exact[i], 0), nextafterf(exact[i], FLT_MAX)};
        for (size_t j = 0; j < 3; j++) {
            values[3 + 6 * i + 2 * j] = around[j];
            values[3 + 6 * i + 2 * j + 1] = -around[j];
        }
    }
    struct range_losses want[RANGE_FORMATS] = {{0}};
    for (size_t i = 3; i < COUNT; i++) {
        uint16_t f16 = f16_from_f32(values[i]) & 0x7fffu, bf16 = bf16_from_f32(values[i]) & 0x7fffu;
        float magnitude = fabsf(values[i]);
        want[RANGE_F16].infinite += f16 == 0x7c00u;
        want[RANGE_BF16].infinite += bf16 == 0x7f80u;
        want[RANGE_F16].zero += f16 == 0 && magnitude > 0;
        want[RANGE_BF16].zero += bf16 == 0 && magnitude > 0;
        want[RANGE_F16].subnormal += magnitude > 0 && magnitude < 0x1p-14f;
        want[RANGE_BF16].subnormal += magnitude > 0 && magnitude < 0x1p-126f;
    }

    struct pipeline pipeline;
    struct range_report report = {0};
    struct error error = {""};
    enum status status = pipeline_open(golden_path("models/tiny-sd"), NULL, &pipeline, &error);
    if (status == STATUS_OK) status = range_report_open(&pipeline, &report, &error);
    const struct tensor tensor = {DTYPE_F32, 1, {COUNT}, values};
    if (status == STATUS_OK)
        status = report.observer.see(report.observer.context, "step.07.latents", &tensor, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert_uint_eq(report.count, 1);
    const struct range *range = &report.ranges[0];
    ck_assert_str_eq(range->layer, "latents");
    ck_assert_str_eq(range->largest_at, "step 7");
    ck_assert_double_eq(range->largest, (double)FLT_MAX);
    ck_assert_uint_eq(range->values, COUNT);
    ck_assert_uint_eq(range->nonfinite, 3);
    for (int f = 0; f < RANGE_FORMATS; f++) {
        ck_assert_uint_eq(range->narrow[f].infinite, want[f].infinite);
        ck_assert_uint_eq(range->narrow[f].zero, want[f].zero);
        ck_assert_uint_eq(range->narrow[f].subnormal, want[f].subnormal);
        ck_assert_uint_gt(want[f].infinite, 0);
        ck_assert_uint_gt(want[f].zero, 0);
        ck_assert_uint_gt(want[f].subnormal, want[f].zero);
    }
    range_report_close(&report);
    pipeline_close(&pipeline);
}
END_TEST

/* At the first step, since a trace has no more modules. */
START_TEST(figures_are_the_trace_s)
{
    ck_assert_int_eq(
        plumb("run " MODEL " " RUN " --range --range-format json --trace %s/t.safetensors --trace-modules",
            test_folder),
        0);
    cJSON *json = report();
    struct tensor_set *trace = open_set(path_in(test_folder, "t.safetensors"));
    expect_as_traced(find(json, "pipeline", "latents", ""), trace, "step.%02d.latents", 2);
    expect_as_traced(find(json, "pipeline", "noise_pred", ""), trace, "step.%02d.noise_pred", 2);
    expect_as_traced(find(json, "vae", "decoder.conv_out", "conv2d"), trace, "act.vae.decoder.conv_out", 1);
    expect_as_traced(find(json, "vae", "decoder.conv_in", "conv2d"), trace, "act.vae.decoder.conv_in", 1);
    expect_as_traced(
        find(json, "vae", "decoder.conv_norm_out", "group_norm"), trace, "act.vae.decoder.conv_norm_out", 1);
    const cJSON *in = find(json, "unet", "conv_in", "conv2d");
    const struct tensor *first = need_tensor(trace, "act.unet.conv_in");
    ck_assert_double_eq(number(in, "values"), 2.0 * (double)tensor_count(first)); /* two steps */
    tensor_set_free(trace);
    cJSON_Delete(json);
}
END_TEST

/* Each stage has its operators' sums; every layer of the models is there. */
START_TEST(stages_are_sums)
{
    ck_assert_int_eq(plumb("run " MODEL " " RUN " --negative-prompt dark --range --range-format json"), 0);
    cJSON *json = report();
    const cJSON *stage, *range;
    int stages = 0;
    cJSON_ArrayForEach(stage, cJSON_GetObjectItemCaseSensitive(json, "stages"))
    {
        double values = 0, largest = 0, subnormal = 0;
        const char *name = cJSON_GetObjectItemCaseSensitive(stage, "stage")->valuestring;
        cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(json, "operators"))
        {
            if (!is_text(range, "stage", name)) continue;
            values += number(range, "values");
            subnormal += lost(range, "f16", "subnormal");
            largest = fmax(largest, number(range, "largest"));
        }
        ck_assert_double_eq(number(stage, "values"), values);
        ck_assert_double_eq(number(stage, "largest"), largest);
        ck_assert_double_eq(lost(stage, "f16", "subnormal"), subnormal);
        stages++;
    }
    ck_assert_int_eq(stages, 5); /* two text encoders, UNet, VAE, pipeline */
    /* Both prompts. */
    range = find(json, "text_encoder", "text_model.embeddings", "add");
    ck_assert_double_eq(number(range, "values"), 2 * 77 * 16);
    static const char *const operations[][3] = {{"unet", "time_embedding.linear_1", "silu"},
        {"unet", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "attention_scores"},
        {"unet", "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj", "geglu"},
        {"unet", "mid_block.resnets.0.conv1", "add_channels"}, {"unet", "conv_norm_out", "silu"},
        {"vae", "decoder.up_blocks.0.resnets.0.conv2", "add"}};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        find(json, operations[i][0], operations[i][1], operations[i][2]);
    cJSON_Delete(json);
}
END_TEST

/* The report changes nothing but what fusing changes, and writes no picture that nobody asked for. */
START_TEST(the_picture_stays)
{
    ck_assert_int_eq(plumb("run " MODEL " " RUN " --trace %s/a.safetensors", test_folder), 0);
    ck_assert_int_eq(plumb("run " MODEL " " RUN " --trace %s/b.safetensors --range", test_folder), 0);
    struct tensor_set *fused = open_set(path_in(test_folder, "a.safetensors"));
    struct tensor_set *watched = open_set(path_in(test_folder, "b.safetensors"));
    const struct tensor *a = need_tensor(fused, "image"), *b = need_tensor(watched, "image");
    for (size_t i = 0; i < tensor_count(a); i++) /* about -1 to 1; what two float runs differ by */
        ck_assert_double_eq_tol(tensor_get_double(a, i), tensor_get_double(b, i), 2e-5);
    tensor_set_free(fused);
    tensor_set_free(watched);
    size_t before = count_entries(test_folder);
    ck_assert_int_eq(plumb("run " MODEL " " RUN " --range --threads 3 > %s/three", test_folder), 0);
    ck_assert_int_eq(plumb("run " MODEL " " RUN " --range --threads 1 > %s/one", test_folder), 0);
    ck_assert_uint_eq(count_entries(test_folder), before + 2);
    char *three = read_whole_text(path_in(test_folder, "three"));
    char *one = read_whole_text(path_in(test_folder, "one"));
    ck_assert_str_eq(three, one);
    free(three);
    free(one);
}
END_TEST

START_TEST(a_format_alone_is_refused)
{
    expect_failure(plumb("run " MODEL " --prompt a --range-format json"), STATUS_BAD_INPUT, 0,
        "--range-format", "--range", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range report");
    TCase *cases = tcase_create("program");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_add_loop_test(cases, sound_models_have_nothing_to_say, 0, 8);
    tcase_add_loop_test(cases, one_convolution_overflows, 0, 2);
    tcase_add_loop_test(cases, the_report_comes_true, 0, 4);
    tcase_add_test(cases, a_faint_picture_is_lost);
    tcase_add_test(cases, limits_are_the_formats_own);
    tcase_add_test(cases, figures_are_the_trace_s);
    tcase_add_test(cases, stages_are_sums);
    tcase_add_test(cases, the_picture_stays);
    tcase_add_test(cases, a_format_alone_is_refused);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
