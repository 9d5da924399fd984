/*
 * `plumb sample` as a user meets it: a recorded case computed again, noise that is drawn, cases that are
 * wrong.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const cases[] = {"ddim_sd_leading", "ddim_eta05_clipped_output", "ddim_one_step",
    "pndm_plms", "pndm_prk", "euler_karras", "euler_linspace", "euler_churn", "euler_custom_timesteps",
    "doc_ays_sigmas_euler", "dpmpp_2m_karras", "dpmpp_sde_3", "dpmpp_flow", "doc_ays_timesteps_dpmpp_sde",
    "doc_zero_snr_ddim"};

START_TEST(sampling_gives_the_golden_samples)
{
    const char *made = path_in(test_folder, "made.safetensors"),
               *json = golden_path("sched/%s.json", cases[_i]);
    const char *golden = golden_path("sched/%s.safetensors", cases[_i]);
    ck_assert_msg(plumb("sample %s --tensors %s --out %s", json, golden, made) == 0, "%s", err);
    struct tensor_set *a, *b = golden_tensors("sched/%s.safetensors", cases[_i]);
    struct error error;
    ck_assert_int_eq(tensor_set_open(made, &a, &error), STATUS_OK);
    size_t compared = 0;
    /* Free-running float32 over up to 20 steps: a part in 1e5 of the tensor's largest value (each single step
     * is held to 5e-6 in the sampler's own tests). */
    for (size_t i = 0; i < tensor_set_count(a); i++) {
        const struct tensor *reference = tensor_set_find(b, tensor_set_name(a, i));
        if (!reference) continue;
        struct difference d = tensor_difference(tensor_set_at(a, i), reference);
        ck_assert_msg(d.max_rel_peak <= 1e-5, "%s: %g of the peak", tensor_set_name(a, i), d.max_rel_peak);
        compared++;
    }
    ck_assert_uint_ge(compared, 8);
    ck_assert_ptr_nonnull(tensor_set_find(a, "final_sample"));
    tensor_set_free(a);
    tensor_set_free(b);
    /* In double the result is another, but not far away. */
    const char *truth = path_in(test_folder, "truth.safetensors");
    ck_assert_int_eq(plumb("sample %s --tensors %s --out %s --arithmetic f64", json, golden, truth), 0);
    int status = plumb("compare %s %s --rtol 1e-3 --atol 2e-3", made, truth);
    ck_assert_msg(status == 0, "%s", out);
    expect_in(out, "F32/F64");
    expect_in(out, "so the two agree");
}
END_TEST

/* What is not recorded is drawn from the case's seed, and said. */
START_TEST(missing_noise_is_drawn)
{
    struct tensor_set *golden = golden_tensors("sched/dpmpp_sde_3.safetensors"), *bare;
    struct error error;
    ck_assert_int_eq(tensor_set_create(&bare, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(golden); i++)
        if (strstr(tensor_set_name(golden, i), "model_output"))
            ck_assert_int_eq(
                tensor_set_add(bare, tensor_set_name(golden, i), tensor_set_at(golden, i), &error),
                STATUS_OK);
    const char *bare_path = path_in(test_folder, "bare.npz"),
               *out_path = path_in(test_folder, "made.safetensors");
    ck_assert_int_eq(tensor_set_write(bare, bare_path, &error), STATUS_OK);
    tensor_set_free(bare);
    tensor_set_free(golden);

    /* The golden cases were drawn with torch's generator, which a case can name. */
    cJSON *json = golden_json("sched/dpmpp_sde_3.json");
    cJSON_AddStringToObject(json, "generator", "torch-cpu");
    char *text = cJSON_PrintUnformatted(json);
    write_bytes(path_in(test_folder, "case.json"), text, strlen(text));
    cJSON_free(text);
    ck_assert_msg(
        plumb("sample %s/case.json --tensors %s --out %s", test_folder, bare_path, out_path) == 0, "%s", err);
    expect_in(err, "x_T is not recorded: drawn with torch-cpu");
    expect_in(err, "step.0.noise is not recorded");
    ck_assert_msg(
        plumb("compare %s %s", out_path, golden_path("sched/dpmpp_sde_3.safetensors")) == 0, "%s", out);
    expect_in(out, "so the two agree");

    cJSON_DeleteItemFromObject(json, "seed");
    text = cJSON_PrintUnformatted(json);
    write_bytes(path_in(test_folder, "case.json"), text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
    ck_assert_int_eq(plumb("sample %s/case.json --tensors %s --out %s/none.safetensors", test_folder,
                         bare_path, test_folder),
        2);
    expect_in(err, "x_T: not recorded, and the case has no seed");
    ck_assert_int_ne(access(path_in(test_folder, "none.safetensors"), F_OK), 0);
}
END_TEST

static const struct {
    const char *json, *message;
} bad_cases[] = {
    {"[]", "expected a case"},
    {"{}", "scheduler: missing"},
    {"{\"scheduler\": 3}", "scheduler: expected an object"},
    {"{\"scheduler\": {}}", "set_timesteps: missing"},
    {"{\"scheduler\": {}, \"set_timesteps\": {\"num_steps\": 3}}", "set_timesteps: no argument num_steps"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}, \"step_kwargs\": {\"etaa\": 1}}", "did you mean eta?"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}}", "shape: expected a list"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}, \"shape\": [1, 0]}", "shape[1]: expected a positive size"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}, \"shape\": [65536, 65536, 65536, 65536]}", "shape["},
    {"{\"scheduler\": {\"_class_name\": \"DDIMScheduler\"}, \"set_timesteps\": {\"num_inference_steps\": 1}, "
     "\"shape\": [1, 65536, 32768], \"seed\": 1}",
        "step.0.model_output: expected 2147483648 elements, got 60"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}, \"shape\": [1], \"seed\": -1}", "seed: expected"},
    {"{\"scheduler\": {}, \"set_timesteps\": {}, \"shape\": [1], \"generator\": \"dice\"}",
        "generator: expected numpy-"},
    {"{\"scheduler\": {\"_class_name\": \"X\"}, \"set_timesteps\": {}, \"shape\": [1]}", "_class_name"},
};

START_TEST(bad_cases_are_refused)
{
    const char *path = path_in(test_folder, "case.json");
    write_bytes(path, bad_cases[_i].json, strlen(bad_cases[_i].json));
    const char *tensors = golden_path("sched/ddim_one_step.safetensors");
    ck_assert_int_eq(plumb("sample %s --tensors %s --out %s/o.safetensors", path, tensors, test_folder), 2);
    expect_in(err, bad_cases[_i].message);
    expect_in(err, "case.json: ");
    ck_assert_uint_eq(count_entries(test_folder), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_command");
    TCase *work = tcase_create("sample");
    tcase_add_checked_fixture(work, make_test_folder, drop_program_folder);
    tcase_set_timeout(work, 60);
    tcase_add_loop_test(work, sampling_gives_the_golden_samples, 0, sizeof cases / sizeof *cases);
    tcase_add_test(work, missing_noise_is_drawn);
    tcase_add_loop_test(work, bad_cases_are_refused, 0, sizeof bad_cases / sizeof *bad_cases);
    suite_add_tcase(suite, work);
    return run_suite(suite);
}
