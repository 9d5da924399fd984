/*
 * The tensors of an autoencoder's encoder, which text to image does not run: for what lists or writes a VAE
 * whole, as it is published. The mirror of vae_load.c:
 *
 *     conv_in -> down_blocks[0..] -> mid_block -> conv_norm_out -> conv_out -> quant_conv
 */
#include "vae_model.h"

#include <stdio.h>

/* encoder.down_blocks[i]: layers_per_block resnets to its own channels, and a downsampler but in the last. */
static void take_down_block(const struct vae_config *config, struct weights *weights, int i)
{
    struct resnet resnet;
    struct resampler downsampler;
    int64_t in = config->block_out_channels[i > 0 ? i - 1 : 0], out = config->block_out_channels[i];
    char path[MODULE_NAME];
    for (int j = 0; j < config->layers_per_block; j++) {
        snprintf(path, sizeof path, "encoder.down_blocks.%d.resnets.%d", i, j);
        vae_resnet_load(config, weights, &resnet, path, j == 0 ? in : out, out);
    }
    snprintf(path, sizeof path, "encoder.down_blocks.%d.downsamplers.0", i);
    if (i + 1 < config->levels) downsampler_load(weights, &downsampler, "vae", path, out);
}

enum status vae_encoder_take(
    const cJSON *json, const struct vae_config *config, struct weights *weights, struct error *error)
{
    struct conv2d conv;
    struct resnet resnet;
    struct vae_attention attention;
    int64_t in_channels = 3, finest = config->block_out_channels[0];
    int64_t coarsest = config->block_out_channels[config->levels - 1];
    int64_t moments = 2 * config->latent_channels; /* the mean and the logarithm of the variance */
    bool use_quant_conv = true;
    enum status status = json_get_int(json, "in_channels", 1, CONFIG_MAX_SIDE, &in_channels, NULL, error);
    if (status == STATUS_OK) status = json_get_bool(json, "use_quant_conv", &use_quant_conv, NULL, error);
    if (status != STATUS_OK) return status;

    conv2d_load(weights, &conv, "encoder.conv_in", in_channels, finest, 3, 1, 1);
    for (int i = 0; i < config->levels; i++) take_down_block(config, weights, i);
    vae_resnet_load(config, weights, &resnet, "encoder.mid_block.resnets.0", coarsest, coarsest);
    if (config->mid_block_add_attention)
        vae_attention_load(config, weights, &attention, "encoder.mid_block.attentions.0", coarsest);
    vae_resnet_load(config, weights, &resnet, "encoder.mid_block.resnets.1", coarsest, coarsest);
    vae_norm_load(config, weights, &resnet.norm1, "encoder.conv_norm_out", coarsest);
    conv2d_load(weights, &conv, "encoder.conv_out", coarsest, moments, 3, 1, 1);
    if (use_quant_conv) conv2d_load(weights, &conv, "quant_conv", moments, moments, 1, 1, 0);
    return STATUS_OK;
}
