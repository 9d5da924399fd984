/* The weights of the blocks that models are built of (resnet.h, transformer.h), under Diffusers' names. */
#include "resnet.h"
#include "transformer.h"

#include <stdio.h>
#include <stdlib.h>

void resnet_load(struct weights *weights, struct resnet *resnet, const char *component, const char *path,
    int64_t in, int64_t out, int64_t temb_channels, int groups, double eps)
{
    char name[MODULE_NAME];
    *resnet = (struct resnet){0};
    module_path(resnet->name, component, path);
    norm_load(weights, &resnet->norm1, module_path(name, path, "norm1"), in, groups, eps);
    conv2d_load(weights, &resnet->conv1, module_path(name, path, "conv1"), in, out, 3, 1, 1);
    if (temb_channels > 0)
        linear_load(weights, &resnet->time_emb_proj, module_path(name, path, "time_emb_proj"), temb_channels,
            out, true);
    norm_load(weights, &resnet->norm2, module_path(name, path, "norm2"), out, groups, eps);
    conv2d_load(weights, &resnet->conv2, module_path(name, path, "conv2"), out, out, 3, 1, 1);
    if (in != out)
        conv2d_load(
            weights, &resnet->conv_shortcut, module_path(name, path, "conv_shortcut"), in, out, 1, 1, 0);
}

void downsampler_load(struct weights *weights, struct resampler *downsampler, const char *component,
    const char *path, int64_t channels)
{
    char name[MODULE_NAME];
    module_path(downsampler->name, component, path);
    conv2d_load(weights, &downsampler->conv, module_path(name, path, "conv"), channels, channels, 3, 2, 1);
}

void upsampler_load(struct weights *weights, struct resampler *upsampler, const char *component,
    const char *path, int64_t channels)
{
    char name[MODULE_NAME];
    module_path(upsampler->name, component, path);
    conv2d_load(weights, &upsampler->conv, module_path(name, path, "conv"), channels, channels, 3, 1, 1);
}

/* Queries from `inner` channels, keys and values from `context` channels. */
static void projections_load(struct weights *weights, struct attention_projections *projections,
    const char *path, int64_t inner, int64_t context)
{
    char name[MODULE_NAME];
    linear_load(weights, &projections->to_q, module_path(name, path, "to_q"), inner, inner, false);
    linear_load(weights, &projections->to_k, module_path(name, path, "to_k"), context, inner, false);
    linear_load(weights, &projections->to_v, module_path(name, path, "to_v"), context, inner, false);
    linear_load(weights, &projections->to_out, module_path(name, path, "to_out.0"), inner, inner, true);
}

static void block_load(struct weights *weights, struct transformer_block *block, const char *component,
    const char *path, int64_t inner, int64_t cross_attention_dim)
{
    const double eps = 1e-5; /* of a LayerNorm; not in the config */
    char name[MODULE_NAME];
    module_path(block->name, component, path);
    norm_load(weights, &block->norm1, module_path(name, path, "norm1"), inner, 1, eps);
    projections_load(weights, &block->attn1, module_path(name, path, "attn1"), inner, inner);
    norm_load(weights, &block->norm2, module_path(name, path, "norm2"), inner, 1, eps);
    projections_load(weights, &block->attn2, module_path(name, path, "attn2"), inner, cross_attention_dim);
    norm_load(weights, &block->norm3, module_path(name, path, "norm3"), inner, 1, eps);
    linear_load(weights, &block->ff_in, module_path(name, path, "ff.net.0.proj"), inner, 8 * inner, true);
    linear_load(weights, &block->ff_out, module_path(name, path, "ff.net.2"), 4 * inner, inner, true);
}

enum status transformer_load(struct weights *weights, struct transformer *transformer, const char *component,
    const char *path, const struct transformer_shape *shape, struct error *error)
{
    const double eps = 1e-6; /* of this GroupNorm, whatever norm_eps says */
    int64_t channels = shape->channels, head_dim = channels / shape->heads, inner = shape->heads * head_dim;
    char name[MODULE_NAME], child[MODULE_NAME];
    *transformer = (struct transformer){
        .heads = shape->heads, .head_dim = head_dim, .use_linear_projection = shape->use_linear_projection};
    module_path(transformer->name, component, path);
    size_t bytes = (size_t)shape->layers * sizeof *transformer->blocks;
    if (bytes > 0) {
        transformer->blocks = calloc(1, bytes);
        if (!transformer->blocks) return error_memory(error, bytes);
    }
    transformer->block_count = shape->layers;

    norm_load(weights, &transformer->norm, module_path(name, path, "norm"), channels, shape->groups, eps);
    module_path(name, path, "proj_in");
    if (shape->use_linear_projection)
        linear_load(weights, &transformer->proj_in, name, channels, inner, true);
    else
        conv2d_load(weights, &transformer->proj_in_conv, name, channels, inner, 1, 1, 0);
    for (int64_t i = 0; i < shape->layers; i++) {
        snprintf(child, sizeof child, "transformer_blocks.%d", (int)i);
        block_load(weights, &transformer->blocks[i], component, module_path(name, path, child), inner,
            shape->cross_attention_dim);
    }
    module_path(name, path, "proj_out");
    if (shape->use_linear_projection)
        linear_load(weights, &transformer->proj_out, name, inner, channels, true);
    else
        conv2d_load(weights, &transformer->proj_out_conv, name, inner, channels, 1, 1, 0);
    return STATUS_OK;
}

void transformer_free(struct transformer *transformer)
{
    free(transformer->blocks);
    *transformer = (struct transformer){0};
}
