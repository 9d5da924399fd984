/*
 * `plumb verify` on what PyTorch recorded: clean traces whole and in part, their numbers beside PyTorch's own
 * error, and the same in other precisions.
 */
#include "program.h"
#include "support.h"
#include "verify_subject.h"

#include "kernels/cpu.h"
#include "ref/verify_values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void expect_all_rounding(const struct subject *subject, const struct verification *verification)
{
    for (size_t i = 0; i < verification->count; i++) {
        const struct verify_row *row = &verification->rows[i];
        ck_assert_msg(row->verdict == VERIFY_ROUNDING, "%s: %s is %s: %.3g floors%s%s", subject->name,
            row->name, verify_verdict_names[row->verdict], row->multiple, row->reason ? ": " : "",
            row->reason ? row->reason : "");
    }
    ck_assert_ptr_null(verification->first_wrong);
}

/* --- Clean traces ------------------------------------------------------------------------- */

START_TEST(every_tensor_of_a_clean_trace_is_rounding)
{
    struct subject subject;
    subject_open(golden_traces[_i], &subject);
    subject.options.free_run = true;
    struct tensor_set *theirs = subject_part(&subject, "*", NULL);
    double start = cpu_seconds();
    struct verification verification = subject_verify(&subject, theirs);
    double seconds = cpu_seconds() - start;
    const struct verify_row *worst = &verification.rows[0];
    for (size_t i = 0; i < verification.count; i++) {
        const struct verify_row *row = &verification.rows[i];
        if (row->multiple > worst->multiple) worst = row;
        ck_assert_msg(row->drifted, "%s: the free run has no %s", subject.name, row->name);
        ck_assert_ptr_eq(row->theirs, tensor_set_find(theirs, row->name));
    }
    printf("%-28s %3zu tensors, at most %.2f floors (%s), %.2f s\n", subject.name, verification.count,
        worst->multiple, worst->name, seconds);
    ck_assert_uint_eq(verification.count, tensor_set_count(theirs));
    expect_all_rounding(&subject, &verification);
    verification_free(&verification);
    tensor_set_free(theirs);
    subject_close(&subject);
}
END_TEST

static const char *const stage_orders[] = {"input_ids.text_encoder", "prompt_embeds", "timesteps",
    "init_noise", "step.00.model_input", "act.unet.conv_in", "step.00.noise_pred_text", "step.00.noise_pred",
    "step.00.latents", "step.01.model_input", "latents.final", "vae_input", "image", "image_u8", NULL};

START_TEST(rows_stand_in_the_order_of_the_computation)
{
    struct subject subject;
    subject_open("sd-pndm6", &subject);
    struct verification verification = subject_verify(&subject, subject.tensors);
    const struct verify_row *before = NULL;
    for (size_t i = 0; stage_orders[i]; i++) {
        const struct verify_row *row = row_of(&verification, stage_orders[i]);
        ck_assert_msg(!before || row > before, "%s stands too early", stage_orders[i]);
        before = row;
    }
    ck_assert_int_eq(row_of(&verification, "act.unet.conv_in")->step, 0);
    ck_assert_int_eq(row_of(&verification, "act.unet.conv_in")->stage, VERIFY_UNET);
    ck_assert_int_eq(row_of(&verification, "step.03.latents")->step, 3);
    ck_assert_int_eq(row_of(&verification, "image")->step, -1);
    verification_free(&verification);
    subject_close(&subject);
}
END_TEST

START_TEST(verdicts_have_the_same_bits_for_every_number_of_threads)
{
    struct subject subject;
    struct verification verifications[2];
    subject_open("sdxl-dpm5-leading", &subject);
    for (int k = 0; k < 2; k++) {
        kernels_set_threads(k ? 3 : 1);
        verifications[k] = subject_verify(&subject, subject.tensors);
    }
    ck_assert_uint_eq(verifications[0].count, verifications[1].count);
    for (size_t i = 0; i < verifications[0].count; i++) {
        const struct verify_row *a = &verifications[0].rows[i], *b = &verifications[1].rows[i];
        ck_assert_str_eq(a->name, b->name);
        ck_assert_int_eq(memcmp(&a->error, &b->error, sizeof a->error), 0);
        ck_assert_int_eq(memcmp(&a->floor, &b->floor, sizeof a->floor), 0);
        ck_assert(a->multiple == b->multiple);
    }
    for (int k = 0; k < 2; k++) verification_free(&verifications[k]);
    subject_close(&subject);
}
END_TEST

/* --- The floor beside PyTorch's own error ------------------------------------------------- */

/* The traces with PyTorch's float32 against its float64, from each stage's recorded inputs. */
static const char *const measured[] = {"sd-pndm6", "sd21v-ddim10-zsnr-rescale", "sdxl-ays10-sde"};
#define MEASURED ((int)(sizeof measured / sizeof *measured))
/* What is asked of an honest floor. */
#define HONEST 4

/* PyTorch's modules have the whole model's rounding up to them, so each is dumped without the others. */
START_TEST(floors_are_as_large_as_the_error_of_pytorch)
{
    struct subject subject;
    subject_open(measured[_i], &subject);
    cJSON *errors = golden_json("models/traces/%s.f64_errors.json", measured[_i]);
    double least = INFINITY, most = 0;
    int compared = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, errors)
    {
        const char *name = item->string;
        struct tensor_set *theirs = subject_part(&subject, "input_ids.*", "negative_input_ids.*",
            strncmp(name, "act.text", 8) != 0 && strstr(name, "_embeds") == NULL &&
                    strstr(name, "hidden") == NULL
                ? "*prompt_embeds"
                : "add_time_ids",
            "timesteps", "step.00.model_input", "vae_input", name, NULL);
        struct verification verification = subject_verify(&subject, theirs);
        const struct verify_row *row = row_of(&verification, name);
        double theirs_rms = cJSON_GetObjectItemCaseSensitive(item, "rms_abs")->valuedouble;
        double ratio = row->floor.rms / theirs_rms;
        /* The sinusoids are float32's in both, and nothing is rounded. */
        if (theirs_rms > 0) {
            ck_assert_msg(ratio > 1.0 / HONEST && ratio < HONEST,
                "%s: %s: the floor is %.3g, PyTorch's own error %.3g", measured[_i], name, row->floor.rms,
                theirs_rms);
            least = fmin(least, ratio);
            most = fmax(most, ratio);
            compared++;
        }
        verification_free(&verification);
        tensor_set_free(theirs);
    }
    printf("%-28s %3d floors, %.2f to %.2f times PyTorch's own error\n", measured[_i], compared, least, most);
    ck_assert_int_gt(compared, 40);
    cJSON_Delete(errors);
    subject_close(&subject);
}
END_TEST

/* What is copied, or comes out exact by luck, still has a last place. */
START_TEST(floors_are_a_unit_of_the_last_place_at_least)
{
    struct subject subject;
    subject_open("sd-ddim5", &subject);
    for (enum number_format format = FORMAT_F32; format <= FORMAT_BF16; format++) {
        static const double units[] = {0x1p-23, 0x1p-10, 0x1p-7}; /* of 1 */
        subject.options.their_format = format;
        struct verification verification = subject_verify(&subject, subject.tensors);
        const struct verify_row *row = row_of(&verification, "latents.final"); /* a copy of the last step's */
        double peak_unit = units[format] * ldexp(1, (int)floor(log2(row->floor.peak)));
        ck_assert_double_eq(row->error.rms, 0);
        ck_assert_double_eq(row->floor.max_abs, peak_unit);
        ck_assert(row->floor.rms < peak_unit / sqrt(3) && row->floor.rms > peak_unit / 16);
        ck_assert_double_eq(row->multiple, 0);
        verification_free(&verification);
    }
    subject_close(&subject);
}
END_TEST

/* --- Dumps of a part ---------------------------------------------------------------------- */

static struct verification verify_part(struct subject *subject, const char *glob, struct tensor_set **part)
{
    *part = subject_part(subject, glob, NULL);
    return subject_verify(subject, *part);
}

START_TEST(any_part_of_a_dump_is_checked_from_the_nearest_inputs)
{
    static const struct {
        const char *trace, *glob;
    } parts[] = {{"sdxl-ays10-sde", "step.*.latents"}, {"sd-pndm6", "act.unet.mid_block.resnets.0"},
        {"sd21v-ddim6-leading", "image_u8"}, {"sdxl-euler-sigmas", "latents.final"},
        {"sd-pndm6", "step.0[23].latents"}, {"sdxl-batch2-nonsquare", "image"},
        {"sdxl-dpm5-trailing", "prompt_embeds"}, {"sd-ddim5", "step.02.noise_pred_text"},
        {"sdxl-ays10-sde", "act.vae.decoder.up_blocks.0"}, {"sdxl-noguidance3", "add_t*"}};
    struct subject subject;
    struct tensor_set *part;
    subject_open(parts[_i].trace, &subject);
    struct verification verification = verify_part(&subject, parts[_i].glob, &part);
    ck_assert_uint_gt(verification.count, 0);
    expect_all_rounding(&subject, &verification);
    verification_free(&verification);
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST
#define PARTS 10

/* What is not needed is not run: a step in the middle alone is one pass of the UNet. */
START_TEST(models_run_only_where_something_recorded_needs_them)
{
    static const struct {
        const char *glob;
        size_t passes;
        bool encoder, vae;
    } dumps[] = {{"step.03.*", 1, true, false}, {"step.*.latents", 5, true, false}, {"image", 5, true, true},
        {"prompt_embeds", 0, true, false}, {"vae_input", 0, false, false}, {"init_noise", 0, false, false},
        {"step.02.noise_pred_uncond", 3, true, false}, {"step.*.noise_pred", 5, true, false},
        {"image_u8", 5, true, true}, {"timesteps", 0, false, false}};
    struct subject subject;
    struct error error = {""};
    subject_open("sd-ddim5", &subject);
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps; i++) {
        struct tensor_set *part = subject_part(&subject, dumps[i].glob, NULL);
        struct verify_values values;
        struct verify_needs needs;
        ck_assert_int_eq(
            verify_values_of_run(&subject.pipeline, &subject.recipe, part, NULL, &values, &error), STATUS_OK);
        ck_assert_int_eq(verify_needs_find(&values, &needs, &error), STATUS_OK);
        ck_assert_msg(needs.passes == dumps[i].passes && needs.encoders[0][0] == dumps[i].encoder &&
                          needs.vae == dumps[i].vae,
            "%s: %zu passes of the UNet, encoder %d, decoder %d", dumps[i].glob, needs.passes,
            needs.encoders[0][0], needs.vae);
        verify_needs_free(&needs);
        verify_values_free(&values);
        tensor_set_free(part);
    }
    subject_close(&subject);
}
END_TEST

/* A step alone: what it takes no other step for is checked, and the rest says what it lacks. */
START_TEST(a_step_alone_says_what_it_lacks)
{
    struct subject subject;
    struct tensor_set *part;
    subject_open("sdxl-ays10-sde", &subject);
    struct verification verification = verify_part(&subject, "step.03.*", &part);
    ck_assert_uint_eq(verification.count, 6);
    ck_assert_str_eq(row_of(&verification, "step.03.model_input")->reason, "step.02.latents is not recorded");
    ck_assert_str_eq(row_of(&verification, "step.03.latents")->reason,
        "step.02.noise_pred is not recorded, which this step takes too");
    ck_assert_uint_eq(verification.verdicts[VERIFY_UNCHECKED], 2);
    ck_assert_uint_eq(verification.verdicts[VERIFY_ROUNDING], 4);
    verification_free(&verification);
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST

/* The model input is the latents times a factor, so that a one-step method's step needs no latents. */
START_TEST(latents_are_found_behind_the_model_input)
{
    static const char *const names[] = {"sd-ddim5", "sdxl-euler-sigmas"};
    struct subject subject;
    struct tensor_set *part;
    subject_open(names[_i], &subject);
    struct verification verification = verify_part(&subject, "step.03.*", &part);
    ck_assert_int_eq(row_of(&verification, "step.03.latents")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.03.model_input")->verdict, VERIFY_UNCHECKED);
    verification_free(&verification);
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST

START_TEST(what_depends_on_an_unknown_prompt_or_seed_is_not_checked)
{
    struct subject subject;
    struct tensor_set *part;
    subject_open("sdxl-ays10-sde", &subject);
    subject.options.prompt_unknown = subject.options.seed_unknown = true;
    part = subject_part(
        &subject, "input_ids.*", "last_hidden_state.*", "negative_p*", "init_noise", "step.00.*", NULL);
    struct verification verification = subject_verify(&subject, part);
    static const char prompt[] = "the prompt is not known: give --prompt or --recipe";
    ck_assert_str_eq(row_of(&verification, "input_ids.text_encoder")->reason, prompt);
    ck_assert_str_eq(row_of(&verification, "init_noise")->reason,
        "the seed is not known: give --seed, --noise or --recipe");
    /* What is recorded is as good as known: the ids, the noise. */
    ck_assert_int_eq(row_of(&verification, "last_hidden_state.text_encoder_2")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.00.model_input")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.00.noise_pred_text")->verdict, VERIFY_ROUNDING);
    ck_assert_int_eq(row_of(&verification, "step.00.latents")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(part);

    part = subject_part(&subject, "step.0[01].latents", "step.01.noise_pred*", NULL);
    verification = subject_verify(&subject, part);
    ck_assert_ptr_nonnull(strstr(row_of(&verification, "step.00.latents")->reason, "noise_pred"));
    ck_assert_ptr_nonnull(strstr(row_of(&verification, "step.01.noise_pred_text")->reason, prompt));
    ck_assert_int_eq(row_of(&verification, "step.01.noise_pred")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST

START_TEST(tensors_that_the_call_does_not_make_are_said)
{
    struct subject subject;
    struct error error = {""};
    subject_open("sdxl-noguidance3", &subject);
    struct tensor_set *part = subject_part(&subject, "step.02.latents", NULL);
    const struct tensor *latents = tensor_set_find(part, "step.02.latents");
    ck_assert_int_eq(tensor_set_add(part, "step.07.latents", latents, &error), STATUS_OK);
    ck_assert_int_eq(tensor_set_add(part, "step.01.noise_pred_uncond", latents, &error), STATUS_OK);
    ck_assert_int_eq(tensor_set_add(part, "somebody's own", latents, &error), STATUS_OK);
    struct verification verification = subject_verify(&subject, part);
    ck_assert_uint_eq(verification.count, 3);
    ck_assert_str_eq(row_of(&verification, "step.07.latents")->reason, "the schedule has 3 steps");
    ck_assert_int_eq(row_of(&verification, "step.01.noise_pred_uncond")->verdict, VERIFY_UNCHECKED);
    ck_assert_int_eq(row_of(&verification, "step.02.latents")->verdict, VERIFY_ROUNDING);
    verification_free(&verification);
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST

/* --- Other precisions --------------------------------------------------------------------- */

/* A pipeline in another format, all of its modules dumped, is rounding in that format and wrong as
 * float32. */
START_TEST(a_pipeline_in_another_format_is_rounding_in_that_format_alone)
{
    static const struct {
        const char *trace;
        enum number_format format;
    } cases[] = {{"sd-ddim5", FORMAT_F16}, {"sdxl-dpm5-trailing", FORMAT_F16}, {"sd-pndm6", FORMAT_BF16},
        {"sdxl-dpm5-leading", FORMAT_TF32}, {"shapes-dpm5-leading", FORMAT_F16}};
    struct subject subject;
    struct error error = {""};
    struct trace *trace = NULL;
    struct pictures pictures = {0};
    subject_open(cases[_i].trace, &subject);
    ck_assert_int_eq(trace_create(&trace, &error), STATUS_OK);
    const struct run_options options = {.trace = trace, .trace_modules = true, .format = cases[_i].format};
    ck_assert_int_eq(
        pipeline_run_f32(&subject.pipeline, &subject.recipe, &options, &pictures, NULL, &error), STATUS_OK);
    subject.options.their_format = cases[_i].format;
    struct verification verification = subject_verify(&subject, trace_tensors(trace));
    expect_all_rounding(&subject, &verification);
    verification_free(&verification);
    subject.options.their_format = FORMAT_F32;
    verification = subject_verify(&subject, trace_tensors(trace));
    ck_assert_ptr_nonnull(verification.first_wrong);
    ck_assert_int_eq(verification.first_wrong->verdict, VERIFY_WRONG);
    verification_free(&verification);
    free(pictures.pixels);
    trace_free(trace);
    subject_close(&subject);
}
END_TEST

/* --- The command -------------------------------------------------------------------------- */

static int verify_files(const char *model, const char *theirs, const char *options)
{
    return plumb("verify %s %s %s", golden_path("models/%s", model), theirs, options);
}

START_TEST(the_exit_status_says_what_was_found)
{
    const char *clean = golden_path("models/traces/sd-ddim5.safetensors");
    ck_assert_msg(verify_files("tiny-sd", clean, "") == STATUS_OK, "%s", err);
    expect_in(out, "rounding");
    ck_assert_int_eq(verify_files("tiny-sd", clean, "--format json --no-drift"), STATUS_OK);
    expect_in(out, "\"step.03.latents\"");
    ck_assert_int_eq(verify_files("tiny-sd", clean, "--guidance-scale 7 --no-diagnose"), STATUS_DISAGREE);
    expect_in(out, "step.00.noise_pred");
    ck_assert_int_eq(verify_files("tiny-sd", clean, "--rounding 0.5 --no-diagnose"), STATUS_DISAGREE);
    expect_in(out, "suspect");
    ck_assert_int_eq(verify_files("tiny-sd", clean, "--rounding 9"), STATUS_BAD_INPUT);
    expect_in(err, "--wrong");
    ck_assert_int_eq(verify_files("tiny-sd", "nowhere.safetensors", ""), STATUS_BAD_INPUT);
    ck_assert_int_eq(verify_files("tiny-sdxl", clean, "--no-diagnose"), STATUS_DISAGREE);
    ck_assert_int_eq(plumb("verify %s", golden_path("models/tiny-sd")), STATUS_BAD_INPUT);
}
END_TEST

/* Without metadata and without options: what the tensors themselves allow. */
START_TEST(a_dump_that_says_nothing_of_its_call)
{
    struct subject subject;
    struct error error = {""};
    subject_open("sd-pndm6", &subject);
    struct tensor_set *part = subject_part(
        &subject, "timesteps", "prompt_embeds", "negative_prompt_embeds", "latents.init", "step.*", NULL);
    const char *path = path_in(test_folder, "dump.npz");
    ck_assert_int_eq(tensor_set_write(part, path, &error), STATUS_OK);
    ck_assert_msg(verify_files("tiny-sd", path, "--all") == STATUS_OK, "%s", err);
    expect_in(out, "the prompt is not known: give --prompt or --recipe");
    expect_in(err, "the drift of a whole run is left out, since the prompt is not known");
    tensor_set_free(part);
    part = subject_part(&subject, "init_noise", NULL);
    path = path_in(test_folder, "noise.npz");
    ck_assert_int_eq(tensor_set_write(part, path, &error), STATUS_OK);
    ck_assert_int_eq(verify_files("tiny-sd", path, ""), STATUS_BAD_INPUT);
    expect_in(err, "noise.npz: nothing in it could be checked: init_noise: the seed is not known");
    tensor_set_free(part);
    subject_close(&subject);
}
END_TEST

/* A trace of Plumb's own carries its call. */
START_TEST(plumbs_own_trace_is_rounding)
{
    const char *trace = path_in(test_folder, "own.safetensors");
    ck_assert_int_eq(plumb("run %s --prompt 'a cat' --steps 3 --seed 5 --scheduler EulerAncestralDiscrete "
                           "--trace %s --trace-modules",
                         golden_path("models/tiny-sdxl"), trace),
        STATUS_OK);
    ck_assert_msg(verify_files("tiny-sdxl", trace, "") == STATUS_OK, "%s", out);
    ck_assert_int_eq(verify_files("tiny-sdxl", trace, "--seed 6 --no-diagnose"), STATUS_DISAGREE);
    expect_in(out, "init_noise");
}
END_TEST

int main(void)
{
    kernels_set_threads(1); /* threads that wait for each other would count as time that verify takes */
    Suite *suite = suite_create("verify");
    TCase *clean = tcase_create("clean traces"), *parts = tcase_create("parts");
    tcase_set_timeout(clean, 240);
    tcase_set_timeout(parts, 240);
    tcase_add_loop_test(clean, every_tensor_of_a_clean_trace_is_rounding, 0, GOLDEN_TRACES);
    tcase_add_test(clean, rows_stand_in_the_order_of_the_computation);
    tcase_add_test(clean, verdicts_have_the_same_bits_for_every_number_of_threads);
    tcase_add_loop_test(clean, floors_are_as_large_as_the_error_of_pytorch, 0, MEASURED);
    tcase_add_test(clean, floors_are_a_unit_of_the_last_place_at_least);
    tcase_add_loop_test(clean, a_pipeline_in_another_format_is_rounding_in_that_format_alone, 0, 5);
    suite_add_tcase(suite, clean);
    tcase_add_loop_test(parts, any_part_of_a_dump_is_checked_from_the_nearest_inputs, 0, PARTS);
    tcase_add_test(parts, models_run_only_where_something_recorded_needs_them);
    tcase_add_test(parts, a_step_alone_says_what_it_lacks);
    tcase_add_loop_test(parts, latents_are_found_behind_the_model_input, 0, 2);
    tcase_add_test(parts, what_depends_on_an_unknown_prompt_or_seed_is_not_checked);
    tcase_add_test(parts, tensors_that_the_call_does_not_make_are_said);
    suite_add_tcase(suite, parts);
    TCase *command = tcase_create("command");
    tcase_set_timeout(command, 240);
    tcase_add_checked_fixture(command, make_test_folder, drop_program_folder);
    tcase_add_test(command, the_exit_status_says_what_was_found);
    tcase_add_test(command, a_dump_that_says_nothing_of_its_call);
    tcase_add_test(command, plumbs_own_trace_is_rounding);
    suite_add_tcase(suite, command);
    return run_suite(suite);
}
