/*
 * The config of a CLIPTextModel or CLIPTextModelWithProjection.
 */
#ifndef REF_TEXT_ENCODER_CONFIG_H
#define REF_TEXT_ENCODER_CONFIG_H

#include "config_fields.h"

#define TEXT_ENCODER_MAX_LAYERS 256

enum text_encoder_activation { ACTIVATION_QUICK_GELU, ACTIVATION_GELU };

struct text_encoder_config {
    int64_t vocab_size, max_position_embeddings;
    int64_t hidden_size, intermediate_size, projection_dim;
    int64_t num_hidden_layers, num_attention_heads;
    enum text_encoder_activation hidden_act;
    double layer_norm_eps;
    int64_t eos_token_id; /* where the pooled vector is taken; 2 means something else: see text_encoder.c */
};

/* Reads `json` with transformers' defaults (CLIPTextConfig) for what is missing. Errors name the field. */
enum status text_encoder_config_read(
    const cJSON *json, struct text_encoder_config *config, struct error *error);

#endif
