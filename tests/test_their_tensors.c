/*
 * Another backend's dump in our names: what is recognised, what a map does, which containers it may be, and
 * what is said of the rest. Shapes and layouts are in test_their_layouts.c.
 */
#include "numpy_support.h"
#include "their_dump.h"

#include <stdio.h>
#include <string.h>

/* --- Names without a map ------------------------------------------------------------------ */

START_TEST(our_own_names)
{
    PUT("step.03.latents", 5, 1, 4, 6, 8);
    PUT("f64.step.03.latents", 5, 1, 4, 6, 8);
    ck_assert_int_eq(tensor_set_put_metadata(dump, "recipe", "{}", NULL), STATUS_OK);
    must_open(NULL, false);
    expect_element(expect("step.03.latents", "step.03.latents", "[1, 4, 6, 8]"), 7, 12);
    expect_change("step.03.latents", NULL);
    ck_assert(theirs.count == 1 && theirs.ignored == 1 && theirs.unknown_count == 0);
    ck_assert_str_eq(tensor_set_metadata(theirs.tensors, "recipe"), "{}");
    ck_assert(their_tensors_record(&theirs, "step.04.latents") == NULL);
    ck_assert_uint_eq(warnings.count, 0);
}
END_TEST

START_TEST(names_that_cannot_be_mistaken)
{
    static const struct {
        const char *theirs, *ours;
    } cases[] = {
        {"step.3.latents", "step.03.latents"},
        {"Step_11_Latents", "step.11.latents"},
        {"step/0004/noise_pred_text", "step.04.noise_pred_text"},
        {"step-05:noise-pred uncond", "step.05.noise_pred_uncond"},
        {"unet.conv_in", "act.unet.conv_in"},
        {"step.1.unet.conv_in", "step.01.act.unet.conv_in"},
        {"prompt.embeds", "prompt_embeds"},
        {"act/unet/mid_block/attentions/0/transformer_blocks/0",
            "act.unet.mid_block.attentions.0.transformer_blocks.0"},
        {"/unet/mid_block/attentions/0/", "act.unet.mid_block.attentions.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) PUT(cases[i].theirs, (float)i, 1);
    must_open(NULL, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_element(expect(cases[i].ours, cases[i].theirs, "[1]"), 0, (double)i);
    ck_assert_uint_eq(theirs.unknown_count, 0);
}
END_TEST

/* The first step's modules have names without a step. */
START_TEST(the_first_steps_modules)
{
    static const char *const names[] = {"step.0.act.unet.conv_in", "step_00_unet_conv_in"};
    PUT(names[_i], 1, 2, 16, 6, 8);
    must_open(NULL, false);
    expect("act.unet.conv_in", names[_i], "[2, 16, 6, 8]");
}
END_TEST

START_TEST(names_that_are_none_of_ours)
{
    static const struct {
        const char *theirs, *nearest;
    } cases[] = {
        {"act.unet.mid_blocks.attention.0", "act.unet.mid_block.attentions.0"},
        {"latents_final", "latents.final"}, /* recognised: no unknown name */
        {"step.3.latent", "step.03.latents"},
        {"encoder_hidden_states", NULL},
        {"final_latents", "latents.final"},
        {"it11/latents", "step.11.latents"},
        {"promt_embed", "prompt_embeds"},
        {"step.12.latents", NULL}, /* there is no such step */
        {"#", NULL},
        {"", NULL},
        {"..", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) PUT(cases[i].theirs, 1, 1);
    must_open(NULL, false);
    expect("latents.final", "latents_final", "[1]");
    ck_assert_uint_eq(theirs.unknown_count, sizeof cases / sizeof *cases - 1);
    for (size_t i = 0; i < theirs.unknown_count; i++) {
        const struct unknown_name *unknown = &theirs.unknown[i];
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            if (strcmp(cases[c].theirs, unknown->their_name) != 0) continue;
            bool found = cases[c].nearest == NULL;
            for (int n = 0; n < NEAREST_NAMES && unknown->nearest[n]; n++)
                found = found || strcmp(unknown->nearest[n], cases[c].nearest) == 0;
            ck_assert_msg(found, "%s: nearest %s, not %s", unknown->their_name,
                unknown->nearest[0] ? unknown->nearest[0] : "none", cases[c].nearest);
        }
    }
    their_tensors_warn(&theirs, 3, &warnings);
    ck_assert(warned("7 more names"));
    their_tensors_warn(&theirs, 20, &warnings);
    ck_assert(warned("final_latents is no tensor of a run (did you mean latents.final"));
    ck_assert(warned("# is no tensor of a run"));
}
END_TEST

/* A dump with very many names that mean nothing to us. */
START_TEST(thousands_of_unknown_names)
{
    for (int i = 0; i < 3000; i++) {
        char name[64];
        snprintf(name, sizeof name, "model.diffusion_model.output_blocks.%d.out", i);
        PUT(name, 1, 1);
    }
    must_open(NULL, false);
    ck_assert(theirs.count == 0 && theirs.unknown_count == 3000);
    their_tensors_warn(&theirs, 5, &warnings);
    ck_assert_uint_eq(warnings.count, 6);
}
END_TEST

START_TEST(names_given_twice)
{
    PUT("Step.3.latents", 9, 1, 4, 6, 8); /* before the exact name, by its name */
    PUT("step.03.latents", 1, 1, 4, 6, 8);
    PUT("step.3.latents", 1, 4, 6, 8); /* but for the batch the same */
    PUT("final", 2, 1);
    PUT("end", 2, 1);
    must_open("{\"final\": \"latents.final\", \"end\": \"latents.final\"}", false);
    expect_element(expect("step.03.latents", "step.03.latents", "[1, 4, 6, 8]"), 0, 1);
    expect_element(expect("latents.final", "end", "[1]"), 0, 2);
    ck_assert(theirs.count == 2 && theirs.twice_count == 3);
    const struct name_twice *twice = theirs.twice;
    ck_assert(strcmp(twice[0].name, "latents.final") == 0 && strcmp(twice[0].left_out, "final") == 0 &&
              twice[0].same);
    ck_assert(strcmp(twice[1].left_out, "Step.3.latents") == 0 && !twice[1].same);
    ck_assert(strcmp(twice[2].left_out, "step.3.latents") == 0 && twice[2].same);
    ck_assert_str_eq(twice[2].their_name, "step.03.latents");
    their_tensors_warn(&theirs, 0, &warnings);
    ck_assert(warned("step.03.latents is there twice: step.03.latents is taken, step.3.latents is left out "
                     "(the two are the same)"));
}
END_TEST

/* --- Maps --------------------------------------------------------------------------------- */

START_TEST(names_by_the_map)
{
    PUT("out/it_1", 0, 2, 4, 6, 8);
    PUT("out/it_12", 1000, 2, 4, 6, 8);
    PUT("debug/x", 0, 1);
    PUT("lat/3", 7, 4, 6, 8);
    PUT("lat/last", 7, 4, 6, 8);
    PUT("other", 7, 1);
    PUT("lost/3", 7, 1);
    must_open("{\"out/it_*\": [\"step.{1-1}.noise_pred_text\", \"step.{1-1:02d}.noise_pred_uncond\"], "
              "\"debug/*\": null, \"lat/*\": \"step.{1:02d}.latents\", \"never.*\": \"act.*\", \"lost/*\": "
              "\"step.*.latent\"}",
        false);
    expect_element(expect("step.00.noise_pred_text", "out/it_1", "[1, 4, 6, 8]"), 0, 0); /* text first */
    expect_element(expect("step.00.noise_pred_uncond", "out/it_1", "[1, 4, 6, 8]"), 0, 192);
    expect_element(expect("step.11.noise_pred_uncond", "out/it_12", "[1, 4, 6, 8]"), 0, 1192);
    expect_element(expect("step.03.latents", "lat/3", "[1, 4, 6, 8]"), 0, 7);
    ck_assert(theirs.count == 5 && theirs.ignored == 1 && theirs.unknown_count == 3);
    ck_assert_str_eq(theirs.unknown[0].their_name, "lat/last");
    ck_assert(theirs.unknown[0].mapped == NULL);
    ck_assert_str_eq(theirs.unknown[1].their_name, "lost/3");
    ck_assert_str_eq(theirs.unknown[1].mapped, "step.3.latent");
    ck_assert_str_eq(theirs.unknown[1].nearest[0], "step.03.latents");
    ck_assert(warnings.count == 1 && warned("names.json: \"never.*\": no tensor of"));
    their_tensors_warn(&theirs, 10, &warnings);
    ck_assert(warned("lost/3, mapped to step.3.latent, is no tensor of a run"));
}
END_TEST

/* --- Containers --------------------------------------------------------------------------- */

/* The same tensors in every container, some of whose names are recognised and some not. */
START_TEST(every_container)
{
    static const char *const endings[] = {"a.safetensors", "a.npz", "folder/"};
    PUT("step.3.latents", 3, 4, 6, 8);
    PUT("step.04.latents", 4, 1, 4, 6, 8);
    PUT("nobody", 4, 1);
    const char *path = path_in(test_folder, "%s", endings[_i]);
    write_set(dump, path);
    if (_i == 2) { /* and a raw file among the others */
        const float data[192] = {17};
        write_bytes(path_in(path, "step.05.latents.f32"), data, sizeof data);
        write_bytes(path_in(path, "step.05.latents.json"), "{\"shape\": [4, 6, 8]}", 20);
    }
    struct error error = {""};
    enum status status =
        their_tensors_open(path, &(struct their_options){.map = NULL}, &known, &theirs, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    expect_element(expect("step.03.latents", "step.3.latents", "[1, 4, 6, 8]"), 1, 4);
    expect_element(expect("step.04.latents", "step.04.latents", "[1, 4, 6, 8]"), 1, 5);
    if (_i == 2) expect_element(expect("step.05.latents", "step.05.latents", "[1, 4, 6, 8]"), 0, 17);
    ck_assert(theirs.unknown_count == 1 && theirs.count == (_i == 2 ? 3 : 2));
}
END_TEST

/* Elements of any type, also through a transposition. */
START_TEST(every_type)
{
    static const enum dtype types[] = {DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I64, DTYPE_I8, DTYPE_BOOL};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        char name[32];
        unsigned char data[192 * 8];
        for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37 % 64);
        snprintf(name, sizeof name, "step.%02zu.latents", t);
        add_tensor(dump, name, &(struct tensor){types[t], 4, {1, 6, 8, 4}, data});
    }
    must_open(NULL, true);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const struct tensor *ours = tensor_set_at(theirs.tensors, t), *as_was = tensor_set_at(dump, t);
        ck_assert_int_eq(ours->dtype, types[t]);
        for (size_t i = 0; i < 192; i++)
            expect_element(ours, i, tensor_get_double(as_was, i % 48 * 4 + i / 48));
    }
}
END_TEST

START_TEST(names_that_lead_elsewhere)
{
    static struct zip zip;
    zip = (struct zip){.count = 0};
    struct buffer npy = make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234", 4);
    add_entry(&zip, "../../step.03.latents.npy", &npy, 0);
    add_entry(&zip, "/etc/passwd.npy", &npy, DEFLATE);
    struct buffer archive = finish_zip(&zip, false, "");
    const char *path = path_in(test_folder, "x.npz");
    write_bytes(path, archive.bytes, archive.size);
    struct error error = {""};
    enum status status =
        their_tensors_open(path, &(struct their_options){.map = NULL}, &known, &theirs, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    expect("step.03.latents", "../../step.03.latents", "[1]"); /* a name, which no file is opened by */
    ck_assert_uint_eq(theirs.unknown_count, 1);
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

START_TEST(files_that_are_not_there)
{
    struct error error = {""};
    struct their_options options = {.map = path_in(test_folder, "no.json")};
    const char *path = path_in(test_folder, "no.npz");
    expect_error(their_tensors_open(path, &options, &known, &theirs, NULL, &error), STATUS_BAD_INPUT, &error,
        "no.json", NULL);
    options.map = NULL;
    expect_error(their_tensors_open(path, &options, &known, &theirs, NULL, &error), STATUS_BAD_INPUT, &error,
        "no.npz", NULL);
    ck_assert(theirs.tensors == NULL && theirs.file == NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("their tensors");
    TCase *names = tcase_create("names");
    tcase_add_checked_fixture(names, set_up_dump, drop_dump);
    tcase_add_test(names, our_own_names);
    tcase_add_test(names, names_that_cannot_be_mistaken);
    tcase_add_loop_test(names, the_first_steps_modules, 0, 2);
    tcase_add_test(names, names_that_are_none_of_ours);
    tcase_add_test(names, thousands_of_unknown_names);
    tcase_add_test(names, names_given_twice);
    suite_add_tcase(suite, names);
    TCase *maps = tcase_create("maps");
    tcase_add_checked_fixture(maps, set_up_dump, drop_dump);
    tcase_add_test(maps, names_by_the_map);
    suite_add_tcase(suite, maps);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up_dump, drop_dump);
    tcase_add_loop_test(files, every_container, 0, 3);
    tcase_add_test(files, every_type);
    tcase_add_test(files, names_that_lead_elsewhere);
    tcase_add_test(files, files_that_are_not_there);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
