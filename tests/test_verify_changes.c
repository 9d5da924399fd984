/*
 * `plumb verify` on golden traces that are changed in one place: the change is found where it was made, and
 * nowhere else; and single values computed again.
 */
#include "support.h"
#include "verify_subject.h"

#include "kernels/cpu.h"
#include "ref/unet_model.h"
#include "ref/verify_sinusoid.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* --- One thing changed -------------------------------------------------------------------- */

static void scale(struct tensor *tensor)
{
    for (size_t i = 0; i < tensor_count(tensor); i++) ((float *)tensor->data)[i] *= 1.0001F;
}

/* Ten thousandths of the peak in one element. */
static void change_one_element(struct tensor *tensor)
{
    size_t count = tensor_count(tensor);
    float peak = 0, *x = tensor->data;
    for (size_t i = 0; i < count; i++) peak = fmaxf(peak, fabsf(x[i]));
    x[count / 2] += 1e-3F * peak;
}

static void put_nan(struct tensor *tensor)
{
    ((float *)tensor->data)[tensor_count(tensor) - 1] = NAN;
}

static const struct change {
    const char *trace, *name;
    void (*apply)(struct tensor *tensor);
    enum verify_verdict verdict;
} changes[] = {
    {"sd-pndm6", "act.text_encoder.text_model.encoder.layers.1", scale, VERIFY_WRONG},
    {"sdxl-dpm5-leading", "prompt_embeds", scale, VERIFY_WRONG},
    {"sdxl-euler-sigmas", "sigmas", scale, VERIFY_WRONG},
    {"sd-ddim5", "alphas_cumprod", change_one_element, VERIFY_WRONG},
    {"sd-ddim5", "init_noise", change_one_element, VERIFY_WRONG},
    {"sdxl-euler-sigmas", "step.02.model_input", change_one_element, VERIFY_WRONG},
    {"sd-pndm6", "act.unet.up_blocks.1.resnets.2", change_one_element, VERIFY_WRONG},
    {"sdxl-ays10-sde", "act.unet.time_embedding", scale, VERIFY_WRONG},
    {"shapes-dpm5-trailing", "step.03.noise_pred_uncond", scale, VERIFY_WRONG},
    {"sdxl-batch2-nonsquare", "step.01.noise_pred_text", change_one_element, VERIFY_WRONG},
    {"sd21v-ddim10-zsnr-rescale", "step.07.noise_pred", scale, VERIFY_WRONG},
    {"shapes-sde-karras20", "step.11.noise", scale, VERIFY_WRONG},
    {"sdxl-ays10-sde", "step.05.latents", change_one_element, VERIFY_WRONG},
    {"sd-ddim5-torchgen", "latents.final", change_one_element, VERIFY_WRONG},
    {"sd21v-ddim6-leading", "vae_input", scale, VERIFY_WRONG},
    {"sd-pndm6", "act.vae.decoder.mid_block.attentions.0", scale, VERIFY_WRONG},
    {"shapes-ays10-sde", "image", change_one_element, VERIFY_WRONG},
    {"shapes-euler-sigmas", "step.04.noise_pred_text", put_nan, VERIFY_NONFINITE},
    {"sdxl-noguidance3", "image", put_nan, VERIFY_NONFINITE},
};
#define CHANGES ((int)(sizeof changes / sizeof *changes))

/* The changed tensor is wrong, and it alone with what is made of it in one stage; nothing before it. */
START_TEST(one_changed_tensor_is_the_first_that_is_wrong)
{
    const struct change *change = &changes[_i];
    struct subject subject;
    subject_open(change->trace, &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    change->apply(part_tensor(theirs, change->name));
    struct verification verification = subject_verify(&subject, theirs);
    const struct verify_row *row = verification.first_wrong;
    ck_assert_msg(row && strcmp(row->name, change->name) == 0, "%s: %s was changed, %s is the first wrong",
        change->trace, change->name, row ? row->name : "nothing");
    ck_assert_int_eq(row->verdict, change->verdict);
    for (const struct verify_row *before = verification.rows; before < row; before++)
        ck_assert_msg(before->verdict == VERIFY_ROUNDING, "%s: %s, before it, is %.3g floors", change->name,
            before->name, before->multiple);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* --- Elements that hang on their inputs --------------------------------------------------- */

/* The UNet's last norm in float32 throughout, as a backend may have it: x w/s + (b - m w/s), [B, C, H, W]. */
static void norm_in_float(
    const struct norm *norm, float scale, const struct tensor *x, const struct tensor *y)
{
    const size_t batch = (size_t)x->shape[0], channels = (size_t)x->shape[1],
                 plane = (size_t)(x->shape[2] * x->shape[3]);
    const size_t in_group = channels / (size_t)norm->groups, size = in_group * plane;
    for (size_t g = 0; g < batch * (size_t)norm->groups; g++) {
        const float *from = (const float *)x->data + g * size;
        float *to = (float *)y->data + g * size, mean = 0, variance = 0;
        for (size_t i = 0; i < size; i++) mean += from[i] / (float)size;
        for (size_t i = 0; i < size; i++) variance += (from[i] - mean) * (from[i] - mean) / (float)size;
        for (size_t i = 0; i < size; i++) {
            const size_t channel = g % (size_t)norm->groups * in_group + i / plane;
            const float weight = (float)tensor_get_double(&norm->weight, channel) * scale;
            const float by = weight / sqrtf(variance + (float)norm->eps);
            to[i] = from[i] * by + ((float)tensor_get_double(&norm->bias, channel) - mean * by);
        }
    }
}

/* Numbers of mean 300 and deviation 1: a norm in float32 loses two digits, which is rounding, and said to be;
 * a weight that is off by a thousandth is not. */
START_TEST(a_norm_of_nearly_equal_numbers_may_lose_digits)
{
    static const char in[] = "act.unet.up_blocks.1.attentions.2", out[] = "act.unet.conv_norm_out";
    struct subject subject;
    subject_open("sd-pndm6", &subject);
    struct tensor_set *theirs = subject_part(&subject, in, out, NULL);
    struct tensor *x = part_tensor(theirs, in);
    for (size_t i = 0, n = tensor_count(x); i < n; i++)
        ((float *)x->data)[i] = 300 + sinf((float)(i * i % 1009)) + cosf((float)i);
    norm_in_float(&subject.pipeline.unet->conv_norm_out, _i ? 1.001F : 1, x, part_tensor(theirs, out));
    struct verification verification = subject_verify(&subject, theirs);
    const struct verify_row *row = row_of(&verification, out);
    ck_assert_msg(row->verdict == (_i ? VERIFY_WRONG : VERIFY_ROUNDING), "%.3g floors", row->multiple);
    if (_i == 0) ck_assert_msg(strstr(row->diagnosis, "other roundings") != NULL, "%s", row->diagnosis);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

START_TEST(swapped_halves_are_wrong_where_they_are_made)
{
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    struct tensor *uncond = part_tensor(theirs, "step.01.noise_pred_uncond");
    struct tensor *text = part_tensor(theirs, "step.01.noise_pred_text");
    void *data = uncond->data;
    uncond->data = text->data;
    text->data = data;
    struct verification verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "step.01.noise_pred_uncond");
    ck_assert_int_eq(row_of(&verification, "step.01.noise_pred_text")->verdict, VERIFY_WRONG);
    ck_assert_int_eq(row_of(&verification, "step.01.noise_pred")->verdict, VERIFY_WRONG);
    ck_assert_int_eq(row_of(&verification, "step.01.latents")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.02.noise_pred_text")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

START_TEST(ids_are_the_same_integers_or_wrong)
{
    static const int64_t others[] = {5, -1, 100000}; /* the last two have no embedding, and stay ours */
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    ((int64_t *)part_tensor(theirs, "input_ids.text_encoder")->data)[3] = others[_i];
    struct verification verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "input_ids.text_encoder");
    ck_assert_uint_eq(verification.first_wrong->error.unequal, 1);
    /* Their encoder was given other ids than these say. */
    enum verify_verdict next = others[_i] == 5 ? VERIFY_WRONG : VERIFY_ROUNDING;
    ck_assert_int_eq(row_of(&verification, "prompt_embeds")->verdict, next);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

START_TEST(another_shape_is_said_and_the_stage_after_it_checked_from_ours)
{
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    part_tensor(theirs, "prompt_embeds")->shape[1] -= 1;
    struct verification verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "prompt_embeds");
    ck_assert_int_eq(verification.first_wrong->verdict, VERIFY_SHAPE);
    ck_assert_str_eq(verification.first_wrong->reason, "expected [1, 77, 32], got [1, 76, 32]");
    ck_assert_int_eq(row_of(&verification, "step.00.noise_pred_text")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* Timesteps that are one off are wrong once; the models and the sampler are judged at them. */
START_TEST(a_row_and_a_column_less_are_another_padding)
{
    static const char name[] = "act.unet.down_blocks.0.downsamplers.0";
    struct subject subject;
    subject_open("sd-pndm6", &subject);
    struct tensor_set *theirs = subject_part(&subject, name, NULL);
    subject.options.diagnose = true;
    part_tensor(theirs, name)->shape[2] -= 1;
    part_tensor(theirs, name)->shape[3] -= 1;
    struct verification verification = subject_verify(&subject, theirs);
    const char *diagnosis = row_of(&verification, name)->diagnosis;
    ck_assert_msg(diagnosis && strstr(diagnosis, "padding (0, 1, 0, 1)"), "%s", diagnosis);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

START_TEST(their_timesteps_drive_the_run)
{
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    struct tensor *timesteps = part_tensor(theirs, "timesteps");
    ((int64_t *)timesteps->data)[2] -= 1;
    struct verification verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "timesteps");
    ck_assert_int_eq(row_of(&verification, "step.01.noise_pred_text")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.02.noise_pred_text")->verdict, VERIFY_WRONG);
    ck_assert_int_eq(row_of(&verification, "step.02.latents")->verdict, VERIFY_WRONG);
    ck_assert_int_eq(row_of(&verification, "step.03.noise_pred_text")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    /* Numbers that are no timesteps are wrong too, and drive nothing. */
    ((int64_t *)timesteps->data)[2] = INT64_MIN;
    verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "timesteps");
    ck_assert_int_eq(row_of(&verification, "step.02.noise_pred_text")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* Sigmas that are none are wrong, and the run goes by ours. */
START_TEST(numbers_that_no_run_can_go_by_stay_ours)
{
    static const float numbers[] = {NAN, INFINITY, -1};
    struct subject subject;
    subject_open("sdxl-sde-karras10", &subject);
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    ((float *)part_tensor(theirs, "sigmas")->data)[4] = numbers[_i];
    struct verification verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, "sigmas");
    ck_assert_int_eq(
        verification.first_wrong->verdict, isfinite(numbers[_i]) ? VERIFY_WRONG : VERIFY_NONFINITE);
    ck_assert_uint_eq(verification.verdicts[VERIFY_ROUNDING], verification.count - 1);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* --- Bytes -------------------------------------------------------------------------------- */

START_TEST(bytes_may_differ_at_a_tie_and_nowhere_else)
{
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    struct tensor_set *theirs = subject_part(&subject, "image", "image_u8", "vae_input", NULL);
    struct tensor *image = part_tensor(theirs, "image"), *bytes = part_tensor(theirs, "image_u8");
    uint8_t *pixels = bytes->data;
    size_t plane = (size_t)(image->shape[2] * image->shape[3]);
    /* The first value of the red plane comes within 1e-8 of 100 and a half. */
    ((float *)image->data)[0] = (float)(2 * 100.5 / 255 - 1);
    for (int byte = 99; byte <= 102; byte++) {
        pixels[0] = (uint8_t)byte;
        struct verification verification = subject_verify(&subject, theirs);
        bool is_near = byte == 100 || byte == 101;
        ck_assert_int_eq(
            row_of(&verification, "image_u8")->verdict, is_near ? VERIFY_ROUNDING : VERIFY_WRONG);
        verification_free(&verification);
    }
    pixels[0] = 100;
    /* No tie: the byte next to it is wrong. */
    ((float *)image->data)[plane] = (float)(2 * 100.2 / 255 - 1);
    for (int byte = 100; byte <= 101; byte++) {
        pixels[1] = (uint8_t)byte;
        struct verification verification = subject_verify(&subject, theirs);
        ck_assert_int_eq(
            row_of(&verification, "image_u8")->verdict, byte == 100 ? VERIFY_ROUNDING : VERIFY_WRONG);
        verification_free(&verification);
    }
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* --- Sinusoids ---------------------------------------------------------------------------- */

/* A float32 sinusoid of exact angles is further from PyTorch's than the last place of its results, and no
 * fault; the sinusoid of another timestep is one. */
START_TEST(another_rounding_of_the_sinusoid_is_no_fault)
{
    static const char name[] = "act.unet.time_proj";
    struct subject subject;
    subject_open("sd-pndm6", &subject);
    struct tensor_set *theirs = subject_part(&subject, name, "timesteps", "prompt_embeds", "step.00.*", NULL);
    struct tensor *sinusoid = part_tensor(theirs, name);
    double timestep = tensor_get_double(tensor_set_find(theirs, "timesteps"), 0);
    verify_put_exact_sinusoid(subject.pipeline.unet, "unet.time_proj", sinusoid, &timestep, 1);
    struct verification verification = subject_verify(&subject, theirs);
    const struct verify_row *row = row_of(&verification, name);
    ck_assert_int_eq(row->verdict, VERIFY_ROUNDING);
    ck_assert_double_gt(row->error.max_abs, 0x1p-20); /* many units of the last place of 1 */
    ck_assert_ptr_nonnull(strstr(row->diagnosis, "sinusoid"));
    ck_assert_int_eq(row_of(&verification, "step.00.noise_pred_text")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);

    float *x = sinusoid->data;
    for (size_t i = 0, n = tensor_count(sinusoid); i < n; i++) x[i] += 1e-4F * (float)(i % 3);
    verification = subject_verify(&subject, theirs);
    ck_assert_str_eq(verification.first_wrong->name, name);
    ck_assert_ptr_null(verification.first_wrong->diagnosis);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

/* --- One value ---------------------------------------------------------------------------- */

/* In double, what verify holds theirs against; in their precision, what the floor is made of. */
START_TEST(recomputed_values_are_those_that_rows_were_judged_by)
{
    static const char *const names[] = {"step.02.latents", "step.01.noise_pred_text", "act.unet.conv_in",
        "prompt_embeds", "image", "timesteps"};
    struct subject subject;
    struct error error = {""};
    subject_open("sd-pndm6", &subject);
    struct verification verification = subject_verify(&subject, subject.tensors);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tensor_set *values[2];
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(tensor_set_create(&values[k], &error), STATUS_OK);
            enum status status = verify_recompute(&subject.pipeline, &subject.recipe, subject.tensors,
                &subject.options, names[i], k == 1, NULL, values[k], NULL, &error);
            ck_assert_msg(status == STATUS_OK, "%s", error.message);
            ck_assert_uint_eq(tensor_set_count(values[k]), 1);
        }
        const struct tensor *exact = tensor_set_find(values[0], names[i]);
        const struct tensor *ours = tensor_set_find(values[1], names[i]);
        const struct verify_row *row = row_of(&verification, names[i]);
        ck_assert_double_eq(tensor_difference(row->theirs, exact).rms, row->error.rms);
        ck_assert_double_le(tensor_difference(ours, exact).rms, row->floor.rms);
        for (int k = 0; k < 2; k++) tensor_set_free(values[k]);
    }
    struct tensor_set *none;
    ck_assert_int_eq(tensor_set_create(&none, &error), STATUS_OK);
    expect_error(verify_recompute(&subject.pipeline, &subject.recipe, subject.tensors, &subject.options,
                     "step.99.latents", false, NULL, none, NULL, &error),
        STATUS_BAD_INPUT, &error, "step.99.latents", "no such tensor", NULL);
    subject.options.seed_unknown = true;
    expect_error(verify_recompute(&subject.pipeline, &subject.recipe, none, &subject.options, "init_noise",
                     false, NULL, none, NULL, &error),
        STATUS_BAD_INPUT, &error, "init_noise", "the seed is not known", NULL);
    tensor_set_free(none);
    verification_free(&verification);
    subject_close(&subject);
}
END_TEST

int main(void)
{
    kernels_set_threads(1);
    Suite *suite = suite_create("verify changes");
    TCase *changed = tcase_create("one thing changed");
    tcase_set_timeout(changed, 240);
    tcase_add_loop_test(changed, one_changed_tensor_is_the_first_that_is_wrong, 0, CHANGES);
    tcase_add_loop_test(changed, a_norm_of_nearly_equal_numbers_may_lose_digits, 0, 2);
    tcase_add_test(changed, swapped_halves_are_wrong_where_they_are_made);
    tcase_add_loop_test(changed, ids_are_the_same_integers_or_wrong, 0, 3);
    tcase_add_test(changed, another_shape_is_said_and_the_stage_after_it_checked_from_ours);
    tcase_add_test(changed, a_row_and_a_column_less_are_another_padding);
    tcase_add_test(changed, their_timesteps_drive_the_run);
    tcase_add_loop_test(changed, numbers_that_no_run_can_go_by_stay_ours, 0, 3);
    tcase_add_test(changed, bytes_may_differ_at_a_tie_and_nowhere_else);
    tcase_add_test(changed, another_rounding_of_the_sinusoid_is_no_fault);
    tcase_add_test(changed, recomputed_values_are_those_that_rows_were_judged_by);
    suite_add_tcase(suite, changed);
    return run_suite(suite);
}
