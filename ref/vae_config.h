/*
 * The config of an AutoencoderKL, as far as its decoder goes.
 */
#ifndef REF_VAE_CONFIG_H
#define REF_VAE_CONFIG_H

#include "config_fields.h"

#define VAE_MAX_LAYERS 16
#define VAE_MAX_LATENT_CHANNELS 64

struct vae_config {
    int64_t latent_channels, out_channels;
    int levels;
    int64_t block_out_channels[CONFIG_MAX_LEVELS]; /* from the finest level to the coarsest */
    int64_t layers_per_block;                      /* the decoder has one more */
    int64_t norm_num_groups;
    bool use_post_quant_conv, mid_block_add_attention;
    bool force_upcast; /* of a decoder in F16: forward.h */
    double scaling_factor;
    bool has_latents_statistics; /* latents_mean and latents_std */
    double latents_mean[VAE_MAX_LATENT_CHANNELS], latents_std[VAE_MAX_LATENT_CHANNELS];
};

/* Reads `json` with Diffusers' defaults for what is missing. Errors name the field. */
enum status vae_config_read(const cJSON *json, struct vae_config *config, struct error *error);

#endif
