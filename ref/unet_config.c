#include "unet_config.h"

#include <inttypes.h>
#include <string.h>

/* Every field of the class's constructor. */
static const struct config_field FIELDS[] = {
    {"sample_size", FIELD_READ_OR_NULL, {0}}, {"in_channels", FIELD_READ, {0}},
    {"out_channels", FIELD_READ, {0}}, {"center_input_sample", FIELD_ONE_OF, {"false"}},
    {"flip_sin_to_cos", FIELD_READ, {0}}, {"freq_shift", FIELD_READ, {0}},
    {"down_block_types", FIELD_READ, {0}}, {"mid_block_type", FIELD_ONE_OF, {"\"UNetMidBlock2DCrossAttn\""}},
    {"up_block_types", FIELD_READ, {0}}, {"only_cross_attention", FIELD_ONE_OF, {"false"}},
    {"block_out_channels", FIELD_READ, {0}}, {"layers_per_block", FIELD_READ, {0}},
    {"downsample_padding", FIELD_ONE_OF, {"1"}}, {"mid_block_scale_factor", FIELD_ONE_OF, {"1"}},
    {"dropout", FIELD_NO_BEARING, {0}}, {"act_fn", FIELD_ONE_OF, {"\"silu\"", "\"swish\""}},
    {"norm_num_groups", FIELD_READ, {0}}, {"norm_eps", FIELD_READ, {0}},
    {"cross_attention_dim", FIELD_READ, {0}}, {"transformer_layers_per_block", FIELD_READ, {0}},
    {"reverse_transformer_layers_per_block", FIELD_READ_OR_NULL, {0}},
    {"encoder_hid_dim", FIELD_ONE_OF, {"null"}}, {"encoder_hid_dim_type", FIELD_ONE_OF, {"null"}},
    {"attention_head_dim", FIELD_READ, {0}}, {"num_attention_heads", FIELD_ONE_OF, {"null"}},
    {"dual_cross_attention", FIELD_ONE_OF, {"false"}}, {"use_linear_projection", FIELD_READ, {0}},
    {"class_embed_type", FIELD_ONE_OF, {"null"}},
    {"addition_embed_type", FIELD_ONE_OF, {"null", "\"text_time\""}},
    {"addition_time_embed_dim", FIELD_READ_OR_NULL, {0}}, {"num_class_embeds", FIELD_ONE_OF, {"null"}},
    {"upcast_attention", FIELD_NO_BEARING, {0}}, /* scores are never narrower than float32 here */
    {"resnet_time_scale_shift", FIELD_ONE_OF, {"\"default\""}},
    {"resnet_skip_time_act", FIELD_ONE_OF, {"false"}}, {"resnet_out_scale_factor", FIELD_ONE_OF, {"1"}},
    {"time_embedding_type", FIELD_ONE_OF, {"\"positional\""}},
    {"time_embedding_dim", FIELD_READ_OR_NULL, {0}}, {"time_embedding_act_fn", FIELD_ONE_OF, {"null"}},
    {"timestep_post_act", FIELD_ONE_OF, {"null"}}, {"time_cond_proj_dim", FIELD_ONE_OF, {"null"}},
    {"conv_in_kernel", FIELD_READ, {0}}, {"conv_out_kernel", FIELD_READ, {0}},
    {"projection_class_embeddings_input_dim", FIELD_READ_OR_NULL, {0}},
    {"attention_type", FIELD_ONE_OF, {"\"default\""}}, {"class_embeddings_concat", FIELD_ONE_OF, {"false"}},
    {"mid_block_only_cross_attention", FIELD_ONE_OF, {"null", "false"}},
    {"cross_attention_norm", FIELD_ONE_OF, {"null"}},
    {"addition_embed_type_num_heads", FIELD_NO_BEARING, {0}}, /* for addition_embed_type "text" alone */
};

/* The index is whether the block attends to the text. */
static const char *const DOWN_BLOCKS[] = {"DownBlock2D", "CrossAttnDownBlock2D", NULL};
static const char *const UP_BLOCKS[] = {"UpBlock2D", "CrossAttnUpBlock2D", NULL};

/* The defaults of the class's constructor. */
static const struct unet_config DEFAULTS = {
    .in_channels = 4,
    .out_channels = 4,
    .levels = 4,
    .block_out_channels = {320, 640, 1280, 1280},
    .down_attention = {true, true, true, false},
    .up_attention = {false, true, true, true},
    .cross_attention_dim = 1280,
    .norm_num_groups = 32,
    .norm_eps = 1e-5,
    .conv_in_kernel = 3,
    .conv_out_kernel = 3,
    .flip_sin_to_cos = true,
};

static void fill(int64_t values[CONFIG_MAX_LEVELS], int64_t value)
{
    for (int i = 0; i < CONFIG_MAX_LEVELS; i++) values[i] = value;
}

/* A list of block types, as long as block_out_channels. */
static enum status read_blocks(const cJSON *json, const char *key, const char *const *names, int levels,
    bool attention[CONFIG_MAX_LEVELS], struct error *error)
{
    int types[CONFIG_MAX_LEVELS] = {0}, count = DEFAULTS.levels;
    bool found;
    enum status status = config_get_names(json, key, names, types, &count, &found, error);
    if (status != STATUS_OK) return status;
    if (count != levels)
        return error_input(
            error, "%s: expected one for each of the %d block_out_channels, got %d", key, levels, count);
    for (int i = 0; found && i < count; i++) attention[i] = types[i] == 1;
    return STATUS_OK;
}

static enum status read_levels(const cJSON *json, struct unet_config *config, struct error *error)
{
    enum status status = config_get_list(json, "block_out_channels", 1, CONFIG_MAX_SIDE,
        config->block_out_channels, &config->levels, NULL, error);
    int levels = config->levels;
    if (status == STATUS_OK)
        status = read_blocks(json, "down_block_types", DOWN_BLOCKS, levels, config->down_attention, error);
    if (status == STATUS_OK)
        status = read_blocks(json, "up_block_types", UP_BLOCKS, levels, config->up_attention, error);

    fill(config->layers_per_block, 2);
    if (status == STATUS_OK)
        status = config_get_levels(
            json, "layers_per_block", levels, 1, UNET_MAX_LAYERS, config->layers_per_block, NULL, error);
    fill(config->attention_heads, 8);
    if (status == STATUS_OK)
        status = config_get_levels(
            json, "attention_head_dim", levels, 1, CONFIG_MAX_SIDE, config->attention_heads, NULL, error);

    const int64_t most_blocks = 256; /* in a transformer; SDXL has 10 */
    fill(config->transformer_layers, 1);
    if (status == STATUS_OK)
        status = config_get_levels(json, "transformer_layers_per_block", levels, 0, most_blocks,
            config->transformer_layers, NULL, error);
    for (int i = 0; i < levels; i++)
        config->up_transformer_layers[i] = config->transformer_layers[levels - 1 - i];
    if (status == STATUS_OK)
        status = config_get_levels(json, "reverse_transformer_layers_per_block", levels, 0, most_blocks,
            config->up_transformer_layers, NULL, error);
    return status;
}

/* The side of a square: a number, or a list of two equal ones. */
static enum status read_sample_size(const cJSON *json, int64_t *sample_size, struct error *error)
{
    const char *key = "sample_size";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsArray(item)) return json_get_int(json, key, 1, CONFIG_MAX_SIDE, sample_size, NULL, error);
    int64_t sides[CONFIG_MAX_LEVELS] = {0};
    int count = 0;
    enum status status = config_get_list(json, key, 1, CONFIG_MAX_SIDE, sides, &count, NULL, error);
    if (status != STATUS_OK) return status;
    if (count != 2 || sides[0] != sides[1]) {
        char shown[80];
        return error_input(error, "%s: expected a number or two equal ones, got %s", key,
            json_show(item, shown, sizeof shown));
    }
    *sample_size = sides[0];
    return STATUS_OK;
}

static enum status read_kernel(const cJSON *json, const char *key, int64_t *side, struct error *error)
{
    enum status status = json_get_int(json, key, 1, 31, side, NULL, error);
    if (status == STATUS_OK && *side % 2 == 0)
        status = error_input(error, "%s: expected an odd number, got %" PRId64, key, *side);
    return status;
}

static enum status read_embeddings(const cJSON *json, struct unet_config *config, struct error *error)
{
    config->time_embedding_dim = 4 * config->block_out_channels[0];
    enum status status = json_get_int(
        json, "time_embedding_dim", 1, 4 * CONFIG_MAX_SIDE, &config->time_embedding_dim, NULL, error);
    if (status == STATUS_OK)
        status = json_get_bool(json, "flip_sin_to_cos", &config->flip_sin_to_cos, NULL, error);
    if (status == STATUS_OK) status = json_get_double(json, "freq_shift", &config->freq_shift, NULL, error);

    const char *type = NULL; /* null or "text_time": the table has seen to it */
    bool has_dim = false, has_input_dim = false;
    if (status == STATUS_OK) status = json_get_string(json, "addition_embed_type", &type, NULL, error);
    config->text_time = type != NULL;
    if (status == STATUS_OK)
        status = json_get_int(json, "addition_time_embed_dim", 1, CONFIG_MAX_SIDE,
            &config->addition_time_embed_dim, &has_dim, error);
    if (status == STATUS_OK)
        status = json_get_int(json, "projection_class_embeddings_input_dim", 1, 4 * CONFIG_MAX_SIDE,
            &config->projection_class_embeddings_input_dim, &has_input_dim, error);
    if (status != STATUS_OK) return status;
    if (config->text_time && !(has_dim && has_input_dim))
        return error_input(error, "%s: needed with addition_embed_type \"text_time\", got none",
            has_dim ? "projection_class_embeddings_input_dim" : "addition_time_embed_dim");

    double half = (double)(config->block_out_channels[0] / 2);
    double added_half = (double)(config->addition_time_embed_dim / 2);
    if (!(config->freq_shift < half) || (config->text_time && !(config->freq_shift < added_half)))
        return error_input(error,
            "freq_shift: expected a number below half the embedding's dimension, got %g", config->freq_shift);
    return STATUS_OK;
}

/* What the fields must be to each other. */
static enum status check_divisions(const struct unet_config *config, struct error *error)
{
    for (int i = 0; i < config->levels; i++) {
        int64_t channels = config->block_out_channels[i], heads = config->attention_heads[i];
        if (channels % config->norm_num_groups != 0)
            return error_input(error,
                "norm_num_groups: expected a divisor of block_out_channels[%d], which is %" PRId64
                ", got %" PRId64,
                i, channels, config->norm_num_groups);
        bool attends = config->down_attention[i] || config->up_attention[config->levels - 1 - i] ||
                       i == config->levels - 1;
        if (attends && heads > channels)
            return error_input(error,
                "attention_head_dim: expected at most block_out_channels[%d], which is %" PRId64
                " (it is the number of heads), got %" PRId64,
                i, channels, heads);
    }
    return STATUS_OK;
}

enum status unet_config_read(const cJSON *json, struct unet_config *config, struct error *error)
{
    *config = DEFAULTS;
    enum status status = config_check_class(json, "UNet2DConditionModel", error);
    if (status == STATUS_OK)
        status = config_check_fields(json, FIELDS, sizeof FIELDS / sizeof *FIELDS, error);
    if (status == STATUS_OK)
        status = json_get_int(json, "in_channels", 1, CONFIG_MAX_SIDE, &config->in_channels, NULL, error);
    if (status == STATUS_OK)
        status = json_get_int(json, "out_channels", 1, CONFIG_MAX_SIDE, &config->out_channels, NULL, error);
    if (status == STATUS_OK) status = read_sample_size(json, &config->sample_size, error);
    if (status == STATUS_OK) status = read_levels(json, config, error);
    if (status == STATUS_OK)
        status = json_get_int(
            json, "cross_attention_dim", 1, CONFIG_MAX_SIDE, &config->cross_attention_dim, NULL, error);
    if (status == STATUS_OK)
        status = json_get_bool(json, "use_linear_projection", &config->use_linear_projection, NULL, error);
    if (status == STATUS_OK)
        status =
            json_get_int(json, "norm_num_groups", 1, CONFIG_MAX_SIDE, &config->norm_num_groups, NULL, error);
    if (status == STATUS_OK) status = json_get_double(json, "norm_eps", &config->norm_eps, NULL, error);
    if (status == STATUS_OK && !(config->norm_eps > 0 && config->norm_eps < 1))
        status = error_input(error, "norm_eps: expected a number between 0 and 1, got %g", config->norm_eps);
    if (status == STATUS_OK) status = read_kernel(json, "conv_in_kernel", &config->conv_in_kernel, error);
    if (status == STATUS_OK) status = read_kernel(json, "conv_out_kernel", &config->conv_out_kernel, error);
    if (status == STATUS_OK) status = read_embeddings(json, config, error);
    if (status == STATUS_OK) status = check_divisions(config, error);
    return status;
}
