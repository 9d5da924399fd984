/*
 * The parts of an autoencoder's decoder, as vae_load.c fills and vae.c runs them:
 *
 *     post_quant_conv -> conv_in -> mid_block -> up_blocks[0..] -> conv_norm_out -> conv_out
 */
#ifndef REF_VAE_MODEL_H
#define REF_VAE_MODEL_H

#include "resnet.h"
#include "vae.h"
#include "vae_config.h"

/* Self-attention of every position to every other, one head over all channels, with a residual. */
struct vae_attention {
    char name[MODULE_NAME];
    struct norm group_norm;
    struct linear to_q, to_k, to_v, to_out;
};

struct vae_up_block {
    char name[MODULE_NAME];
    struct resnet resnets[VAE_MAX_LAYERS + 1]; /* layers_per_block + 1 of them */
    bool has_upsampler;
    struct resampler upsampler;
};

struct vae {
    struct vae_config config;
    struct weights *weights; /* the mappings that all tensors point into; owned */

    struct conv2d post_quant_conv; /* 1x1; with use_post_quant_conv */
    struct conv2d conv_in;
    struct resnet mid_resnets[2];
    struct vae_attention mid_attention; /* with mid_block_add_attention */
    struct vae_up_block up_blocks[CONFIG_MAX_LEVELS];
    struct norm conv_norm_out;
    struct conv2d conv_out;
};

/* Fills everything from `weights`, which keeps the first failure for weights_finish(). `vae` holds its config
 * and is otherwise zero. */
void vae_load(struct vae *vae, struct weights *weights);

/* Takes what the config (as JSON and as read) asks for of the encoder, which is never run. */
enum status vae_encoder_take(
    const cJSON *json, const struct vae_config *config, struct weights *weights, struct error *error);

/* The blocks that decoder and encoder have in common, at `path`. */
void vae_norm_load(const struct vae_config *config, struct weights *weights, struct norm *norm,
    const char *path, int64_t channels);
void vae_resnet_load(const struct vae_config *config, struct weights *weights, struct resnet *resnet,
    const char *path, int64_t in, int64_t out);
void vae_attention_load(const struct vae_config *config, struct weights *weights,
    struct vae_attention *attention, const char *path, int64_t channels);

/* A decoder of this config with these weights, which it owns from then on, also where this fails. */
enum status vae_create(
    const struct vae_config *config, struct weights *weights, struct vae **out, struct error *error);

#endif
