/*
 * What `plumb schedule` prints: the documented schedules, every digit of the recorded ones, the step's own
 * equation, and what ports trip over.
 */
#include "program.h"

#include "ref/schedule_plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SDXL "configs/schedulers/sdxl.json"
#define AYS_SIGMAS "14.615,6.315,3.771,2.181,1.342,0.862,0.555,0.380,0.234,0.113,0.0"

START_TEST(documented_sigmas_give_documented_timesteps)
{
    ck_assert_int_eq(plumb("schedule " SDXL " --sigmas " AYS_SIGMAS), 0);
    static const char *const shown[] = {" 999 ", " 844.88763 ", " 730.17993 ", " 586.9807 ", " 443.33533 ",
        " 309.9756 ", " 192.97047 ", " 116.06511 ", " 53.30321 ", " 13.390401 "};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) expect_in(out, shown[i]);
    char *list = strdup(out);
    ck_assert_int_eq(plumb("schedule " SDXL " --sigmas '[" AYS_SIGMAS "]'"), 0);
    ck_assert_str_eq(out, list);
    free(list);
    expect_in(err, "warning: options ignored by EulerDiscreteScheduler: ");
    expect_in(err, "skip_prk_steps");
}
END_TEST

/* The list `name` of the JSON that was printed equals the golden tensor, exactly. */
static void expect_list(const cJSON *json, const char *name, const struct tensor *golden)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, name);
    ck_assert_msg(cJSON_IsArray(list), "no list %s", name);
    ck_assert_int_eq(cJSON_GetArraySize(list), (int)tensor_count(golden));
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        double expected = tensor_get_double(golden, i);
        double printed = golden->dtype == DTYPE_F32 ? (double)(float)item->valuedouble : item->valuedouble;
        ck_assert_msg(printed == expected, "%s[%zu]: %.17g, golden %.17g", name, i, printed, expected);
        i++;
    }
}

static const char *const cases[] = {"ddim_sd_leading", "ddim_eta05_clipped_output", "ddim_one_step",
    "pndm_plms", "pndm_prk", "euler_karras", "euler_linspace", "euler_churn", "euler_custom_timesteps",
    "doc_ays_sigmas_euler", "dpmpp_2m_karras", "dpmpp_sde_3", "dpmpp_flow", "doc_ays_timesteps_dpmpp_sde",
    "doc_zero_snr_ddim"};

/* JSON keeps every digit: what is read back is bit for bit what the golden file has. */
START_TEST(json_is_exact)
{
    cJSON *given = golden_json("sched/%s.json", cases[_i]);
    struct tensor_set *golden = golden_tensors("sched/%s.safetensors", cases[_i]);
    char *config = cJSON_PrintUnformatted(cJSON_GetObjectItem(given, "scheduler"));
    write_bytes(path_in(test_folder, "scheduler.json"), config, strlen(config));
    const cJSON *request = cJSON_GetObjectItem(given, "set_timesteps")->child;
    ck_assert_ptr_null(request->next);
    char *value = cJSON_PrintUnformatted(request);
    const char *option = strcmp(request->string, "num_inference_steps") ? request->string : "steps";
    ck_assert_int_eq(
        plumb("schedule %s/scheduler.json --%s '%s' --format json", test_folder, option, value), 0);
    cJSON *json;
    struct error error;
    ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
    expect_list(json, "timesteps", need_tensor(golden, "timesteps"));
    if (tensor_set_find(golden, "sigmas")) expect_list(json, "sigmas", need_tensor(golden, "sigmas"));
    const struct tensor *init = need_tensor(golden, "init_noise_sigma");
    double printed = cJSON_GetObjectItem(json, "init_noise_sigma")->valuedouble;
    if (init->dtype == DTYPE_F32) printed = (double)(float)printed;
    ck_assert_double_eq(printed, tensor_get_double(init, 0));
    cJSON_Delete(json);
    cJSON_free(value);
    cJSON_free(config);
    cJSON_Delete(given);
    tensor_set_free(golden);
}
END_TEST

static double csv_field(const char *text, int row, const char *column)
{
    char header[512];
    snprintf(header, sizeof header, "%.*s,", (int)strcspn(text, "\n"), text);
    int index = 0;
    bool found = false;
    for (char *rest = header, *name; !found && (name = strsep(&rest, ",")); index += !found)
        found = strcmp(name, column) == 0;
    ck_assert_msg(found, "no column %s", column);
    for (int i = 0; i <= row; i++) text = strchr(text, '\n') + 1;
    for (int i = 0; i < index; i++) text = strchr(text, ',') + 1;
    return strtod(text, NULL);
}

/* Integer timesteps are the same in both arithmetics; a sum of rounded numbers is some units away. */
/* Of evenly spaced timesteps the first sigma and the first sample's are one number, in double as in float. */
START_TEST(the_first_sigma_is_told_in_full)
{
    static const char *const arithmetics[] = {"diffusers", "f64"};
    cJSON *json;
    struct error error;
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(
            plumb("schedule " SDXL " --set timestep_spacing=linspace --arithmetic %s --format json",
                arithmetics[i]),
            0);
        ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
        const double sigma = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sigmas"), 0)->valuedouble;
        ck_assert_double_eq(cJSON_GetObjectItem(json, "init_noise_sigma")->valuedouble, sigma);
        ck_assert(strcmp(arithmetics[i], "f64") != 0 || sigma != (double)(float)sigma);
        cJSON_Delete(json);
    }
}
END_TEST

START_TEST(both_arithmetics_are_compared)
{
    ck_assert_int_eq(
        plumb("schedule EulerDiscrete --set timestep_spacing=leading --steps 5 --arithmetic both"), 0);
    expect_in(out, "distance from f64");
    expect_in(out, "\n  timestep               0\n");
    const char *line = strstr(out, "\n  sigma ");
    double distance = 0;
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(sscanf(line, "\n  sigma %lf, step", &distance), 1);
    ck_assert(distance > 0 && distance < 1000);
}
END_TEST

/* Euler's coefficient of the model's output is the difference of the two sigmas that the text names, and
 * DDIM, which has no sigmas, has no such stage. */
START_TEST(schedules_are_explained)
{
    ck_assert_int_eq(plumb("schedule EulerDiscrete --steps 5 --explain"), 0);
    const char *sigmas = strstr(out, "linear interpolation."), *step = strstr(out, "step 0, t = 999:");
    double sigma, next, coefficient;
    ck_assert(sigmas && step);
    ck_assert_int_eq(sscanf(strchr(sigmas, '\n'), "%lf %lf", &sigma, &next), 2);
    ck_assert_int_eq(sscanf(step, "step 0, t = 999: x' = 1 x - %lf m", &coefficient), 1);
    ck_assert_double_eq_tol(coefficient / (sigma - next), 1, 1e-6);
    ck_assert_int_eq(plumb("schedule DDIM --set thresholding=true --steps 5 --explain"), 0);
    expect_in(out, "No coefficients: ");
    ck_assert_ptr_null(strstr(out, ". Sigmas"));
}
END_TEST

/* DDIM's step by its own equation (Song et al. 2021, eq. 12, sigma 0): sqrt(a') x0 + sqrt(1 - a') e with
 * x0 = (x - sqrt(1 - a) e) / sqrt(a). */
START_TEST(coefficients_are_those_of_the_equation)
{
    ck_assert_int_eq(
        plumb("schedule DDIM --set clip_sample=False --steps 7 --coefficients --arithmetic f64 --format csv"),
        0);
    for (int i = 0; i < 7; i++) {
        double a = csv_field(out, i, "alpha_cumprod"), next = csv_field(out, i, "previous_alpha_cumprod");
        double sample = sqrt(next / a), model_output = sqrt(1 - next) - sqrt(next * (1 - a) / a);
        ck_assert_double_eq_tol(csv_field(out, i, "sample"), sample, 1e-12 * sample);
        ck_assert_double_eq_tol(
            csv_field(out, i, "model_output"), model_output, 1e-11 * fabs(model_output) + 1e-13);
    }
    /* Euler: x + (sigma' - sigma) e, and no more. */
    ck_assert_int_eq(
        plumb("schedule EulerDiscrete --steps 5 --coefficients --arithmetic f64 --format csv"), 0);
    for (int i = 0; i < 5; i++) {
        double slope = csv_field(out, i + 1, "sigma") - csv_field(out, i, "sigma");
        ck_assert_double_eq_tol(csv_field(out, i, "sample"), 1, 1e-12);
        ck_assert_double_eq_tol(csv_field(out, i, "model_output"), slope, 1e-12 * fabs(slope));
    }
}
END_TEST

/* What ports trip over is said under the table. */
START_TEST(schedules_tell_their_peculiarities)
{
    ck_assert_int_eq(plumb("schedule DDIM --set timestep_spacing=trailing --steps 7"), 0);
    expect_in(
        out, "a  A stride in the place of the list (steps 0 to 2, 4 to 6): sched/DEVIATIONS.md#a-stride-in-");
    expect_in(out, "departs");
    ck_assert_int_eq(plumb("schedule DDIM --set timestep_spacing=trailing --steps 7 --format json"), 0);
    expect_in(out, "\"steps\": [0, 1, 2, 4, 5, 6]}]");
    ck_assert_int_eq(plumb("schedule DDIM --set timestep_spacing=trailing --steps 10"), 0);
    ck_assert_ptr_null(strstr(out, "departs"));
    ck_assert_int_eq(plumb("schedule configs/schedulers/sd15.json --steps 6"), 0);
    expect_in(out, "1 of the timesteps repeat the one before: first step 2, 665 again");
}
END_TEST

START_TEST(schedules_are_drawn)
{
    const char *path = path_in(test_folder, "p.png");
    ck_assert_int_eq(
        plumb("schedule DDIM " SDXL " %s --steps 12 --plot %s", golden_path("models/tiny-sd"), path), 0);
    expect_picture(path, SCHEDULE_PLOT_WIDTH, SCHEDULE_PLOT_HEIGHT);
    expect_in(err, "wrote ");
    expect_in(out, "DDIMScheduler, 12 steps");
    expect_in(out, "PNDMScheduler, 13 steps");
    ck_assert_int_eq(plumb("schedule DDIM PNDM --steps 5 --plot %s --format json", path), 0);
    cJSON *json;
    struct error error;
    ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
    ck_assert_int_eq(cJSON_GetArraySize(json), 2);
    cJSON_Delete(json);
}
END_TEST

/* A scheduler's own settings win over --set. */
START_TEST(schedulers_have_settings_of_their_own)
{
    const char *own = SDXL ",timestep_spacing=trailing,steps_offset=0";
    ck_assert_int_eq(plumb("schedule %s --set steps_offset=1 --steps 3", own), 0);
    expect_in(out, "timestep_spacing=\"trailing\"");
    expect_in(out, "steps_offset=0");
    expect_in(out, "\n    0  999 ");
}
END_TEST

/* Its own steps, timesteps or sigmas win over the options; lists stand in brackets. */
START_TEST(schedulers_have_steps_of_their_own)
{
    const char *path = path_in(test_folder, "p.png");
    ck_assert_int_eq(plumb("schedule " SDXL ",num_inference_steps=3 '" SDXL
                           ",timesteps=[999,500,250,20],timestep_spacing=trailing' '" SDXL
                           ",sigmas=[14.6,3,1,0]' " SDXL " --steps 7 --format json --plot %s",
                         path),
        0);
    cJSON *json;
    struct error error;
    ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
    static const int counts[] = {3, 4, 3, 7};
    ck_assert_int_eq(cJSON_GetArraySize(json), 4);
    for (int i = 0; i < 4; i++) {
        const cJSON *timesteps = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(json, i), "timesteps");
        ck_assert_int_eq(cJSON_GetArraySize(timesteps), counts[i]);
        if (i == 1) ck_assert_double_eq(cJSON_GetArrayItem(timesteps, 1)->valuedouble, 500);
    }
    cJSON_Delete(json);
    expect_failure(plumb("schedule '" SDXL ",timesteps=[9,5],sigmas=[3,0]'"), STATUS_BAD_INPUT, 1,
        "exclude each other", NULL);
    expect_failure(plumb("schedule '" SDXL ",timesteps=[9,b]'"), STATUS_BAD_INPUT, 1, "timesteps", NULL);
    expect_failure(
        plumb("schedule " SDXL ",num_inference_steps=0"), STATUS_BAD_INPUT, 1, "num_inference_steps", NULL);
}
END_TEST

START_TEST(one_panel_is_drawn_alone)
{
    static const char *const panels[] = {"timesteps", "sigmas", "snr"};
    size_t sizes[3];
    for (int i = 0; i < 3; i++) {
        const char *path = path_in(test_folder, "p.png");
        ck_assert_int_eq(plumb("schedule " SDXL " --steps 5 --plot %s --panel %s", path, panels[i]), 0);
        expect_picture(path, SCHEDULE_PANEL_WIDTH, SCHEDULE_PANEL_HEIGHT);
        free(read_bytes(path, &sizes[i]));
    }
    ck_assert(sizes[0] != sizes[1] && sizes[1] != sizes[2]);
    expect_failure(plumb("schedule " SDXL " --panel snr"), STATUS_BAD_INPUT, 1, "--plot", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule_command");
    TCase *work = tcase_create("schedule");
    tcase_add_checked_fixture(work, make_test_folder, drop_program_folder);
    tcase_set_timeout(work, 60);
    tcase_add_test(work, documented_sigmas_give_documented_timesteps);
    tcase_add_loop_test(work, json_is_exact, 0, sizeof cases / sizeof *cases);
    tcase_add_test(work, the_first_sigma_is_told_in_full);
    tcase_add_test(work, both_arithmetics_are_compared);
    tcase_add_test(work, schedules_are_explained);
    tcase_add_test(work, coefficients_are_those_of_the_equation);
    tcase_add_test(work, schedules_tell_their_peculiarities);
    tcase_add_test(work, schedules_are_drawn);
    tcase_add_test(work, schedulers_have_settings_of_their_own);
    tcase_add_test(work, schedulers_have_steps_of_their_own);
    tcase_add_test(work, one_panel_is_drawn_alone);
    suite_add_tcase(suite, work);
    return run_suite(suite);
}
