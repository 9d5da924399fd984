#include "vae_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every field of the class's constructor. */
static const struct config_field FIELDS[] = {
    {"in_channels", FIELD_NO_BEARING, {0}}, /* the encoder's */
    {"out_channels", FIELD_READ, {0}},
    {"down_block_types", FIELD_NO_BEARING, {0}}, /* the encoder's */
    {"up_block_types", FIELD_READ, {0}},
    {"block_out_channels", FIELD_READ, {0}},
    {"layers_per_block", FIELD_READ, {0}},
    {"act_fn", FIELD_ONE_OF, {"\"silu\"", "\"swish\""}},
    {"latent_channels", FIELD_READ, {0}},
    {"norm_num_groups", FIELD_READ, {0}},
    {"sample_size", FIELD_NO_BEARING, {0}}, /* of tiles */
    {"scaling_factor", FIELD_READ, {0}},
    {"shift_factor", FIELD_NO_BEARING, {0}}, /* not used by the pipelines of Stable Diffusion */
    {"latents_mean", FIELD_READ_OR_NULL, {0}},
    {"latents_std", FIELD_READ_OR_NULL, {0}},
    {"force_upcast", FIELD_READ_OR_NULL, {0}}, /* where a backend's F16 is imitated */
    {"use_quant_conv", FIELD_NO_BEARING, {0}}, /* the encoder's */
    {"use_post_quant_conv", FIELD_READ, {0}},
    {"mid_block_add_attention", FIELD_READ, {0}},
};

static const char *const UP_BLOCKS[] = {"UpDecoderBlock2D", NULL};

/* The defaults of the class's constructor. */
static const struct vae_config DEFAULTS = {
    .latent_channels = 4,
    .out_channels = 3,
    .levels = 1,
    .block_out_channels = {64},
    .layers_per_block = 1,
    .norm_num_groups = 32,
    .use_post_quant_conv = true,
    .mid_block_add_attention = true,
    .force_upcast = true,
    .scaling_factor = 0.18215,
};

/* Python asks only whether it is true: null is not. */
static enum status read_upcast(const cJSON *json, struct vae_config *config, struct error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "force_upcast");
    if (cJSON_IsNull(item)) config->force_upcast = false;
    return cJSON_IsNull(item) ? STATUS_OK
                              : json_get_bool(json, "force_upcast", &config->force_upcast, NULL, error);
}

static enum status read_levels(const cJSON *json, struct vae_config *config, struct error *error)
{
    enum status status = config_get_list(json, "block_out_channels", 1, CONFIG_MAX_SIDE,
        config->block_out_channels, &config->levels, NULL, error);
    int types[CONFIG_MAX_LEVELS], count = DEFAULTS.levels;
    if (status == STATUS_OK)
        status = config_get_names(json, "up_block_types", UP_BLOCKS, types, &count, NULL, error);
    if (status == STATUS_OK && count != config->levels)
        status =
            error_input(error, "up_block_types: expected one for each of the %d block_out_channels, got %d",
                config->levels, count);
    for (int i = 0; i < config->levels && status == STATUS_OK; i++)
        if (config->block_out_channels[i] % config->norm_num_groups != 0)
            status = error_input(error,
                "norm_num_groups: expected a divisor of block_out_channels[%d], which is %" PRId64
                ", got %" PRId64,
                i, config->block_out_channels[i], config->norm_num_groups);
    return status;
}

/* One finite number a latent channel. */
static enum status read_statistics(
    const cJSON *json, const char *key, int64_t channels, double *values, bool *found, struct error *error)
{
    double *list;
    size_t count;
    enum status status = json_get_doubles(json, key, VAE_MAX_LATENT_CHANNELS, &list, &count, found, error);
    if (status != STATUS_OK || !*found) return status;
    if (count != (size_t)channels)
        status =
            error_input(error, "%s: expected one number for each of the %" PRId64 " latent channels, got %zu",
                key, channels, count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        if (!isfinite(list[i])) status = error_input(error, "%s[%zu]: expected a finite number", key, i);
    if (status == STATUS_OK) memcpy(values, list, count * sizeof *values);
    free(list);
    return status;
}

static enum status read_scaling(const cJSON *json, struct vae_config *config, struct error *error)
{
    enum status status = json_get_double(json, "scaling_factor", &config->scaling_factor, NULL, error);
    if (status == STATUS_OK && !(isfinite(config->scaling_factor) && config->scaling_factor != 0))
        status = error_input(error, "scaling_factor: expected a finite number other than zero, got %g",
            config->scaling_factor);
    bool has_mean = false, has_std = false;
    int64_t channels = config->latent_channels;
    if (status == STATUS_OK)
        status = read_statistics(json, "latents_mean", channels, config->latents_mean, &has_mean, error);
    if (status == STATUS_OK)
        status = read_statistics(json, "latents_std", channels, config->latents_std, &has_std, error);
    config->has_latents_statistics = has_mean && has_std; /* the pipeline uses them together or not at all */
    return status;
}

enum status vae_config_read(const cJSON *json, struct vae_config *config, struct error *error)
{
    *config = DEFAULTS;
    enum status status = config_check_class(json, "AutoencoderKL", error);
    if (status == STATUS_OK)
        status = config_check_fields(json, FIELDS, sizeof FIELDS / sizeof *FIELDS, error);
    if (status == STATUS_OK)
        status = json_get_int(
            json, "latent_channels", 1, VAE_MAX_LATENT_CHANNELS, &config->latent_channels, NULL, error);
    if (status == STATUS_OK)
        status = json_get_int(json, "out_channels", 1, CONFIG_MAX_SIDE, &config->out_channels, NULL, error);
    if (status == STATUS_OK)
        status =
            json_get_int(json, "norm_num_groups", 1, CONFIG_MAX_SIDE, &config->norm_num_groups, NULL, error);
    if (status == STATUS_OK) status = read_levels(json, config, error);
    if (status == STATUS_OK)
        status =
            json_get_int(json, "layers_per_block", 1, VAE_MAX_LAYERS, &config->layers_per_block, NULL, error);
    if (status == STATUS_OK)
        status = json_get_bool(json, "use_post_quant_conv", &config->use_post_quant_conv, NULL, error);
    if (status == STATUS_OK)
        status =
            json_get_bool(json, "mid_block_add_attention", &config->mid_block_add_attention, NULL, error);
    if (status == STATUS_OK) status = read_upcast(json, config, error);
    if (status == STATUS_OK) status = read_scaling(json, config, error);
    return status;
}
