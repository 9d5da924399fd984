/*
 * The UNet against PyTorch's: every call of every public trace from its recorded inputs, every module of a
 * first step, and the float64 truth; the same bytes for every number of threads; inputs that do not fit.
 */
#include "kernels/cpu.h"
#include "recorded_model.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(every_call_of_every_trace)
{
    const char *name = RECORDED[_i];
    struct recorded recorded;
    recorded_open(name, RECORDED_UNET, &recorded);
    struct worst worst = {0, 0};
    for (int call = 0; call < recorded.calls; call++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "step.%02d.noise_pred_", call);
        struct passes ours = recorded_passes(&recorded, call, false);
        check_passes_close(&ours, recorded.tensors, prefix, name, &worst);
        passes_free(&ours);
    }
    printf("%-28s %2d calls, off PyTorch's float32 by at most %.2g (float), %.2g (double) of the peak\n",
        name, recorded.calls, worst.f32, worst.f64);
    recorded_close(&recorded);
}
END_TEST

START_TEST(every_module_of_the_first_step)
{
    const char *name = RECORDED_IN_FULL[_i];
    struct recorded recorded;
    recorded_open(name, RECORDED_UNET, &recorded);
    struct passes ours = recorded_passes(&recorded, 0, true);
    struct worst worst = {0, 0};
    check_passes_close(&ours, recorded.tensors, "act.unet.", name, &worst);
    printf("%-28s modules off PyTorch's float32 by at most %.2g (float), %.2g (double) of the peak\n", name,
        worst.f32, worst.f64);
    passes_free(&ours);
    recorded_close(&recorded);
}
END_TEST

/* The sinusoid is the library's in every bit, in both precisions. */
START_TEST(sinusoids_are_bit_equal)
{
    struct recorded recorded;
    recorded_open(RECORDED_IN_FULL[_i], RECORDED_UNET, &recorded);
    struct passes ours = recorded_passes(&recorded, 0, true);
    const char *const names[] = {"act.unet.time_proj", "act.unet.add_time_proj"};
    for (int i = 0; i < (unet_time_ids_dim(recorded.unet) > 0 ? 2 : 1); i++) {
        const struct tensor *expected = need_tensor(recorded.tensors, "%s", names[i]);
        ck_assert_uint_eq(distance(trace_tensors(ours.f32), names[i], expected).unequal, 0);
        ck_assert_uint_eq(distance(trace_tensors(ours.f64), names[i], expected).unequal, 0);
    }
    passes_free(&ours);
    recorded_close(&recorded);
}
END_TEST

static const char *const outputs[] = {"step.00.noise_pred_uncond", "step.00.noise_pred_text"};

/* The double build is the truth, and the float build is as near to it as PyTorch's float32 is: at the end
 * against the recorded truth, inside against the double build, which the first check vouches for; with either
 * kind of matrix products. */
START_TEST(truth)
{
    const char *name = RECORDED_IN_FULL[_i / GEMM_KINDS];
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS));
    struct recorded recorded;
    recorded_open(name, RECORDED_UNET, &recorded);
    cJSON *errors = golden_json("models/traces/%s.f64_errors.json", name);
    struct passes ours = recorded_passes(&recorded, 0, true);
    for (int i = 0; i < 2; i++) {
        const struct tensor *exact = need_tensor(recorded.tensors, "f64.%s", outputs[i]);
        double pytorch = pytorch_error(errors, outputs[i]);
        check_truth(&ours, outputs[i], exact, pytorch, truth_tolerance(pytorch), name);
    }
    check_module_errors(&ours, errors, "act.unet.", name);
    passes_free(&ours);
    cJSON_Delete(errors);
    recorded_close(&recorded);
}
END_TEST

/* Calls that no pipeline's trace reaches (golden/unet/): latents whose sides no level divides, down to a
 * single row, and options that no published config combines: lists for every level, heads that do not divide
 * the channels, other kernels, a sinusoid with freq_shift and its halves in place. */
START_TEST(odd_sizes_and_options)
{
    static const char *const cases[] = {"odd-sd", "odd-sdxl", "one-row-sd21v", "options"};
    struct tensor_set *recorded = golden_tensors("unet/%s/case.safetensors", cases[_i]);
    const char *model = tensor_set_metadata(recorded, "model");
    char *folder = strdup(model ? golden_path("models/%s", model) : golden_path("unet/%s", cases[_i]));
    struct checkpoint checkpoint = {.folder = folder};
    struct unet *unet = open_unet(&checkpoint, NULL);
    struct passes ours = unet_passes(unet, recorded, 0, false);
    check_all_close(trace_tensors(ours.f32), recorded, "step.00.noise_pred_", FLOAT_TOLERANCE, cases[_i]);
    for (int i = 0; i < 2; i++) {
        const struct tensor *exact = need_tensor(recorded, "f64.%s", outputs[i]);
        double pytorch = distance(recorded, outputs[i], exact).max_rel_peak;
        check_truth(&ours, outputs[i], exact, pytorch, FLOAT_TOLERANCE, cases[_i]);
    }
    passes_free(&ours);
    unet_free(unet);
    free(folder);
    tensor_set_free(recorded);
}
END_TEST

START_TEST(same_bytes_for_every_number_of_threads)
{
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS));
    check_same_bytes_for_threads(RECORDED_IN_FULL[_i / GEMM_KINDS], RECORDED_UNET);
}
END_TEST

/* Three shards hold what one file holds, and give the same bytes. */
START_TEST(shards_are_the_same_model)
{
    struct recorded recorded;
    recorded_open("sdxl-ays10-sde", RECORDED_UNET, &recorded);
    char *folder = strdup(golden_path("models/tiny-sdxl-sharded"));
    struct checkpoint sharded = {.folder = folder};
    struct unet *three = open_unet(&sharded, NULL);
    struct trace *of_one = new_trace(), *of_three = new_trace();
    recorded_unet_call_f32(recorded.unet, recorded.tensors, 0, true, FORMAT_F32, of_one);
    recorded_unet_call_f32(three, recorded.tensors, 0, true, FORMAT_F32, of_three);
    check_same_bytes(trace_tensors(of_one), trace_tensors(of_three), "tiny-sdxl-sharded");
    trace_free(of_one);
    trace_free(of_three);
    unet_free(three);
    free(folder);
    recorded_close(&recorded);
}
END_TEST

static struct tensor zeros(struct forward *f, int rank, const int64_t *shape)
{
    struct tensor tensor = forward_tensor_f32(f, rank, shape);
    ck_assert_ptr_nonnull(tensor.data);
    memset(tensor.data, 0, tensor_bytes(&tensor));
    return tensor;
}

static void check_misfit(
    const struct unet *unet, struct forward *f, struct unet_input input, const char *message)
{
    f->status = STATUS_OK;
    unet_forward_f32(f, unet, &input);
    ck_assert_int_eq(f->status, STATUS_BAD_INPUT);
    ck_assert_str_eq(f->error->message, message);
}

START_TEST(inputs_that_do_not_fit)
{
    struct recorded recorded;
    recorded_open("sdxl-ays10-sde", RECORDED_UNET, &recorded);
    const struct unet *unet = recorded.unet;
    struct error error = {""};
    struct forward f = {.error = &error};
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &error), STATUS_OK);
    struct unet_input good = {.sample = zeros(&f, 4, (int64_t[]){1, 4, 8, 8}),
        .encoder_hidden_states = zeros(&f, 3, (int64_t[]){1, 7, 40}),
        .text_embeds = zeros(&f, 2, (int64_t[]){1, 20}),
        .time_ids = zeros(&f, 2, (int64_t[]){1, 6})};
    unet_forward_f32(&f, unet, &good);
    ck_assert_msg(f.status == STATUS_OK, "%s", error.message);

    struct unet_input input = good;
    input.sample.shape[1] = 2;
    check_misfit(unet, &f, input,
        "unet: sample: expected F32 of shape [-1, 4, -1, -1] (-1 stands for any), got F32 of shape [1, 2, 8, "
        "8]");
    input = good;
    input.sample.dtype = DTYPE_F64;
    check_misfit(unet, &f, input,
        "unet: sample: expected F32 of shape [-1, 4, -1, -1] (-1 stands for any), got F64 of shape [1, 4, 8, "
        "8]");
    input = good;
    input.encoder_hidden_states.shape[2] = 32;
    check_misfit(unet, &f, input,
        "unet: encoder_hidden_states: expected F32 of shape [1, -1, 40] (-1 stands for any), got F32 of "
        "shape [1, 7, 32]");
    input = good;
    input.text_embeds = (struct tensor){0};
    check_misfit(unet, &f, input,
        "unet: text_embeds: expected F32 of shape [1, 20] (-1 stands for any), got nothing of shape []");
    input = good;
    input.time_ids.shape[1] = 5; /* as SDXL's refiner has them: then more pooled text is due */
    check_misfit(unet, &f, input,
        "unet: text_embeds: expected F32 of shape [1, 28] (-1 stands for any), got F32 of shape [1, 20]");
    input = good;
    input.time_ids.shape[0] = 2;
    check_misfit(unet, &f, input,
        "unet: time_ids: expected F32 of shape [1, -1] (-1 stands for any), got F32 of shape [2, 6]");
    arena_free(f.arena);
    recorded_close(&recorded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unet");
    TCase *recorded = tcase_create("recorded");
    tcase_set_timeout(recorded, 600);
    tcase_add_loop_test(recorded, every_call_of_every_trace, 0, RECORDED_COUNT);
    tcase_add_loop_test(recorded, every_module_of_the_first_step, 0, RECORDED_IN_FULL_COUNT);
    tcase_add_loop_test(recorded, sinusoids_are_bit_equal, 0, RECORDED_IN_FULL_COUNT);
    tcase_add_loop_test(recorded, truth, 0, GEMM_KINDS * RECORDED_IN_FULL_COUNT);
    tcase_add_loop_test(recorded, odd_sizes_and_options, 0, 4);
    suite_add_tcase(suite, recorded);
    TCase *promises = tcase_create("promises");
    tcase_set_timeout(promises, 600);
    tcase_add_loop_test(
        promises, same_bytes_for_every_number_of_threads, 0, GEMM_KINDS * RECORDED_IN_FULL_COUNT);
    tcase_add_test(promises, shards_are_the_same_model);
    tcase_add_test(promises, inputs_that_do_not_fit);
    suite_add_tcase(suite, promises);
    return run_suite(suite);
}
