/* The weights of a UNet, under Diffusers' names and with the shapes that its config asks for. */
#include "unet_model.h"

#include <stdio.h>

static const char COMPONENT[] = "unet";

static enum status load_transformer(struct weights *weights, const struct unet_config *config,
    struct transformer *transformer, const char *path, int level, int64_t layers, struct error *error)
{
    struct transformer_shape shape = {
        .channels = config->block_out_channels[level],
        .heads = config->attention_heads[level],
        .layers = layers,
        .cross_attention_dim = config->cross_attention_dim,
        .groups = (int)config->norm_num_groups,
        .use_linear_projection = config->use_linear_projection,
    };
    return transformer_load(weights, transformer, COMPONENT, path, &shape, error);
}

static void load_resnet(struct weights *weights, const struct unet_config *config, struct resnet *resnet,
    const char *path, int64_t in, int64_t out)
{
    resnet_load(weights, resnet, COMPONENT, path, in, out, config->time_embedding_dim,
        (int)config->norm_num_groups, config->norm_eps);
}

/* down_blocks[level]: from the channels of the level before to its own. */
static enum status load_down_block(struct unet *unet, struct weights *weights, int level, struct error *error)
{
    const struct unet_config *config = &unet->config;
    struct unet_block *block = &unet->down_blocks[level];
    int64_t in = config->block_out_channels[level > 0 ? level - 1 : 0];
    int64_t out = config->block_out_channels[level];
    block->layers = config->layers_per_block[level];
    block->has_attention = config->down_attention[level];
    block->has_resampler = level + 1 < config->levels;

    char path[MODULE_NAME];
    enum status status = STATUS_OK;
    for (int i = 0; i < block->layers && status == STATUS_OK; i++) {
        snprintf(path, sizeof path, "down_blocks.%d.resnets.%d", level, i);
        load_resnet(weights, config, &block->resnets[i], path, i == 0 ? in : out, out);
        snprintf(path, sizeof path, "down_blocks.%d.attentions.%d", level, i);
        if (block->has_attention)
            status = load_transformer(weights, config, &block->attentions[i], path, level,
                config->transformer_layers[level], error);
    }
    snprintf(path, sizeof path, "down_blocks.%d.downsamplers.0", level);
    if (block->has_resampler) downsampler_load(weights, &block->resampler, COMPONENT, path, out);
    return status;
}

static enum status load_mid_block(struct unet *unet, struct weights *weights, struct error *error)
{
    const struct unet_config *config = &unet->config;
    int level = config->levels - 1;
    int64_t channels = config->block_out_channels[level];
    load_resnet(weights, config, &unet->mid_resnets[0], "mid_block.resnets.0", channels, channels);
    enum status status = load_transformer(weights, config, &unet->mid_attention, "mid_block.attentions.0",
        level, config->transformer_layers[level], error);
    load_resnet(weights, config, &unet->mid_resnets[1], "mid_block.resnets.1", channels, channels);
    return status;
}

/* up_blocks[i] is on the level levels-1-i. Each of its resnets takes what came before it and a skip: those of
 * the level's own resnets first, and last what entered the level on the way down. */
static enum status load_up_block(struct unet *unet, struct weights *weights, int i, struct error *error)
{
    const struct unet_config *config = &unet->config;
    struct unet_block *block = &unet->up_blocks[i];
    int level = config->levels - 1 - i;
    int64_t before = config->block_out_channels[i > 0 ? level + 1 : level];
    int64_t out = config->block_out_channels[level];
    int64_t entered = config->block_out_channels[level > 0 ? level - 1 : 0];
    block->layers = config->layers_per_block[level] + 1;
    block->has_attention = config->up_attention[i];
    block->has_resampler = level > 0;

    char path[MODULE_NAME];
    enum status status = STATUS_OK;
    for (int j = 0; j < block->layers && status == STATUS_OK; j++) {
        int64_t hidden = j == 0 ? before : out, skip = j + 1 == block->layers ? entered : out;
        snprintf(path, sizeof path, "up_blocks.%d.resnets.%d", i, j);
        load_resnet(weights, config, &block->resnets[j], path, hidden + skip, out);
        snprintf(path, sizeof path, "up_blocks.%d.attentions.%d", i, j);
        if (block->has_attention)
            status = load_transformer(
                weights, config, &block->attentions[j], path, level, config->up_transformer_layers[i], error);
    }
    snprintf(path, sizeof path, "up_blocks.%d.upsamplers.0", i);
    if (block->has_resampler) upsampler_load(weights, &block->resampler, COMPONENT, path, out);
    return status;
}

enum status unet_load(struct unet *unet, struct weights *weights, struct error *error)
{
    const struct unet_config *config = &unet->config;
    int64_t channels = config->block_out_channels[0], time_dim = config->time_embedding_dim;
    int in_kernel = (int)config->conv_in_kernel, out_kernel = (int)config->conv_out_kernel;
    int groups = (int)config->norm_num_groups;
    enum status status = STATUS_OK;

    linear_load(weights, &unet->time_embedding[0], "time_embedding.linear_1", channels, time_dim, true);
    linear_load(weights, &unet->time_embedding[1], "time_embedding.linear_2", time_dim, time_dim, true);
    if (config->text_time) {
        int64_t in = config->projection_class_embeddings_input_dim;
        linear_load(weights, &unet->add_embedding[0], "add_embedding.linear_1", in, time_dim, true);
        linear_load(weights, &unet->add_embedding[1], "add_embedding.linear_2", time_dim, time_dim, true);
    }
    conv2d_load(
        weights, &unet->conv_in, "conv_in", config->in_channels, channels, in_kernel, 1, (in_kernel - 1) / 2);
    for (int i = 0; i < config->levels && status == STATUS_OK; i++)
        status = load_down_block(unet, weights, i, error);
    if (status == STATUS_OK) status = load_mid_block(unet, weights, error);
    for (int i = 0; i < config->levels && status == STATUS_OK; i++)
        status = load_up_block(unet, weights, i, error);
    norm_load(weights, &unet->conv_norm_out, "conv_norm_out", channels, groups, config->norm_eps);
    conv2d_load(weights, &unet->conv_out, "conv_out", channels, config->out_channels, out_kernel, 1,
        (out_kernel - 1) / 2);
    return status;
}
