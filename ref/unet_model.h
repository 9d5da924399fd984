/*
 * The parts of a UNet (figure 3 of Rombach et al. 2022), as unet_load.c fills and unet.c runs them:
 *
 *     conv_in -> down_blocks[0..] -> mid_block -> up_blocks[0..] -> conv_norm_out -> conv_out
 *
 * Every output on the way down is kept and concatenated to an input on the way up.
 */
#ifndef REF_UNET_MODEL_H
#define REF_UNET_MODEL_H

#include "resnet.h"
#include "transformer.h"
#include "unet.h"
#include "unet_config.h"

/* A level on the way down or up: `layers` times a resnet and, with attention, a transformer; then a resampler
 * unless it is the last one. */
struct unet_block {
    int64_t layers;
    bool has_attention, has_resampler;
    struct resnet resnets[UNET_MAX_LAYERS + 1]; /* the way up has one more than the way down */
    struct transformer attentions[UNET_MAX_LAYERS + 1];
    struct resampler resampler;
};

struct unet {
    struct unet_config config;
    struct weights *weights; /* the mappings that all tensors point into; owned */

    struct linear time_embedding[2];
    struct linear add_embedding[2]; /* with text_time */
    struct conv2d conv_in;
    struct unet_block down_blocks[CONFIG_MAX_LEVELS];
    struct resnet mid_resnets[2];
    struct transformer mid_attention;
    struct unet_block up_blocks[CONFIG_MAX_LEVELS];
    struct norm conv_norm_out;
    struct conv2d conv_out;
};

/* Fills everything from `weights`, which keeps the first failure for weights_finish(); the status is that of
 * memory alone. `unet` holds its config and is otherwise zero. */
enum status unet_load(struct unet *unet, struct weights *weights, struct error *error);

/* A UNet of this config with these weights, which it owns from then on, also where this fails. */
enum status unet_create(
    const struct unet_config *config, struct weights *weights, struct unet **out, struct error *error);

#endif
