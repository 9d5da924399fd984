/*
 * One JSON text as each of the configs that a checkpoint is made of: the scheduler's, the UNet's, the
 * autoencoder's, the text encoder's, model_index.json, an index of shards, and a whole architecture as `plumb
 * synth` takes it. Each is refused with a reason, or gives something whose sizes are sound.
 */
#include "fuzz.h"
#include "scheduler_input.h"

#include "ref/architecture.h"
#include "ref/text_encoder_config.h"
#include "ref/unet_config.h"
#include "ref/vae_config.h"

#include <string.h>

static void read_models(const cJSON *json)
{
    struct unet_config unet;
    struct vae_config vae;
    struct text_encoder_config encoder;
    struct error error = {""};
    if (fuzz_accepted(unet_config_read(json, &unet, &error), &error)) {
        fuzz_require(unet.levels >= 1 && unet.levels <= CONFIG_MAX_LEVELS, "%d levels", unet.levels);
        for (int i = 0; i < unet.levels; i++)
            fuzz_require(unet.block_out_channels[i] >= 1 && unet.block_out_channels[i] <= CONFIG_MAX_SIDE &&
                             unet.layers_per_block[i] >= 1 && unet.attention_heads[i] >= 1,
                "level %d of the UNet", i);
    }
    error = (struct error){""};
    if (fuzz_accepted(vae_config_read(json, &vae, &error), &error))
        fuzz_require(vae.levels >= 1 && vae.levels <= CONFIG_MAX_LEVELS && vae.latent_channels >= 1 &&
                         vae.latent_channels <= VAE_MAX_LATENT_CHANNELS,
            "the autoencoder's sizes");
    error = (struct error){""};
    if (fuzz_accepted(text_encoder_config_read(json, &encoder, &error), &error))
        fuzz_require(encoder.hidden_size >= 1 && encoder.num_attention_heads >= 1 &&
                         encoder.hidden_size % encoder.num_attention_heads == 0 &&
                         encoder.num_hidden_layers <= TEXT_ENCODER_MAX_LAYERS,
            "the text encoder's sizes");
}

/* As model_index.json and as the index of shards of a checkpoint, which has no shard. */
static void read_checkpoint(const uint8_t *data, size_t size)
{
    struct checkpoint checkpoint;
    struct weights *weights = NULL;
    struct error error = {""};
    fuzz_make_folder("unet");
    fuzz_file("model_index.json", data, size);
    if (fuzz_accepted(checkpoint_open(fuzz_folder(), &checkpoint, &error), &error))
        checkpoint_close(&checkpoint);

    static const char sound[] =
        "{\"_class_name\": \"StableDiffusionPipeline\", \"scheduler\": [\"diffusers\", \"DDIMScheduler\"], "
        "\"text_encoder\": [\"transformers\", \"CLIPTextModel\"], \"tokenizer\": [\"transformers\", "
        "\"CLIPTokenizer\"], \"unet\": [\"diffusers\", \"UNet2DConditionModel\"], \"vae\": [\"diffusers\", "
        "\"AutoencoderKL\"]}";
    fuzz_file("model_index.json", sound, sizeof sound - 1);
    fuzz_file("unet/diffusion_pytorch_model.safetensors.index.json", data, size);
    error = (struct error){""};
    enum status status = checkpoint_open(fuzz_folder(), &checkpoint, &error);
    fuzz_require(status == STATUS_OK, "%s", error.message);
    if (fuzz_accepted(weights_open(&checkpoint, "unet", NULL, &weights, &error), &error))
        weights_close(weights);
    checkpoint_close(&checkpoint);
}

/* The names and shapes of every tensor that a checkpoint of this architecture holds. */
static void read_architecture(const uint8_t *data, size_t size)
{
    struct architecture architecture;
    struct error error = {""};
    const char *path = fuzz_file("architecture.json", data, size);
    if (!fuzz_accepted(architecture_open(path, &architecture, &error), &error)) return;
    for (int i = 0; i < ARCHITECTURE_MODELS; i++) {
        struct tensor_set *tensors;
        const char *part = architecture_models[i];
        if (!architecture_part(&architecture, part)) continue;
        error = (struct error){""};
        enum status status = architecture_tensors(&architecture, part, DTYPE_F32, &tensors, &error);
        if (!fuzz_accepted(status, &error)) continue;
        for (size_t n = 0; n < tensor_set_count(tensors); n++)
            fuzz_require(tensor_count(tensor_set_at(tensors, n)) > 0, "%s: %s has no elements", part,
                tensor_set_name(tensors, n));
        tensor_set_free(tensors);
    }
    architecture_close(&architecture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json = fuzz_json(data, size);
    if (json) {
        read_models(json);
        read_checkpoint(data, size);
        read_architecture(data, size);
        if (!scheduler_input_takes_long(json, NULL)) scheduler_input_run(json, NULL, NULL);
        cJSON_Delete(json);
    }
    return 0;
}
