/*
 * Transformer2DModel: the spatial transformer of latent diffusion (Rombach et al. 2022, arXiv:2112.10752,
 * section 3.3 and appendix E.2.1). Each picture's positions are tokens; every block attends to them, then to
 * the text, then mixes channels.
 */
#ifndef REF_TRANSFORMER_H
#define REF_TRANSFORMER_H

#include "layers.h"

#define transformer_read_text KERNEL_NAME(transformer_read_text)
#define transformer_forward KERNEL_NAME(transformer_forward)

struct attention_projections {
    struct linear to_q, to_k, to_v, to_out; /* a bias on to_out alone */
};

/* BasicTransformerBlock: pre-norm self-attention, cross-attention and a GEGLU network, each with a
 * residual. */
struct transformer_block {
    char name[MODULE_NAME];
    struct norm norm1;
    struct attention_projections attn1; /* the tokens to themselves */
    struct norm norm2;
    struct attention_projections attn2; /* the tokens to the text */
    struct norm norm3;
    struct linear ff_in;  /* ff.net.0.proj, [2 * 4 * inner, inner]: values, then gates */
    struct linear ff_out; /* ff.net.2, [inner, 4 * inner] */
};

struct transformer {
    char name[MODULE_NAME];
    int64_t heads, head_dim; /* inner = heads * head_dim */
    struct norm norm;
    bool use_linear_projection;
    struct conv2d proj_in_conv, proj_out_conv; /* 1x1, or */
    struct linear proj_in, proj_out;           /* the same on tokens */
    struct transformer_block *blocks;          /* [block_count], owned */
    int64_t block_count;
};

struct transformer_shape {
    int64_t channels, heads, layers, cross_attention_dim;
    int groups;
    bool use_linear_projection;
};
/* Where memory is out, returns the status and leaves `transformer` empty. */
enum status transformer_load(struct weights *weights, struct transformer *transformer, const char *component,
    const char *path, const struct transformer_shape *shape, struct error *error);
void transformer_free(struct transformer *transformer);

/* What a block's cross-attention makes of the text, [B, L, inner] each: the same at every step of a run. */
struct text_keys {
    struct tensor k, v;
};
/* keys: [block_count], in the order of the blocks. encoder_hidden_states: [B, L, cross_attention_dim] */
void transformer_read_text(struct forward *f, const struct transformer *transformer,
    struct tensor encoder_hidden_states, struct text_keys *keys);

/* x: [B, C, H, W], which is given back; keys: as transformer_read_text() leaves them -> [B, C, H, W] */
struct tensor transformer_forward(
    struct forward *f, const struct transformer *transformer, struct tensor x, const struct text_keys *keys);

#endif
