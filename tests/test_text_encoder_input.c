/*
 * Text encoders with configs, weights and ids that are wrong, and with the other ways in which right ones are
 * published.
 */
#include "ref/text_encoder.h"
#include "run_text_encoder.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* A checkpoint with nothing but tiny-sdxl's text_encoder_2, in a temporary folder. */
static void temporary_checkpoint(struct checkpoint *checkpoint)
{
    struct error error = {""};
    ck_assert_int_eq(checkpoint_open(golden_path("models/tiny-sdxl"), checkpoint, &error), STATUS_OK);
    free(checkpoint->folder);
    checkpoint->folder = temporary_folder();
    copy_folder(
        golden_path("models/tiny-sdxl/text_encoder_2"), path_in(checkpoint->folder, "text_encoder_2"));
}

static void remove_checkpoint(struct checkpoint *checkpoint)
{
    char *folder = strdup(checkpoint->folder);
    checkpoint_close(checkpoint);
    remove_folder(folder);
}

/* Sets `key` of the config to the JSON text `value`; NULL removes it. */
static void edit_config(const struct checkpoint *checkpoint, const char *key, const char *value)
{
    struct error error = {""};
    cJSON *config = NULL;
    char *path = checkpoint_path(checkpoint, "text_encoder_2", "config.json");
    ck_assert_int_eq(json_read_file(path, &config, &error), STATUS_OK);
    cJSON_DeleteItemFromObjectCaseSensitive(config, key);
    if (value) cJSON_AddItemToObject(config, key, cJSON_Parse(value));
    char *text = cJSON_Print(config);
    write_bytes(path, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(config);
    free(path);
}

static const struct bad_config {
    const char *key, *value, *message[2];
} BAD_CONFIGS[] = {
    {"hidden_size", "\"24\"", {"hidden_size: expected an integer", "got \"24\""}},
    {"hidden_size", "0", {"hidden_size: expected an integer", "got 0"}},
    {"hidden_size", "1e18", {"hidden_size: expected an integer", "got 1e+18"}},
    {"hidden_size", "null", {"hidden_size: expected", "got null"}},
    {"num_attention_heads", "5",
        {"num_attention_heads: expected a divisor of hidden_size, which is 24", "got 5"}},
    {"num_attention_heads", "-2", {"num_attention_heads: expected an integer", "got -2"}},
    {"num_hidden_layers", "2.5", {"num_hidden_layers: expected an integer", "got 2.5"}},
    {"num_hidden_layers", "100000", {"num_hidden_layers: expected an integer", "got 100000"}},
    {"intermediate_size", "[96]", {"intermediate_size: expected an integer", "got [96]"}},
    {"vocab_size", "true", {"vocab_size: expected an integer", "got true"}},
    {"max_position_embeddings", "0", {"max_position_embeddings: expected an integer", "got 0"}},
    {"projection_dim", "0", {"projection_dim: expected an integer", "got 0"}},
    {"eos_token_id", "[2]", {"eos_token_id: expected an integer", "got [2]"}},
    {"hidden_act", "\"relu\"", {"hidden_act: expected \"quick_gelu\" or \"gelu\"", "got \"relu\""}},
    {"hidden_act", "3", {"hidden_act: expected a string", "got 3"}},
    {"layer_norm_eps", "0", {"layer_norm_eps: expected a positive number", "got 0"}},
    {"layer_norm_eps", "\"1e-5\"", {"layer_norm_eps: expected a number", ""}},
    {"use_attention_mask", "true", {"use_attention_mask: expected false or null", "got true"}},
    {"architectures", "[\"T5EncoderModel\"]",
        {"architectures: expected \"CLIPTextModel\"", "\"T5EncoderModel\""}},
    {"architectures", "\"CLIPTextModel\"", {"architectures: expected a list", ""}},
    {"model_type", "\"t5\"", {"model_type: expected \"clip_text_model\"", "got \"t5\""}},
    {"rotary_dim", "8", {"rotary_dim: a field that Plumb does not know", "got 8"}},
    /* A config that is sound in itself and does not fit the weights. */
    {"hidden_size", "48", {"text_model.embeddings.token_embedding.weight", "1214, 24]"}},
    {"intermediate_size", "97", {"text_model.encoder.layers.0.mlp.fc1.weight", "[97, 24]"}},
    {"num_hidden_layers", "5", {"text_model.encoder.layers.4.", ""}},
    {"num_hidden_layers", "3", {"text_model.encoder.layers.3.", ""}},
    {"vocab_size", "1213", {"token_embedding.weight", "[1213, 24]"}},
    {"projection_dim", "21", {"text_projection.weight", "[21, 24]"}},
    {"projection_dim", NULL, {"text_projection.weight", "[512, 24]"}}, /* the default */
};

START_TEST(bad_configs)
{
    const struct bad_config *bad = &BAD_CONFIGS[_i];
    struct checkpoint checkpoint;
    temporary_checkpoint(&checkpoint);
    edit_config(&checkpoint, bad->key, bad->value);
    struct text_encoder *encoder = NULL;
    struct error error = {""};
    enum status status = text_encoder_open(&checkpoint, "text_encoder_2", NULL, &encoder, &error);
    ck_assert_msg(status == STATUS_BAD_INPUT, "%s: %s was accepted", bad->key, bad->value);
    ck_assert_ptr_null(encoder);
    ck_assert_msg(strstr(error.message, "text_encoder_2/") && strstr(error.message, bad->message[0]) &&
                      strstr(error.message, bad->message[1]),
        "%s: %s: \"%s\"", bad->key, bad->value, error.message);
    remove_checkpoint(&checkpoint);
}
END_TEST

static void bad_ids(const struct text_encoder *encoder, const int64_t *ids, int64_t length, int64_t layer,
    const char *message)
{
    struct error error = {""};
    struct forward f = {.error = &error};
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &error), STATUS_OK);
    struct text_encoder_output output = text_encoder_forward_f32(&f, encoder, ids, 1, length, layer);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    ck_assert_msg(strstr(error.message, message), "%s", error.message);
    ck_assert(!output.hidden_state.data && !output.last_hidden_state.data && !output.text_embeds.data);
    arena_free(f.arena);
}

START_TEST(bad_calls)
{
    struct checkpoint checkpoint;
    temporary_checkpoint(&checkpoint);
    struct text_encoder *encoder = NULL;
    struct error error = {""};
    ck_assert_msg(text_encoder_open(&checkpoint, "text_encoder_2", NULL, &encoder, &error) == STATUS_OK, "%s",
        error.message);
    ck_assert_int_eq(text_encoder_layers(encoder), 4);
    ck_assert_int_eq(text_encoder_hidden_size(encoder), 24);
    ck_assert_int_eq(text_encoder_projection_size(encoder), 20);
    ck_assert_int_eq(text_encoder_vocabulary_size(encoder), 1214);
    ck_assert_int_eq(text_encoder_positions(encoder), 77);
    int64_t ids[78] = {1212, 1213};
    bad_ids(encoder, ids, 78, -1, "expected 1 to 77 tokens");
    bad_ids(encoder, ids, 0, -1, "expected 1 to 77 tokens");
    bad_ids(encoder, ids, 77, 5, "hidden state 5: expected -5 to 4");
    bad_ids(encoder, ids, 77, -6, "hidden state -6: expected -5 to 4");
    ids[3] = 1214;
    bad_ids(encoder, ids, 77, -1,
        "text_encoder_2: token 3: expected an id from 0 to 1213 (vocab_size), got 1214");
    ids[3] = -1;
    bad_ids(encoder, ids, 77, -1, "got -1");
    text_encoder_free(encoder);
    remove_checkpoint(&checkpoint);
}
END_TEST

static struct trace *text_embeds(const struct checkpoint *checkpoint, const struct tensor *ids)
{
    struct error error = {""};
    struct trace *trace = NULL;
    ck_assert_int_eq(trace_create(&trace, &error), STATUS_OK);
    ck_assert_msg(run_text_encoder_f32(checkpoint, "text_encoder_2", NULL, ids, trace, &error) == STATUS_OK,
        "%s", error.message);
    return trace;
}

/* Files without the outer module's name, with "position_ids" (as files of 2022 have them), and with
 * transformers' generic fields in the config, give the same bits. */
START_TEST(other_spellings)
{
    struct checkpoint checkpoint;
    temporary_checkpoint(&checkpoint);
    struct error error = {""};
    struct tensor_set *bare = NULL,
                      *published = golden_tensors("models/tiny-sdxl/text_encoder_2/model.safetensors");
    ck_assert_int_eq(tensor_set_create(&bare, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(published); i++) {
        const char *name = tensor_set_name(published, i);
        if (strncmp(name, "text_model.", 11) == 0) name += 11;
        ck_assert_int_eq(tensor_set_add(bare, name, tensor_set_at(published, i), &error), STATUS_OK);
    }
    int64_t positions[77] = {0};
    struct tensor position_ids = {DTYPE_I64, 2, {1, 77}, positions};
    ck_assert_int_eq(tensor_set_add(bare, "embeddings.position_ids", &position_ids, &error), STATUS_OK);
    char *path = checkpoint_path(&checkpoint, "text_encoder_2", "model.safetensors");
    ck_assert_int_eq(tensor_set_write(bare, path, &error), STATUS_OK);
    free(path);
    tensor_set_free(bare);
    tensor_set_free(published);
    edit_config(&checkpoint, "top_k", "50");
    edit_config(&checkpoint, "id2label", "{\"0\": \"LABEL_0\"}");
    edit_config(&checkpoint, "pruned_heads", "{}");
    edit_config(&checkpoint, "layer_norm_eps", NULL); /* 1e-5, the default */

    struct checkpoint published_checkpoint;
    ck_assert_int_eq(
        checkpoint_open(golden_path("models/tiny-sdxl"), &published_checkpoint, &error), STATUS_OK);
    int64_t ids[16] = {1212, 70, 71, 1213};
    struct tensor tensor = {DTYPE_I64, 2, {1, 16}, ids};
    struct trace *ours = text_embeds(&checkpoint, &tensor),
                 *expected = text_embeds(&published_checkpoint, &tensor);
    struct difference difference = tensor_difference(
        need_tensor(trace_tensors(ours), "text_embeds"), need_tensor(trace_tensors(expected), "text_embeds"));
    ck_assert_uint_eq(difference.unequal, 0);
    trace_free(ours);
    trace_free(expected);
    checkpoint_close(&published_checkpoint);
    remove_checkpoint(&checkpoint);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text encoder input");
    TCase *cases = tcase_create("text encoder input");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, bad_configs, 0, sizeof BAD_CONFIGS / sizeof *BAD_CONFIGS);
    tcase_add_test(cases, bad_calls);
    tcase_add_test(cases, other_spellings);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
