/*
 * The parts of a text encoder, as text_encoder_open.c fills and text_encoder.c runs them:
 *
 *     embeddings -> layers[0..] -> final_layer_norm -> (pooled) text_projection
 */
#ifndef REF_TEXT_ENCODER_MODEL_H
#define REF_TEXT_ENCODER_MODEL_H

#include "text_encoder.h"
#include "text_encoder_config.h"

struct text_encoder_layer {
    char name[MODULE_NAME];
    struct norm layer_norm1, layer_norm2;
    struct linear q_proj, k_proj, v_proj, out_proj; /* self_attn */
    struct linear fc1, fc2;                         /* mlp */
};

struct text_encoder {
    struct text_encoder_config config;
    struct weights *weights; /* the mappings that all tensors point into; owned */
    char name[MODULE_NAME];  /* "text_encoder": what its modules' outputs are recorded under */

    struct tensor token_embedding;     /* [vocab_size, hidden] */
    struct tensor position_embedding;  /* [max_position_embeddings, hidden] */
    struct text_encoder_layer *layers; /* [num_hidden_layers] */
    struct norm final_layer_norm;
    bool has_projection; /* CLIPTextModelWithProjection */
    struct linear text_projection;
};

/* A text encoder of this config with these weights, which it owns from then on, also where this fails.
 * `component` is "text_encoder" or "text_encoder_2". */
enum status text_encoder_create(const struct text_encoder_config *config, const char *component,
    bool has_projection, struct weights *weights, struct text_encoder **out, struct error *error);

#endif
