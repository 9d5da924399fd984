/*
 * `plumb run` as a user meets it: the files it leaves, byte for byte, and what of a recipe the command line
 * changes.
 */
#include "program.h"

#include "kernels/cpu.h"
#include "ref/compare.h"
#include "ref/png_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPES "golden/models/shapes-xl"
#define TINY "golden/models/tiny-sd"

static void expect_run(const char *arguments)
{
    int status = plumb("run %s", arguments);
    ck_assert_msg(status == 0, "plumb run %s: exit status %d: %s", arguments, status, err);
    ck_assert_str_eq(out, "");
}

/* The whole files: tensors, metadata, picture, text chunks. */
START_TEST(threads_and_repetition_change_no_byte)
{
    static const int threads[] = {1, 1, 2, 3, 8};
    char arguments[1024], picture[16], trace[32];
    for (int i = 0; i < 5; i++) {
        snprintf(arguments, sizeof arguments,
            SHAPES " --prompt 'a red ring on a blue background' --guidance-scale 3 --steps 3 --images 2 "
                   "--threads %d "
                   "--scheduler DPMSolverMultistep --set algorithm_type=sde-dpmsolver++ --trace-modules "
                   "--out %s/%d.png --trace %s/%d.safetensors",
            threads[i], test_folder, i, test_folder, i);
        expect_run(arguments);
        snprintf(trace, sizeof trace, "%d.safetensors", i);
        expect_same_bytes("0.safetensors", trace, arguments);
        for (int k = 0; k < 2; k++) {
            char first[16];
            snprintf(first, sizeof first, "0-%d.png", k);
            snprintf(picture, sizeof picture, "%d-%d.png", i, k);
            expect_same_bytes(first, picture, arguments);
        }
    }
}
END_TEST

/* Every set of vector kernels that this processor has gives the same tensors and pictures, bit for bit; the
 * trace's metadata tells them apart. A set that it lacks is refused. */
START_TEST(kernel_sets_change_no_number)
{
    static const char *const options =
        TINY " --prompt fox --steps 2 --trace-modules --trace %s/%s.safetensors --out %s/%s.png --cpu %s";
    char arguments[1024], picture[32], said[48];
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        const char *name = kernels_set_name(set);
        snprintf(arguments, sizeof arguments, options, test_folder, name, test_folder, name, name);
        if (!kernels_available(set)) {
            ck_assert_int_eq(plumb("run %s", arguments), 2);
            ck_assert_ptr_nonnull(strstr(err, "--cpu: this processor has "));
            continue;
        }
        expect_run(arguments);
        snprintf(picture, sizeof picture, "%s.png", name);
        expect_same_bytes("scalar.png", picture, arguments);
        ck_assert_int_eq(plumb("compare --rtol 0 --atol 0 %s/scalar.safetensors %s/%s.safetensors",
                             test_folder, test_folder, name),
            0);
        struct tensor_set *trace = open_set(path_in(test_folder, "%s.safetensors", name));
        snprintf(said, sizeof said, "\"kernels\":\"%s\"", name);
        ck_assert_ptr_nonnull(strstr(tensor_set_metadata(trace, "machine"), said));
        tensor_set_free(trace);
    }
}
END_TEST

static const char *const recipes[] = {
    "ays_timesteps", "ays_sigmas", "trailing_spacing", "leading_spacing", "karras_sigmas", "zero_snr"};

/* Each runs, and the picture carries the recipe that it was drawn from. */
START_TEST(each_recipe_runs_and_its_picture_tells_it)
{
    bool v_prediction = strcmp(recipes[_i], "zero_snr") == 0;
    int status = plumb(
        "run %s --recipe configs/recipes/%s.json --height 32 --width 32 --out %s/p.png --trace %s/t.npz",
        v_prediction ? "golden/models/tiny-sd21v" : "golden/models/tiny-sdxl", recipes[_i], test_folder,
        test_folder);
    ck_assert_msg(status == 0, "%s", err);
    struct picture picture;
    struct error error = {""};
    ck_assert_int_eq(png_read(path_in(test_folder, "p.png"), &picture, &error), STATUS_OK);
    ck_assert(picture.width == 32 && picture.height == 32);
    bool told = false;
    for (size_t i = 0; i < picture.text_count; i++)
        told = told ||
               (strcmp(picture.texts[i].key, "recipe") == 0 && strstr(picture.texts[i].text, recipes[_i]) &&
                   strstr(picture.texts[i].text, "\"seed\":"));
    ck_assert_msg(told, "%s: the picture's text does not hold its recipe", recipes[_i]);
    picture_free(&picture);
    ck_assert_uint_eq(count_entries(test_folder), 4); /* p.png, t.npz, out, err */
}
END_TEST

/* The number of UNet calls in a trace, and one of its timesteps. */
static size_t steps_of(const char *trace, double *first_timestep)
{
    struct tensor_set *set = open_set(path_in(test_folder, "%s", trace));
    const struct tensor *timesteps = need_tensor(set, "timesteps");
    size_t count = tensor_count(timesteps);
    *first_timestep = tensor_get_double(timesteps, 0);
    tensor_set_free(set);
    return count;
}

/* What the command line says of the schedule takes the place of all that the recipe says of it. */
START_TEST(options_win_over_the_recipe)
{
    double first;
    ck_assert_int_eq(
        plumb("run golden/models/tiny-sdxl --recipe configs/recipes/ays_timesteps.json --steps 3 --height 32 "
              "--width 32 --trace %s/a.safetensors",
            test_folder),
        0);
    ck_assert_uint_eq(steps_of("a.safetensors", &first), 3);
    ck_assert_int_eq(plumb("run golden/models/tiny-sdxl --recipe configs/recipes/trailing_spacing.json --set "
                           "timestep_spacing=leading --height 32 --width 32 --trace %s/b.safetensors",
                         test_folder),
        0);
    ck_assert_uint_eq(steps_of("b.safetensors", &first), 5);
    ck_assert_double_eq(first, 831);
    ck_assert_int_eq(plumb("run golden/models/tiny-sdxl --recipe configs/recipes/trailing_spacing.json "
                           "--scheduler EulerDiscrete "
                           "--timesteps '[999, 500]' --height 32 --width 32 --trace %s/c.safetensors",
                         test_folder),
        0);
    ck_assert_uint_eq(steps_of("c.safetensors", &first), 2);
}
END_TEST

/* The tensor `name` of two traces: equal in every element. */
static void expect_equal_tensors(const char *a, const char *b, const char *name)
{
    struct tensor_set *left = open_set(path_in(test_folder, "%s", a));
    struct tensor_set *right = open_set(path_in(test_folder, "%s", b));
    const struct tensor *x = need_tensor(left, "%s", name), *y = need_tensor(right, "%s", name);
    ck_assert_msg(
        tensor_same_shape(x, y) && tensor_difference(x, y).unequal == 0, "%s of %s and %s", name, a, b);
    tensor_set_free(left);
    tensor_set_free(right);
}

/* latents.init and what came of it are the same when the first draw is handed in. */
START_TEST(given_latents_stand_for_the_first_draw)
{
    ck_assert_int_eq(
        plumb("run " TINY " --prompt fox --steps 4 --seed 7 --trace %s/drawn.safetensors", test_folder), 0);
    struct tensor_set *drawn = open_set(path_in(test_folder, "drawn.safetensors")), *alone = empty_set();
    add_tensor(alone, "latents", need_tensor(drawn, "init_noise"));
    write_set(alone, path_in(test_folder, "latents.npy"));
    ck_assert_int_eq(plumb("run " TINY " --prompt fox --steps 4 --seed 8 --latents %s/latents.npy --trace "
                           "%s/given.safetensors",
                         test_folder, test_folder),
        0);
    expect_equal_tensors("given.safetensors", "drawn.safetensors", "latents.final");
    tensor_set_free(drawn);
    tensor_set_free(alone);
}
END_TEST

/* For Stable Diffusion hidden_states[-1] through the final norm is the last hidden state itself. */
START_TEST(skipping_no_layer_changes_nothing)
{
    ck_assert_int_eq(plumb("run " TINY " --prompt fox --steps 2 --trace %s/a.npz", test_folder), 0);
    ck_assert_int_eq(
        plumb("run " TINY " --prompt fox --steps 2 --clip-skip 0 --trace %s/b.npz", test_folder), 0);
    expect_equal_tensors("a.npz", "b.npz", "prompt_embeds");
    expect_equal_tensors("a.npz", "b.npz", "image");
    ck_assert_int_eq(
        plumb("run " TINY " --prompt fox --steps 2 --clip-skip 9 --trace %s/c.npz", test_folder), 2);
    expect_in(err, "clip_skip: expected at most 3 for the 3 layers of text_encoder, got 9");
}
END_TEST

/* A list of prompts is encoded prompt by prompt; pictures of one prompt stand together. */
START_TEST(prompts_of_a_list_stand_in_order)
{
    static const char recipe[] = "{\"prompt\": [\"fox\", \"owl\"], \"num_images_per_prompt\": 2}";
    write_bytes(path_in(test_folder, "r.json"), recipe, sizeof recipe - 1);
    ck_assert_int_eq(
        plumb("run " TINY " --recipe %s/r.json --steps 1 --trace %s/all.npz", test_folder, test_folder), 0);
    struct tensor_set *all = open_set(path_in(test_folder, "all.npz"));
    const struct tensor *embeds = need_tensor(all, "prompt_embeds"); /* [4, 77, 32] */
    ck_assert_int_eq(embeds->shape[0], 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(plumb("run " TINY " --prompt %s --steps 1 --trace %s/%d.npz", i < 2 ? "fox" : "owl",
                             test_folder, i),
            0);
        struct tensor_set *one = open_set(path_in(test_folder, "%d.npz", i));
        const struct tensor *alone = need_tensor(one, "prompt_embeds");
        struct tensor row = *alone;
        row.data = (char *)embeds->data + (size_t)i * tensor_bytes(alone);
        struct difference d = tensor_difference(&row, alone);
        ck_assert_msg(
            d.max_rel_peak <= 1e-6, "row %d: %g of the peak apart", i, d.max_rel_peak); /* rounding */
        tensor_set_free(one);
    }
    tensor_set_free(all);
}
END_TEST

/* Timesteps at or above 1000 - 0.6 * 1000: of 10 trailing ones (999, 899, ... 99) the first six. */
START_TEST(denoising_end_cuts_the_schedule)
{
    ck_assert_int_eq(
        plumb("run golden/models/tiny-sdxl --prompt fox --steps 10 --set timestep_spacing=trailing "
              "--denoising-end 0.6 --height 32 --width 32 --trace %s/t.safetensors",
            test_folder),
        0);
    struct tensor_set *set = open_set(path_in(test_folder, "t.safetensors"));
    need_tensor(set, "step.05.latents");
    ck_assert_ptr_null(tensor_set_find(set, "step.06.latents"));
    ck_assert_uint_eq(
        tensor_difference(need_tensor(set, "step.05.latents"), need_tensor(set, "latents.final")).unequal, 0);
    tensor_set_free(set);
}
END_TEST

START_TEST(a_trace_may_be_a_folder_of_arrays)
{
    ck_assert_int_eq(plumb("run " TINY " --prompt fox --steps 1 --trace %s/arrays/", test_folder), 0);
    ck_assert_int_eq(plumb("run " TINY " --prompt fox --steps 1 --trace %s/t.safetensors", test_folder), 0);
    ck_assert_int_eq(plumb("compare %s/arrays %s/t.safetensors", test_folder, test_folder), 0);
}
END_TEST

START_TEST(the_double_run_is_a_double_trace)
{
    ck_assert_int_eq(
        plumb("run " TINY " --prompt fox --steps 2 --precision f64 --trace %s/t.safetensors", test_folder),
        0);
    struct tensor_set *set = open_set(path_in(test_folder, "t.safetensors"));
    ck_assert_int_eq(need_tensor(set, "step.01.latents")->dtype, DTYPE_F64);
    ck_assert_str_eq(tensor_set_metadata(set, "precision"), "f64");
    ck_assert_ptr_nonnull(strstr(tensor_set_metadata(set, "machine"), "\"cpu\""));
    ck_assert_ptr_nonnull(strstr(tensor_set_metadata(set, "schedule"), "PNDMScheduler"));
    ck_assert_ptr_nonnull(strstr(tensor_set_metadata(set, "recipe"), "fox"));
    tensor_set_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run");
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, make_test_folder, drop_program_folder);
    tcase_set_timeout(runs, 300);
    tcase_add_test(runs, threads_and_repetition_change_no_byte);
    tcase_add_test(runs, kernel_sets_change_no_number);
    tcase_add_loop_test(
        runs, each_recipe_runs_and_its_picture_tells_it, 0, (int)(sizeof recipes / sizeof *recipes));
    tcase_add_test(runs, options_win_over_the_recipe);
    tcase_add_test(runs, given_latents_stand_for_the_first_draw);
    tcase_add_test(runs, skipping_no_layer_changes_nothing);
    tcase_add_test(runs, prompts_of_a_list_stand_in_order);
    tcase_add_test(runs, denoising_end_cuts_the_schedule);
    tcase_add_test(runs, a_trace_may_be_a_folder_of_arrays);
    tcase_add_test(runs, the_double_run_is_a_double_trace);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
