/*
 * libplumb_sched as a program that is not Plumb meets it: its one header, and its examples as processes.
 */
#include "sched/plumb_sched.h"

#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, SIZE = 8, N = BATCH * SIZE };

#define STOCHASTIC                                                                                           \
    "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\","            \
    " \"use_karras_sigmas\": true}"

static plumb_scheduler *need_scheduler(const char *config, enum plumb_arithmetic arithmetic)
{
    char message[PLUMB_MESSAGE_SIZE] = "";
    plumb_scheduler *s = plumb_scheduler_create(config, arithmetic, message);
    ck_assert_msg(s != NULL, "%s", message);
    return s;
}

/* Steps `from` to before `end` of a run on a model that answers with half of what it is given. */
static void take_steps(plumb_scheduler *s, plumb_generator *noise, size_t from, size_t end, double sample[N])
{
    double model_input[N], model_output[N], draws[N], prev_sample[N];
    for (size_t i = from; i < end; i++) {
        const double t = plumb_scheduler_timesteps(s)[i];
        ck_assert_int_eq(plumb_scheduler_scale_model_input(s, t, sample, N, model_input), PLUMB_OK);
        for (size_t j = 0; j < N; j++) model_output[j] = model_input[j] / 2;
        const int draws_noise = plumb_scheduler_needs_noise(s, t);
        if (draws_noise) plumb_generator_normal_f64(noise, draws, N);
        const struct plumb_step step = {
            t, model_output, SIZE, sample, BATCH, SIZE, draws_noise ? draws : NULL};
        ck_assert_msg(
            plumb_scheduler_step(s, &step, prev_sample, NULL) == PLUMB_OK, "%s", plumb_scheduler_message(s));
        memcpy(sample, prev_sample, sizeof prev_sample);
    }
}

static void run_stochastic(double sample[N])
{
    plumb_generator *noise = plumb_generator_create("numpy-pcg64", "7", NULL);
    plumb_scheduler *s = need_scheduler(STOCHASTIC, PLUMB_F64);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 9}"), PLUMB_OK);
    plumb_generator_normal_f64(noise, sample, N);
    take_steps(s, noise, 0, plumb_scheduler_count(s), sample);
    plumb_scheduler_free(s);
    plumb_generator_free(noise);
}

/* Ho and Salimans' guidance, and a schedule whose numbers are known: trailing spacing is 1000, 800 ...
 * less 1. */
START_TEST(what_it_computes)
{
    plumb_scheduler *s = need_scheduler(
        "{\"_class_name\": \"DDIMScheduler\", \"timestep_spacing\": \"trailing\", \"skip_prk_steps\": true}",
        PLUMB_DIFFUSERS);
    ck_assert_uint_eq(plumb_scheduler_warning_count(s), 1);
    ck_assert_ptr_nonnull(strstr(plumb_scheduler_warning(s, 0), "skip_prk_steps"));
    ck_assert_ptr_null(plumb_scheduler_warning(s, 1));
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 5}"), PLUMB_OK);
    ck_assert_uint_eq(plumb_scheduler_count(s), 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_double_eq(plumb_scheduler_timesteps(s)[i], 999 - 200 * (double)i);
    ck_assert_uint_eq(plumb_scheduler_sigma_count(s), 0);
    const double t = 999;
    ck_assert_int_eq(plumb_scheduler_needs_noise(s, t), 0);
    ck_assert_int_eq(plumb_scheduler_set_step_arguments(s, "{\"eta\": 1}"), PLUMB_OK);
    ck_assert_int_eq(plumb_scheduler_needs_noise(s, t), 1);
    plumb_scheduler_free(s);

    const float uncond[2] = {1, 2}, text[2] = {2, 4};
    float guided[2];
    plumb_guidance(PLUMB_DIFFUSERS, uncond, text, 1, 2, 3, 0, guided);
    ck_assert(guided[0] == 4 && guided[1] == 8);
}
END_TEST

/* A class that makes its noise: the seed decides it, and there is none without. */
START_TEST(noise_from_a_seed)
{
    float stepped[3][2];
    for (int i = 0; i < 3; i++) {
        plumb_scheduler *s = need_scheduler("{\"_class_name\": \"DPMSolverSDEScheduler\"}", PLUMB_DIFFUSERS);
        ck_assert_int_eq(plumb_scheduler_makes_noise(s), 1);
        ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 3}"), PLUMB_OK);
        const float sample[2] = {1, 2}, model_output[2] = {0.5f, 0.25f};
        const struct plumb_step step = {.timestep = plumb_scheduler_timesteps(s)[0],
            .model_output = model_output,
            .model_output_size = 2,
            .sample = sample,
            .batch = 1,
            .sample_size = 2};
        ck_assert_int_eq(plumb_scheduler_needs_noise(s, step.timestep), 1);
        ck_assert_int_eq(plumb_scheduler_step(s, &step, stepped[i], NULL), PLUMB_BAD_INPUT);
        ck_assert_ptr_nonnull(strstr(plumb_scheduler_message(s), "seed"));
        const uint64_t seed = i < 2 ? 7 : 8;
        ck_assert_int_eq(plumb_scheduler_seed_noise(s, &seed, 1), PLUMB_OK);
        ck_assert_int_eq(plumb_scheduler_step(s, &step, stepped[i], NULL), PLUMB_OK);
        plumb_scheduler_free(s);
    }
    ck_assert(stepped[0][0] == stepped[1][0] && stepped[0][1] == stepped[1][1]);
    ck_assert(stepped[0][0] != stepped[2][0]);
}
END_TEST

START_TEST(what_it_refuses)
{
    char message[PLUMB_MESSAGE_SIZE] = "";
    ck_assert_ptr_null(plumb_scheduler_create("{\"_class_name\": \"Dim\"}", PLUMB_F64, message));
    ck_assert_ptr_nonnull(strstr(message, "_class_name"));
    ck_assert_ptr_null(plumb_scheduler_create("{", PLUMB_F64, NULL));
    plumb_scheduler *s = need_scheduler("{\"_class_name\": \"DDIMScheduler\"}", PLUMB_F64);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"sigmas\": [1, 0]}"), PLUMB_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(plumb_scheduler_message(s), "sigmas"));
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "[5]"), PLUMB_BAD_INPUT);
    ck_assert_int_eq(plumb_scheduler_set_step_arguments(s, "{\"etta\": 1}"), PLUMB_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(plumb_scheduler_message(s), "did you mean eta?"));
    plumb_scheduler_free(s);
    ck_assert_ptr_null(plumb_generator_create("dice", "1", message));
    ck_assert_ptr_nonnull(strstr(message, "dice"));
    ck_assert_ptr_null(plumb_generator_create("torch-cpu", "one", message));
    ck_assert_ptr_null(plumb_scheduler_restore("plumb", 5, message));
    ck_assert_ptr_nonnull(strstr(message, "cut short"));
}
END_TEST

/* Text and arrays that a call needs and does not get. */
START_TEST(what_is_not_there_is_refused)
{
    char message[PLUMB_MESSAGE_SIZE] = "";
    const double numbers[2] = {1, 2}, timestep = 5;
    double result[2];
    ck_assert_ptr_null(plumb_scheduler_create(NULL, PLUMB_F64, message));
    ck_assert_ptr_nonnull(strstr(message, "NULL"));
    ck_assert_ptr_null(plumb_scheduler_restore(NULL, 1000, message));
    ck_assert_ptr_null(plumb_generator_create(NULL, "1", message));
    ck_assert_ptr_null(plumb_generator_create("torch-cpu", NULL, message));
    ck_assert_ptr_nonnull(strstr(message, "seed"));
    plumb_scheduler *s = need_scheduler("{\"_class_name\": \"DDIMScheduler\"}", PLUMB_F64);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, NULL), PLUMB_BAD_INPUT);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 2}"), PLUMB_OK);
    ck_assert_int_eq(plumb_scheduler_scale_model_input(s, timestep, NULL, 2, result), PLUMB_BAD_INPUT);
    ck_assert_int_eq(plumb_scheduler_seed_noise(s, NULL, 1), PLUMB_BAD_INPUT);
    ck_assert_int_eq(plumb_scheduler_add_noise(s, numbers, NULL, &timestep, 1, 2, result), PLUMB_BAD_INPUT);
    struct plumb_step step = {.timestep = plumb_scheduler_timesteps(s)[0],
        .model_output = numbers,
        .model_output_size = 2,
        .sample = numbers,
        .batch = 1,
        .sample_size = 2};
    ck_assert_int_eq(plumb_scheduler_step(s, &step, NULL, NULL), PLUMB_BAD_INPUT);
    step.sample = NULL;
    ck_assert_int_eq(plumb_scheduler_step(s, &step, result, NULL), PLUMB_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(plumb_scheduler_message(s), "sample"));
    step.sample = numbers;
    ck_assert_int_eq(plumb_scheduler_step(s, &step, result, NULL), PLUMB_OK);
    plumb_scheduler_free(s);
}
END_TEST

/* Langevin's corrector (Song et al. 2021, algorithm 4): x + e s + sqrt(2 e) z with e = 2 (r |z| / |s|)^2. */
START_TEST(corrections)
{
    plumb_scheduler *s = need_scheduler("{\"_class_name\": \"DDIMScheduler\"}", PLUMB_F64);
    const double model_output[2] = {0.5, -0.25}, sample[2] = {1, 2}, noise[2] = {0.3, -0.7};
    double corrected[2];
    struct plumb_step step = {.model_output = model_output,
        .model_output_size = 2,
        .sample = sample,
        .batch = 1,
        .sample_size = 2,
        .noise = noise};
    ck_assert_int_eq(plumb_scheduler_correct_steps(s), 0);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 2}"), PLUMB_OK);
    ck_assert_int_eq(plumb_scheduler_correct(s, &step, corrected), PLUMB_BAD_INPUT);
    plumb_scheduler_free(s);

    s = need_scheduler(
        "{\"_class_name\": \"ScoreSdeVeScheduler\", \"snr\": 0.2, \"correct_steps\": 3}", PLUMB_F64);
    ck_assert_int_eq(plumb_scheduler_correct_steps(s), 3);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 4}"), PLUMB_OK);
    step.timestep = plumb_scheduler_timesteps(s)[0];
    ck_assert_msg(plumb_scheduler_correct(s, &step, corrected) == PLUMB_OK, "%s", plumb_scheduler_message(s));
    const double ratio = 0.2 * hypot(0.3, 0.7) / hypot(0.5, 0.25), size = 2 * ratio * ratio;
    for (int i = 0; i < 2; i++)
        ck_assert_double_eq_tol(
            corrected[i], sample[i] + size * model_output[i] + sqrt(2 * size) * noise[i], 1e-14);
    ck_assert_int_eq(plumb_scheduler_correct(s, &step, NULL), PLUMB_BAD_INPUT);
    plumb_scheduler_free(s);
}
END_TEST

START_TEST(saved_and_copied_runs_go_on)
{
    double whole[N], sample[N], branched[N];
    run_stochastic(whole);
    plumb_generator *noise = plumb_generator_create("numpy-pcg64", "7", NULL);
    plumb_scheduler *s = need_scheduler(STOCHASTIC, PLUMB_F64);
    ck_assert_int_eq(plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 9}"), PLUMB_OK);
    plumb_generator_normal_f64(noise, sample, N);
    take_steps(s, noise, 0, 4, sample);

    size_t size = plumb_scheduler_save(s, NULL, 0);
    unsigned char *bytes = malloc(size);
    ck_assert(size > 0 && bytes);
    ck_assert_uint_eq(plumb_scheduler_save(s, bytes, size), size);
    plumb_scheduler *copy = plumb_scheduler_copy(s);
    plumb_scheduler_free(s);
    plumb_scheduler *restored = plumb_scheduler_restore(bytes, size, NULL);
    ck_assert(copy && restored);
    ck_assert_ptr_null(plumb_scheduler_restore(bytes, size - 1, NULL));
    for (size_t i = 0; i < size; i += 1 + i / 64) { /* the front closely, the rest here and there */
        char message[PLUMB_MESSAGE_SIZE] = "";
        bytes[i] ^= 1;
        ck_assert_msg(!plumb_scheduler_restore(bytes, size, message), "byte %zu", i);
        ck_assert_ptr_nonnull(strstr(message, "saved scheduler: "));
        bytes[i] ^= 1;
    }
    free(bytes);

    memcpy(branched, sample, sizeof sample);
    plumb_generator *other = plumb_generator_create("numpy-pcg64", "8", NULL);
    take_steps(copy, other, 4, 9, branched); /* with other noise */
    take_steps(restored, noise, 4, 9, sample);
    ck_assert_mem_eq(sample, whole, sizeof whole);
    ck_assert_mem_ne(branched, whole, sizeof whole);
    plumb_scheduler_free(copy);
    plumb_scheduler_free(restored);
    plumb_generator_free(other);
    plumb_generator_free(noise);
}
END_TEST

START_TEST(threads_do_not_meet)
{
    enum { RUNS = 16 };
    static double samples[RUNS][N];
#pragma omp parallel for num_threads(4) schedule(static, 1)
    for (int i = 0; i < RUNS; i++) run_stochastic(samples[i]);
    for (int i = 1; i < RUNS; i++) ck_assert_mem_eq(samples[i], samples[0], sizeof samples[0]);
}
END_TEST

/* Runs a command and returns what it printed, which lives until the next. */
static const char *output_of(const char *format, const char *first, const char *second)
{
    static char text[4096];
    char command[1024];
    snprintf(command, sizeof command, format, first, second);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t size = fread(text, 1, sizeof text - 1, pipe);
    text[size] = '\0';
    ck_assert_msg(pclose(pipe) == 0, "%s: failed, printed %s", command, text);
    return text;
}

/* The folder of the program that is tested: build/ or another. */
static const char *build_folder(void)
{
    static char folder[512];
    const char *program = getenv("PLUMB");
    snprintf(folder, sizeof folder, "%s", program ? program : "build/plumb");
    char *slash = strrchr(folder, '/');
    ck_assert_ptr_nonnull(slash);
    *slash = '\0';
    return folder;
}

START_TEST(the_example_in_c_runs)
{
    const char *printed = output_of("'%s/sched/examples/sample'%s", build_folder(), "");
    ck_assert_msg(
        strncmp(printed, "999 ", 4) == 0 && strstr(printed, "mean of the samples: 0.2500"), "%s", printed);
}
END_TEST

START_TEST(the_example_in_python_runs)
{
#ifdef __SANITIZE_ADDRESS__
    puts("the example in Python: left out, since Python does not load a library with the sanitizer");
#else
    if (system("python3 -c 'import ctypes' >/dev/null 2>&1") != 0) {
        puts("the example in Python: left out, since python3 is not there");
        return;
    }
    const char *printed =
        output_of("python3 sched/examples/sample.py '%s/libplumb_sched.so.0'%s", build_folder(), "");
    ck_assert_msg(strstr(printed, "the branch ends at the same numbers") &&
                      strstr(printed, "refused: beta_schedule: expected"),
        "%s", printed);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("library");
    TCase *calls = tcase_create("calls"), *examples = tcase_create("examples");
    tcase_add_test(calls, what_it_computes);
    tcase_add_test(calls, noise_from_a_seed);
    tcase_add_test(calls, what_it_refuses);
    tcase_add_test(calls, what_is_not_there_is_refused);
    tcase_add_test(calls, corrections);
    tcase_add_test(calls, saved_and_copied_runs_go_on);
    tcase_add_test(calls, threads_do_not_meet);
    tcase_add_test(examples, the_example_in_c_runs);
    tcase_add_test(examples, the_example_in_python_runs);
    suite_add_tcase(suite, calls);
    suite_add_tcase(suite, examples);
    return run_suite(suite);
}
