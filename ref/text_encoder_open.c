/* A text encoder's config and weights, under the names that transformers saves them by. */
#include "text_encoder_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "<parent>.layers.<i>.<child>" and so on: a path of the weights, cut where it is too long for any real
 * one. */
#define WEIGHT_NAME 160

static void load_layer(struct text_encoder *encoder, const char *prefix, int64_t i)
{
    const struct text_encoder_config *config = &encoder->config;
    struct weights *weights = encoder->weights;
    struct text_encoder_layer *layer = &encoder->layers[i];
    int64_t hidden = config->hidden_size, inner = config->intermediate_size;
    char name[WEIGHT_NAME], base[MODULE_NAME];
    snprintf(layer->name, sizeof layer->name, "%.40s.text_model.encoder.layers.%" PRId64, encoder->name, i);
    snprintf(base, sizeof base, "%sencoder.layers.%" PRId64, prefix, i);

    const struct {
        const char *child;
        struct linear *linear;
        int64_t in, out;
    } linears[] = {
        {"self_attn.q_proj", &layer->q_proj, hidden, hidden},
        {"self_attn.k_proj", &layer->k_proj, hidden, hidden},
        {"self_attn.v_proj", &layer->v_proj, hidden, hidden},
        {"self_attn.out_proj", &layer->out_proj, hidden, hidden},
        {"mlp.fc1", &layer->fc1, hidden, inner},
        {"mlp.fc2", &layer->fc2, inner, hidden},
    };
    for (size_t k = 0; k < sizeof linears / sizeof *linears; k++) {
        snprintf(name, sizeof name, "%s.%s", base, linears[k].child);
        linear_load(weights, linears[k].linear, name, linears[k].in, linears[k].out, true);
    }
    snprintf(name, sizeof name, "%s.layer_norm1", base);
    norm_load(weights, &layer->layer_norm1, name, hidden, 0, config->layer_norm_eps);
    snprintf(name, sizeof name, "%s.layer_norm2", base);
    norm_load(weights, &layer->layer_norm2, name, hidden, 0, config->layer_norm_eps);
}

/* Failures gather in the weights. Old files hold "position_ids" (0, 1, 2 ...), which are no weights. */
static void load(struct text_encoder *encoder)
{
    const struct text_encoder_config *config = &encoder->config;
    struct weights *weights = encoder->weights;
    int64_t hidden = config->hidden_size;
    /* Files saved from the bare transformer lack the outer module's name. */
    bool bare = !weights_has(weights, "text_model.embeddings.token_embedding.weight") &&
                weights_has(weights, "embeddings.token_embedding.weight");
    const char *prefix = bare ? "" : "text_model.";
    char name[WEIGHT_NAME];

    weights_ignore(weights, "*embeddings.position_ids");
    weights_take(weights, &encoder->token_embedding, 2, (int64_t[]){config->vocab_size, hidden},
        "%sembeddings.token_embedding.weight", prefix);
    weights_take(weights, &encoder->position_embedding, 2,
        (int64_t[]){config->max_position_embeddings, hidden}, "%sembeddings.position_embedding.weight",
        prefix);
    for (int64_t i = 0; i < config->num_hidden_layers; i++) load_layer(encoder, prefix, i);
    snprintf(name, sizeof name, "%sfinal_layer_norm", prefix);
    norm_load(weights, &encoder->final_layer_norm, name, hidden, 0, config->layer_norm_eps);
    if (encoder->has_projection)
        linear_load(
            weights, &encoder->text_projection, "text_projection", hidden, config->projection_dim, false);
}

/* model_index.json says which of the two classes: "text_encoder_2": ["transformers", CLASS]. */
static bool class_has_projection(const struct checkpoint *checkpoint, const char *component)
{
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(checkpoint->model_index, component);
    const cJSON *name = cJSON_GetArrayItem(pair, 1);
    return cJSON_IsString(name) && strcmp(name->valuestring, "CLIPTextModelWithProjection") == 0;
}

enum status text_encoder_open(const struct checkpoint *checkpoint, const char *component, const char *variant,
    struct text_encoder **out, struct error *error)
{
    *out = NULL;
    cJSON *json = NULL;
    struct text_encoder_config config;
    struct weights *weights = NULL;
    enum status status = checkpoint_read_json(checkpoint, component, "config.json", &json, error);
    if (status != STATUS_OK) return status;
    status = text_encoder_config_read(json, &config, error);
    cJSON_Delete(json);
    checkpoint_prefix(checkpoint, component, "config.json", status, error);
    if (status == STATUS_OK) status = weights_open(checkpoint, component, variant, &weights, error);
    if (status == STATUS_OK)
        status = text_encoder_create(
            &config, component, class_has_projection(checkpoint, component), weights, out, error);
    return status;
}

enum status text_encoder_create(const struct text_encoder_config *config, const char *component,
    bool has_projection, struct weights *weights, struct text_encoder **out, struct error *error)
{
    *out = NULL;
    size_t layers = (size_t)config->num_hidden_layers;
    struct text_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder) encoder->layers = calloc(layers, sizeof *encoder->layers);
    if (!encoder || !encoder->layers) {
        weights_close(weights);
        free(encoder);
        return error_memory(error, sizeof *encoder + layers * sizeof(struct text_encoder_layer));
    }
    snprintf(encoder->name, sizeof encoder->name, "%s", component);
    encoder->has_projection = has_projection;
    encoder->config = *config;
    encoder->weights = weights;
    load(encoder);
    enum status status = weights_finish(weights, error);
    if (status == STATUS_OK)
        *out = encoder;
    else
        text_encoder_free(encoder);
    return status;
}

void text_encoder_free(struct text_encoder *encoder)
{
    if (!encoder) return;
    weights_close(encoder->weights);
    free(encoder->layers);
    free(encoder);
}

int64_t text_encoder_layers(const struct text_encoder *encoder)
{
    return encoder->config.num_hidden_layers;
}

int64_t text_encoder_hidden_size(const struct text_encoder *encoder)
{
    return encoder->config.hidden_size;
}

int64_t text_encoder_projection_size(const struct text_encoder *encoder)
{
    return encoder->has_projection ? encoder->config.projection_dim : 0;
}

int64_t text_encoder_vocabulary_size(const struct text_encoder *encoder)
{
    return encoder->config.vocab_size;
}

int64_t text_encoder_positions(const struct text_encoder *encoder)
{
    return encoder->config.max_position_embeddings;
}

struct weights_size text_encoder_weights(const struct text_encoder *encoder)
{
    return weights_size(encoder->weights);
}
