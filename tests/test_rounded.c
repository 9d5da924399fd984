/*
 * Other backends' number formats imitated (ref/forward.h, kernels/rounded.h): kernels against their
 * definition, layers that must not lose what is exact, and whole runs, whose every tensor is of the format
 * and whose distance from the exact answer is the format's.
 */
#include "program.h"
#include "recorded_model.h"
#include "rounded_checks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Kernels and layers (rounded_checks.h) ------------------------------------------------ */

/* Index i: a format and a precision. */
enum { LOOPS = 2 * NUMBER_FORMATS };
static const struct rounded_checks *checks_of(int i)
{
    return i % 2 == 0 ? &rounded_checks_f32 : &rounded_checks_f64;
}

static enum number_format format_of(int i)
{
    return (enum number_format)(i / 2);
}

START_TEST(geglu_rounds_twice)
{
    checks_of(_i)->check_geglu(format_of(_i));
}
END_TEST

START_TEST(attention_by_its_formula)
{
    for (int shape = 0; shape < ATTENTION_SHAPES; shape++)
        checks_of(_i)->check_attention(format_of(_i), shape);
}
END_TEST

START_TEST(what_is_exact_stays)
{
    checks_of(_i)->check_exact_layers(format_of(_i));
}
END_TEST

START_TEST(results_are_rounded_one_by_one)
{
    checks_of(_i)->check_layers(format_of(_i));
}
END_TEST

/* --- Whole runs --------------------------------------------------------------------------- */

#define RUN "--prompt 'a red ring on a blue background' --steps 3 --guidance-scale 3"

static struct tensor_set *run_in(const char *model, const char *precision, const char *more)
{
    const char *path = path_in(test_folder, "%s-%s%s.safetensors", model, precision, more[0] ? "-more" : "");
    ck_assert_msg(plumb("run golden/models/%s " RUN " --threads 1 --precision %s %s --trace %s", model,
                      precision, more, path) == 0,
        "%s", err);
    return open_set(path);
}

/* In which the library computes in float32 whatever the model's dtype, or the tables. */
static bool is_float32(const char *name, bool upcast)
{
    static const char *const names[] = {
        "timesteps", "sigmas", "alphas_cumprod", "act.unet.time_proj", "act.unet.add_time_proj"};
    static const char *const of_upcast_vae[] = {
        "image", "act.vae.decoder.up_blocks.", "act.vae.decoder.conv_norm_out", "act.vae.decoder.conv_out"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    for (size_t i = 0; upcast && i < sizeof of_upcast_vae / sizeof *of_upcast_vae; i++)
        if (strncmp(name, of_upcast_vae[i], strlen(of_upcast_vae[i])) == 0) return true;
    return false;
}

static const struct {
    const char *model, *precision, *more;
    enum number_format format;
    bool upcast, float32_noise;
} runs[] = {
    {"tiny-sd", "f16", "", FORMAT_F16, false, false},
    {"tiny-sd", "bf16", "--scheduler EulerAncestralDiscrete", FORMAT_BF16, false, false},
    {"tiny-sd21v", "f16", "--scheduler UniPCMultistep", FORMAT_F16, false, false},
    {"tiny-sdxl", "f16", "--scheduler DDIM --eta 1", FORMAT_F16, true, false},
    {"tiny-sdxl", "bf16", "--scheduler DPMSolverMultistep --set algorithm_type=sde-dpmsolver++", FORMAT_BF16,
        false, true},
    {"shapes-xl", "f16", "--guidance-rescale 0.7", FORMAT_F16, false, false}, /* force_upcast: false */
};

START_TEST(every_tensor_is_of_the_format)
{
    char more[160];
    snprintf(more, sizeof more, "--trace-modules %s", runs[_i].more);
    struct tensor_set *trace = run_in(runs[_i].model, runs[_i].precision, more);
    size_t checked = 0, float32 = 0;
    for (size_t i = 0; i < tensor_set_count(trace); i++) {
        const char *name = tensor_set_name(trace, i);
        const struct tensor *x = tensor_set_at(trace, i);
        if (x->dtype != DTYPE_F32) continue;
        bool noise = strstr(name, ".noise") && !strstr(name, "noise_pred") && runs[_i].float32_noise;
        bool exempt = noise || is_float32(name, runs[_i].upcast);
        size_t finer = 0; /* numbers that the format does not have */
        for (size_t j = 0; j < tensor_count(x); j++) {
            float value = ((const float *)x->data)[j];
            finer += value != number_format_round(runs[_i].format, value);
        }
        ck_assert_msg(
            exempt || finer == 0, "%s: %zu numbers that %s does not have", name, finer, runs[_i].precision);
        bool picture = runs[_i].upcast && strcmp(name, "image") == 0;
        ck_assert_msg(!picture || finer > 0, "the decoder is not upcast");
        if (exempt)
            float32 += finer > 0;
        else
            checked++;
    }
    ck_assert_uint_gt(checked, 50);
    ck_assert_uint_gt(float32, 1);
    tensor_set_free(trace);
}
END_TEST

/* round(w x + b), of rounded weights: [width] */
static void rounded_line(enum number_format format, const struct tensor_set *unet, const char *layer,
    const float *x, size_t in, size_t width, float *y)
{
    const struct tensor *w = need_tensor(unet, "%s.weight", layer);
    const struct tensor *b = need_tensor(unet, "%s.bias", layer);
    ck_assert_uint_eq(tensor_count(w), in * width);
    for (size_t i = 0; i < width; i++) {
        double sum = (double)number_format_round(format, (float)tensor_get_double(b, i));
        for (size_t j = 0; j < in; j++)
            sum +=
                (double)number_format_round(format, (float)tensor_get_double(w, i * in + j)) * (double)x[j];
        y[i] = number_format_round(format, (float)sum);
    }
}

/* The sinusoid is seen in float32 and goes on in the model's dtype: so the embedding that is made of it,
 * linear, SiLU, linear, comes out to the bit but where a sum in another order rounds to the other side. */
START_TEST(the_sinusoid_is_rounded_after_it_is_seen)
{
    const char *precision = _i == 0 ? "f16" : "bf16";
    enum number_format format = _i == 0 ? FORMAT_F16 : FORMAT_BF16;
    enum { MOST = 512 };
    float first[MOST], second[MOST], sinusoid[MOST];
    struct tensor_set *trace = run_in("tiny-sd", precision, "--trace-modules");
    struct tensor_set *unet =
        open_set(golden_path("models/tiny-sd/unet/diffusion_pytorch_model.safetensors"));
    const struct tensor *seen = need_tensor(trace, "act.unet.time_proj");
    const struct tensor *embedding = need_tensor(trace, "act.unet.time_embedding");
    size_t in = (size_t)seen->shape[1], width = (size_t)embedding->shape[1], finer = 0, equal = 0;
    ck_assert_uint_le(width, MOST);
    for (size_t i = 0; i < in; i++) {
        sinusoid[i] = number_format_round(format, (float)tensor_get_double(seen, i));
        finer += (double)sinusoid[i] != tensor_get_double(seen, i);
    }
    ck_assert_uint_gt(finer, in / 2);
    rounded_line(format, unet, "time_embedding.linear_1", sinusoid, in, width, first);
    for (size_t i = 0; i < width; i++)
        first[i] = number_format_round(format, (float)((double)first[i] / (1 + exp(-(double)first[i]))));
    rounded_line(format, unet, "time_embedding.linear_2", first, width, width, second);
    for (size_t i = 0; i < width; i++) equal += (double)second[i] == tensor_get_double(embedding, i);
    ck_assert_msg(equal >= width - width / 16, "%zu of %zu are equal", equal, width);
    tensor_set_free(unet);
    tensor_set_free(trace);
}
END_TEST

/* Root mean square of a tensor's distance from the double run's, relative to it. */
static double relative_distance(
    const struct tensor_set *set, const struct tensor_set *exact, const char *name)
{
    const struct tensor *a = need_tensor(set, "%s", name), *b = need_tensor(exact, "%s", name);
    double sum = 0, size = 0;
    for (size_t i = 0; i < tensor_count(a); i++) {
        double difference = tensor_get_double(a, i) - tensor_get_double(b, i);
        sum += difference * difference;
        size += tensor_get_double(b, i) * tensor_get_double(b, i);
    }
    return sqrt(sum / size);
}

/* One bit less is twice the error: bf16's 8 bits against f16's 11 make it eight times as large. Float's 24
 * would make 2^13 against f16, but the sums inside an operator are float in both, and their errors are a good
 * part of float's: measured 2200 to 4800. TF32 rounds only what goes into products. */
START_TEST(distances_are_those_of_the_formats)
{
    static const char *const models[] = {"tiny-sd", "tiny-sd21v", "tiny-sdxl"};
    static const char *const names[] = {"prompt_embeds", "step.00.noise_pred_text", "image"};
    const char *model = models[_i];
    struct tensor_set *f64 = run_in(model, "f64", ""), *f32 = run_in(model, "f32", "");
    struct tensor_set *f16 = run_in(model, "f16", ""), *bf16 = run_in(model, "bf16", "");
    struct tensor_set *tf32 = run_in(model, "tf32", "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double of_f32 = relative_distance(f32, f64, names[i]), of_f16 = relative_distance(f16, f64, names[i]);
        double of_bf16 = relative_distance(bf16, f64, names[i]),
               of_tf32 = relative_distance(tf32, f64, names[i]);
        printf("%-10s %-24s f32 %.1e  tf32 %.1e  f16 %.1e (%.0f times f32)  bf16 %.1e (%.1f times f16)\n",
            model, names[i], of_f32, of_tf32, of_f16, of_f16 / of_f32, of_bf16, of_bf16 / of_f16);
        ck_assert_double_gt(of_f16, 0x1p10 * of_f32);
        ck_assert_double_lt(of_f16, 0x1p13 * of_f32);
        ck_assert_double_gt(of_bf16, 4 * of_f16);
        ck_assert_double_lt(of_bf16, 16 * of_f16);
        ck_assert_double_gt(of_tf32, 0.2 * of_f16);
        ck_assert_double_lt(of_tf32, 1.5 * of_f16);
    }
    tensor_set_free(tf32);
    tensor_set_free(bf16);
    tensor_set_free(f16);
    tensor_set_free(f32);
    tensor_set_free(f64);
}
END_TEST

/* From the inputs that a golden trace recorded, and the double build is the truth. PyTorch's CPU kernels in
 * bfloat16 are worse than one rounding of a result: SiLU 1.5 times, layer norm 1.8, group norm 3.2
 * (golden/generate/half_precision.py), the others 1. So ours are not larger than theirs by more than chance,
 * and not smaller by more than the worst of those. What is exact in theirs is in ours. */
static void expect_pytorch_s_errors(
    const struct trace *ours, const struct trace *truth, const cJSON *errors, const char *prefix)
{
    double least = (double)INFINITY, largest = 0;
    size_t count = 0;
    const cJSON *error;
    cJSON_ArrayForEach(error, errors)
    {
        const char *name = error->string;
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        double off = relative_distance(trace_tensors(ours), trace_tensors(truth), name);
        if (error->valuedouble == 0) {
            ck_assert_msg(off < 1e-6, "%s: off by %g, where PyTorch is exact", name, off);
            continue;
        }
        double ratio = off / error->valuedouble;
        ck_assert_msg(
            ratio > 1 / 3.2 && ratio < 1.25, "%s: off by %g, PyTorch by %g", name, off, error->valuedouble);
        least = fmin(least, ratio);
        largest = fmax(largest, ratio);
        count++;
    }
    ck_assert_uint_gt(count, 0);
    printf(
        "%-12s %2zu tensors: errors in bf16 are %.2f to %.2f of PyTorch's\n", prefix, count, least, largest);
}

START_TEST(errors_are_those_of_pytorch_s_bfloat16)
{
    cJSON *errors = golden_json("models/traces/%s.bf16_errors.json", RECORDED_IN_FULL[_i]);
    for (int model = 0; model < 2; model++) {
        struct recorded recorded;
        recorded_open(RECORDED_IN_FULL[_i], model == 0 ? RECORDED_UNET : RECORDED_VAE, &recorded);
        struct trace *ours = new_trace(), *truth = new_trace();
        if (model == 0) {
            recorded_unet_call_f32(recorded.unet, recorded.tensors, 0, true, FORMAT_BF16, ours);
            recorded_unet_call_f64(recorded.unet, recorded.tensors, 0, true, FORMAT_BF16, truth);
            expect_pytorch_s_errors(ours, truth, errors, "act.unet.");
            expect_pytorch_s_errors(ours, truth, errors, "step.");
        } else {
            recorded_decode_f32(recorded.vae, recorded.tensors, true, FORMAT_BF16, ours);
            recorded_decode_f64(recorded.vae, recorded.tensors, true, FORMAT_BF16, truth);
            expect_pytorch_s_errors(ours, truth, errors, "act.vae.");
            expect_pytorch_s_errors(ours, truth, errors, "image");
        }
        trace_free(truth);
        trace_free(ours);
        recorded_close(&recorded);
    }
    cJSON_Delete(errors);
}
END_TEST

static const char *const precisions[] = {"f16", "bf16", "tf32"};

START_TEST(threads_change_no_bit)
{
    for (int threads = 1; threads <= 3; threads += 2)
        ck_assert_int_eq(plumb("run golden/models/shapes-xl " RUN " --height 96 --width 64 --precision %s "
                               "--threads %d --trace %s/%d.safetensors",
                             precisions[_i], threads, test_folder, threads),
            0);
    ck_assert_msg(
        plumb("compare %s/1.safetensors %s/3.safetensors", test_folder, test_folder) == 0, "%s", out);
}
END_TEST

/* What a trace of such a run says that it is. */
START_TEST(the_trace_says_so)
{
    struct tensor_set *trace = run_in("tiny-sd", precisions[_i], "");
    ck_assert_str_eq(tensor_set_metadata(trace, "precision"), precisions[_i]);
    tensor_set_free(trace);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imitated formats");
    TCase *parts = tcase_create("kernels and layers");
    tcase_add_loop_test(parts, geglu_rounds_twice, 0, LOOPS);
    tcase_add_loop_test(parts, attention_by_its_formula, 0, LOOPS);
    tcase_add_loop_test(parts, what_is_exact_stays, 0, LOOPS);
    tcase_add_loop_test(parts, results_are_rounded_one_by_one, 0, LOOPS);
    suite_add_tcase(suite, parts);
    TCase *whole = tcase_create("runs");
    tcase_set_timeout(whole, 120);
    tcase_add_checked_fixture(whole, make_test_folder, drop_program_folder);
    tcase_add_loop_test(whole, every_tensor_is_of_the_format, 0, (int)(sizeof runs / sizeof *runs));
    tcase_add_loop_test(whole, the_sinusoid_is_rounded_after_it_is_seen, 0, 2);
    tcase_add_loop_test(whole, distances_are_those_of_the_formats, 0, 3);
    tcase_add_loop_test(whole, errors_are_those_of_pytorch_s_bfloat16, 0, RECORDED_IN_FULL_COUNT);
    tcase_add_loop_test(whole, threads_change_no_bit, 0, 3);
    tcase_add_loop_test(whole, the_trace_says_so, 0, 3);
    suite_add_tcase(suite, whole);
    return run_suite(suite);
}
