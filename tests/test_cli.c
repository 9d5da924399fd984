/*
 * The commands as a user meets them: what they print, what they leave on the disk, and their exit statuses.
 */
#include "program.h"

#include "ref/schedule_plot.h"
#include "ref/tensor_files.h"

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

/* --- compare ------------------------------------------------------------------------------ */

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

/* What has no name but its file's is compared with the one tensor that there is. */
START_TEST(single_files_are_compared_whatever_they_are_called)
{
    const char *a = path_in(test_folder, "mine.npy"), *b = path_in(test_folder, "theirs.npy");
    const char *c = path_in(test_folder, "named.safetensors"), *d = path_in(test_folder, "other.safetensors");
    const float values[] = {1, 2, 3, 4}, others[] = {1, 2, 3, 5};
    write_tensor(a, "mine", DTYPE_F32, 4, values);
    write_tensor(b, "theirs", DTYPE_F32, 4, others);
    write_tensor(c, "latents", DTYPE_F32, 4, values);
    write_tensor(d, "noise", DTYPE_F32, 4, values);
    ck_assert_int_eq(plumb("compare %s %s", a, b), 1);
    expect_in(out, "theirs  F32   [4]");
    expect_in(out, "1 tensor: 1 DIFFERS");
    ck_assert_int_eq(plumb("compare %s %s", a, c), 0);
    expect_in(out, "latents  F32   [4]");
    ck_assert_int_eq(plumb("compare %s %s", c, a), 0);
    ck_assert_int_eq(plumb("compare %s %s", c, d), 1);
    expect_in(out, "only in B");
}
END_TEST

/* What keeps an unfinished trace in order is none of the run's tensors, and none that a port has misnamed. */
START_TEST(unfinished_traces_are_verified)
{
    struct tensor_set *golden = open_set(golden_path("models/traces/sd-ddim5.safetensors")),
                      *set = empty_set();
    struct error error = {""};
    uint64_t sum = 7;
    const struct tensor one = {DTYPE_U64, 1, {1}, &sum};
    for (size_t i = 0; i < tensor_set_count(golden); i++)
        add_tensor(set, tensor_set_name(golden, i), tensor_set_at(golden, i));
    for (size_t i = 0; i < golden->metadata_count; i++)
        ck_assert_int_eq(
            tensor_set_put_metadata(set, golden->metadata[i].key, golden->metadata[i].value, &error),
            STATUS_OK);
    add_tensor(set, "sum.01", &one);
    add_tensor(set, "unfinished.02", &one);
    const char *path = path_in(test_folder, "t.safetensors");
    write_set(set, path);
    ck_assert_int_eq(plumb("verify %s %s", golden_path("models/tiny-sd"), path), 0);
    expect_in(err, "sum.01 is no tensor of a run");
    ck_assert_int_eq(tensor_set_put_metadata(set, "resume", "{}", &error), STATUS_OK);
    write_set(set, path);
    ck_assert_int_eq(plumb("verify %s %s", golden_path("models/tiny-sd"), path), 0);
    ck_assert_ptr_null(strstr(err, "no tensor of a run"));
    tensor_set_free(set);
    tensor_set_free(golden);
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

/* What nobody can look at is not taken for absent. */
START_TEST(files_in_a_circle_are_found)
{
    static const char *const files[] = {"tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json", "scheduler/scheduler_config.json"};
    const char *copy = path_in(test_folder, "copy");
    copy_folder(golden_path("models/tiny-sd"), copy);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *file = path_in(copy, "%s", files[i]), *kept = path_in(copy, "%s.kept", files[i]);
        ck_assert(rename(file, kept) == 0 && symlink(strrchr(file, '/') + 1, file) == 0);
        ck_assert_int_eq(plumb("inspect %s", copy), 2);
        expect_in(err, files[i]);
        ck_assert_int_eq(plumb("schedule %s", copy), strstr(file, "scheduler") ? 2 : 0);
        ck_assert_int_eq(rename(kept, file), 0);
    }
}
END_TEST

/* A trace, NumPy's files and weights are listed; a whole checkpoint in one file is refused with what to
 * do. */
START_TEST(sets_of_tensors_are_inspected)
{
    const char *a = path_in(test_folder, "a.npz"), *b = path_in(test_folder, "b.safetensors");
    const char *c = path_in(test_folder, "c.safetensors");
    const float values[] = {3, -4, (float)NAN, (float)INFINITY}, nothing[] = {(float)NAN};
    write_tensor(a, "step.00.latents", DTYPE_F32, 4, values);
    write_tensor(b, "unet\33[2J", DTYPE_F32, 1, nothing);
    write_tensor(c, "model.diffusion_model.out.2.bias", DTYPE_F32, 4, values);
    ck_assert_int_eq(plumb("inspect %s", a), 0);
    expect_in(out, "step.00.latents  F32   [4]          -4        3  3.53553           2\n");
    expect_in(out, "tensors: 1, elements: 4, bytes: 16, not finite: 2\n");
    ck_assert_int_eq(plumb("inspect %s", b), 0);
    expect_in(out, "unet\\x1b[2J  F32   [1]                                     1\n");
    ck_assert_int_eq(plumb("inspect %s", c), 2);
    expect_in(err, "a single-file checkpoint; expected a Diffusers folder");
    ck_assert_int_eq(plumb("inspect %s", golden_path("models/traces/sdxl-dpm5-leading.safetensors")), 0);
    expect_in(out, "\nimage_u8 ");
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
    tcase_add_test(work, comparisons_have_their_status);
    tcase_add_test(work, single_files_are_compared_whatever_they_are_called);
    tcase_add_test(work, unfinished_traces_are_verified);
    tcase_add_test(work, the_worst_tensor_is_drawn);
    tcase_add_test(work, checkpoints_are_inspected);
    tcase_add_test(work, files_in_a_circle_are_found);
    tcase_add_test(work, sets_of_tensors_are_inspected);
    tcase_add_test(work, damaged_checkpoints_are_found);
    tcase_add_test(work, sheets_and_info);
    suite_add_tcase(suite, work);
    return run_suite(suite);
}
