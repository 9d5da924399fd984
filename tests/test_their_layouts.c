/*
 * Another backend's dump in our layout: shapes that say the same, channels last, halves of guidance together
 * and apart, what a map asks for; and what is never guessed.
 */
#include "their_dump.h"

#include <stdio.h>
#include <string.h>

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

/* --- Halves -------------------------------------------------------------------------------- */

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

int main(void)
{
    Suite *suite = suite_create("their layouts");
    TCase *shapes = tcase_create("shapes");
    tcase_add_checked_fixture(shapes, set_up_dump, drop_dump);
    tcase_add_test(shapes, shapes_that_keep_every_element_in_its_place);
    tcase_add_test(shapes, shapes_that_are_left_alone);
    tcase_add_test(shapes, batches_where_sides_are_unknown);
    tcase_add_test(shapes, both_halves_of_a_model_input);
    tcase_add_test(shapes, both_halves_by_their_own_name);
    tcase_add_test(shapes, channels_last_by_option);
    suite_add_tcase(suite, shapes);
    TCase *maps = tcase_create("maps");
    tcase_add_checked_fixture(maps, set_up_dump, drop_dump);
    tcase_add_loop_test(maps, layouts_by_the_map, 0, 2);
    tcase_add_test(maps, reshape_then_transpose_then_parts);
    tcase_add_test(maps, what_a_map_cannot_do);
    tcase_add_test(maps, halves_of_guidance_apart);
    tcase_add_test(maps, halves_that_are_not_alike);
    suite_add_tcase(suite, maps);
    return run_suite(suite);
}
