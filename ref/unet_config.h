/*
 * The config of a UNet2DConditionModel, as far as Stable Diffusion 1.x, 2.x and XL use it.
 */
#ifndef REF_UNET_CONFIG_H
#define REF_UNET_CONFIG_H

#include "config_fields.h"

#define UNET_MAX_LAYERS 16 /* resnets in a level; transformer blocks may be more */

/* Lists have one entry a level, from the finest to the coarsest; but `up_*` are in the order of the up path,
 * from the coarsest to the finest. */
struct unet_config {
    int64_t in_channels, out_channels;
    int64_t sample_size; /* the side of the latents that it was trained on; 0 where the config does not say */

    int levels;
    int64_t block_out_channels[CONFIG_MAX_LEVELS];
    int64_t layers_per_block[CONFIG_MAX_LEVELS];
    bool down_attention[CONFIG_MAX_LEVELS], up_attention[CONFIG_MAX_LEVELS];
    int64_t attention_heads[CONFIG_MAX_LEVELS]; /* what the config calls attention_head_dim */
    int64_t transformer_layers[CONFIG_MAX_LEVELS], up_transformer_layers[CONFIG_MAX_LEVELS];
    int64_t cross_attention_dim;
    bool use_linear_projection;

    int64_t norm_num_groups;
    double norm_eps;
    int64_t conv_in_kernel, conv_out_kernel;

    bool flip_sin_to_cos;
    double freq_shift;
    int64_t time_embedding_dim; /* 4 * block_out_channels[0] unless the config says otherwise */

    bool text_time; /* SDXL: pooled text and sizes are added to the time embedding */
    int64_t addition_time_embed_dim;
    int64_t projection_class_embeddings_input_dim;
};

/* Reads `json` with Diffusers' defaults for what is missing. Errors name the field. */
enum status unet_config_read(const cJSON *json, struct unet_config *config, struct error *error);

#endif
