/* The weights of an autoencoder's decoder, under Diffusers' names and with the shapes that its config asks
 * for. */
#include "vae_model.h"

#include <stdio.h>

static const char COMPONENT[] = "vae";
static const double EPS = 1e-6; /* of every norm; not in the config */

void vae_norm_load(const struct vae_config *config, struct weights *weights, struct norm *norm,
    const char *path, int64_t channels)
{
    norm_load(weights, norm, path, channels, (int)config->norm_num_groups, EPS);
}

void vae_resnet_load(const struct vae_config *config, struct weights *weights, struct resnet *resnet,
    const char *path, int64_t in, int64_t out)
{
    resnet_load(weights, resnet, COMPONENT, path, in, out, 0, (int)config->norm_num_groups, EPS);
}

/* Files from before diffusers 0.12 call the projections query, key, value and proj_attn. */
void vae_attention_load(const struct vae_config *config, struct weights *weights,
    struct vae_attention *attention, const char *path, int64_t channels)
{
    char name[MODULE_NAME];
    bool old = weights_has(weights, "%s.query.weight", path);
    const char *q = old ? "query" : "to_q", *k = old ? "key" : "to_k", *v = old ? "value" : "to_v";
    const char *out = old ? "proj_attn" : "to_out.0";
    module_path(attention->name, COMPONENT, path);
    vae_norm_load(config, weights, &attention->group_norm, module_path(name, path, "group_norm"), channels);
    linear_load(weights, &attention->to_q, module_path(name, path, q), channels, channels, true);
    linear_load(weights, &attention->to_k, module_path(name, path, k), channels, channels, true);
    linear_load(weights, &attention->to_v, module_path(name, path, v), channels, channels, true);
    linear_load(weights, &attention->to_out, module_path(name, path, out), channels, channels, true);
}

/* decoder.up_blocks[i]: from the channels of the block before, at the same size, to its own. */
static void load_up_block(struct vae *vae, struct weights *weights, int i)
{
    const struct vae_config *config = &vae->config;
    struct vae_up_block *block = &vae->up_blocks[i];
    int level = config->levels - 1 - i;
    int64_t in = config->block_out_channels[i > 0 ? level + 1 : level];
    int64_t out = config->block_out_channels[level];
    char path[MODULE_NAME];

    snprintf(block->name, sizeof block->name, "%s.decoder.up_blocks.%d", COMPONENT, i);
    for (int j = 0; j <= config->layers_per_block; j++) {
        snprintf(path, sizeof path, "decoder.up_blocks.%d.resnets.%d", i, j);
        vae_resnet_load(config, weights, &block->resnets[j], path, j == 0 ? in : out, out);
    }
    block->has_upsampler = level > 0;
    snprintf(path, sizeof path, "decoder.up_blocks.%d.upsamplers.0", i);
    if (block->has_upsampler) upsampler_load(weights, &block->upsampler, COMPONENT, path, out);
}

void vae_load(struct vae *vae, struct weights *weights)
{
    const struct vae_config *config = &vae->config;
    int64_t latent = config->latent_channels, finest = config->block_out_channels[0];
    int64_t coarsest = config->block_out_channels[config->levels - 1];

    weights_ignore(weights, "encoder.*");
    weights_ignore(weights, "quant_conv.*");
    if (config->use_post_quant_conv)
        conv2d_load(weights, &vae->post_quant_conv, "post_quant_conv", latent, latent, 1, 1, 0);
    conv2d_load(weights, &vae->conv_in, "decoder.conv_in", latent, coarsest, 3, 1, 1);
    vae_resnet_load(config, weights, &vae->mid_resnets[0], "decoder.mid_block.resnets.0", coarsest, coarsest);
    if (config->mid_block_add_attention)
        vae_attention_load(config, weights, &vae->mid_attention, "decoder.mid_block.attentions.0", coarsest);
    vae_resnet_load(config, weights, &vae->mid_resnets[1], "decoder.mid_block.resnets.1", coarsest, coarsest);
    for (int i = 0; i < config->levels; i++) load_up_block(vae, weights, i);
    vae_norm_load(config, weights, &vae->conv_norm_out, "decoder.conv_norm_out", finest);
    conv2d_load(weights, &vae->conv_out, "decoder.conv_out", finest, config->out_channels, 3, 1, 1);
}
