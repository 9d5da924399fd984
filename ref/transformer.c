#include "kernels/real.h"

#include "transformer.h"

#include <math.h>

/* Keys and values from `context` [B, M, ...]: [B, M, heads * head_dim] */
static struct text_keys read_context(
    struct forward *f, const struct attention_projections *projections, struct tensor context)
{
    return (struct text_keys){linear(f, context, &projections->to_k), linear(f, context, &projections->to_v)};
}

/* Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, arXiv:1706.03762, eq. 1) with queries
 * from `x` [B, N, inner], added to hidden_states [B, N, inner], which is returned. */
static struct tensor attend(struct forward *f, const struct transformer *transformer,
    const struct attention_projections *projections, struct tensor x, struct text_keys keys,
    struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor q = linear(f, x, &projections->to_q); /* [B, N, heads * head_dim] */
    double scale = 1 / sqrt((double)transformer->head_dim);
    struct tensor attended =
        attention(f, q, keys.k, keys.v, transformer->heads, scale, false); /* [B, N, heads * head_dim] */
    return scope_return(f, scope, linear_onto(f, attended, &projections->to_out, hidden_states));
}

/* GEGLU (Shazeer 2020, arXiv:2002.05202, eq. 6) and a linear layer, added to hidden_states, which is
 * returned. x: [B, N, inner], as hidden_states */
static struct tensor feed_forward(
    struct forward *f, const struct transformer_block *block, struct tensor x, struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor gated = linear_geglu(f, x, &block->ff_in); /* [B, N, 4 * inner] */
    return scope_return(f, scope, linear_onto(f, gated, &block->ff_out, hidden_states));
}

/* hidden_states: [B, N, inner], which the block adds to; returned. */
static struct tensor block_forward(struct forward *f, const struct transformer *transformer,
    const struct transformer_block *block, struct tensor hidden_states, struct text_keys text)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor normed =
        layer_norm(f, hidden_states, &block->norm1); /* [B, N, inner], as all that follow */
    struct text_keys own = read_context(f, &block->attn1, normed);
    hidden_states = attend(f, transformer, &block->attn1, normed, own, hidden_states);
    hidden_states = scope_return(f, scope, hidden_states);

    normed = layer_norm(f, hidden_states, &block->norm2);
    hidden_states = attend(f, transformer, &block->attn2, normed, text, hidden_states);
    hidden_states = scope_return(f, scope, hidden_states);

    normed = layer_norm(f, hidden_states, &block->norm3);
    hidden_states = scope_return(f, scope, feed_forward(f, block, normed, hidden_states));
    return forward_output(f, block->name, hidden_states);
}

void transformer_read_text(struct forward *f, const struct transformer *transformer,
    struct tensor encoder_hidden_states, struct text_keys *keys)
{
    for (int64_t i = 0; i < transformer->block_count; i++)
        keys[i] = read_context(f, &transformer->blocks[i].attn2, encoder_hidden_states);
}

struct tensor transformer_forward(
    struct forward *f, const struct transformer *transformer, struct tensor x, const struct text_keys *keys)
{
    struct arena_mark scope = scope_begin(f);
    int64_t height = x.shape[2], width = x.shape[3];
    struct tensor hidden_states = group_norm(f, x, &transformer->norm, false); /* [B, C, H, W] */

    if (transformer->use_linear_projection) {
        hidden_states = to_tokens(f, hidden_states); /* [B, H*W, C] */
        hidden_states = linear(f, hidden_states, &transformer->proj_in);
    } else {
        hidden_states = conv2d(f, hidden_states, &transformer->proj_in_conv); /* [B, inner, H, W] */
        hidden_states = to_tokens(f, hidden_states);
    }
    hidden_states = scope_return(f, scope, hidden_states); /* [B, H*W, inner] */

    for (int64_t i = 0; i < transformer->block_count; i++)
        hidden_states = block_forward(f, transformer, &transformer->blocks[i], hidden_states, keys[i]);

    if (transformer->use_linear_projection) {
        hidden_states = linear(f, hidden_states, &transformer->proj_out); /* [B, H*W, C] */
        hidden_states = from_tokens(f, hidden_states, height, width);
    } else {
        hidden_states = from_tokens(f, hidden_states, height, width); /* [B, inner, H, W] */
        hidden_states = conv2d(f, hidden_states, &transformer->proj_out_conv);
    }
    hidden_states = scope_return(f, scope, add_onto(f, hidden_states, x)); /* [B, C, H, W] */
    drop(f, x);
    return forward_output(f, transformer->name, hidden_states);
}
