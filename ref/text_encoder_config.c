#include "text_encoder_config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* CLIPTextConfig's own fields, then those that transformers writes into any config. */
static const struct config_field FIELDS[] = {
    {"vocab_size", FIELD_READ, {0}},
    {"hidden_size", FIELD_READ, {0}},
    {"intermediate_size", FIELD_READ, {0}},
    {"projection_dim", FIELD_READ, {0}},
    {"num_hidden_layers", FIELD_READ, {0}},
    {"num_attention_heads", FIELD_READ, {0}},
    {"max_position_embeddings", FIELD_READ, {0}},
    {"hidden_act", FIELD_READ, {0}},
    {"layer_norm_eps", FIELD_READ, {0}},
    {"eos_token_id", FIELD_READ, {0}},
    {"bos_token_id", FIELD_NO_BEARING, {0}},
    {"pad_token_id", FIELD_NO_BEARING, {0}},
    {"attention_dropout", FIELD_NO_BEARING, {0}}, /* training */
    {"dropout", FIELD_NO_BEARING, {0}},
    {"initializer_range", FIELD_NO_BEARING, {0}},
    {"initializer_factor", FIELD_NO_BEARING, {0}},
    {"use_attention_mask", FIELD_ONE_OF,
        {"false", "null"}}, /* Stable Diffusion's pipeline: padding is seen */
    {"architectures", FIELD_READ_OR_NULL, {0}},
    {"model_type", FIELD_ONE_OF, {"\"clip_text_model\"", "null"}},
    {"torch_dtype", FIELD_NO_BEARING, {0}},
    {"dtype", FIELD_NO_BEARING, {0}},
    {"transformers_version", FIELD_NO_BEARING, {0}},
    {"use_cache", FIELD_NO_BEARING, {0}},
    {"return_dict", FIELD_NO_BEARING, {0}},
    {"output_hidden_states", FIELD_NO_BEARING, {0}},
    {"output_attentions", FIELD_NO_BEARING, {0}},
    {"gradient_checkpointing", FIELD_NO_BEARING, {0}},
    {"tie_word_embeddings", FIELD_NO_BEARING, {0}}, /* there is no output embedding */
    {"pruned_heads", FIELD_ONE_OF, {"{}", "null"}},
    {"chunk_size_feed_forward", FIELD_NO_BEARING, {0}}, /* CLIP's blocks do not chunk */
    {"id2label", FIELD_NO_BEARING, {0}},                /* classifiers */
    {"label2id", FIELD_NO_BEARING, {0}},
    {"min_length", FIELD_NO_BEARING, {0}}, /* what follows is about generating text */
    {"max_length", FIELD_NO_BEARING, {0}},
    {"num_beams", FIELD_NO_BEARING, {0}},
    {"num_beam_groups", FIELD_NO_BEARING, {0}},
    {"diversity_penalty", FIELD_NO_BEARING, {0}},
    {"length_penalty", FIELD_NO_BEARING, {0}},
    {"repetition_penalty", FIELD_NO_BEARING, {0}},
    {"no_repeat_ngram_size", FIELD_NO_BEARING, {0}},
    {"encoder_no_repeat_ngram_size", FIELD_NO_BEARING, {0}},
    {"num_return_sequences", FIELD_NO_BEARING, {0}},
    {"temperature", FIELD_NO_BEARING, {0}},
    {"top_k", FIELD_NO_BEARING, {0}},
    {"top_p", FIELD_NO_BEARING, {0}},
    {"typical_p", FIELD_NO_BEARING, {0}},
};

/* The defaults of CLIPTextConfig's constructor. */
static const struct text_encoder_config DEFAULTS = {
    .vocab_size = 49408,
    .max_position_embeddings = 77,
    .hidden_size = 512,
    .intermediate_size = 2048,
    .projection_dim = 512,
    .num_hidden_layers = 12,
    .num_attention_heads = 8,
    .hidden_act = ACTIVATION_QUICK_GELU,
    .layer_norm_eps = 1e-5,
    .eos_token_id = 49407,
};

/* The model that the config was saved with; which of the two is run is model_index.json's to say. */
static enum status check_architectures(const cJSON *json, struct error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "architectures"), *item;
    if (!list || cJSON_IsNull(list)) return STATUS_OK;
    char shown[120];
    if (!cJSON_IsArray(list))
        return error_input(error, "architectures: expected a list of class names, got %s",
            json_show(list, shown, sizeof shown));
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_IsString(item) ? item->valuestring : "";
        if (strcmp(name, "CLIPTextModel") != 0 && strcmp(name, "CLIPTextModelWithProjection") != 0)
            return error_input(error,
                "architectures: expected \"CLIPTextModel\" or \"CLIPTextModelWithProjection\", got %s",
                json_show(item, shown, sizeof shown));
    }
    return STATUS_OK;
}

static enum status read_activation(
    const cJSON *json, enum text_encoder_activation *activation, struct error *error)
{
    const char *name = "quick_gelu";
    enum status status = json_get_string(json, "hidden_act", &name, NULL, error);
    if (status != STATUS_OK) return status;
    if (strcmp(name, "quick_gelu") == 0)
        *activation = ACTIVATION_QUICK_GELU;
    else if (strcmp(name, "gelu") == 0)
        *activation = ACTIVATION_GELU;
    else
        return error_input(error, "hidden_act: expected \"quick_gelu\" or \"gelu\", got \"%.60s\"", name);
    return STATUS_OK;
}

enum status text_encoder_config_read(
    const cJSON *json, struct text_encoder_config *config, struct error *error)
{
    *config = DEFAULTS;
    const struct {
        const char *key;
        int64_t minimum, maximum, *value;
    } integers[] = {
        {"vocab_size", 1, 1 << 24, &config->vocab_size},
        {"max_position_embeddings", 1, CONFIG_MAX_SIDE, &config->max_position_embeddings},
        {"hidden_size", 1, CONFIG_MAX_SIDE, &config->hidden_size},
        {"intermediate_size", 1, CONFIG_MAX_SIDE, &config->intermediate_size},
        {"projection_dim", 1, CONFIG_MAX_SIDE, &config->projection_dim},
        {"num_hidden_layers", 1, TEXT_ENCODER_MAX_LAYERS, &config->num_hidden_layers},
        {"num_attention_heads", 1, CONFIG_MAX_SIDE, &config->num_attention_heads},
        {"eos_token_id", 0, INT32_MAX, &config->eos_token_id},
    };
    enum status status = config_check_fields(json, FIELDS, sizeof FIELDS / sizeof *FIELDS, error);
    if (status == STATUS_OK) status = check_architectures(json, error);
    for (size_t i = 0; i < sizeof integers / sizeof *integers && status == STATUS_OK; i++)
        status = json_get_int(
            json, integers[i].key, integers[i].minimum, integers[i].maximum, integers[i].value, NULL, error);
    if (status == STATUS_OK) status = read_activation(json, &config->hidden_act, error);
    if (status == STATUS_OK)
        status = json_get_double(json, "layer_norm_eps", &config->layer_norm_eps, NULL, error);
    if (status != STATUS_OK) return status;

    if (!(isfinite(config->layer_norm_eps) && config->layer_norm_eps > 0))
        return error_input(
            error, "layer_norm_eps: expected a positive number, got %g", config->layer_norm_eps);
    if (config->hidden_size % config->num_attention_heads != 0)
        return error_input(error,
            "num_attention_heads: expected a divisor of hidden_size, which is %" PRId64 ", got %" PRId64,
            config->hidden_size, config->num_attention_heads);
    return STATUS_OK;
}
