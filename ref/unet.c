#include "kernels/real.h"

#include "timestep_embedding.h"
#include "unet_model.h"

#include <stdlib.h>

/* conv_in, and of each level its layers and its downsampler. */
#define MOST_SKIPS (1 + CONFIG_MAX_LEVELS * (UNET_MAX_LAYERS + 1))

/* --- Inputs ------------------------------------------------------------------------------- */

/* Whether `x` is there, of type real and of this shape; -1 stands for any side of at least 1. */
static bool has_shape(const struct tensor *x, int rank, const int64_t *shape)
{
    if (!x->data || x->dtype != DTYPE_REAL || x->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (x->shape[i] < 1 || (shape[i] != -1 && x->shape[i] != shape[i])) return false;
    return true;
}

static void check_input(
    struct forward *f, const char *name, const struct tensor *x, int rank, const int64_t *shape)
{
    if (f->status != STATUS_OK || has_shape(x, rank, shape)) return;
    struct tensor expected = {.dtype = DTYPE_REAL, .rank = rank};
    for (int i = 0; i < rank; i++) expected.shape[i] = shape[i];
    char want[160], got[160];
    f->status =
        error_input(f->error, "unet: %s: expected %s of shape %s (-1 stands for any), got %s of shape %s",
            name, dtype_name(DTYPE_REAL), tensor_show_shape(&expected, want, sizeof want),
            x->data ? dtype_name(x->dtype) : "nothing", tensor_show_shape(x, got, sizeof got));
}

static void check_inputs(struct forward *f, const struct unet_config *config, const struct unet_input *input)
{
    int64_t batch = input->sample.shape[0];
    check_input(f, "sample", &input->sample, 4, (int64_t[]){-1, config->in_channels, -1, -1});
    check_input(f, "encoder_hidden_states", &input->encoder_hidden_states, 3,
        (int64_t[]){batch, -1, config->cross_attention_dim});
    if (!config->text_time) return;
    int64_t ids = input->time_ids.rank == 2 ? input->time_ids.shape[1] : -1;
    int64_t pooled = config->projection_class_embeddings_input_dim - ids * config->addition_time_embed_dim;
    if (pooled < 0) pooled = 0; /* which no tensor has */
    check_input(f, "time_ids", &input->time_ids, 2, (int64_t[]){batch, -1});
    check_input(f, "text_embeds", &input->text_embeds, 2, (int64_t[]){batch, pooled});
}

/* --- Time --------------------------------------------------------------------------------- */

/* TimestepEmbedding: linear, SiLU, linear. x: [B, in] -> [B, time_embedding_dim] */
static struct tensor embed(struct forward *f, const struct linear layers[2], struct tensor x)
{
    return linear(f, silu(f, linear(f, x, &layers[0])), &layers[1]);
}

/* The embedding of the timestep, [B, time_embedding_dim], and for SDXL that of the pooled text and of the six
 * sizes added to it (Podell et al. 2023, arXiv:2307.01952, section 2.2). */
static struct tensor time_embedding(
    struct forward *f, const struct unet *unet, const struct unet_input *input)
{
    const struct unet_config *config = &unet->config;
    int64_t batch = input->sample.shape[0];
    struct sinusoid sinusoid = {config->block_out_channels[0], config->flip_sin_to_cos, config->freq_shift};

    struct tensor timesteps = forward_tensor(f, 1, &batch);
    for (int64_t i = 0; i < batch && forward_computes(f); i++)
        ((real *)timesteps.data)[i] = (real)(float)input->timestep;
    struct tensor t_emb = timestep_embedding(f, timesteps, &sinusoid); /* [B, block_out_channels[0]] */
    forward_output(f, "unet.time_proj", t_emb);                        /* float32 in any model */
    struct tensor emb = embed(f, unet->time_embedding, forward_round(f, t_emb)); /* [B, time_embedding_dim] */
    forward_output(f, "unet.time_embedding", emb);
    if (!config->text_time) return emb;

    struct tensor time_ids = forward_rounded_copy(f, input->time_ids); /* [B, 6] -> [B * 6] */
    int64_t ids = time_ids.shape[1];
    time_ids.rank = 1;
    time_ids.shape[0] = batch * ids;
    sinusoid.dim = config->addition_time_embed_dim;
    struct tensor time_embeds = timestep_embedding(f, time_ids, &sinusoid); /* [B * 6, dim] */
    forward_output(f, "unet.add_time_proj", time_embeds);
    forward_round(f, time_embeds);
    time_embeds.shape[0] = batch; /* [B, 6 * dim] */
    time_embeds.shape[1] = ids * sinusoid.dim;
    struct tensor text_embeds = forward_rounded_copy(f, input->text_embeds);
    struct tensor add_embeds = concat_channels(f, text_embeds, time_embeds); /* [B, pooled + 6 * dim] */
    struct tensor aug_emb = embed(f, unet->add_embedding, add_embeds);       /* [B, time_embedding_dim] */
    forward_output(f, "unet.add_embedding", aug_emb);
    return add(f, emb, aug_emb);
}

/* --- Text --------------------------------------------------------------------------------- */

/* One level's, from `keys` on; returns where the next one's begin. */
static struct text_keys *read_text_of_level(struct forward *f, const struct unet_block *level,
    struct tensor encoder_hidden_states, struct text_keys *keys)
{
    for (int64_t j = 0; level->has_attention && j < level->layers; j++) {
        transformer_read_text(f, &level->attentions[j], encoder_hidden_states, keys);
        keys += level->attentions[j].block_count;
    }
    return keys;
}

void unet_read_text(
    struct forward *f, const struct unet *unet, struct tensor encoder_hidden_states, struct text_keys *keys)
{
    encoder_hidden_states = forward_rounded_copy(f, encoder_hidden_states);
    for (int i = 0; i < unet->config.levels; i++)
        keys = read_text_of_level(f, &unet->down_blocks[i], encoder_hidden_states, keys);
    transformer_read_text(f, &unet->mid_attention, encoder_hidden_states, keys);
    keys += unet->mid_attention.block_count;
    for (int i = 0; i < unet->config.levels; i++)
        keys = read_text_of_level(f, &unet->up_blocks[i], encoder_hidden_states, keys);
}

/* For a pass that is given none; freed with free(). NULL where memory is out, and then the status says so. */
static struct text_keys *make_text_keys(
    struct forward *f, const struct unet *unet, struct tensor encoder_hidden_states)
{
    struct text_keys *keys = calloc(unet_text_keys(unet) + 1, sizeof *keys); /* there may be none */
    if (keys)
        unet_read_text(f, unet, encoder_hidden_states, keys);
    else
        f->status = error_memory(f->error, unet_text_keys(unet) * sizeof *keys);
    return keys;
}

/* A transformer with its own keys, which lie at `*keys`; moves that on to the next one's. */
static struct tensor transform(struct forward *f, const struct transformer *transformer, struct tensor sample,
    const struct text_keys **keys)
{
    sample = transformer_forward(f, transformer, sample, *keys);
    *keys += transformer->block_count;
    return sample;
}

/* --- The whole ---------------------------------------------------------------------------- */

struct tensor unet_forward(struct forward *f, const struct unet *unet, const struct unet_input *input)
{
    const struct unet_config *config = &unet->config;
    struct tensor skips[MOST_SKIPS];
    int skip_count = 0;

    check_inputs(f, config, input);
    if (f->status != STATUS_OK) return input->sample;
    struct arena_mark scope = scope_begin(f);
    struct text_keys *own = input->text_keys ? NULL : make_text_keys(f, unet, input->encoder_hidden_states);
    const struct text_keys *keys = own ? own : input->text_keys; /* of the transformers still to come */
    if (!keys) return input->sample;

    /* 1. Time. */
    struct arena_mark time = scope_begin(f);
    struct tensor emb = scope_return(f, time, time_embedding(f, unet, input)); /* [B, time_embedding_dim] */

    /* 2. In. */
    struct tensor sample = forward_rounded_copy(f, input->sample);
    sample = conv2d(f, sample, &unet->conv_in); /* [B, C_0, H, W] */
    skips[skip_count++] = forward_output(f, "unet.conv_in", sample);

    /* 3. Down: level i has C_i channels and sides of ceil(H / 2^i), ceil(W / 2^i). Each output is kept. */
    for (int i = 0; i < config->levels; i++) {
        const struct unet_block *block = &unet->down_blocks[i];
        for (int64_t j = 0; j < block->layers; j++) {
            sample = resnet_forward(f, &block->resnets[j], sample, INPUT_KEPT, emb); /* [B, C_i, H_i, W_i] */
            if (block->has_attention) sample = transform(f, &block->attentions[j], sample, &keys);
            skips[skip_count++] = sample;
        }
        if (block->has_resampler) {
            sample = downsample_forward(f, &block->resampler, sample); /* [B, C_i, H_(i+1), W_(i+1)] */
            skips[skip_count++] = sample;
        }
    }

    /* 4. Middle, and from here on each activation gives way to the next; the skips stay where they are. */
    sample = resnet_forward(f, &unet->mid_resnets[0], sample, INPUT_KEPT, emb);
    sample = transform(f, &unet->mid_attention, sample, &keys);
    sample = resnet_forward(f, &unet->mid_resnets[1], sample, INPUT_SPENT, emb);

    /* 5. Up: each resnet takes the last skip that is left. */
    for (int i = 0; i < config->levels; i++) {
        const struct unet_block *block = &unet->up_blocks[i];
        for (int64_t j = 0; j < block->layers; j++) {
            struct tensor skip = skips[--skip_count], below = sample;
            sample = concat_channels(f, below, skip);
            drop(f, below);
            drop(f, skip);
            sample = resnet_forward(f, &block->resnets[j], sample, INPUT_SPENT, emb);
            if (block->has_attention) sample = transform(f, &block->attentions[j], sample, &keys);
        }
        if (block->has_resampler) {
            /* To the size of the next skip: twice this one, or one less where that side was odd. */
            const int64_t *next = skips[skip_count - 1].shape;
            sample = upsample_forward(f, &block->resampler, sample, next[2], next[3]);
        }
    }

    /* 6. Out. */
    sample = group_norm_over(f, sample, &unet->conv_norm_out, false);
    forward_output(f, "unet.conv_norm_out", sample);
    sample = conv2d(f, silu_over(f, sample), &unet->conv_out); /* [B, out_channels, H, W] */
    free(own);
    return scope_return(f, scope, forward_output(f, "unet.conv_out", sample));
}
