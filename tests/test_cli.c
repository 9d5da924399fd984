/*
 * The commands as a user meets them: what they print, what they leave on the disk, and their exit statuses.
 */
#include "program.h"

#include "ref/schedule_plot.h"
#include "ref/png_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Help, and wrong command lines -------------------------------------------------------- */

static const char *const commands[] = {"run", "schedule", "sample", "compare", "verify", "inspect", "sheet",
    "info", "synth", "bench", "hash", "help"};
enum { COMMANDS = sizeof commands / sizeof *commands };

START_TEST(every_command_explains_itself)
{
    ck_assert_int_eq(plumb("%s --help", commands[_i]), 0);
    char words[64];
    snprintf(words, sizeof words, "usage: plumb %s", commands[_i]);
    expect_in(out, words);
    expect_in(out, "examples:\n");
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(plumb("--help"), 0);
    snprintf(words, sizeof words, "\n  plumb %s ", commands[_i]);
    expect_in(out, words);
}
END_TEST

START_TEST(version_is_one_line)
{
    ck_assert_int_eq(plumb("--version"), 0);
    ck_assert_int_eq(strncmp(out, "plumb ", 6), 0);
    ck_assert_ptr_eq(strchr(out, '\n'), out + strlen(out) - 1);
}
END_TEST

/* Every wrong command line has status 2, nothing on standard output, one line on standard error that says
 * what is wrong. */
static const struct {
    const char *arguments, *message;
} wrong[] = {
    {"", "a command is missing"},
    {"schedlue", "did you mean schedule?"},
    {"frobnicate", "no command \"frobnicate\""},
    {"schedule", "too few arguments"},
    {"schedule DDIM --stpes 5", "did you mean --steps?"},
    {"schedule DDIM -x", "unknown option -x"},
    {"schedule DDIM --steps", "--steps needs a value"},
    {"schedule DDIM --steps five", "expected an integer from 1 to 1000000, got \"five\""},
    {"schedule DDIM --steps 0", "expected an integer from 1"},
    {"schedule DDIM --steps 99999999999999999999", "expected an integer"},
    {"schedule DDIM --coefficients=yes", "--coefficients takes no value"},
    {"schedule DDIM --format xml", "expected one of table, json, csv, got \"xml\""},
    {"schedule EulerDiscrete --steps 5 --timesteps 9,8", "exclude each other"},
    {"schedule EulerDiscrete --timesteps 9,8 --sigmas 9,8", "exclude each other"},
    {"schedule EulerDiscrete --sigmas 9,x", "expected numbers"},
    {"schedule EulerDiscrete --sigmas ''", "at least one number"},
    {"schedule EulerDiscrete --sigmas '[]'", "at least one number"},
    {"schedule EulerDiscrete --sigmas '1],\"a\":[2'", "expected numbers"},
    {"schedule EulerDiscrete --sigmas 1,Infinity", "finite"},
    {"schedule DDIM --timesteps 999,500", "takes no custom timesteps"},
    {"schedule DDIM --set steps_offset", "expected key=value"},
    {"schedule DDIM --set steps_offset=one", "steps_offset: expected an integer"},
    {"schedule DDIM --set timestep_spacing=middle", "timestep_spacing"},
    {"schedule DDIM PNDM", "--plot"},
    {"schedule DDIM,steps_offset", "expected key=value, got \"steps_offset\""},
    {"schedule DDIM,steps_offset=one", "steps_offset: expected an integer"},
    {"schedule Eulerdiscrete", "did you mean EulerDiscreteScheduler?"},
    {"sample Euler --plot p.png",
        "error: Euler: neither a file nor a scheduler class (did you mean EulerDiscr"},
    {"schedule missing.json", "missing.json: cannot be read"},
    {"schedule DDIM --coefficients", "no linear combination"},
    {"schedule DDIM --arithmetic both --format json", "both is a table"},
    {"schedule DDIM --explain --format json", "--explain is a text"},
    {"sample missing.json --tensors x --out y", "missing.json: cannot be read"},
    {"sample missing.json --tensors x", "--out is missing"},
    {"compare one.npy", "too few arguments"},
    {"compare a b c", "one argument too many: c"},
    {"compare missing_a.npy missing_b.npy", "missing_a.npy"},
    {"compare a b --rtol -1", "not negative"},
    {"compare a b --rtol nan", "not negative"},
    {"inspect missing", "missing: cannot be read"},
    {"inspect ''", "cannot be read"},
    {"sheet", "too few arguments"},
    {"sheet out.png missing.png", "missing.png"},
    {"run missing", "missing"},
    {"info everything", "one argument too many"},
};

START_TEST(wrong_command_lines)
{
    ck_assert_msg(plumb("%s", wrong[_i].arguments) == 2, "plumb %s: expected status 2", wrong[_i].arguments);
    expect_in(err, wrong[_i].message);
    expect_in(err, "error: ");
    ck_assert_str_eq(out, "");
    ck_assert_ptr_null(strchr(err, '\033'));          /* no colours but on a terminal */
    ck_assert_uint_eq(count_entries(test_folder), 2); /* out and err */
}
END_TEST

START_TEST(results_that_cannot_be_written)
{
    const char *lines[] = {"schedule DDIM --steps 5", "schedule DDIM --format json",
        "schedule DDIM --steps 1000", "info", "--help", "schedule PNDM --format csv"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(plumb("%s >/dev/full", lines[i]) == 3, "plumb %s", lines[i]);
        expect_in(err, "standard output: cannot be written");
    }
    ck_assert_int_eq(plumb("schedule DDIM --steps 5 --plot /dev/full"), 3);
    expect_in(err, "/dev/full");
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(plumb("schedule DDIM --steps 5 --plot %s/missing/p.png", test_folder), 2);
    expect_in(err, "missing/p.png");
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

/* --- schedule ----------------------------------------------------------------------------- */

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

/* DDIM's step by its own equation (Song et al. 2021, eq. 12, sigma 0): sqrt(a') x0 + sqrt(1 - a') e with
 * x0 = (x - sqrt(1 - a) e) / sqrt(a). */
/* Integer timesteps are the same in both arithmetics; a sum of rounded numbers is some units away. */
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

static void expect_picture(const char *path, int width, int height)
{
    struct picture picture;
    struct error error;
    ck_assert_msg(png_read(path, &picture, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(picture.width, width);
    ck_assert_int_eq(picture.height, height);
    size_t marked = 0;
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++) marked += picture.pixels[i] < 128;
    ck_assert_uint_gt(marked, 1000);
    picture_free(&picture);
}

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

/* --- sample and compare ------------------------------------------------------------------- */

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

static void write_tensor(
    const char *path, const char *name, enum dtype dtype, int64_t count, const void *data)
{
    struct tensor_set *set;
    struct error error;
    struct tensor tensor = {.dtype = dtype, .rank = 1, .shape = {count}, .data = (void *)(uintptr_t)data};
    ck_assert_int_eq(tensor_set_create(&set, &error), STATUS_OK);
    ck_assert_int_eq(tensor_set_add(set, name, &tensor, &error), STATUS_OK);
    ck_assert_int_eq(tensor_set_write(set, path, &error), STATUS_OK);
    tensor_set_free(set);
}

START_TEST(comparisons_have_their_status)
{
    const char *a = path_in(test_folder, "a.safetensors"), *b = path_in(test_folder, "b.safetensors");
    const char *c = path_in(test_folder, "c.safetensors"), *d = path_in(test_folder, "d.npz"),
               *e = path_in(test_folder, "e.safetensors");
    const float values[] = {1, 2, 3, 4}, near[] = {1, 2, 3, 4.000001F}, nan_inside[] = {1, 2, 3, (float)NAN};
    const int64_t integers[] = {1, 2, 3, 4};
    write_tensor(a, "t", DTYPE_F32, 4, values);
    write_tensor(b, "t", DTYPE_F32, 4, near);
    write_tensor(c, "t", DTYPE_F32, 3, values);
    write_tensor(d, "other", DTYPE_I64, 4, integers);
    write_tensor(e, "t", DTYPE_F32, 4, nan_inside);
    ck_assert_int_eq(plumb("compare %s %s", a, a), 0);
    expect_in(out, "1 equal, so the two agree");
    ck_assert_int_eq(plumb("compare %s %s", a, b), 0);
    expect_in(out, "1 agrees, so the two agree");
    ck_assert_int_eq(plumb("compare %s %s --atol 0", a, b), 1);
    expect_in(out, "DIFFERS");
    expect_in(out, "largest at [3]: 4 in A, 4.000000953674316 in B");
    ck_assert_int_eq(plumb("compare %s %s --ulp 2", a, b), 0);
    ck_assert_int_eq(plumb("compare %s %s --ulp 1", a, b), 1);
    ck_assert_int_eq(plumb("compare %s %s --rtol 1e-6", a, b), 0);
    ck_assert_int_eq(plumb("compare %s %s", a, c), 1);
    expect_in(out, "SHAPE");
    expect_in(out, "[4]/[3]");
    ck_assert_int_eq(plumb("compare %s %s", a, d), 1);
    expect_in(out, "only in A");
    expect_in(out, "only in B");
    ck_assert_int_eq(plumb("compare %s %s --rtol 1 --atol 100", e, a), 1);
    ck_assert_int_eq(plumb("compare %s %s --format json", a, b), 0);
    cJSON *json;
    struct error error;
    ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(json, "agree")));
    const cJSON *row = cJSON_GetObjectItem(json, "tensors")->child;
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(row, "name")), "t");
    ck_assert_double_eq(cJSON_GetObjectItem(row, "max_abs")->valuedouble, (double)near[3] - 4.0);
    ck_assert_double_eq(cJSON_GetObjectItem(row, "max_ulp")->valuedouble, 2);
    ck_assert_double_eq(cJSON_GetObjectItem(row, "median_ulp")->valuedouble, 0);
    ck_assert_double_eq(cJSON_GetObjectItem(row, "p99_ulp")->valuedouble, 2);
    ck_assert_double_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(row, "worst_index"), 0)->valuedouble, 3);
    cJSON_Delete(json);
    ck_assert_int_eq(plumb("compare %s %s --format json", e, a), 1);
    ck_assert_int_eq(json_parse(out, strlen(out), "out", &json, &error), STATUS_OK);
    row = cJSON_GetObjectItem(json, "tensors")->child;
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(row, "max_abs")), "inf");
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(row, "worst_a")), "nan");
    ck_assert_double_eq(cJSON_GetObjectItem(row, "nonfinite_a")->valuedouble, 1);
    cJSON_Delete(json);
}
END_TEST

START_TEST(the_worst_tensor_is_drawn)
{
    const char *path = path_in(test_folder, "h.png");
    const char *a = golden_path("models/traces/sdxl-dpm5-leading.safetensors");
    const char *b = golden_path("models/traces/sdxl-dpm5-trailing.safetensors");
    ck_assert_int_eq(plumb("compare %s %s --heatmap %s", a, b, path), 1);
    expect_picture(path, 900, 600);
    const char *none = path_in(test_folder, "none.png");
    ck_assert_int_eq(plumb("compare %s %s --heatmap %s", a, a, none), 0);
    expect_in(err, "no tensor differs");
    ck_assert_int_ne(access(none, F_OK), 0);
}
END_TEST

/* --- inspect, sheet, info ----------------------------------------------------------------- */

START_TEST(checkpoints_are_inspected)
{
    ck_assert_int_eq(plumb("inspect %s", golden_path("models/tiny-sdxl")), 0);
    expect_in(out, "StableDiffusionXLPipeline");
    expect_in(out, "the checkpoint is whole");
    expect_in(out, "413428");
    ck_assert_int_eq(plumb("inspect %s --variant fp16 --tensors", golden_path("models/tiny-sdxl-fp16")), 0);
    expect_in(out, "vae.quant_conv.weight ");
    ck_assert_int_eq(plumb("inspect %s", golden_path("models/tiny-sdxl-fp16")), 2);
    expect_in(err, "--variant fp16");
    expect_in(out, "NOT WHOLE");
    ck_assert_int_eq(plumb("inspect %s", golden_path("models/tiny-sdxl-sharded")), 0);
    expect_in(err, "no model_index.json");
    expect_in(out, "413428");
    ck_assert_int_eq(plumb("inspect %s", golden_path("models/tiny-sd/unet/")), 0);
    expect_in(out, "283284");
}
END_TEST

START_TEST(damaged_checkpoints_are_found)
{
    const char *copy = path_in(test_folder, "copy");
    copy_folder(golden_path("models/tiny-sd"), copy);
    const char *weights = path_in(copy, "unet/diffusion_pytorch_model.safetensors");
    ck_assert_int_eq(truncate(weights, 500000), 0);
    ck_assert_int_eq(plumb("inspect %s", copy), 2);
    expect_in(out, "the checkpoint is not whole");
    expect_in(err, "unet/diffusion_pytorch_model.safetensors");
    ck_assert_int_eq(unlink(path_in(copy, "model_index.json")), 0);
    ck_assert_int_eq(unlink(weights), 0);
    ck_assert_int_eq(plumb("inspect %s", copy), 2);
    expect_in(err, "unet");
}
END_TEST

START_TEST(sheets_and_info)
{
    const char *plot = path_in(test_folder, "p.png"), *sheet = path_in(test_folder, "s.png");
    ck_assert_int_eq(plumb("schedule DDIM --plot %s", plot), 0);
    ck_assert_int_eq(plumb("sheet %s 'eta = 0=%s' %s --across 2", sheet, plot, plot), 0);
    expect_picture(sheet, 16 + 2 * (SCHEDULE_PLOT_WIDTH + 16), 16 + SCHEDULE_PLOT_HEIGHT + 17 + 6 + 16);
    ck_assert_int_eq(plumb("info"), 0);
    expect_in(out, "OpenBLAS");
    expect_in(out, "DPMSolverMultistepScheduler");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli");
    TCase *lines = tcase_create("command lines");
    tcase_add_checked_fixture(lines, make_test_folder, drop_program_folder);
    tcase_add_loop_test(lines, every_command_explains_itself, 0, COMMANDS);
    tcase_add_test(lines, version_is_one_line);
    tcase_add_loop_test(lines, wrong_command_lines, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(lines, results_that_cannot_be_written);
    suite_add_tcase(suite, lines);
    TCase *work = tcase_create("commands");
    tcase_add_checked_fixture(work, make_test_folder, drop_program_folder);
    tcase_set_timeout(work, 60);
    tcase_add_test(work, documented_sigmas_give_documented_timesteps);
    tcase_add_loop_test(work, json_is_exact, 0, sizeof cases / sizeof *cases);
    tcase_add_test(work, both_arithmetics_are_compared);
    tcase_add_test(work, schedules_are_explained);
    tcase_add_test(work, coefficients_are_those_of_the_equation);
    tcase_add_test(work, schedules_tell_their_peculiarities);
    tcase_add_test(work, schedules_are_drawn);
    tcase_add_test(work, schedulers_have_settings_of_their_own);
    tcase_add_loop_test(work, sampling_gives_the_golden_samples, 0, sizeof cases / sizeof *cases);
    tcase_add_test(work, missing_noise_is_drawn);
    tcase_add_loop_test(work, bad_cases_are_refused, 0, sizeof bad_cases / sizeof *bad_cases);
    tcase_add_test(work, comparisons_have_their_status);
    tcase_add_test(work, the_worst_tensor_is_drawn);
    tcase_add_test(work, checkpoints_are_inspected);
    tcase_add_test(work, damaged_checkpoints_are_found);
    tcase_add_test(work, sheets_and_info);
    suite_add_tcase(suite, work);
    return run_suite(suite);
}
