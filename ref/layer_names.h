/*
 * The names of a pipeline's layers, found by their weights: "unet.down_blocks.0.attentions.0.norm",
 * "text_encoder.text_model.encoder.layers.3.mlp.fc1", as Diffusers and transformers name them, whatever
 * names an old file has for them.
 */
#ifndef REF_LAYER_NAMES_H
#define REF_LAYER_NAMES_H

#include "pipeline.h"

struct layer_names; /* opaque */

/* Of a pipeline whose weights lie in files. */
enum status layer_names_create(
    const struct pipeline *pipeline, struct layer_names **out, struct error *error);
void layer_names_free(struct layer_names *names); /* accepts NULL */

/* The layer whose weight begins at `weight`; NULL for what is no layer's weight. */
const char *layer_names_find(const struct layer_names *names, const void *weight);

#endif
