/*
 * The autoencoder's decoder against PyTorch's: the picture of every public trace from its recorded latents,
 * every module, and the float64 truth; the same bytes for every number of threads; unscaling by statistics;
 * old names; a decoder without the middle's attention.
 */
#include "kernels/cpu.h"
#include "recorded_model.h"
#include "ref/vae_model.h"
#include "support.h"

#include <stdio.h>

START_TEST(the_picture_of_every_trace)
{
    const char *name = RECORDED[_i];
    struct recorded recorded;
    recorded_open(name, RECORDED_VAE, &recorded);
    struct passes ours = recorded_passes(&recorded, 0, false);
    const struct tensor_set *f32 = trace_tensors(ours.f32), *f64 = trace_tensors(ours.f64);
    double of_float = check_close(f32, recorded.tensors, "image", FLOAT_TOLERANCE, name);
    double of_double = check_close(f64, recorded.tensors, "image", FLOAT_TOLERANCE, name);
    /* One division by the scaling factor: as PyTorch's in every bit, and in double within its rounding. */
    check_close(f32, recorded.tensors, "vae_input", 0, name);
    check_close(f64, recorded.tensors, "vae_input", 0x1p-23, name);
    printf("%-28s image off PyTorch's float32 by %.2g (float), %.2g (double) of the peak\n", name, of_float,
        of_double);
    passes_free(&ours);
    recorded_close(&recorded);
}
END_TEST

/* With either kind of matrix products. */
START_TEST(every_module_and_the_truth)
{
    const char *name = RECORDED_IN_FULL[_i / GEMM_KINDS];
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS));
    struct recorded recorded;
    recorded_open(name, RECORDED_VAE, &recorded);
    cJSON *errors = golden_json("models/traces/%s.f64_errors.json", name);
    struct passes ours = recorded_passes(&recorded, 0, true);
    struct worst worst = {0, 0};
    check_passes_close(&ours, recorded.tensors, "act.vae.", name, &worst);
    double pytorch = pytorch_error(errors, "image");
    check_truth(
        &ours, "image", need_tensor(recorded.tensors, "f64.image"), pytorch, truth_tolerance(pytorch), name);
    check_module_errors(&ours, errors, "act.vae.", name);
    passes_free(&ours);
    cJSON_Delete(errors);
    recorded_close(&recorded);
}
END_TEST

START_TEST(same_bytes_for_every_number_of_threads)
{
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS));
    check_same_bytes_for_threads(RECORDED_IN_FULL[_i / GEMM_KINDS], RECORDED_VAE);
}
END_TEST

/* latents * std / scaling_factor + mean, channel by channel, in single precision in this order. */
START_TEST(unscaling_with_statistics)
{
    float latents[2 * 2 * 3];
    for (int i = 0; i < 12; i++) latents[i] = (float)(i - 5) * 0.37f;
    static struct vae vae; /* only its config is looked at */
    vae.config = (struct vae_config){.latent_channels = 2,
        .scaling_factor = 0.13025,
        .has_latents_statistics = true,
        .latents_mean = {-1.6574, 0.886},
        .latents_std = {8.4927, 5.9022}};
    struct error error = {""};
    struct forward f = {.error = &error};
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &error), STATUS_OK);
    struct tensor x = {.dtype = DTYPE_F32, .rank = 4, .shape = {2, 2, 1, 3}, .data = latents};
    struct tensor y = vae_unscale_f32(&f, &vae, x, true);
    ck_assert_msg(f.status == STATUS_OK, "%s", error.message);
    for (int i = 0; i < 12; i++) {
        int channel = i / 3 % 2;
        float std = (float)vae.config.latents_std[channel], mean = (float)vae.config.latents_mean[channel];
        float expected = latents[i] * std;
        expected /= 0.13025f;
        expected += mean;
        ck_assert(((float *)y.data)[i] == expected);
    }
    arena_free(f.arena);
}
END_TEST

/* What does not fit is an error, and no read outside. */
START_TEST(latents_of_another_shape)
{
    struct recorded recorded;
    recorded_open("sd-pndm6", RECORDED_VAE, &recorded);
    struct vae *vae = recorded.vae;
    double numbers[3 * 4 * 4] = {0};
    struct error error = {""};
    struct forward f = {.error = &error};
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &error), STATUS_OK);
    struct tensor x = {.dtype = DTYPE_F32, .rank = 4, .shape = {1, 3, 4, 4}, .data = numbers};
    vae_decode_f32(&f, vae, x);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    ck_assert_str_eq(
        error.message, "vae: latents: expected F32 of shape [B, 4, h, w], got F32 of shape [1, 3, 4, 4]");

    f.status = STATUS_OK;
    x = (struct tensor){.dtype = DTYPE_F64, .rank = 4, .shape = {1, 4, 3, 4}, .data = numbers};
    vae_decode_f32(&f, vae, x);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    ck_assert_str_eq(
        error.message, "vae: latents: expected F32 of shape [B, 4, h, w], got F64 of shape [1, 4, 3, 4]");
    arena_free(f.arena);
    recorded_close(&recorded);
}
END_TEST

static struct trace *decode(const struct vae *vae, const struct recorded *recorded)
{
    struct trace *out = new_trace();
    recorded_decode_f32(vae, recorded->tensors, false, FORMAT_F32, out);
    return out;
}

/* A middle without attention is one whose attention adds nothing; no post_quant_conv is one that is the
 * identity. */
START_TEST(parts_that_a_config_leaves_out)
{
    struct recorded recorded;
    recorded_open("sd-pndm6", RECORDED_VAE, &recorded);
    struct vae *vae = recorded.vae;
    static float zeros[64 * 64];
    float identity[4 * 4] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    ck_assert_uint_le(tensor_count(&vae->mid_attention.to_out.weight), sizeof zeros / sizeof *zeros);

    vae->config.mid_block_add_attention = false;
    struct trace *without = decode(vae, &recorded);
    vae->config.mid_block_add_attention = true;
    struct trace *with = decode(vae, &recorded);
    vae->mid_attention.to_out.weight.data = zeros;
    vae->mid_attention.to_out.bias.data = zeros;
    struct trace *silent = decode(vae, &recorded);
    check_same_bytes(trace_tensors(without), trace_tensors(silent), "no attention");
    const struct tensor *image = need_tensor(trace_tensors(with), "image");
    ck_assert_double_gt(distance(trace_tensors(without), "image", image).max_rel_peak, 1e-3);
    trace_free(with);
    trace_free(without);

    vae->post_quant_conv.weight.data = identity;
    vae->post_quant_conv.bias.data = zeros;
    trace_free(silent);
    silent = decode(vae, &recorded);
    vae->config.use_post_quant_conv = false;
    without = decode(vae, &recorded);
    check_same_bytes(trace_tensors(without), trace_tensors(silent), "no post_quant_conv");
    trace_free(silent);
    trace_free(without);
    recorded_close(&recorded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vae");
    TCase *recorded = tcase_create("recorded");
    tcase_set_timeout(recorded, 600);
    tcase_add_loop_test(recorded, the_picture_of_every_trace, 0, RECORDED_COUNT);
    tcase_add_loop_test(recorded, every_module_and_the_truth, 0, GEMM_KINDS * RECORDED_IN_FULL_COUNT);
    suite_add_tcase(suite, recorded);
    TCase *promises = tcase_create("promises");
    tcase_set_timeout(promises, 600);
    tcase_add_loop_test(
        promises, same_bytes_for_every_number_of_threads, 0, GEMM_KINDS * RECORDED_IN_FULL_COUNT);
    tcase_add_test(promises, unscaling_with_statistics);
    tcase_add_test(promises, latents_of_another_shape);
    tcase_add_test(promises, parts_that_a_config_leaves_out);
    suite_add_tcase(suite, promises);
    return run_suite(suite);
}
