/*
 * Another backend's dump in our names and our layout: what is recognised, what a map does, what is never
 * guessed, and what is said of the rest.
 */
#include "numpy_support.h"

#include "ref/known_tensors.h"
#include "ref/their_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct known_tensors known;
static struct their_tensors theirs;
static struct warnings warnings;
static struct tensor_set *dump;

/* --- A small run and dumps of it ---------------------------------------------------------- */

static void know(const char *name, int rank, const int64_t *shape)
{
    ck_assert_int_eq(known_tensors_add(&known, name, rank, shape, NULL), STATUS_OK);
}

/* Twelve steps of a guided run with one picture, [1, 4, 6, 8] in latents. */
static void set_up(void)
{
    make_test_folder();
    known = (struct known_tensors){0};
    for (int step = 0; step < 12; step++) {
        static const char *const keys[] = {"model_input", "noise_pred_uncond", "noise_pred_text", "latents"};
        for (size_t i = 0; i < 4; i++) {
            char name[64];
            snprintf(name, sizeof name, "step.%02d.%s", step, keys[i]);
            know(name, 4, (int64_t[]){1, 4, 6, 8});
        }
    }
    know("act.unet.conv_in", 4, (int64_t[]){2, 16, 6, 8});
    know("act.unet.mid_block.attentions.0", 4, (int64_t[]){2, 16, 3, 4});
    know("act.unet.mid_block.attentions.0.transformer_blocks.0", 3, (int64_t[]){2, 12, 16});
    know("step.01.act.unet.conv_in", 4, (int64_t[]){2, 16, 6, 8});
    know("prompt_embeds", 3, (int64_t[]){1, 77, 32});
    know("image_u8", 4, (int64_t[]){1, 12, 16, 3});
    know("somewhere", UNKNOWN_RANK, NULL);
    ck_assert_int_eq(known_tensors_add_keys(&known, 12, NULL), STATUS_OK);
    known_tensors_order(&known);
    dump = empty_set();
    warnings = (struct warnings){0};
}

static void tear_down(void)
{
    their_tensors_free(&theirs);
    known_tensors_free(&known);
    warnings_free(&warnings);
    tensor_set_free(dump);
    drop_test_folder();
}

/* Adds a tensor whose elements count from `first`. */
static void put_floats(const char *name, int rank, const int64_t *shape, float first)
{
    struct tensor tensor = {.dtype = DTYPE_F32, .rank = rank};
    memcpy(tensor.shape, shape, (size_t)rank * sizeof *shape);
    size_t count = tensor_count(&tensor);
    float *data = malloc((count + 1) * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < count; i++) data[i] = first + (float)i;
    tensor.data = data;
    add_tensor(dump, name, &tensor);
    free(data);
}
#define PUT(name, first, ...)                                                                                \
    put_floats(name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__}, first)

static enum status open_dump(const char *map, bool channels_last, struct error *error)
{
    const char *path = path_in(test_folder, "dump.safetensors"), *names = path_in(test_folder, "names.json");
    write_set(dump, path);
    if (map) write_bytes(names, map, strlen(map));
    struct their_options options = {.map = map ? names : NULL, .channels_last = channels_last};
    return their_tensors_open(path, &options, &known, &theirs, &warnings, error);
}

static void must_open(const char *map, bool channels_last)
{
    struct error error = {""};
    enum status status = open_dump(map, channels_last, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

/* Ours must be there, with this shape, from this name of theirs. */
static const struct tensor *expect(const char *name, const char *their_name, const char *shape)
{
    char shown[128];
    const struct tensor *tensor = tensor_set_find(theirs.tensors, name);
    const struct their_record *record = their_tensors_record(&theirs, name);
    ck_assert_msg(tensor && record, "%s is not there", name);
    ck_assert_str_eq(record->their_name, their_name);
    ck_assert_str_eq(tensor_show_shape(tensor, shown, sizeof shown), shape);
    return tensor;
}

static void expect_element(const struct tensor *tensor, size_t i, double value)
{
    ck_assert_double_eq(tensor_get_double(tensor, i), value);
}

static void expect_change(const char *name, const char *words)
{
    const struct their_record *record = their_tensors_record(&theirs, name);
    if (words == NULL)
        ck_assert_msg(record->change == NULL, "%s: %s", name, record->change);
    else
        ck_assert_msg(record->change && strstr(record->change, words), "%s: expected \"%s\", got %s", name,
            words, record->change);
}

static bool warned(const char *words)
{
    for (size_t i = 0; i < warnings.count; i++)
        if (strstr(warnings.items[i], words)) return true;
    return false;
}

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

/* --- Shapes without a map ----------------------------------------------------------------- */

START_TEST(shapes_that_keep_every_element_in_its_place)
{
    PUT("step.00.latents", 1, 4, 6, 8);
    PUT("step.01.latents", 1, 1, 1, 4, 6, 8, 1);
    PUT("step.02.latents", 1, 4, 48);
    PUT("step.03.latents", 1, 192);
    PUT("act.unet.mid_block.attentions.0.transformer_blocks.0", 1, 24, 16);
    PUT("prompt_embeds", 1, 77, 32);
    must_open(NULL, false);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "step.%02d.latents", i);
        const struct tensor *tensor = expect(name, name, "[1, 4, 6, 8]");
        for (size_t n = 0; n < 192; n++) expect_element(tensor, n, 1.0 + (double)n);
    }
    expect_change("step.00.latents", "[4, 6, 8] read as [1, 4, 6, 8]");
    expect("prompt_embeds", "prompt_embeds", "[1, 77, 32]");
    expect("act.unet.mid_block.attentions.0.transformer_blocks.0",
        "act.unet.mid_block.attentions.0.transformer_blocks.0", "[2, 12, 16]");
}
END_TEST

/* Channels last, another batch, rows and columns exchanged: all of them may be the port's fault. */
START_TEST(shapes_that_are_left_alone)
{
    PUT("step.00.latents", 1, 1, 6, 8, 4);
    PUT("step.01.latents", 1, 6, 8, 4);
    PUT("step.02.latents", 1, 1, 4, 8, 6);
    PUT("step.03.latents", 1, 2, 4, 6, 8);
    PUT("step.04.latents", 1, 1, 4, 6, 0);
    PUT("step.05.latents", 1, 48, 4);
    PUT("somewhere", 1, 3, 3);
    must_open(NULL, false);
    expect("step.00.latents", "step.00.latents", "[1, 6, 8, 4]");
    expect("step.01.latents", "step.01.latents", "[6, 8, 4]");
    expect("step.02.latents", "step.02.latents", "[1, 4, 8, 6]");
    expect("step.03.latents", "step.03.latents", "[2, 4, 6, 8]");
    expect("step.04.latents", "step.04.latents", "[1, 4, 6, 0]");
    expect("step.05.latents", "step.05.latents", "[48, 4]");
    expect("somewhere", "somewhere", "[3, 3]");
    for (size_t i = 0; i < theirs.count; i++) expect_change(theirs.records[i].name, NULL);
}
END_TEST

/* Where only the number of sides is known. */
START_TEST(batches_where_sides_are_unknown)
{
    PUT("pooled_prompt_embeds", 1, 20);
    PUT("negative_prompt_embeds", 1, 1, 1, 77, 32);
    PUT("vae_input", 1, 2, 2, 4, 6, 8);
    must_open(NULL, false);
    expect("pooled_prompt_embeds", "pooled_prompt_embeds", "[1, 20]");
    expect("negative_prompt_embeds", "negative_prompt_embeds", "[1, 77, 32]");
    expect("vae_input", "vae_input", "[2, 2, 4, 6, 8]");
}
END_TEST

START_TEST(both_halves_of_a_model_input)
{
    float data[384];
    for (size_t i = 0; i < 384; i++) data[i] = (float)(i % 192);
    add_tensor(dump, "step.00.model_input", &(struct tensor){DTYPE_F32, 4, {2, 4, 6, 8}, data});
    data[383] = 0.5F; /* no longer equal: not ours to choose */
    add_tensor(dump, "step.01.model_input", &(struct tensor){DTYPE_F32, 4, {2, 4, 6, 8}, data});
    must_open(NULL, false);
    expect_element(expect("step.00.model_input", "step.00.model_input", "[1, 4, 6, 8]"), 191, 191);
    expect("step.01.model_input", "step.01.model_input", "[2, 4, 6, 8]");
}
END_TEST

START_TEST(both_halves_by_their_own_name)
{
    PUT("step.7.noise_pred_both", 0, 2, 4, 6, 8);
    must_open(NULL, false);
    expect_element(expect("step.07.noise_pred_uncond", "step.7.noise_pred_both", "[1, 4, 6, 8]"), 0, 0);
    expect_element(expect("step.07.noise_pred_text", "step.7.noise_pred_both", "[1, 4, 6, 8]"), 0, 192);
    their_tensors_free(&theirs);
    PUT("step.8.noise_pred_both", 0, 3, 4, 6, 8);
    struct error error = {""};
    expect_error(open_dump(NULL, false, &error), STATUS_BAD_INPUT, &error,
        "dump.safetensors: tensor step.8.noise", "2 names have equal parts, got [3, 4, 6, 8]", NULL);
}
END_TEST

/* --- Layout ------------------------------------------------------------------------------- */

/* theirs[b, y, x, c] counts up; ours is [b, c, y, x]. */
static void check_channels_first(const struct tensor *tensor, size_t channels, size_t height, size_t width)
{
    for (size_t i = 0; i < tensor_count(tensor); i++) {
        size_t x = i % width, y = i / width % height, c = i / width / height % channels,
               b = i / width / height / channels;
        expect_element(tensor, i, (double)(((b * height + y) * width + x) * channels + c));
    }
}

START_TEST(channels_last_by_option)
{
    PUT("step.00.latents", 0, 1, 6, 8, 4);
    PUT("step.01.latents", 0, 6, 8, 4);
    PUT("act.unet.conv_in", 0, 2, 6, 8, 16);
    PUT("prompt_embeds", 0, 1, 77, 32);
    PUT("act.unet.mid_block.attentions.0.transformer_blocks.0", 0, 2, 12, 16);
    PUT("image_u8", 0, 1, 12, 16, 3);
    PUT("somewhere", 0, 1, 2, 3, 5);
    must_open(NULL, true);
    check_channels_first(expect("step.00.latents", "step.00.latents", "[1, 4, 6, 8]"), 4, 6, 8);
    check_channels_first(expect("step.01.latents", "step.01.latents", "[1, 4, 6, 8]"), 4, 6, 8);
    check_channels_first(expect("act.unet.conv_in", "act.unet.conv_in", "[2, 16, 6, 8]"), 16, 6, 8);
    check_channels_first(expect("somewhere", "somewhere", "[1, 5, 2, 3]"), 5, 2, 3);
    expect_change("step.00.latents", "channels last to first");
    expect_element(expect("image_u8", "image_u8", "[1, 12, 16, 3]"), 1, 1);
    expect_element(expect("prompt_embeds", "prompt_embeds", "[1, 77, 32]"), 1, 1);
}
END_TEST

START_TEST(layouts_by_the_map)
{
    PUT("a", 0, 1, 6, 8, 4);
    PUT("b", 0, 1, 4, 6, 8);
    PUT("pixels", 0, 1, 3, 12, 16);
    PUT("latents.final", 0, 1, 6, 8, 4);
    must_open(
        "{\"a\": {\"to\": \"step.00.latents\", \"layout\": \"nhwc\"}, \"b\": {\"to\": \"step.01.latents\", "
        "\"layout\": \"nchw\"}, \"pixels\": {\"to\": \"image_u8\", \"layout\": \"nchw\"}}",
        _i == 1);
    check_channels_first(expect("step.00.latents", "a", "[1, 4, 6, 8]"), 4, 6, 8);
    expect_element(
        expect("step.01.latents", "b", "[1, 4, 6, 8]"), 9, 9); /* the entry stands over the option */
    const struct tensor *pixels = expect("image_u8", "pixels", "[1, 12, 16, 3]");
    for (size_t i = 0; i < 576; i++) expect_element(pixels, i, (double)(i % 3 * 192 + i / 3));
    expect("latents.final", "latents.final", _i == 1 ? "[1, 4, 6, 8]" : "[1, 6, 8, 4]");
}
END_TEST

START_TEST(reshape_then_transpose_then_parts)
{
    PUT("x", 0, 2 * 48, 4); /* [2, H, W, C] in rows */
    must_open(
        "{\"x\": {\"to\": [null, \"step.02.latents\"], \"reshape\": [2, 6, -1, 4], \"transpose\": [0, 3, "
        "1, 2]}}",
        true); /* an entry's own transposition is all there is */
    const struct tensor *ours = expect("step.02.latents", "x", "[1, 4, 6, 8]");
    for (size_t i = 0; i < 192; i++) expect_element(ours, i, (double)(192 + i % 48 * 4 + i / 48));
    expect_change("step.02.latents", "[96, 4] as [2, 6, 8, 4], transposed, part 2 of 2 of [2, 4, 6, 8]");
}
END_TEST

START_TEST(what_a_map_cannot_do)
{
    static const struct {
        const char *map, *words;
    } cases[] = {
        {"{\"x\": {\"to\": \"step.00.latents\", \"reshape\": [5, -1]}}", "names.json: \"x\": "},
        {"{\"x\": {\"to\": \"step.00.latents\", \"reshape\": [5, -1]}}",
            "tensor x: reshape: the 192 elements of [192] are not [5, -1]"},
        {"{\"x\": {\"to\": \"step.00.latents\", \"reshape\": [191]}}", "are not [191]"},
        {"{\"x\": {\"to\": \"step.00.latents\", \"reshape\": [0, -1]}}", "are not [0, -1]"},
        {"{\"x\": {\"to\": \"step.00.latents\", \"reshape\": [9007199254740992, 9007199254740992]}}",
            "are not [9007199254740992, 9007199254740992]"},
        {"{\"x\": {\"to\": \"step.00.latents\", \"transpose\": [1, 0]}}",
            "transpose: expected 2 sides, got [192]"},
        {"{\"x\": [\"step.00.latents\", \"step.01.latents\", null, null, null]}",
            "5 names have equal parts, got [192]"},
    };
    PUT("x", 0, 192);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        enum status status = open_dump(cases[i].map, false, &error);
        expect_error(status, STATUS_BAD_INPUT, &error, "dump.safetensors", cases[i].words, NULL);
        ck_assert(theirs.tensors == NULL && theirs.file == NULL && theirs.records == NULL);
    }
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

START_TEST(halves_of_guidance_apart)
{
    PUT("text.conv_in", 5000, 6, 8, 16);
    PUT("uncond.conv_in", 0, 6, 8, 16);
    PUT("text.mid_block.attentions.0", 0, 1, 3, 4, 16);
    must_open("{\"uncond.*\": {\"to\": \"act.unet.*\", \"half\": \"uncond\", \"reshape\": [1, 6, 8, 16], "
              "\"layout\": \"nhwc\"}, \"text.conv*\": {\"to\": \"act.unet.conv*\", \"half\": \"text\", "
              "\"reshape\": [1, 6, 8, 16], \"layout\": \"nhwc\"}, \"text.*\": {\"to\": \"act.unet.*\", "
              "\"half\": \"text\"}}",
        false);
    const struct tensor *both = expect("act.unet.conv_in", "text.conv_in", "[2, 16, 6, 8]");
    expect_element(both, 0, 0); /* uncond first, whatever the names */
    expect_element(both, 1, 16);
    expect_element(both, 768, 5000);
    expect_change("act.unet.conv_in", "two halves of [1, 16, 6, 8] in one batch");
    ck_assert(
        theirs.count == 1 && warned("only the half \"text\" of act.unet.mid_block.attentions.0 is there"));
}
END_TEST

START_TEST(halves_that_are_not_alike)
{
    PUT("t", 0, 1, 16, 6, 8);
    PUT("u", 0, 1, 16, 8, 6);
    struct error error = {""};
    enum status status =
        open_dump("{\"u\": {\"to\": \"act.unet.conv_in\", \"half\": \"uncond\"}, \"t\": {\"to\": "
                  "\"act.unet.conv_in\", \"half\": \"text\"}}",
            false, &error);
    expect_error(status, STATUS_BAD_INPUT, &error,
        "names.json: \"t\": ", "half: expected two halves alike, got F32 [1, 16, 8, 6] and F32 [1, 16, 6, 8]",
        NULL);
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
    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_test(names, our_own_names);
    tcase_add_test(names, names_that_cannot_be_mistaken);
    tcase_add_loop_test(names, the_first_steps_modules, 0, 2);
    tcase_add_test(names, names_that_are_none_of_ours);
    tcase_add_test(names, thousands_of_unknown_names);
    tcase_add_test(names, names_given_twice);
    suite_add_tcase(suite, names);
    TCase *shapes = tcase_create("shapes");
    tcase_add_checked_fixture(shapes, set_up, tear_down);
    tcase_add_test(shapes, shapes_that_keep_every_element_in_its_place);
    tcase_add_test(shapes, shapes_that_are_left_alone);
    tcase_add_test(shapes, batches_where_sides_are_unknown);
    tcase_add_test(shapes, both_halves_of_a_model_input);
    tcase_add_test(shapes, both_halves_by_their_own_name);
    tcase_add_test(shapes, channels_last_by_option);
    suite_add_tcase(suite, shapes);
    TCase *maps = tcase_create("maps");
    tcase_add_checked_fixture(maps, set_up, tear_down);
    tcase_add_loop_test(maps, layouts_by_the_map, 0, 2);
    tcase_add_test(maps, reshape_then_transpose_then_parts);
    tcase_add_test(maps, what_a_map_cannot_do);
    tcase_add_test(maps, names_by_the_map);
    tcase_add_test(maps, halves_of_guidance_apart);
    tcase_add_test(maps, halves_that_are_not_alike);
    suite_add_tcase(suite, maps);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_loop_test(files, every_container, 0, 3);
    tcase_add_test(files, every_type);
    tcase_add_test(files, names_that_lead_elsewhere);
    tcase_add_test(files, files_that_are_not_there);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
