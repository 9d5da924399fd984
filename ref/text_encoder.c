/*
 * CLIP's text transformer (Radford et al. 2021, arXiv:2103.00020, section 2.4): a GPT-2 like stack of blocks
 * with the norms in front (Radford et al. 2019, section 2.3) and a causal mask.
 *
 *   h_0     = token embedding + position embedding                     [B, L, hidden]
 *   h_(n+1) = a + MLP(norm2(a)),  a = h_n + attention(norm1(h_n))       hidden_states[n + 1]
 *   last_hidden_state = final_layer_norm(h_N)
 *   text_embeds       = text_projection(last_hidden_state at the end token)
 *
 * What transformers does that one would not guess: padding is not masked (the causal mask alone keeps it from
 * what stands before it), the queries are scaled before the product with the keys, and the end token is found
 * by one of two rules (end_position()).
 */
#include "kernels/real.h"

#include "text_encoder_model.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Everything that depends on the caller: the ids index a table, the positions another. */
static void check_input(struct forward *f, const struct text_encoder *encoder, const int64_t *ids,
    int64_t batch, int64_t length, int64_t layer)
{
    const struct text_encoder_config *config = &encoder->config;
    int64_t layers = config->num_hidden_layers;
    if (f->status != STATUS_OK) return;
    if (batch < 1 || length < 1 || length > config->max_position_embeddings)
        f->status = error_input(f->error,
            "%s: expected 1 to %" PRId64 " tokens (max_position_embeddings) in each of at least one prompt, "
            "got %" PRId64 " in %" PRId64,
            encoder->name, config->max_position_embeddings, length, batch);
    else if (layer > layers || layer < -(layers + 1))
        f->status = error_input(f->error,
            "%s: hidden state %" PRId64 ": expected %" PRId64 " to %" PRId64 ", since there are %" PRId64
            " layers",
            encoder->name, layer, -(layers + 1), layers, layers);
    for (int64_t i = 0; f->status == STATUS_OK && i < batch * length; i++)
        if (ids[i] < 0 || ids[i] >= config->vocab_size)
            f->status = error_input(f->error,
                "%s: token %" PRId64 ": expected an id from 0 to %" PRId64 " (vocab_size), got %" PRId64,
                encoder->name, i, config->vocab_size - 1, ids[i]);
}

/* One row of a table of embeddings in its stored type, as a tensor of its own. */
static struct tensor table_row(const struct tensor *table, int64_t row)
{
    size_t bytes = (size_t)table->shape[1] * dtype_size(table->dtype);
    return (struct tensor){table->dtype, 1, {table->shape[1]}, (char *)table->data + (size_t)row * bytes};
}

/* ids: [B, L] -> [B, L, hidden] */
static struct tensor embed(
    struct forward *f, const struct text_encoder *encoder, const int64_t *ids, int64_t batch, int64_t length)
{
    int64_t hidden = encoder->config.hidden_size;
    struct tensor embedded = forward_tensor(f, 3, (int64_t[]){batch, length, hidden});
    for (int64_t i = 0; f->status == STATUS_OK && i < batch * length; i++) {
        struct arena_mark scope = scope_begin(f);
        struct tensor token = weight_as_real(f, table_row(&encoder->token_embedding, ids[i]));
        struct tensor position = weight_as_real(f, table_row(&encoder->position_embedding, i % length));
        struct tensor sum = add(f, token, position);
        if (forward_computes(f))
            memcpy((real *)embedded.data + i * hidden, sum.data, (size_t)hidden * sizeof(real));
        arena_release(f->arena, scope);
    }
    return embedded;
}

/* Causal self-attention (Vaswani et al. 2017, section 3.2), added to hidden_states, which is returned. x: [B,
 * L, hidden], as hidden_states */
static struct tensor attend(struct forward *f, const struct text_encoder *encoder,
    const struct text_encoder_layer *layer, struct tensor x, struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    int64_t heads = encoder->config.num_attention_heads;
    double scale = 1 / sqrt((double)(encoder->config.hidden_size / heads));
    struct tensor q = multiply(f, linear(f, x, &layer->q_proj), scale);
    struct tensor k = linear(f, x, &layer->k_proj);
    struct tensor v = linear(f, x, &layer->v_proj);
    struct tensor attended = attention(f, q, k, v, heads, 1, true);
    return scope_return(f, scope, linear_onto(f, attended, &layer->out_proj, hidden_states));
}

/* Added to hidden_states, which is returned. x: [B, L, hidden], as hidden_states */
static struct tensor mlp(struct forward *f, const struct text_encoder *encoder,
    const struct text_encoder_layer *layer, struct tensor x, struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor inner = encoder->config.hidden_act == ACTIVATION_GELU
                              ? linear_gelu(f, x, &layer->fc1)
                              : linear_quick_gelu(f, x, &layer->fc1); /* [B, L, intermediate] */
    return scope_return(f, scope, linear_onto(f, inner, &layer->fc2, hidden_states));
}

/* hidden_states: [B, L, hidden], which the layer adds to; returned. */
static struct tensor layer_forward(struct forward *f, const struct text_encoder *encoder,
    const struct text_encoder_layer *layer, struct tensor hidden_states)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor normed = layer_norm(f, hidden_states, &layer->layer_norm1);
    hidden_states = attend(f, encoder, layer, normed, hidden_states);
    normed = layer_norm(f, hidden_states, &layer->layer_norm2);
    hidden_states = mlp(f, encoder, layer, normed, hidden_states);
    return forward_output(f, layer->name, scope_return(f, scope, hidden_states));
}

/* Where the end token stands in ids[length]. Early configs say eos_token_id 2, which is no token of CLIP's
 * vocabulary: then it is the largest id, since the end token is the vocabulary's last (the first of several:
 * padding may be end tokens too). Otherwise the first id that is eos_token_id; the first token where none
 * is. */
static int64_t end_position(const struct text_encoder_config *config, const int64_t *ids, int64_t length)
{
    int64_t largest = 0;
    for (int64_t i = 0; i < length; i++) {
        if (ids[i] > ids[largest]) largest = i;
        if (config->eos_token_id != 2 && ids[i] == config->eos_token_id) return i;
    }
    return config->eos_token_id == 2 ? largest : 0;
}

/* last_hidden_state: [B, L, hidden] -> [B, projection] */
static struct tensor pool_and_project(struct forward *f, const struct text_encoder *encoder,
    const int64_t *ids, struct tensor last_hidden_state)
{
    int64_t batch = last_hidden_state.shape[0], length = last_hidden_state.shape[1];
    int64_t hidden = last_hidden_state.shape[2];
    struct arena_mark scope = scope_begin(f);
    struct tensor pooled = forward_tensor(f, 2, (int64_t[]){batch, hidden});
    for (int64_t b = 0; forward_computes(f) && b < batch; b++) {
        int64_t end = end_position(&encoder->config, ids + b * length, length);
        const real *row = (const real *)last_hidden_state.data + (b * length + end) * hidden;
        memcpy((real *)pooled.data + b * hidden, row, (size_t)hidden * sizeof(real));
    }
    struct tensor text_embeds = scope_return(f, scope, linear(f, pooled, &encoder->text_projection));
    char name[MODULE_NAME];
    return forward_output(f, module_path(name, encoder->name, "text_projection"), text_embeds);
}

struct text_encoder_output text_encoder_forward(struct forward *f, const struct text_encoder *encoder,
    const int64_t *ids, int64_t batch, int64_t length, int64_t layer)
{
    struct text_encoder_output output = {0};
    char name[MODULE_NAME];
    int64_t layers = encoder->config.num_hidden_layers;
    check_input(f, encoder, ids, batch, length, layer);
    if (f->status != STATUS_OK) return output;
    int64_t wanted = layer < 0 ? layers + 1 + layer : layer; /* hidden_states has layers + 1 entries */
    output.hidden_state = forward_tensor(f, 3, (int64_t[]){batch, length, encoder->config.hidden_size});

    struct arena_mark scope = scope_begin(f);
    struct tensor hidden_states =
        embed(f, encoder, ids, batch, length); /* [B, L, hidden], as all that follow */
    forward_output(f, module_path(name, encoder->name, "text_model.embeddings"), hidden_states);
    for (int64_t i = 0; f->status == STATUS_OK; i++) {
        if (i == wanted && forward_computes(f))
            memcpy(output.hidden_state.data, hidden_states.data, tensor_bytes(&hidden_states));
        if (i == layers) break;
        hidden_states = scope_return(f, scope, layer_forward(f, encoder, &encoder->layers[i], hidden_states));
    }
    output.last_hidden_state =
        scope_return(f, scope, layer_norm(f, hidden_states, &encoder->final_layer_norm));
    forward_output(
        f, module_path(name, encoder->name, "text_model.final_layer_norm"), output.last_hidden_state);
    if (encoder->has_projection)
        output.text_embeds = pool_and_project(f, encoder, ids, output.last_hidden_state);
    return output;
}

struct tensor text_encoder_final_norm(
    struct forward *f, const struct text_encoder *encoder, struct tensor hidden_state)
{
    return layer_norm(f, hidden_state, &encoder->final_layer_norm);
}
