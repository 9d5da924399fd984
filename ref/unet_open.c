#include "unet_model.h"

#include <stdlib.h>

enum status unet_open(
    const struct checkpoint *checkpoint, const char *variant, struct unet **out, struct error *error)
{
    *out = NULL;
    cJSON *json = NULL;
    struct unet_config config;
    struct weights *weights = NULL;
    enum status status = checkpoint_read_json(checkpoint, "unet", "config.json", &json, error);
    if (status != STATUS_OK) return status;
    status = unet_config_read(json, &config, error);
    cJSON_Delete(json);
    checkpoint_prefix(checkpoint, "unet", "config.json", status, error);
    if (status == STATUS_OK) status = weights_open(checkpoint, "unet", variant, &weights, error);
    if (status == STATUS_OK) status = unet_create(&config, weights, out, error);
    return status;
}

enum status unet_create(
    const struct unet_config *config, struct weights *weights, struct unet **out, struct error *error)
{
    *out = NULL;
    struct unet *unet = calloc(1, sizeof *unet);
    if (!unet) {
        weights_close(weights);
        return error_memory(error, sizeof *unet);
    }
    unet->config = *config;
    unet->weights = weights;
    enum status status = unet_load(unet, weights, error);
    if (status == STATUS_OK) status = weights_finish(weights, error);
    if (status == STATUS_OK)
        *out = unet;
    else
        unet_free(unet);
    return status;
}

static void free_block(struct unet_block *block)
{
    for (int i = 0; i < UNET_MAX_LAYERS + 1; i++) transformer_free(&block->attentions[i]);
}

void unet_free(struct unet *unet)
{
    if (!unet) return;
    for (int i = 0; i < CONFIG_MAX_LEVELS; i++) {
        free_block(&unet->down_blocks[i]);
        free_block(&unet->up_blocks[i]);
    }
    transformer_free(&unet->mid_attention);
    weights_close(unet->weights);
    free(unet);
}

int64_t unet_out_channels(const struct unet *unet)
{
    return unet->config.out_channels;
}

int64_t unet_in_channels(const struct unet *unet)
{
    return unet->config.in_channels;
}

int64_t unet_sample_size(const struct unet *unet)
{
    return unet->config.sample_size;
}

int64_t unet_cross_attention_dim(const struct unet *unet)
{
    return unet->config.cross_attention_dim;
}

int64_t unet_time_ids_dim(const struct unet *unet)
{
    return unet->config.text_time ? unet->config.addition_time_embed_dim : 0;
}

int64_t unet_add_embedding_dim(const struct unet *unet)
{
    return unet->config.text_time ? unet->config.projection_class_embeddings_input_dim : 0;
}

struct weights_size unet_weights(const struct unet *unet)
{
    return weights_size(unet->weights);
}

/* Blocks of the transformers that a level has. */
static size_t level_blocks(const struct unet_block *level)
{
    size_t blocks = 0;
    for (int64_t j = 0; level->has_attention && j < level->layers; j++)
        blocks += (size_t)level->attentions[j].block_count;
    return blocks;
}

size_t unet_text_keys(const struct unet *unet)
{
    size_t blocks = (size_t)unet->mid_attention.block_count;
    for (int i = 0; i < unet->config.levels; i++)
        blocks += level_blocks(&unet->down_blocks[i]) + level_blocks(&unet->up_blocks[i]);
    return blocks;
}
