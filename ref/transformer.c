#include "kernels/real.h"

#include "transformer.h"

#include <math.h>

/* Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, eq. 1) with queries from `x` [B, N,
 * inner] and keys and values from `context` [B, M, ...], added to hidden_states [B, N, inner], which is
 * returned. */
static struct tensor attend(struct forward *f, const struct transformer *transformer,
    const struct attention_projections *projections, struct tensor x, struct tensor context,
    struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor q = linear(f, x, &projections->to_q);       /* [B, N, heads * head_dim] */
    struct tensor k = linear(f, context, &projections->to_k); /* [B, M, heads * head_dim] */
    struct tensor v = linear(f, context, &projections->to_v); /* [B, M, heads * head_dim] */
    double scale = 1 / sqrt((double)transformer->head_dim);
    struct tensor attended =
        attention(f, q, k, v, transformer->heads, scale, false); /* [B, N, heads * head_dim] */
    return scope_return(f, scope, linear_onto(f, attended, &projections->to_out, hidden_states));
}

/* Added to hidden_states, which is returned. x: [B, N, inner], as hidden_states */
static struct tensor feed_forward(
    struct forward *f, const struct transformer_block *block, struct tensor x, struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor gated = linear_geglu(f, x, &block->ff_in); /* [B, N, 4 * inner] */
    return scope_return(f, scope, linear_onto(f, gated, &block->ff_out, hidden_states));
}

/* hidden_states: [B, N, inner], which the block adds to; returned. */
static struct tensor block_forward(struct forward *f, const struct transformer *transformer,
    const struct transformer_block *block, struct tensor hidden_states, struct tensor encoder_hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor normed =
        layer_norm(f, hidden_states, &block->norm1); /* [B, N, inner], as all that follow */
    hidden_states = attend(f, transformer, &block->attn1, normed, normed, hidden_states);
    hidden_states = scope_return(f, scope, hidden_states);

    normed = layer_norm(f, hidden_states, &block->norm2);
    hidden_states = attend(f, transformer, &block->attn2, normed, encoder_hidden_states, hidden_states);
    hidden_states = scope_return(f, scope, hidden_states);

    normed = layer_norm(f, hidden_states, &block->norm3);
    hidden_states = scope_return(f, scope, feed_forward(f, block, normed, hidden_states));
    return forward_output(f, block->name, hidden_states);
}

struct tensor transformer_forward(struct forward *f, const struct transformer *transformer, struct tensor x,
    struct tensor encoder_hidden_states)
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
        hidden_states =
            block_forward(f, transformer, &transformer->blocks[i], hidden_states, encoder_hidden_states);

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
