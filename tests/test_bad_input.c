/*
 * Checkpoints that are wrong, as a user meets them: copies of golden checkpoints, each damaged in one way,
 * and `plumb run` on them. Every one has status 2, one line that names the file and the field or tensor and
 * says what would be right, and no picture or trace, whole or partial. `plumb inspect` finds the same.
 */
#include "program.h"
#include "weights_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int run_on(const char *checkpoint, const char *options)
{
    return plumb("run %s --prompt 'a cat' --steps 2 --out %s/picture.png --trace %s/trace.safetensors %s",
        checkpoint, test_folder, test_folder, options);
}

/* A run on `checkpoint`, which lies in the test's folder, is refused and so is a look at it. */
static void expect_refused(const char *checkpoint, const char *file, const char *words)
{
    const char *path = *file ? path_in(checkpoint, "%s", file) : checkpoint;
    expect_failure(run_on(checkpoint, ""), STATUS_BAD_INPUT, 1, path, words, NULL);
    ck_assert_int_eq(plumb("inspect %s", checkpoint), 2);
    expect_in(err, path);
    expect_in(err, words);
}

/* --- What is no checkpoint at all --------------------------------------------------------- */

START_TEST(a_folder_that_is_not_there)
{
    const char *missing = path_in(test_folder, "missing");
    expect_failure(
        run_on(missing, ""), STATUS_BAD_INPUT, 0, "missing: cannot be read: No such file or directory", NULL);
    ck_assert_int_eq(plumb("inspect %s", missing), 2);
    expect_in(err, "missing: cannot be read: No such file or directory");
}
END_TEST

START_TEST(a_file_in_place_of_a_folder)
{
    const char *file = path_in(test_folder, "sd.safetensors");
    write_bytes(file, "", 0);
    expect_refused(file, "", "a single-file checkpoint; expected a Diffusers folder");
    const char *folder = path_in(test_folder, "sd"), *weights = path_in(folder, "v1-5-pruned.ckpt");
    ck_assert_int_eq(unlink(file), 0);
    copy_folder(golden_path("models/tiny-sd/scheduler"), folder);
    expect_refused(folder, "", "one component of a checkpoint; expected the folder above it");
    write_bytes(weights, "", 0);
    expect_refused(folder, "", "v1-5-pruned.ckpt: a checkpoint in the original format");
}
END_TEST

START_TEST(a_component_in_place_of_a_checkpoint)
{
    const char *unet = golden_path("models/tiny-sd/unet");
    expect_failure(
        run_on(unet, ""), STATUS_BAD_INPUT, 0, unet, "this is one component of a checkpoint", NULL);
    const char *index = golden_path("models/tiny-sd/model_index.json");
    expect_failure(
        run_on(index, ""), STATUS_BAD_INPUT, 0, index, "expected the checkpoint's folder, got a file", NULL);
}
END_TEST

/* Every file of a checkpoint but those that say nothing the run depends on. */
static const char *const needed[] = {"unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json",
    "text_encoder/model.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt",
    "scheduler/scheduler_config.json"};

START_TEST(a_file_that_is_not_there)
{
    const char *copy = copy_model("tiny-sd"), *file = needed[_i];
    ck_assert_int_eq(unlink(path_in(copy, "%s", file)), 0);
    bool weights = strstr(file, ".safetensors") != NULL;
    char folder[64];
    snprintf(folder, sizeof folder, "%.*s", (int)(strchr(file, '/') - file), file);
    if (weights)
        expect_refused(copy, folder, "there is no ");
    else
        expect_refused(copy, file, "cannot be read: No such file or directory");
}
END_TEST

START_TEST(a_variant_that_is_not_there)
{
    const char *sd = golden_path("models/tiny-sd"), *half = golden_path("models/tiny-sdxl-fp16");
    expect_failure(run_on(sd, "--variant fp16"), STATUS_BAD_INPUT, 0, "tiny-sd/text_encoder",
        "model.fp16.safetensors", "leave --variant out", NULL);
    expect_failure(run_on(half, ""), STATUS_BAD_INPUT, 0, "tiny-sdxl-fp16/", "--variant fp16", NULL);
    expect_failure(
        run_on(half, "--variant ../x"), STATUS_BAD_INPUT, 0, "variant: expected a name such as", NULL);
}
END_TEST

/* --- Configs ------------------------------------------------------------------------------ */

/* `value` takes the place of `key`'s; NULL: the key goes. Without a key, `value` is the whole file. */
static const struct {
    const char *file, *key, *value, *words;
} broken_configs[] = {
    {"model_index.json", NULL, "{\"_class_name\": ", "not valid JSON"},
    {"model_index.json", NULL, "[]", "expected a JSON object"},
    {"model_index.json", "_class_name", NULL, "_class_name: expected the pipeline's class"},
    {"model_index.json", "_class_name", "[1]", "_class_name: expected a string, got [1]"},
    {"model_index.json", "_class_name", "\"FluxPipeline\"", "Flux, which Plumb does not implement"},
    {"model_index.json", "unet", NULL, "unet: missing"},
    {"model_index.json", "unet", "[null, null]", "unet: missing"},
    {"model_index.json", "unet", "[\"diffusers\"]", "unet: expected a list [library, class]"},
    {"model_index.json", "unet", "[\"diffusers\", 3]", "unet: expected a list [library, class]"},
    {"model_index.json", "vae", "[\"diffusers\", \"AutoencoderTiny\"]", "vae: expected"},
    {"model_index.json", "force_zeros_for_empty_prompt", "1", "expected true or false, got 1"},

    {"unet/config.json", NULL, "", "expected JSON, got an empty file"},
    {"unet/config.json", NULL, "{\"sample_size\": 16", "not valid JSON at line 1"},
    {"unet/config.json", NULL, "{\"sample_size\": 16, \"sample_size\": 16}", "stands twice"},
    {"unet/config.json", NULL, "[16]", "expected a JSON object"},
    {"unet/config.json", "_class_name", "\"UNet3DConditionModel\"", "_class_name: expected"},
    {"unet/config.json", "block_out_channels", "[16, \"32\"]",
        "block_out_channels[1]: expected an integer from 1 to 65536, got \"32\""},
    {"unet/config.json", "block_out_channels", "32", "block_out_channels: expected a list"},
    {"unet/config.json", "block_out_channels", "[]", "block_out_channels: expected a list"},
    {"unet/config.json", "block_out_channels", "[16, 1e300]", "block_out_channels[1]: expected an integer"},
    {"unet/config.json", "down_block_types", "[\"DownBlock2D\", \"X\"]", "down_block_types[1]: expected"},
    {"unet/config.json", "up_block_types", "[\"UpBlock2D\"]", "up_block_types: expected one for each"},
    {"unet/config.json", "layers_per_block", "[2]", "layers_per_block: expected an integer or one for each"},
    {"unet/config.json", "layers_per_block", "-1", "layers_per_block: expected an integer from 1"},
    {"unet/config.json", "attention_head_dim", "0", "attention_head_dim: expected an integer from 1"},
    {"unet/config.json", "attention_head_dim", "[8, 64]", "attention_head_dim: expected at most"},
    {"unet/config.json", "norm_num_groups", "7", "norm_num_groups: expected a divisor"},
    {"unet/config.json", "norm_eps", "\"1e-5\"", "norm_eps: expected a number, got \"1e-5\""},
    {"unet/config.json", "cross_attention_dim", "\"32\"", "cross_attention_dim: expected an integer"},
    {"unet/config.json", "in_channels", "0", "in_channels: expected an integer from 1"},
    {"unet/config.json", "out_channels", "65537", "out_channels: expected an integer from 1 to 65536"},
    {"unet/config.json", "act_fn", "\"relu\"", "act_fn: expected \"silu\" or \"swish\""},
    {"unet/config.json", "flip_sin_to_cos", "\"yes\"", "flip_sin_to_cos: expected true or false"},
    {"unet/config.json", "sample_size", "[16, 32]", "sample_size: expected a number or two equal ones"},
    {"unet/config.json", "use_rotary", "true", "use_rotary: a field that Plumb does not know"},

    {"vae/config.json", NULL, "{}}", "not valid JSON"},
    {"vae/config.json", "_class_name", "\"AutoencoderTiny\"", "_class_name: expected \"AutoencoderKL\""},
    {"vae/config.json", "block_out_channels", "[16, 24, 24, 24, 24, 24, 24, 24, 24]", "a list of 1 to 8"},
    {"vae/config.json", "latent_channels", "0", "latent_channels: expected an integer from 1"},
    {"vae/config.json", "layers_per_block", "1.5", "layers_per_block: expected an integer"},
    {"vae/config.json", "scaling_factor", "0", "scaling_factor: expected a finite number other than zero"},
    {"vae/config.json", "scaling_factor", "Infinity", "scaling_factor: expected a finite number"},
    {"vae/config.json", "latents_mean", "[1, 2]", "latents_mean: expected one number for each"},
    {"vae/config.json", "out_channels", "3.5", "out_channels: expected an integer"},

    {"text_encoder/config.json", NULL, "nonsense", "not valid JSON"},
    {"text_encoder/config.json", "architectures", "[\"T5EncoderModel\"]", "architectures: expected"},
    {"text_encoder/config.json", "hidden_act", "\"relu\"", "hidden_act: expected \"quick_gelu\" or \"gelu\""},
    {"text_encoder/config.json", "hidden_size", "\"32\"", "hidden_size: expected an integer"},
    {"text_encoder/config.json", "num_attention_heads", "5", "num_attention_heads: expected a divisor"},
    {"text_encoder/config.json", "num_hidden_layers", "1e9", "num_hidden_layers: expected an integer"},
    {"text_encoder/config.json", "layer_norm_eps", "-1", "layer_norm_eps: expected a positive number"},

    {"scheduler/scheduler_config.json", NULL, "{\"a\": }", "not valid JSON"},
    {"scheduler/scheduler_config.json", NULL, "3", "expected a JSON object"},
    {"scheduler/scheduler_config.json", "_class_name", NULL, "_class_name: missing; expected the name"},
    {"scheduler/scheduler_config.json", "_class_name", "\"HeunScheduler\"", "_class_name: expected"},
    {"scheduler/scheduler_config.json", "beta_start", "\"0.00085\"", "beta_start: expected a number"},
    {"scheduler/scheduler_config.json", "beta_schedule", "\"cosine\"", "beta_schedule"},
    {"scheduler/scheduler_config.json", "num_train_timesteps", "0", "num_train_timesteps: expected"},

    {"tokenizer/vocab.json", NULL, "{\"a\": 0,}", "not valid JSON"},
    {"tokenizer/vocab.json", NULL, "[\"a\"]", "expected an object from token to id"},
    {"tokenizer/vocab.json", "standing</w>", NULL,
        "\"<|endoftext|>\": expected an id from 0 to 1212 (there are 1213 tokens), got 1213"},
    {"tokenizer/vocab.json", "standing</w>", "1000000000000", "\"standing</w>\": expected an id from 0"},
    {"tokenizer/vocab.json", "standing</w>", "1210", "1210"},
    {"tokenizer/vocab.json", "standing</w>", "\"1211\"", "\"standing</w>\": expected an id from 0"},
    {"tokenizer/vocab.json", "standing</w>", "-1", "\"standing</w>\": expected an id from 0"},
    {"tokenizer/merges.txt", NULL, "i n\n", "line 1: expected \"#version: 0.2\""},
    {"tokenizer/merges.txt", NULL, "#version: 0.2\ni n g\n", "line 2"},
    {"tokenizer/merges.txt", NULL, "#version: 0.2\ni n\ni n\n", "line 3"},
    {"tokenizer/merges.txt", NULL, "#version: 0.2\nqq zz\n", "line 2"},
    {"tokenizer/merges.txt", NULL, "#version: 0.2\ni \xff\n", "the second piece is not in vocab"},
    {"tokenizer/tokenizer_config.json", NULL, "{", "not valid JSON"},
    {"tokenizer/tokenizer_config.json", "model_max_length", "\"77\"", "model_max_length: expected"},
    {"tokenizer/tokenizer_config.json", "do_lower_case", "0", "do_lower_case: expected true or false"},
    {"tokenizer/special_tokens_map.json", NULL, "[]", "expected an object from role to token"},
    {"tokenizer/special_tokens_map.json", "pad_token", "7", "pad_token"},
};

static void change_config(const char *path, const char *key, const char *value)
{
    if (!key) {
        write_bytes(path, value, strlen(value));
        return;
    }
    cJSON *json, *item = NULL;
    struct error error = {""};
    ck_assert_int_eq(json_read_file(path, &json, &error), STATUS_OK);
    if (value) ck_assert_int_eq(json_parse(value, strlen(value), "value", &item, &error), STATUS_OK);
    bool there = cJSON_HasObjectItem(json, key);
    if (item && there)
        cJSON_ReplaceItemInObjectCaseSensitive(json, key, item);
    else if (item)
        cJSON_AddItemToObject(json, key, item);
    else
        cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    char *text = cJSON_Print(json);
    ck_assert_ptr_nonnull(text);
    /* cJSON writes an infinity as null: this one value is written as text. */
    if (value && strcmp(value, "Infinity") == 0) {
        char *null = strstr(strstr(text, key), "null"), *longer = malloc(strlen(text) + 16);
        sprintf(longer, "%.*s1e999%s", (int)(null - text), text, null + strlen("null"));
        cJSON_free(text);
        text = longer;
    }
    write_bytes(path, text, strlen(text));
    free(text);
    cJSON_Delete(json);
}

START_TEST(a_broken_config)
{
    const char *copy = copy_model("tiny-sd"), *file = broken_configs[_i].file;
    change_config(path_in(copy, "%s", file), broken_configs[_i].key, broken_configs[_i].value);
    expect_refused(copy, file, broken_configs[_i].words);
}
END_TEST

/* What only SDXL has. */
static const struct {
    const char *file, *key, *value, *words;
} broken_xl_configs[] = {
    {"model_index.json", "text_encoder_2", "null", "text_encoder_2: missing"},
    {"model_index.json", "tokenizer_2", "[\"transformers\", \"T5Tokenizer\"]", "tokenizer_2: expected"},
    {"unet/config.json", "addition_embed_type", "\"image\"", "addition_embed_type: expected"},
    {"unet/config.json", "addition_time_embed_dim", "null", "addition_time_embed_dim: needed"},
    {"unet/config.json", "projection_class_embeddings_input_dim", "true", "expected an integer"},
    {"unet/config.json", "transformer_layers_per_block", "[1, 2, -3]", "transformer_layers_per_block[2]"},
    {"text_encoder_2/config.json", "projection_dim", "[20]", "projection_dim: expected an integer"},
    {"text_encoder_2/config.json", "vocab_size", "0", "vocab_size: expected an integer from 1"},
    {"tokenizer_2/vocab.json", "a</w>", NULL, "expected an id from 0"},
};

START_TEST(a_broken_config_of_sdxl)
{
    const char *copy = copy_model("tiny-sdxl"), *file = broken_xl_configs[_i].file;
    change_config(path_in(copy, "%s", file), broken_xl_configs[_i].key, broken_xl_configs[_i].value);
    expect_refused(copy, file, broken_xl_configs[_i].words);
}
END_TEST

/* Each is whole, but what one hands over is not what the next takes. Only a run looks at that. */
START_TEST(components_that_do_not_fit)
{
    const char *copy = copy_model("tiny-sd");
    remove_folder(strdup(path_in(copy, "text_encoder")));
    copy_folder(golden_path("models/tiny-sdxl/text_encoder"), path_in(copy, "text_encoder"));
    expect_failure(run_on(copy, ""), STATUS_BAD_INPUT, 1,
        "unet/config.json: cross_attention_dim: expected 16, the width of the text encoders' output, got 32",
        NULL);
    change_config(path_in(copy, "tokenizer/vocab.json"), "1215th</w>", "1214");
    expect_failure(run_on(copy, ""), STATUS_BAD_INPUT, 1,
        "/tokenizer: 1215 ids, but text_encoder embeds only 1214", NULL);
}
END_TEST

/* Options that a scheduler looks at where it uses them, as diffusers does: only a run finds them. */
START_TEST(options_that_are_looked_at_late)
{
    static const char *const options[][3] = {
        {"prediction_type", "\"sample2\"", "prediction_type: expected \"epsilon\" or \"v_prediction\", got"},
        {"timestep_spacing", "\"even\"", "timestep_spacing: expected \"leading\", \"linspace\" or"},
    };
    const char *file = "scheduler/scheduler_config.json", *copy = copy_model("tiny-sd");
    change_config(path_in(copy, "%s", file), options[_i][0], options[_i][1]);
    expect_failure(run_on(copy, ""), STATUS_BAD_INPUT, 1, file, options[_i][2], NULL);
}
END_TEST

/* --- Weights ------------------------------------------------------------------------------ */

#define UNET "unet/diffusion_pytorch_model.safetensors"
#define VAE "vae/diffusion_pytorch_model.safetensors"
#define TEXT "text_encoder/model.safetensors"

static const struct {
    const char *file, *tensor;
    enum change change;
    uint64_t bits;
    const char *words;
} wrong_tensors[] = {
    {UNET, "conv_in.weight", DROP, 0, "tensor conv_in.weight: expected one of shape [16, 4, 3, 3]"},
    {UNET, "conv_in.weight", ADD, 0, "tensor surplus.weight: the model that config.json describes has no"},
    {UNET, "conv_in.weight", TRANSPOSE, 0,
        "tensor conv_in.weight: expected shape [16, 4, 3, 3], got [4, 16, 3, 3]"},
    {UNET, "conv_in.bias", RESHAPE, 0, "tensor conv_in.bias: expected shape [16], got [16, 1]"},
    {UNET, "conv_in.bias", RETYPE, 0, "tensor conv_in.bias: expected F32, F16 or BF16, got I32"},
    {UNET, "conv_in.weight", POISON, 0x7fc00000, "tensor conv_in.weight: element 574: expected a finite"},
    {UNET, "conv_in.bias", POISON, 0xff800000, "tensor conv_in.bias: element 14: expected a finite"},
    {VAE, "decoder.conv_out.bias", DROP, 0, "tensor decoder.conv_out.bias: expected one of shape [3]"},
    {VAE, "decoder.conv_out.bias", ADD, 0, "tensor surplus.weight"},
    {VAE, "decoder.conv_out.bias", POISON, 0x7f800001, "tensor decoder.conv_out.bias: element 1: expected"},
    {TEXT, "text_model.final_layer_norm.bias", DROP, 0, "tensor text_model.final_layer_norm.bias"},
    {TEXT, "text_model.final_layer_norm.bias", RESHAPE, 0, "expected shape [32], got [32, 1]"},
    {TEXT, "text_model.embeddings.token_embedding.weight", POISON, 0x7f800000, "expected a finite number"},
};

START_TEST(a_wrong_tensor)
{
    const char *copy = copy_model("tiny-sd"), *file = wrong_tensors[_i].file;
    change_file(path_in(copy, "%s", file), wrong_tensors[_i].tensor, wrong_tensors[_i].change, DTYPE_I32,
        wrong_tensors[_i].bits);
    expect_refused(copy, file, wrong_tensors[_i].words);
}
END_TEST

/* In a header, `from` becomes `to`, of the same length or of another: then the header's length follows. */
static const struct {
    const char *from, *to, *words;
} lies[] = {
    {"\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]",
        "\"dtype\":\"Q32\",\"shape\":[16],\"data_offsets\":[0,64]", "conv_in.bias: dtype: expected F32"},
    {"\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[16],\"data_offsets\":[0,64]",
        "conv_in.bias: dtype: expected F32"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[17],\"data_offsets\":[0,64]",
        "conv_in.bias: data_offsets: 64 bytes, but [17] of F32 takes 68"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[-16],\"data_offsets\":[0,64]",
        "conv_in.bias: shape[0]: expected an integer from 0"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[1.5],\"data_offsets\":[0,64]",
        "conv_in.bias: shape[0]: expected an integer from 0"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":\"16\",\"data_offsets\":[0,64]",
        "conv_in.bias: shape: expected a list of integers"},
    /* 2^32 times 2^32 is 0 where a product overflows, and 2^62 elements of 4 bytes are 0 bytes. */
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[4294967296,4294967296],\"data_offsets\":[0,64]",
        "conv_in.bias: shape: [4294967296, 4294967296] of F32 is more than memory can hold"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[4503599627370496,1024],\"data_offsets\":[0,64]",
        "is more than memory can hold"},
    {"\"shape\":[16],\"data_offsets\":[0,64]", "\"shape\":[1,1,1,1,1,1,1,1,16],\"data_offsets\":[0,64]",
        "shape: expected at most 8 integers"},
    {"\"data_offsets\":[0,64]", "\"data_offsets\":[64,0]",
        "conv_in.bias: data_offsets: expected begin <= end"},
    {"\"data_offsets\":[0,64]", "\"data_offsets\":[0,9999999999]", "data_offsets: expected begin <= end"},
    {"\"data_offsets\":[0,64]", "\"data_offsets\":[18446744073709551552,0]", "data_offsets[0]: expected"},
    {"\"data_offsets\":[0,64]", "\"data_offsets\":[64]", "data_offsets: expected 2 integers, got 1"},
    {"\"data_offsets\":[0,64]", "\"data_offsets\":[4,68]", "conv_in.bias: data_offsets: a gap of 4 bytes"},
    {"\"data_offsets\":[64,2368]", "\"data_offsets\":[60,2364]",
        "conv_in.weight: data_offsets: [60, 2364] overlaps tensor conv_in.bias"},
    {"\"data_offsets\":[64,2368]", "\"data_offsets\":[0,2304]", "overlaps tensor conv_in.bias"},
    {"\"conv_in.weight\":", "\"conv_in.bias\":", "stands twice"},
    {"\"conv_in.bias\":{", "\"conv_in.bias\":[", "header: not valid JSON"},
    {"{\"format\":\"pt\"}", "{\"format\":{}}", "__metadata__: format: expected a string"},
    {"\"conv_in.bias\"", "\"conv_in.b\\u0000s\"", "without zero bytes"},
};

static void change_header(const char *path, const char *from, const char *to)
{
    size_t size;
    unsigned char *file = read_bytes(path, &size);
    char *place = memmem(file, size, from, strlen(from));
    ck_assert_msg(place != NULL, "the header has no %s", from);
    size_t before = (size_t)(place - (char *)file), after = size - before - strlen(from);
    unsigned char *changed = malloc(size + strlen(to));
    uint64_t length;
    memcpy(&length, file, sizeof length); /* little-endian, as every machine this runs on */
    length += strlen(to) - strlen(from);
    memcpy(changed, file, before);
    memcpy(changed, &length, sizeof length);
    memcpy(changed + before, to, strlen(to));
    memcpy(changed + before + strlen(to), place + strlen(from), after);
    write_bytes(path, changed, before + strlen(to) + after);
    free(changed);
    free(file);
}

START_TEST(a_lying_header)
{
    const char *copy = copy_model("tiny-sd");
    change_header(path_in(copy, UNET), lies[_i].from, lies[_i].to);
    expect_refused(copy, UNET, lies[_i].words);
}
END_TEST

/* The 8 bytes that say how long the header is. */
static const struct {
    uint64_t length;
    const char *words;
} lengths[] = {
    {0, "header: "},
    {10, "header: not valid JSON"},
    {33591, "the last 1 bytes belong to no tensor"},
    {33593, "header: "},
    {1166729, "header length: 1166729 bytes, but only 1166728 follow"},
    {100000001, "header length: expected at most 100000000, got 100000001"},
    {UINT64_MAX, "header length: expected at most 100000000"},
    {UINT64_MAX - 7, "header length: expected at most 100000000"},
};

START_TEST(a_lying_header_length)
{
    const char *copy = copy_model("tiny-sd"), *path = path_in(copy, UNET);
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(&lengths[_i].length, sizeof lengths[_i].length, 1, file), 1);
    ck_assert_int_eq(fclose(file), 0);
    expect_refused(copy, UNET, lengths[_i].words);
}
END_TEST

static const struct {
    long size; /* negative: taken off; positive: what is left */
    const char *words;
} truncations[] = {
    {1, "expected"},
    {8, "header length: 33592 bytes, but only 0 follow (a truncated file?)"},
    {20000, "header length: 33592 bytes, but only 19992 follow (a truncated file?)"},
    {33600, "data_offsets: expected begin <= end <= 0"},
    {600000, "data_offsets: expected begin <= end <= 566400"},
    {-1, "data_offsets: expected begin <= end <= "},
};

START_TEST(a_truncated_file)
{
    const char *copy = copy_model("tiny-sd"), *path = path_in(copy, UNET);
    long size = truncations[_i].size;
    ck_assert_int_eq(truncate(path, size > 0 ? size : 1166736 + size), 0);
    expect_refused(copy, UNET, truncations[_i].words);
}
END_TEST

START_TEST(a_file_with_bytes_behind_it)
{
    const char *copy = copy_model("tiny-sd"), *path = path_in(copy, UNET);
    ck_assert_int_eq(truncate(path, 1166736 + 4), 0);
    expect_refused(copy, UNET, "the last 4 bytes belong to no tensor");
    ck_assert_int_eq(truncate(path, 0), 0);
    expect_refused(copy, UNET, "");
}
END_TEST

START_TEST(broken_shards)
{
    const char *copy = path_in(test_folder, "copy"),
               *index = "diffusion_pytorch_model.safetensors.index.json";
    copy_folder(golden_path("models/tiny-sdxl"), copy);
    ck_assert_int_eq(unlink(path_in(copy, UNET)), 0);
    remove_folder(strdup(path_in(copy, "unet")));
    copy_folder(golden_path("models/tiny-sdxl-sharded/unet"), path_in(copy, "unet"));
    ck_assert_int_eq(plumb("run %s --prompt 'a cat' --steps 1 --out %s/p.png", copy, test_folder), 0);
    ck_assert_int_eq(unlink(path_in(test_folder, "p.png")), 0);

    const char *shard = "unet/diffusion_pytorch_model-00002-of-00003.safetensors",
               *path = path_in(copy, "%s", shard);
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    ck_assert_int_eq(unlink(path), 0);
    expect_refused(copy, shard, "cannot be read: No such file or directory");
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    expect_refused(copy, shard, "cannot be read: No such file or directory");
    ck_assert_int_eq(unlink(path), 0);
    write_bytes(path, bytes, size / 2);
    expect_refused(copy, shard, "data_offsets: expected begin <= end");
    write_bytes(path, bytes, size);
    free(bytes);
    const char *json = path_in(copy, "unet/%s", index);
    change_config(json, "weight_map", "{\"conv_in.bias\": \"../../secret.safetensors\"}");
    expect_refused(copy, "unet/diffusion_pytorch_model.safetensors.index.json",
        "weight_map: conv_in.bias: expected a .safetensors file of the same folder");
    change_config(json, "weight_map", "[]");
    expect_refused(
        copy, "unet/diffusion_pytorch_model.safetensors.index.json", "weight_map: expected an object");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad input");
    TCase *cases = tcase_create("checkpoints");
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_folder_that_is_not_there);
    tcase_add_test(cases, a_file_in_place_of_a_folder);
    tcase_add_test(cases, a_component_in_place_of_a_checkpoint);
    tcase_add_loop_test(cases, a_file_that_is_not_there, 0, COUNT(needed));
    tcase_add_test(cases, a_variant_that_is_not_there);
    tcase_add_loop_test(cases, a_broken_config, 0, COUNT(broken_configs));
    tcase_add_loop_test(cases, a_broken_config_of_sdxl, 0, COUNT(broken_xl_configs));
    tcase_add_test(cases, components_that_do_not_fit);
    tcase_add_loop_test(cases, options_that_are_looked_at_late, 0, 2);
    tcase_add_loop_test(cases, a_wrong_tensor, 0, COUNT(wrong_tensors));
    tcase_add_loop_test(cases, a_lying_header, 0, COUNT(lies));
    tcase_add_loop_test(cases, a_lying_header_length, 0, COUNT(lengths));
    tcase_add_loop_test(cases, a_truncated_file, 0, COUNT(truncations));
    tcase_add_test(cases, a_file_with_bytes_behind_it);
    tcase_add_test(cases, broken_shards);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
