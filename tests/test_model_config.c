/*
 * The models' configs: those of Stable Diffusion 1.5, 2.1 and XL as published make networks of the published
 * sizes, and what Plumb does not implement is refused by file, field and value.
 *
 * The networks are built of weights that have every tensor they are asked for, with a name and a shape and no
 * data.
 */
#include "ref/unet_model.h"
#include "ref/vae_model.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_TENSORS 4096

/* The names that were asked for. */
struct names {
    char *items[MOST_TENSORS];
    size_t count;
};

static enum status take_name(void *context, const char *name, struct tensor *tensor, struct error *error)
{
    struct names *names = context;
    (void)tensor, (void)error;
    for (size_t i = 0; i < names->count; i++)
        ck_assert_msg(strcmp(names->items[i], name) != 0, "%s: taken twice", name);
    ck_assert_uint_lt(names->count, MOST_TENSORS);
    names->items[names->count++] = strdup(name);
    return STATUS_OK;
}

static struct weights *need_weights(struct names *names)
{
    struct weights *weights = NULL;
    const struct weights_maker maker = {take_name, names};
    ck_assert_int_eq(weights_create("test", &maker, &weights, NULL), STATUS_OK);
    return weights;
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) free(names->items[i]);
    names->count = 0;
}

/* --- The published configs ---------------------------------------------------------------- */

static const char SD15_UNET[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"_diffusers_version\": \"0.6.0\", \"act_fn\": \"silu\","
    " \"attention_head_dim\": 8, \"block_out_channels\": [320, 640, 1280, 1280], \"center_input_sample\": "
    "false,"
    " \"cross_attention_dim\": 768, \"down_block_types\": [\"CrossAttnDownBlock2D\", "
    "\"CrossAttnDownBlock2D\","
    " \"CrossAttnDownBlock2D\", \"DownBlock2D\"], \"downsample_padding\": 1, \"flip_sin_to_cos\": true,"
    " \"freq_shift\": 0, \"in_channels\": 4, \"layers_per_block\": 2, \"mid_block_scale_factor\": 1,"
    " \"norm_eps\": 1e-05, \"norm_num_groups\": 32, \"out_channels\": 4, \"sample_size\": 64, "
    "\"up_block_types\":"
    " [\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"]}";

static const char SD21_UNET[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"_diffusers_version\": \"0.10.0.dev0\", \"act_fn\": "
    "\"silu\","
    " \"attention_head_dim\": [5, 10, 20, 20], \"block_out_channels\": [320, 640, 1280, 1280],"
    " \"center_input_sample\": false, \"cross_attention_dim\": 1024, \"down_block_types\":"
    " [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"DownBlock2D\"],"
    " \"downsample_padding\": 1, \"dual_cross_attention\": false, \"flip_sin_to_cos\": true, \"freq_shift\": "
    "0,"
    " \"in_channels\": 4, \"layers_per_block\": 2, \"mid_block_scale_factor\": 1, \"norm_eps\": 1e-05,"
    " \"norm_num_groups\": 32, \"num_class_embeds\": null, \"only_cross_attention\": false, "
    "\"out_channels\": 4,"
    " \"sample_size\": 96, \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\", "
    "\"CrossAttnUpBlock2D\","
    " \"CrossAttnUpBlock2D\"], \"upcast_attention\": true, \"use_linear_projection\": true}";

static const char SDXL_UNET[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"_diffusers_version\": \"0.19.0.dev0\", \"act_fn\": "
    "\"silu\","
    " \"addition_embed_type\": \"text_time\", \"addition_embed_type_num_heads\": 64, "
    "\"addition_time_embed_dim\": 256,"
    " \"attention_head_dim\": [5, 10, 20], \"block_out_channels\": [320, 640, 1280], "
    "\"center_input_sample\": false,"
    " \"class_embed_type\": null, \"class_embeddings_concat\": false, \"conv_in_kernel\": 3, "
    "\"conv_out_kernel\": 3,"
    " \"cross_attention_dim\": 2048, \"cross_attention_norm\": null, \"down_block_types\": [\"DownBlock2D\","
    " \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"], \"downsample_padding\": 1, "
    "\"dual_cross_attention\": false,"
    " \"encoder_hid_dim\": null, \"encoder_hid_dim_type\": null, \"flip_sin_to_cos\": true, \"freq_shift\": "
    "0,"
    " \"in_channels\": 4, \"layers_per_block\": 2, \"mid_block_only_cross_attention\": null,"
    " \"mid_block_scale_factor\": 1, \"mid_block_type\": \"UNetMidBlock2DCrossAttn\", \"norm_eps\": 1e-05,"
    " \"norm_num_groups\": 32, \"num_attention_heads\": null, \"num_class_embeds\": null,"
    " \"only_cross_attention\": false, \"out_channels\": 4, \"projection_class_embeddings_input_dim\": 2816,"
    " \"resnet_out_scale_factor\": 1.0, \"resnet_skip_time_act\": false, \"resnet_time_scale_shift\": "
    "\"default\","
    " \"sample_size\": 128, \"time_cond_proj_dim\": null, \"time_embedding_act_fn\": null,"
    " \"time_embedding_dim\": null, \"time_embedding_type\": \"positional\", \"timestep_post_act\": null,"
    " \"transformer_layers_per_block\": [1, 2, 10], \"up_block_types\": [\"CrossAttnUpBlock2D\","
    " \"CrossAttnUpBlock2D\", \"UpBlock2D\"], \"upcast_attention\": null, \"use_linear_projection\": true}";

static const char SD_VAE[] =
    "{\"_class_name\": \"AutoencoderKL\", \"_diffusers_version\": \"0.6.0\", \"act_fn\": \"silu\","
    " \"block_out_channels\": [128, 256, 512, 512], \"down_block_types\": [\"DownEncoderBlock2D\","
    " \"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"], \"in_channels\": 3,"
    " \"latent_channels\": 4, \"layers_per_block\": 2, \"norm_num_groups\": 32, \"out_channels\": 3,"
    " \"sample_size\": 512, \"up_block_types\": [\"UpDecoderBlock2D\", \"UpDecoderBlock2D\", "
    "\"UpDecoderBlock2D\","
    " \"UpDecoderBlock2D\"]}";

/* A checkpoint folder that holds one component's config. */
static struct checkpoint write_config(const char *component, const char *json)
{
    struct checkpoint checkpoint = {.folder = temporary_folder()};
    char *path = checkpoint_path(&checkpoint, component, "config.json");
    ck_assert_ptr_nonnull(path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert_int_eq(mkdir(path, 0777), 0);
    *slash = '/';
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(json, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    free(path);
    return checkpoint;
}

static cJSON *need_json(const char *text)
{
    cJSON *json = NULL;
    ck_assert_int_eq(json_parse(text, strlen(text), "config", &json, NULL), STATUS_OK);
    return json;
}

/* `tensors` gets how many the network asked for; it may be NULL. */
static struct unet *need_unet(const char *text, size_t *tensors)
{
    struct unet *unet = NULL;
    struct names names = {0};
    struct unet_config config;
    struct error error = {""};
    cJSON *json = need_json(text);
    enum status status = unet_config_read(json, &config, &error);
    if (status == STATUS_OK) status = unet_create(&config, need_weights(&names), &unet, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    if (tensors) *tensors = names.count;
    free_names(&names);
    cJSON_Delete(json);
    return unet;
}

/* The parameters of the UNets are those that Diffusers counts in the published checkpoints. */
START_TEST(published_unets)
{
    static const struct {
        const char *json;
        int64_t tensors, parameters, sample_size, cross_attention_dim, time_ids_dim, add_embedding_dim;
    } published[] = {
        {SD15_UNET, 686, 859520964, 64, 768, 0, 0},
        {SD21_UNET, 686, 865910724, 96, 1024, 0, 0},
        {SDXL_UNET, 1680, 2567463684, 128, 2048, 256, 2816},
    };
    size_t tensors;
    struct unet *unet = need_unet(published[_i].json, &tensors);
    ck_assert_int_eq((int64_t)weights_size(unet->weights).parameters, published[_i].parameters);
    ck_assert_int_eq((int64_t)tensors, published[_i].tensors);
    ck_assert_int_eq(unet_in_channels(unet), 4);
    ck_assert_int_eq(unet_sample_size(unet), published[_i].sample_size);
    ck_assert_int_eq(unet_cross_attention_dim(unet), published[_i].cross_attention_dim);
    ck_assert_int_eq(unet_time_ids_dim(unet), published[_i].time_ids_dim);
    ck_assert_int_eq(unet_add_embedding_dim(unet), published[_i].add_embedding_dim);
    unet_free(unet);
}
END_TEST

/* The decoder of 49,490,179 parameters and the 20 of post_quant_conv. */
START_TEST(published_vae)
{
    struct vae *vae = NULL;
    struct vae_config config;
    struct names names = {0};
    struct error error = {""};
    cJSON *json = need_json(SD_VAE);
    enum status status = vae_config_read(json, &config, &error);
    if (status == STATUS_OK) status = vae_create(&config, need_weights(&names), &vae, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    cJSON_Delete(json);
    ck_assert_int_eq((int64_t)weights_size(vae->weights).parameters, 49490179 + 20);
    free_names(&names);
    ck_assert_int_eq(vae_latent_channels(vae), 4);
    ck_assert_int_eq(vae_scale_factor(vae), 8);
    ck_assert(vae->config.scaling_factor == 0.18215);
    vae_free(vae);
}
END_TEST

/* An empty config is the constructor's defaults; a list counts for its levels; the mid block takes the
 * last. */
START_TEST(defaults_and_lists)
{
    struct unet *unet = need_unet("{}", NULL);
    ck_assert_int_eq(unet->config.levels, 4);
    ck_assert_int_eq(unet->config.cross_attention_dim, 1280);
    ck_assert_int_eq(unet->config.time_embedding_dim, 1280);
    ck_assert_int_eq(unet_sample_size(unet), 0);
    unet_free(unet);

    unet = need_unet(
        "{\"block_out_channels\": [32, 64], \"down_block_types\": [\"CrossAttnDownBlock2D\","
        " \"CrossAttnDownBlock2D\"], \"up_block_types\": [\"CrossAttnUpBlock2D\", \"UpBlock2D\"],"
        " \"layers_per_block\": [1, 3], \"attention_head_dim\": [2, 8],"
        " \"transformer_layers_per_block\": [1, 2], \"reverse_transformer_layers_per_block\": [5, 6],"
        " \"sample_size\": [24, 24], \"time_embedding_dim\": 99, \"cross_attention_dim\": 7}",
        NULL);
    ck_assert_int_eq(unet_sample_size(unet), 24);
    ck_assert_int_eq(unet->down_blocks[0].layers, 1);
    ck_assert_int_eq(unet->down_blocks[1].layers, 3);
    ck_assert_int_eq(unet->up_blocks[0].layers, 4);
    ck_assert_int_eq(unet->up_blocks[1].layers, 2);
    ck_assert_int_eq(unet->down_blocks[0].attentions[0].heads, 2);
    ck_assert_int_eq(unet->down_blocks[0].attentions[0].head_dim, 16);
    ck_assert_int_eq(unet->down_blocks[1].attentions[2].block_count, 2);
    ck_assert_int_eq(unet->mid_attention.heads, 8);
    ck_assert_int_eq(unet->mid_attention.block_count, 2);
    ck_assert_int_eq(unet->up_blocks[0].attentions[3].block_count, 5);
    ck_assert(!unet->up_blocks[1].has_attention);
    ck_assert_int_eq(unet->time_embedding[1].weight.shape[0], 99);
    unet_free(unet);
}
END_TEST

/* --- What is refused ---------------------------------------------------------------------- */

struct refusal {
    const char *key, *value; /* put into a good config, as JSON */
    const char *message;     /* after the file's path */
};

static const struct refusal UNET_REFUSALS[] = {
    {"_class_name", "\"UNet2DModel\"", "_class_name: expected \"UNet2DConditionModel\", got \"UNet2DModel\""},
    {"act_fn", "\"gelu\"",
        "act_fn: expected \"silu\" or \"swish\", which is what Plumb implements, got \"gelu\""},
    {"addition_embed_type", "\"image\"",
        "addition_embed_type: expected null or \"text_time\", which is what Plumb implements, got \"image\""},
    {"addition_embed_type", "\"text_time\"",
        "addition_time_embed_dim: needed with addition_embed_type \"text_time\", got none"},
    {"attention_head_dim", "[5, 10, 20]",
        "attention_head_dim: expected an integer or one for each of the 4 levels, got 3"},
    {"attention_head_dim", "321",
        "attention_head_dim: expected at most block_out_channels[0], which is 320 (it is the number of "
        "heads), got 321"},
    {"attention_type", "\"gated\"",
        "attention_type: expected \"default\", which is what Plumb implements, got \"gated\""},
    {"block_out_channels", "[320, \"640\", 1280, 1280]",
        "block_out_channels[1]: expected an integer from 1 to 65536, got \"640\""},
    {"block_out_channels", "[320, 640, 1280]",
        "down_block_types: expected one for each of the 3 block_out_channels, got 4"},
    {"block_out_channels", "320", "block_out_channels: expected a list of 1 to 8 integers, got 320"},
    {"block_out_channels", "[320, 640, 1280, 1290]",
        "norm_num_groups: expected a divisor of block_out_channels[3], which is 1290, got 32"},
    {"center_input_sample", "true",
        "center_input_sample: expected false, which is what Plumb implements, got true"},
    {"class_embed_type", "\"timestep\"",
        "class_embed_type: expected null, which is what Plumb implements, got \"timestep\""},
    {"conv_in_kernel", "4", "conv_in_kernel: expected an odd number, got 4"},
    {"cross_attention_dim", "[768, 768, 768, 768]",
        "cross_attention_dim: expected an integer from 1 to 65536, got [768,768,768,768]"},
    {"down_block_types",
        "[\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"SimpleCrossAttnDownBlock2D\", "
        "\"DownBlock2D\"]",
        "down_block_types[2]: expected DownBlock2D or CrossAttnDownBlock2D, got "
        "\"SimpleCrossAttnDownBlock2D\""},
    {"encoder_hid_dim", "1024", "encoder_hid_dim: expected null, which is what Plumb implements, got 1024"},
    {"freq_shift", "160", "freq_shift: expected a number below half the embedding's dimension, got 160"},
    {"in_channels", "null", "in_channels: expected a value, got null"},
    {"in_channels", "-4", "in_channels: expected an integer from 1 to 65536, got -4"},
    {"layers_per_block", "0", "layers_per_block: expected an integer from 1 to 16, got 0"},
    {"mid_block_type", "null",
        "mid_block_type: expected \"UNetMidBlock2DCrossAttn\", which is what Plumb implements, got null"},
    {"norm_eps", "0", "norm_eps: expected a number between 0 and 1, got 0"},
    {"only_cross_attention", "[true, true, true, false]",
        "only_cross_attention: expected false, which is what Plumb implements, got [true,true,true,false]"},
    {"resnet_time_scale_shift", "\"scale_shift\"",
        "resnet_time_scale_shift: expected \"default\", which is what Plumb implements, got \"scale_shift\""},
    {"sample_size", "[64, 96]", "sample_size: expected a number or two equal ones, got [64,96]"},
    {"time_cond_proj_dim", "256",
        "time_cond_proj_dim: expected null, which is what Plumb implements, got 256"},
    {"transformer_layers_per_block", "[[1, 1], 1, 1, 1]",
        "transformer_layers_per_block[0]: expected an integer from 0 to 256, got [1,1]"},
    {"use_linear_projection", "1", "use_linear_projection: expected true or false, got 1"},
    {"warp_drive", "true",
        "warp_drive: a field that Plumb does not know; expected none or one that is off (null or false), got "
        "true"},
};

static const struct refusal VAE_REFUSALS[] = {
    {"_class_name", "\"AutoencoderTiny\"",
        "_class_name: expected \"AutoencoderKL\", got \"AutoencoderTiny\""},
    {"act_fn", "\"mish\"",
        "act_fn: expected \"silu\" or \"swish\", which is what Plumb implements, got \"mish\""},
    {"block_out_channels", "[]", "block_out_channels: expected a list of 1 to 8 integers, got []"},
    {"block_out_channels", "[128, 256, 512]",
        "up_block_types: expected one for each of the 3 block_out_channels, got 4"},
    {"latent_channels", "65", "latent_channels: expected an integer from 1 to 64, got 65"},
    {"latents_mean", "[1, 2, 3]",
        "latents_mean: expected one number for each of the 4 latent channels, got 3"},
    {"latents_std", "[1, 2, 3, \"x\"]", "latents_std[3]: expected a number, got \"x\""},
    {"layers_per_block", "17", "layers_per_block: expected an integer from 1 to 16, got 17"},
    {"norm_num_groups", "48",
        "norm_num_groups: expected a divisor of block_out_channels[0], which is 128, got 48"},
    {"scaling_factor", "0", "scaling_factor: expected a finite number other than zero, got 0"},
    {"up_block_types", "[\"UpDecoderBlock2D\", \"AttnUpDecoderBlock2D\"]",
        "up_block_types[1]: expected UpDecoderBlock2D, got \"AttnUpDecoderBlock2D\""},
    {"use_post_quant_conv", "\"no\"", "use_post_quant_conv: expected true or false, got \"no\""},
    {"something_new", "{}",
        "something_new: a field that Plumb does not know; expected none or one that is off (null or false), "
        "got {}"},
};

/* The good config with one field changed. */
static char *changed_config(const char *good, const struct refusal *refusal)
{
    cJSON *json = cJSON_Parse(good), *value = cJSON_Parse(refusal->value);
    ck_assert(json && value);
    cJSON_DeleteItemFromObjectCaseSensitive(json, refusal->key);
    cJSON_AddItemToObject(json, refusal->key, value);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    ck_assert_ptr_nonnull(text);
    return text;
}

static void check_refusal(const char *component, const char *good, const struct refusal *refusal)
{
    char *text = changed_config(good, refusal);
    struct checkpoint checkpoint = write_config(component, text);
    struct error error = {""};
    struct unet *unet = NULL;
    struct vae *vae = NULL;
    enum status status = strcmp(component, "unet") == 0 ? unet_open(&checkpoint, NULL, &unet, &error)
                                                        : vae_open(&checkpoint, NULL, &vae, &error);
    char expected[1024];
    snprintf(
        expected, sizeof expected, "%s/%s/config.json: %s", checkpoint.folder, component, refusal->message);
    ck_assert_msg(status == STATUS_BAD_INPUT, "%s: %s was taken", refusal->key, refusal->value);
    ck_assert_str_eq(error.message, expected);
    ck_assert(!unet && !vae);
    remove_folder(checkpoint.folder);
    cJSON_free(text);
}

START_TEST(refused_unets)
{
    check_refusal("unet", SD15_UNET, &UNET_REFUSALS[_i]);
}
END_TEST

START_TEST(refused_vaes)
{
    check_refusal("vae", SD_VAE, &VAE_REFUSALS[_i]);
}
END_TEST

/* Keys that change nothing, and features that are off. */
START_TEST(what_has_no_bearing)
{
    static const struct refusal taken[] = {
        {"dropout", "0.1", NULL},
        {"_name_or_path", "\"somewhere\"", NULL},
        {"upcast_attention", "true", NULL},
        {"addition_embed_type_num_heads", "7", NULL},
        {"a_feature_of_tomorrow", "false", NULL},
        {"another", "null", NULL},
        {"act_fn", "\"swish\"", NULL},
        {"resnet_out_scale_factor", "1.0", NULL},
    };
    char *text = changed_config(SD15_UNET, &taken[_i]);
    struct unet *unet = need_unet(text, NULL);
    ck_assert_int_eq((int64_t)weights_size(unet->weights).parameters, 859520964);
    unet_free(unet);
    cJSON_free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model configs");
    TCase *published = tcase_create("published");
    tcase_set_timeout(published, 60); /* SDXL takes some seconds where the machine is busy */
    tcase_add_loop_test(published, published_unets, 0, 3);
    tcase_add_test(published, published_vae);
    tcase_add_test(published, defaults_and_lists);
    tcase_add_loop_test(published, what_has_no_bearing, 0, 8);
    suite_add_tcase(suite, published);
    TCase *refused = tcase_create("refused");
    tcase_add_loop_test(refused, refused_unets, 0, sizeof UNET_REFUSALS / sizeof *UNET_REFUSALS);
    tcase_add_loop_test(refused, refused_vaes, 0, sizeof VAE_REFUSALS / sizeof *VAE_REFUSALS);
    suite_add_tcase(suite, refused);
    return run_suite(suite);
}
