/*
 * Requests that are wrong, as a user meets them, on checkpoints that are whole: contradictory options,
 * schedulers that there are not, broken recipes and cases, latents that do not fit, outputs that cannot be
 * written, a disk that is full. Status 2, or 3 where the machine is at fault; one line that says what is
 * wrong and what would be right; nothing on standard output; no file, whole or partial, left behind.
 */
#include "program.h"

#include "ref/png_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* --- Options ------------------------------------------------------------------------------ */

static const struct {
    const char *model, *options, *words;
} refused[] = {
    {"tiny-sd", "", "prompt: nothing to draw; give a prompt"},
    {"tiny-sd", "--prompt \"$(printf '\\377')\"", "prompt: expected UTF-8 text, got the byte 0xFF"},
    {"tiny-sd", "--prompt a --out ''", "--out: expected a name, got \"\""},
    {"tiny-sd", "--prompt a --recipe ''", "--recipe: expected a name, got \"\""},
    {"tiny-sd", "--prompt a extra", "one argument too many: extra"},
    {"tiny-sd", "--prompt a --cpu sse2", "--cpu: expected one of scalar, avx2, avx512, neon, got \"sse2\""},
    {"tiny-sd", "--prompt a --precision f8",
        "--precision: expected one of f32, f64, f16, bf16, tf32, got \"f8\""},
    {"tiny-sd", "--prompt a --threads 0", "--threads: expected an integer from 1 to 1024, got \"0\""},
    {"tiny-sd", "--prompt a --variant ''", "variant: expected a name such as \"fp16\", got \"\""},
    {"tiny-sd", "--prompt a --generator cuda", "generator: expected numpy-pcg64, numpy-mt19937"},

    {"tiny-sd", "--prompt a --steps 0", "num_inference_steps: expected an integer from 1 to"},
    {"tiny-sd", "--prompt a --steps 2 --timesteps 900,500", "--steps, --timesteps, --sigmas: only one"},
    {"tiny-sd", "--prompt a --steps 2 --sigmas 9,0", "--steps, --timesteps, --sigmas: only one"},
    {"tiny-sd", "--prompt a --timesteps 9,8 --sigmas 9,0", "--steps, --timesteps, --sigmas: only one"},
    {"tiny-sd", "--prompt a --timesteps ''", "--timesteps: expected at least one number"},
    {"tiny-sd", "--prompt a --sigmas 9,x", "--sigmas: expected numbers with commas between them"},
    {"tiny-sd", "--prompt a --timesteps 900,500", "timesteps: PNDMScheduler takes no custom timesteps"},
    {"tiny-sd", "--prompt a --sigmas 9,0 --scheduler DDIM", "sigmas: DDIMScheduler takes no custom sigmas"},
    {"tiny-sd", "--prompt a --sigmas 9,0 --scheduler DPMSolverMultistep",
        "sigmas: DPMSolverMultistepScheduler takes no custom sigmas"},
    {"tiny-sd", "--prompt a --timesteps 900,500 --scheduler EulerDiscrete --set use_karras_sigmas=true",
        "timesteps: custom ones cannot be used with use_karras_sigmas"},
    {"tiny-sd", "--prompt a --timesteps 900,500 --scheduler DPMSolverMultistep --set use_lu_lambdas=true",
        "use_lu_lambdas"},
    {"tiny-sd",
        "--prompt a --scheduler EulerDiscrete --set use_karras_sigmas=true --set use_beta_sigmas=true",
        "use_karras_sigmas"},

    {"tiny-sd", "--prompt a --scheduler HeunDiscreet",
        "HeunDiscreet: neither a file nor a scheduler class (did you mean HeunDiscreteScheduler?)"},
    {"tiny-sd", "--prompt a --scheduler VQDiffusion",
        "VQDiffusionScheduler: a class of diffusers that Plumb does not have: samples tokens"},
    {"tiny-sd", "--prompt a --scheduler ScoreSdeVe", "scheduler: ScoreSdeVeScheduler has no step()"},
    {"tiny-sd", "--prompt a --scheduler EulerDiscret", "did you mean EulerDiscreteScheduler?"},
    {"tiny-sd", "--prompt a --scheduler none.json", "none.json: cannot be read: No such file or directory"},
    {"tiny-sd", "--prompt a --scheduler golden/models/tiny-sd/unet/config.json",
        "scheduler: act_fn: no scheduler has this option"},
    {"tiny-sd", "--prompt a --set use_karras=true", "scheduler: use_karras: no scheduler has this option"},
    {"tiny-sd", "--prompt a --set beta_strat=1",
        "beta_strat: no scheduler has this option (did you mean "
        "beta_start?)"},
    {"tiny-sd", "--prompt a --set beta_start=x", "scheduler: beta_start: expected a number, got \"x\""},
    {"tiny-sd", "--prompt a --set beta_start", "--set: expected key=value, got \"beta_start\""},
    {"tiny-sd", "--prompt a --set _class_name=DDIM", "scheduler: _class_name: expected one of the scheduler"},
    {"tiny-sd", "--prompt a --set prediction_type=x0", "scheduler: prediction_type: expected \"epsilon\""},
    {"tiny-sd", "--prompt a --scheduler DPMSolverMultistep --set algorithm_type=unipc",
        "scheduler: algorithm_type: expected"},
    {"tiny-sd", "--prompt a --scheduler DPMSolverMultistep --set solver_order=0",
        "scheduler: solver_order: expected"},
    {"tiny-sd", "--prompt a --scheduler EulerDiscrete --set final_sigmas_type=one",
        "scheduler: final_sigmas_type: expected"},

    {"tiny-sd", "--prompt a --height 33 --width 32", "height, width: expected multiples of 8, got 33 and 32"},
    {"tiny-sdxl", "--prompt a --height 68", "height, width: expected multiples of 8, got 68 and 64"},
    {"tiny-sd", "--prompt a --height -8 --width 8", "height: expected an integer from 0 to 65536, got -8"},
    {"tiny-sd", "--prompt a --height 8.5 --width 8", "height: expected an integer from 0 to 65536, got 8.5"},
    {"tiny-sd", "--prompt a --height 1e12 --width 8", "height: expected an integer from 0 to 65536"},
    {"tiny-sd", "--prompt a --height 65536 --width 65536",
        "height, width: expected at most 2147483647 pixels, got 65536 x 65536"},

    {"tiny-sd", "--prompt a --seed 1,2", "seed: 2 seeds for 1 picture; expected one for all, or one a"},
    {"tiny-sd", "--prompt a --images 2 --seed 1,2,3", "seed: 3 seeds for 2 pictures"},
    {"tiny-sd", "--prompt a --seed -1", "seed: expected a non-negative integer, decimal or"},
    {"tiny-sd", "--prompt a --seed ''", "seed: expected a non-negative integer"},
    {"tiny-sd", "--prompt a --generator torch-cpu --seed 18446744073709551616",
        "seed: expected an integer below"},
    {"tiny-sd", "--prompt a --images 0", "num_images_per_prompt: expected an integer from 1 to"},

    {"tiny-sd", "--prompt a --prompt-2 b", "prompt_2, negative_prompt_2: a StableDiffusionPipeline has one"},
    {"tiny-sd", "--prompt a --negative-prompt-2 b", "prompt_2, negative_prompt_2: a StableDiffusionPipeline"},
    {"tiny-sd", "--prompt a --clip-skip 4", "clip_skip: expected at most 3 for the 3 layers of text_encoder"},
    {"tiny-sdxl", "--prompt a --clip-skip 3", "clip_skip: expected at most 2 for the 3 layers of text_enco"},
    {"tiny-sd", "--prompt a --clip-skip -1", "clip_skip: expected an integer from 0"},
    {"tiny-sd", "--prompt a --eta 2", "eta: expected a number from 0 to 1, got 2"},
    {"tiny-sd", "--prompt a --eta much", "eta: expected a number, got \"much\""},
    {"tiny-sd", "--prompt a --guidance-scale Infinity", "guidance_scale: expected a number from"},
    {"tiny-sdxl", "--prompt a --denoising-end 2", "denoising_end: expected a number from 0 to 1, got 2"},
    {"tiny-sdxl", "--prompt a --original-size 1,2,3", "original_size: expected two integers, got [1,2,3]"},
    {"tiny-sdxl", "--prompt a --target-size 1.5,3", "target_size: expected two integers, got [1.5,3]"},
    {"tiny-sdxl", "--prompt a --crops-coords-top-left 1", "crops_coords_top_left: expected two integers"},
};

START_TEST(options_that_are_refused)
{
    int status = plumb("run %s --out %s/picture.png --trace %s/trace.safetensors %s",
        golden_path("models/%s", refused[_i].model), test_folder, test_folder, refused[_i].options);
    expect_failure(status, STATUS_BAD_INPUT, 0, refused[_i].words, NULL);
}
END_TEST

START_TEST(outputs_that_contradict_each_other)
{
    const char *sd = golden_path("models/tiny-sd");
    expect_failure(plumb("run %s --prompt a --steps 2 --out %s/p.png --trace-modules", sd, test_folder),
        STATUS_BAD_INPUT, 0, "--trace-modules: needs --trace", NULL);
    expect_failure(plumb("run %s --prompt a --steps 2 --out %s/p --trace %s/p", sd, test_folder, test_folder),
        STATUS_BAD_INPUT, 0, "--out, --trace: expected two files", NULL);
}
END_TEST

/* --- Recipes ------------------------------------------------------------------------------ */

static const struct {
    const char *text, *options, *words;
} recipes[] = {
    {"", "", "expected JSON, got an empty file"},
    {"{\"prompt\": \"a\"", "", "not valid JSON at line 1"},
    {"{\"prompt\": \"a\"} x", "", "not valid JSON"},
    {"{\"prompt\": \"a\", \"eta\": NaN}", "", "not valid JSON"},
    {"[\"a\"]", "", "expected a JSON object, got [\"a\"]"},
    {"{\"promt\": \"a\"}", "", "promt: no such argument (did you mean prompt?)"},
    {"{\"prompt\": \"a\", \"output_type\": \"latent\"}", "",
        "output_type: an argument of the Diffusers call"},
    {"{\"prompt\": [\"a\", 3]}", "", "prompt[1]: expected a string, got 3"},
    {"{\"prompt\": {}}", "", "prompt[0]: expected a string, got {}"},
    {"{\"prompt\": \"a\", \"seed\": 1.5}", "", "seed[0]: expected a non-negative integer"},
    {"{\"prompt\": \"a\", \"timesteps\": 999}", "", "timesteps: expected"},
    {"{\"prompt\": \"a\", \"timesteps\": [999, 1], \"sigmas\": [1, 0]}", "", "only one of the two"},
    {"{\"prompt\": \"a\", \"height\": \"32\"}", "",
        "height: expected an integer from 0 to 65536, got \"32\""},
    {"{\"prompt\": \"a\", \"latents\": [0]}", "", "latents: expected a string, got [0]"},
    {"{\"prompt\": \"a\", \"scheduler\": \"DDIM\"}", "", "scheduler: expected an object with _class_name"},
    {"{\"prompt\": \"a\", \"scheduler\": {\"_class_name\": \"LMSScheduler\"}}", "",
        "scheduler: _class_name: expected one of the scheduler classes"},
    {"{\"prompt\": \"a\", \"scheduler\": {\"beta_strat\": 1}}", "",
        "scheduler: beta_strat: no scheduler has"},
    {"{\"prompt\": \"a\", \"scheduler\": {\"steps_offset\": \"1\"}}", "",
        "scheduler: steps_offset: expected"},
    /* What the checkpoint has to say of it is still said of this file ... */
    {"{\"prompt\": \"a\", \"sigmas\": [9, 0]}", "", "sigmas: PNDMScheduler takes no custom sigmas"},
    {"{\"prompt\": \"a\", \"height\": 33, \"width\": 32}", "", "height, width: expected multiples of 8"},
    {"{\"prompt\": [\"a\", \"b\"], \"negative_prompt\": [\"c\"]}", "",
        "negative_prompt: expected 2, one for"},
    {"{\"prompt\": [\"a\", \"b\"], \"negative_prompt\": \"c\"}", "", "negative_prompt: expected a list"},
    {"{\"prompt\": [\"a\", \"b\"], \"seed\": [1, 2, 3]}", "", "seed: 3 seeds for 2 pictures"},
};

START_TEST(recipes_that_are_refused)
{
    const char *path = path_in(test_folder, "recipe.json"), *text = recipes[_i].text;
    write_bytes(path, text, strlen(text));
    int status = plumb("run %s --recipe %s --out %s/picture.png %s", golden_path("models/tiny-sd"), path,
        test_folder, recipes[_i].options);
    char words[256];
    snprintf(words, sizeof words, "error: %s: ", path);
    expect_failure(status, STATUS_BAD_INPUT, 1, words, recipes[_i].words, NULL);
}
END_TEST

/* ... and what the command line sets is not. */
START_TEST(the_command_line_is_not_the_recipe)
{
    const char *path = path_in(test_folder, "recipe.json"), *text = "{\"prompt\": \"a\", \"eta\": 0}";
    const char *sd = golden_path("models/tiny-sd");
    write_bytes(path, text, strlen(text));
    expect_failure(plumb("run %s --recipe %s --out %s/p.png --eta 9", sd, path, test_folder),
        STATUS_BAD_INPUT, 1, "error: eta: expected a number from 0 to 1, got 9", NULL);
    expect_failure(plumb("run %s --recipe %s --out %s/p.png --set steps_offset=a", sd, path, test_folder),
        STATUS_BAD_INPUT, 1, "error: scheduler: steps_offset: expected an integer", NULL);
    expect_failure(plumb("run %s --recipe %s.none --out %s/p.png", sd, path, test_folder), STATUS_BAD_INPUT,
        1, "recipe.json.none: cannot be read: No such file or directory", NULL);
    expect_failure(plumb("run %s --recipe %s --out %s/p.png", sd, test_folder, test_folder), STATUS_BAD_INPUT,
        1, test_folder, "cannot be read: Is a directory", NULL);
}
END_TEST

/* --- Latents ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum dtype dtype;
    int64_t side;
    const char *words;
} latents[] = {
    {"latents", DTYPE_F32, 8, "expected latents of shape [1, 4, 16, 16], got F32 [1, 4, 8, 8]"},
    {"latents", DTYPE_I32, 16, "expected latents of shape [1, 4, 16, 16], got I32 [1, 4, 16, 16]"},
    {"latents", DTYPE_F64, 16, "element 1023: expected a finite number, got nan"},
    {"noise", DTYPE_F64, 16, "expected a tensor named latents or init_noise, or one alone"},
};

START_TEST(latents_that_do_not_fit)
{
    double *data = calloc(4 * 16 * 16, sizeof *data);
    data[4 * 16 * 16 - 1] = (double)NAN;
    int64_t side = latents[_i].side;
    struct tensor tensor = {latents[_i].dtype, 4, {1, 4, side, side}, data};
    struct tensor_set *set = empty_set();
    add_tensor(set, latents[_i].name, &tensor);
    add_tensor(set, "another", &tensor);
    const char *path = path_in(test_folder, "latents.safetensors");
    write_set(set, path);
    tensor_set_free(set);
    free(data);
    int status = plumb("run %s --prompt a --steps 2 --out %s/p.png --latents %s",
        golden_path("models/tiny-sd"), test_folder, path);
    expect_failure(status, STATUS_BAD_INPUT, 1, path, latents[_i].words, NULL);
}
END_TEST

START_TEST(latents_that_are_no_tensors)
{
    const char *sd = golden_path("models/tiny-sd");
    expect_failure(
        plumb("run %s --prompt a --out %s/p.png --latents %s/none.npy", sd, test_folder, test_folder),
        STATUS_BAD_INPUT, 0, "none.npy: cannot be read: No such file or directory", NULL);
    expect_failure(plumb("run %s --prompt a --out %s/p.png --latents %s/scheduler/scheduler_config.json", sd,
                       test_folder, sd),
        STATUS_BAD_INPUT, 0, "scheduler_config.json: expected a .safetensors, .npy, .npz or raw file", NULL);
}
END_TEST

/* --- Outputs ------------------------------------------------------------------------------ */

/* The commands that write a file, up to its path, and what follows it: PICTURE stands for one in the folder,
 * which each of these tests begins with. */
static const struct {
    const char *before, *after;
} writers[] = {
    {"run golden/models/tiny-sd --prompt a --steps 2 --out", ""},
    {"run golden/models/tiny-sd --prompt a --steps 2 --trace", ""},
    {"run golden/models/tiny-sd --prompt a --steps 2 --trace", "--trace-modules"},
    {"schedule DDIM --steps 5 --plot", ""},
    {"sample golden/sched/ddim_one_step.json --tensors golden/sched/ddim_one_step.safetensors --out", ""},
    {"compare golden/models/traces/sdxl-dpm5-leading.safetensors "
     "golden/models/traces/sdxl-dpm5-trailing.safetensors --heatmap",
        ""},
    {"sheet", "PICTURE"},
};

#define PICTURE "picture.png"
static void make_folder_with_picture(void)
{
    make_test_folder();
    static const unsigned char pixels[64 * 64 * 3] = {0};
    ck_assert_int_eq(png_write(path_in(test_folder, PICTURE), pixels, 64, 64, NULL, 0, NULL), STATUS_OK);
}

static int write_to(int writer, const char *path)
{
    const char *after = writers[writer].after;
    if (strcmp(after, "PICTURE") == 0) after = path_in(test_folder, PICTURE);
    return plumb("%s %s %s", writers[writer].before, path, after);
}

START_TEST(outputs_that_cannot_be_written)
{
    const char *missing = path_in(test_folder, "missing/output"), *folder = path_in(test_folder, "folder");
    expect_failure(write_to(_i, missing), STATUS_BAD_INPUT, 1, missing,
        "cannot be written: No such file or directory", NULL);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    expect_failure(
        write_to(_i, folder), STATUS_BAD_INPUT, 2, folder, "cannot be written: Is a directory", NULL);
    ck_assert_uint_eq(count_entries(folder), 0);
    const char *below = path_in(test_folder, "file/output"), *file = path_in(test_folder, "file");
    write_bytes(file, "old", 3);
    expect_failure(
        write_to(_i, below), STATUS_BAD_INPUT, 3, below, "cannot be written: Not a directory", NULL);
}
END_TEST

/* The same under a limit on the size of files that each of the outputs exceeds and no message does. */
static int write_limited(int writer, const char *path)
{
    const char *set = getenv("PLUMB");
    char *program = strdup(set ? set : "build/plumb"), limited[512];
    int length = snprintf(limited, sizeof limited, "sh -c 'ulimit -f 2; exec \"$0\" \"$@\"' %s", program);
    ck_assert_int_lt(length, (int)sizeof limited);
    setenv("PLUMB", limited, 1);
    int status = write_to(writer, path);
    setenv("PLUMB", program, 1);
    free(program);
    return status;
}

/* A disk without room says so at the end of a write (/dev/full), a limit on the size of files in its middle;
 * either way what stood there before still does. */
START_TEST(a_full_disk)
{
    expect_failure(write_to(_i, "/dev/full"), STATUS_MACHINE, 1,
        "/dev/full: cannot be written: No space left on device", NULL);
    const char *path = path_in(test_folder, "output");
    for (size_t there = 0; there < 2; there++) {
        int status = write_limited(_i, path);
        expect_failure(status, STATUS_MACHINE, 1 + there, path, "cannot be written: File too large", NULL);
        write_bytes(path, "old", 3);
    }
    size_t size;
    char *old = (char *)read_bytes(path, &size);
    ck_assert(size == 3 && memcmp(old, "old", 3) == 0);
    free(old);
}
END_TEST

/* All of a batch's pictures can be written, or none is. */
START_TEST(one_picture_of_several_cannot_be_written)
{
    ck_assert_int_eq(mkdir(path_in(test_folder, "p-1.png"), 0777), 0);
    int status = plumb(
        "run %s --prompt a --steps 2 --images 2 --out %s/p.png", golden_path("models/tiny-sd"), test_folder);
    expect_failure(status, STATUS_BAD_INPUT, 2, "p-1.png: cannot be written: Is a directory", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad requests");
    TCase *cases = tcase_create("requests");
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, options_that_are_refused, 0, COUNT(refused));
    tcase_add_test(cases, outputs_that_contradict_each_other);
    tcase_add_loop_test(cases, recipes_that_are_refused, 0, COUNT(recipes));
    tcase_add_test(cases, the_command_line_is_not_the_recipe);
    tcase_add_loop_test(cases, latents_that_do_not_fit, 0, COUNT(latents));
    tcase_add_test(cases, latents_that_are_no_tensors);
    suite_add_tcase(suite, cases);
    TCase *outputs = tcase_create("outputs");
    tcase_add_checked_fixture(outputs, make_folder_with_picture, drop_program_folder);
    tcase_set_timeout(outputs, 60);
    tcase_add_loop_test(outputs, outputs_that_cannot_be_written, 0, COUNT(writers));
    tcase_add_loop_test(outputs, a_full_disk, 0, COUNT(writers));
    tcase_add_test(outputs, one_picture_of_several_cannot_be_written);
    suite_add_tcase(suite, outputs);
    return run_suite(suite);
}
