/*
 * Checkpoint folders: what is a checkpoint, and what only looks like one.
 */
#include "weights_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static void expect_no_checkpoint(const char *path, const char *words)
{
    struct checkpoint checkpoint;
    struct error error = {""};
    enum status status = checkpoint_open(path, &checkpoint, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, path, words, NULL);
    ck_assert(checkpoint.folder == NULL && checkpoint.model_index == NULL);
}

START_TEST(what_a_path_looks_like)
{
    const char *model = copy_model("tiny-sd");
    expect_no_checkpoint(path_in(test_folder, "nothing"), "No such file");
    expect_no_checkpoint(
        path_in(model, "unet/diffusion_pytorch_model.safetensors"), "the weights of one component");
    expect_no_checkpoint(path_in(model, "model_index.json"), "expected the checkpoint's folder");
    expect_no_checkpoint(path_in(model, "tokenizer/vocab.json"), "got a file");
    expect_no_checkpoint(path_in(model, "unet"), "one component of a checkpoint");
    ck_assert_int_eq(unlink(path_in(model, "model_index.json")), 0);
    expect_no_checkpoint(model, "no model_index.json beside the components");

    const char *folder = path_in(test_folder, "original");
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    expect_no_checkpoint(folder, "no Diffusers folder");
    write_text(path_in(folder, "v1-5-pruned.ckpt"), "");
    write_text(path_in(folder, "sd_xl_base_1.0.safetensors"), "");
    expect_no_checkpoint(folder, "sd_xl_base_1.0.safetensors: a checkpoint in the original format");
}
END_TEST

#define XL                                                                                                   \
    "\"_class_name\": \"StableDiffusionXLPipeline\", \"scheduler\": [\"diffusers\", "                        \
    "\"EulerDiscreteScheduler\"], "
#define SD "\"_class_name\": \"StableDiffusionPipeline\", \"scheduler\": [\"diffusers\", \"PNDMScheduler\"], "
#define TEXT "\"text_encoder\": [\"transformers\", \"CLIPTextModel\"], "
#define TEXT_2 "\"text_encoder_2\": [\"transformers\", \"CLIPTextModelWithProjection\"], "
#define TOKENIZER "\"tokenizer\": [\"transformers\", \"CLIPTokenizer\"], "
#define TOKENIZER_2 "\"tokenizer_2\": [\"transformers\", \"CLIPTokenizerFast\"], "
#define UNET "\"unet\": [\"diffusers\", \"UNet2DConditionModel\"], "
#define VAE "\"vae\": [\"diffusers\", \"AutoencoderKL\"]"

START_TEST(a_model_index_that_does_not_fit)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "JSON"},
        {"[]", "expected a JSON object"},
        {"{}", "_class_name"},
        {"{\"_class_name\": 1}", "_class_name: expected a string, got 1"},
        {"{\"_class_name\": \"StableDiffusion3Pipeline\"}", "Stable Diffusion 3, which Plumb does not"},
        {"{\"_class_name\": \"FluxPipeline\"}", "Flux, which Plumb does not"},
        {"{\"_class_name\": \"StableDiffusionXLImg2ImgPipeline\"}", "refiner"},
        {"{\"_class_name\": \"StableDiffusionInpaintPipeline\"}", "(inpainting, which Plumb does not"},
        {"{\"_class_name\": \"StableDiffusionXLInpaintPipeline\"}", "(inpainting, which Plumb does not"},
        {"{\"_class_name\": \"LatentConsistencyModelPipeline\"}", "(latent consistency models, which"},
        {"{\"_class_name\": \"OnnxStableDiffusionPipeline\"}", "(ONNX files, which"},
        {"{\"_class_name\": \"WanPipeline\"}", "got \"WanPipeline\""},
        {"{" SD "\"a\": 1}", "text_encoder: missing, and a StableDiffusionPipeline needs it"},
        {"{" SD TEXT TOKENIZER "\"unet\": null, " VAE "}", "unet: missing"},
        {"{" SD TEXT TOKENIZER "\"unet\": [null, null], " VAE "}", "unet: missing"},
        {"{" SD TEXT TOKENIZER "\"unet\": \"x\", " VAE "}", "unet: expected a list [library, class]"},
        {"{" SD TEXT TOKENIZER "\"unet\": [\"x\"], " VAE "}", "unet: expected a list [library, class]"},
        {"{" SD TEXT TOKENIZER "\"unet\": [\"x\", null], " VAE "}", "unet: expected a list [library, class]"},
        {"{" SD TEXT TOKENIZER "\"unet\": [\"diffusers\", \"FluxTransformer2DModel\"], " VAE "}",
            "unet: expected [\"diffusers\", \"UNet2DConditionModel\"]"},
        {"{" SD TEXT TOKENIZER UNET "\"vae\": [\"other\", \"AutoencoderKL\"]}",
            "vae: expected [\"diffusers\""},
        {"{" XL TEXT TOKENIZER UNET VAE "}", "text_encoder_2: missing, and a StableDiffusionXLPipeline"},
        {"{" XL TEXT TEXT_2 TOKENIZER TOKENIZER_2 UNET VAE ", \"force_zeros_for_empty_prompt\": 1}",
            "force_zeros_for_empty_prompt: expected true or false"},
    };
    const char *folder = path_in(test_folder, "model");
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(path_in(folder, "model_index.json"), cases[i].text);
        expect_no_checkpoint(folder, cases[i].words);
    }
}
END_TEST

START_TEST(a_model_index_that_fits)
{
    const char *folder = path_in(test_folder, "model");
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    write_text(path_in(folder, "model_index.json"),
        "{" XL TEXT TEXT_2 TOKENIZER TOKENIZER_2 UNET VAE
        ", \"image_encoder\": [null, null], \"feature_extractor\": null}");
    struct checkpoint checkpoint = open_checkpoint(path_in(folder, "/"));
    ck_assert_str_eq(checkpoint.pipeline_class, "StableDiffusionXLPipeline");
    ck_assert(checkpoint.force_zeros_for_empty_prompt);
    ck_assert(checkpoint_has(&checkpoint, "text_encoder_2") && checkpoint_has(&checkpoint, "unet"));
    ck_assert(
        !checkpoint_has(&checkpoint, "image_encoder") && !checkpoint_has(&checkpoint, "feature_extractor"));
    ck_assert(!checkpoint_has(&checkpoint, "safety_checker"));
    char *path = checkpoint_path(&checkpoint, "unet", "config.json");
    ck_assert_str_eq(path, path_in(folder, "unet/config.json"));
    free(path);
    path = checkpoint_path(&checkpoint, "tokenizer", NULL);
    ck_assert_str_eq(path, path_in(folder, "tokenizer"));
    free(path);
    cJSON *config;
    struct error error = {""};
    enum status status = checkpoint_read_json(&checkpoint, "unet", "config.json", &config, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "model/unet/config.json", "No such file", NULL);
    checkpoint_close(&checkpoint);

    write_text(path_in(folder, "model_index.json"),
        "{" SD TEXT TOKENIZER UNET VAE ", \"force_zeros_for_empty_prompt\": false}");
    checkpoint = open_checkpoint(folder);
    ck_assert_str_eq(checkpoint.pipeline_class, "StableDiffusionPipeline");
    ck_assert(!checkpoint.force_zeros_for_empty_prompt);
    ck_assert(!checkpoint_has(&checkpoint, "text_encoder_2"));
    checkpoint_close(&checkpoint);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *folders = tcase_create("folders");
    tcase_add_checked_fixture(folders, make_test_folder, drop_test_folder);
    tcase_add_test(folders, what_a_path_looks_like);
    tcase_add_test(folders, a_model_index_that_does_not_fit);
    tcase_add_test(folders, a_model_index_that_fits);
    suite_add_tcase(suite, folders);
    return run_suite(suite);
}
