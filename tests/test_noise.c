/*
 * Where a run's random numbers come from, as a user meets it: --noise, --noise-log, and the noise that a
 * scheduler makes for itself from the seed.
 */
#include "program.h"

#include "ref/tensor_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY "golden/models/tiny-sd --prompt cat --steps 3"
#define ANCESTRAL TINY " --scheduler EulerAncestralDiscreteScheduler"

static void expect_agreement(const char *a, const char *b)
{
    ck_assert_msg(plumb("compare %s %s --rtol 0 --atol 0", a, b) == 0, "%s and %s: %s", a, b, out);
}

static const char *in_folder(const char *name)
{
    return path_in(test_folder, "%s", name);
}

static cJSON *read_log(const char *name)
{
    cJSON *log = NULL;
    struct error error = {""};
    ck_assert_msg(json_read_file(in_folder(name), &log, &error) == STATUS_OK, "%s", error.message);
    return log;
}

static const char *text_of(const cJSON *log, int entry, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(log, entry), key));
}

static double number_of(const cJSON *log, int entry, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(log, entry), key));
}

/* Another seed's run, with the noise out of the first one's trace, is the first run. */
START_TEST(noise_of_a_trace)
{
    ck_assert_int_eq(plumb("run %s --seed 7 --trace %s", ANCESTRAL, in_folder("a.safetensors")), 0);
    ck_assert_int_eq(plumb("run %s --seed 8 --trace %s --noise %s --noise-log %s", ANCESTRAL,
                         in_folder("b.safetensors"), in_folder("a.safetensors"), in_folder("b.json")),
        0);
    expect_agreement(in_folder("a.safetensors"), in_folder("b.safetensors"));
    cJSON *log = read_log("b.json");
    ck_assert_int_eq(cJSON_GetArraySize(log), 4);
    ck_assert_str_eq(text_of(log, 3, "source"), "file");
    ck_assert_str_eq(text_of(log, 3, "type"), "F32");
    cJSON_Delete(log);
}
END_TEST

/* The log of a run: the order, the names, the timesteps, the types. */
START_TEST(log_of_a_run)
{
    static const char *const who[] = {"init_noise", "step.00.noise", "step.01.noise", "step.02.noise"};
    ck_assert_int_eq(plumb("run %s --images 2 --seed 7,8 --noise-log %s --trace %s", ANCESTRAL,
                         in_folder("l.json"), in_folder("t.safetensors")),
        0);
    cJSON *log = read_log("l.json");
    ck_assert_int_eq(cJSON_GetArraySize(log), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq(number_of(log, i, "draw"), i);
        ck_assert_str_eq(text_of(log, i, "who"), who[i]);
        ck_assert_double_eq(number_of(log, i, "numbers"), 2 * 4 * 16 * 16);
        ck_assert_str_eq(text_of(log, i, "source"), "numpy-pcg64");
        ck_assert_str_eq(text_of(log, i, "type"), "float64");
        const cJSON *seeds = cJSON_GetObjectItem(cJSON_GetArrayItem(log, i), "seeds");
        ck_assert_int_eq(cJSON_GetArraySize(seeds), 2);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(seeds, 1)), "8");
    }
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(log, 0), "timestep")));
    ck_assert(number_of(log, 1, "timestep") > number_of(log, 3, "timestep"));
    cJSON_Delete(log);
}
END_TEST

/* A copy of a golden case's tensors without the noise, and the noise alone, numbered in call order under
 * `prefix`. */
static void split_noise(const char *name, const char *prefix)
{
    struct tensor_set *whole = golden_tensors("sched/%s.safetensors", name);
    struct tensor_set *rest = empty_set(), *noise = empty_set();
    for (size_t i = 0; i < tensor_set_count(whole); i++)
        if (!strstr(tensor_set_name(whole, i), ".noise"))
            add_tensor(rest, tensor_set_name(whole, i), tensor_set_at(whole, i));
    size_t count = 0;
    for (size_t step = 0; step < 100; step++) {
        char key[32];
        snprintf(key, sizeof key, "step.%zu.noise", step);
        const struct tensor *tensor = tensor_set_find(whole, key);
        if (!tensor) continue;
        snprintf(key, sizeof key, "%s%zu", prefix, count++);
        add_tensor(noise, key, tensor);
    }
    ck_assert_uint_gt(count, 0);
    write_set(rest, in_folder("rest.safetensors"));
    write_set(noise, in_folder("noise.npz"));
    tensor_set_free(whole);
    tensor_set_free(rest);
    tensor_set_free(noise);
}

/* diffusers' noise of a Brownian path comes again from the seed, to the bit. */
START_TEST(noise_that_a_scheduler_makes)
{
    static const char *const names[] = {"dpm_sde_torchsde", "cosine_dpm"};
    split_noise(names[_i], "noise.");
    ck_assert_int_eq(plumb("sample golden/sched/%s.json --tensors %s --out %s --noise-log %s", names[_i],
                         in_folder("rest.safetensors"), in_folder("o.safetensors"), in_folder("l.json")),
        0);
    char golden[128];
    snprintf(golden, sizeof golden, "golden/sched/%s.safetensors", names[_i]);
    expect_agreement(in_folder("o.safetensors"), golden);
    cJSON *log = read_log("l.json");
    ck_assert_str_eq(text_of(log, 0, "source"), "recorded");
    ck_assert_str_eq(text_of(log, 1, "source"), "scheduler");
    ck_assert_str_eq(text_of(log, 1, "who"), "step.0.noise");
    cJSON_Delete(log);
}
END_TEST

/* Draws in call order, as noise.K or as NumPy's savez names them. */
START_TEST(noise_in_call_order)
{
    split_noise("euler_a_leading", _i ? "arr_" : "noise.");
    ck_assert_int_eq(plumb("sample golden/sched/euler_a_leading.json --tensors %s --noise %s --out %s",
                         in_folder("rest.safetensors"), in_folder("noise.npz"), in_folder("o.safetensors")),
        0);
    expect_agreement(in_folder("o.safetensors"), "golden/sched/euler_a_leading.safetensors");
}
END_TEST

START_TEST(noise_refused)
{
    split_noise("euler_a_leading", "noise.");
    int status = plumb("run %s --out %s --noise %s", ANCESTRAL, in_folder("p.png"), in_folder("noise.npz"));
    expect_failure(status, STATUS_BAD_INPUT, 2, "noise.npz", "expected noise of shape [1, 4, 16, 16]",
        "init_noise", NULL);
    split_noise("euler_a_leading", "other.");
    status = plumb("sample golden/sched/euler_a_leading.json --tensors %s --noise %s --out %s",
        in_folder("rest.safetensors"), in_folder("noise.npz"), in_folder("o.safetensors"));
    expect_failure(
        status, STATUS_BAD_INPUT, 2, "noise.npz", "no tensor is named step.0.noise, noise.0 or arr_0", NULL);
    status = plumb("run %s --out %s --noise %s", ANCESTRAL, in_folder("p.png"), in_folder("none.npz"));
    expect_failure(status, STATUS_BAD_INPUT, 2, "none.npz", NULL);
}
END_TEST

/* A Brownian path's seed has 64 bits. */
START_TEST(seed_too_large_for_a_path)
{
    int status = plumb("run %s --scheduler DPMSolverSDEScheduler --seed 0x10000000000000000 --out %s", TINY,
        in_folder("p.png"));
    expect_failure(
        status, STATUS_BAD_INPUT, 0, "seed: expected an integer below 2^64", "0x10000000000000000", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("noise");
    TCase *tcase = tcase_create("noise");
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, noise_of_a_trace);
    tcase_add_test(tcase, log_of_a_run);
    tcase_add_loop_test(tcase, noise_that_a_scheduler_makes, 0, 2);
    tcase_add_loop_test(tcase, noise_in_call_order, 0, 2);
    tcase_add_test(tcase, noise_refused);
    tcase_add_test(tcase, seed_too_large_for_a_path);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
