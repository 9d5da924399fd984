#include "vae_model.h"

#include <stdlib.h>

enum status vae_open(
    const struct checkpoint *checkpoint, const char *variant, struct vae **out, struct error *error)
{
    *out = NULL;
    cJSON *json = NULL;
    struct vae_config config;
    struct weights *weights = NULL;
    enum status status = checkpoint_read_json(checkpoint, "vae", "config.json", &json, error);
    if (status != STATUS_OK) return status;
    status = vae_config_read(json, &config, error);
    cJSON_Delete(json);
    checkpoint_prefix(checkpoint, "vae", "config.json", status, error);
    if (status == STATUS_OK) status = weights_open(checkpoint, "vae", variant, &weights, error);
    if (status == STATUS_OK) status = vae_create(&config, weights, out, error);
    return status;
}

enum status vae_create(
    const struct vae_config *config, struct weights *weights, struct vae **out, struct error *error)
{
    *out = NULL;
    struct vae *vae = calloc(1, sizeof *vae);
    if (!vae) {
        weights_close(weights);
        return error_memory(error, sizeof *vae);
    }
    vae->config = *config;
    vae->weights = weights;
    vae_load(vae, weights);
    enum status status = weights_finish(weights, error);
    if (status == STATUS_OK)
        *out = vae;
    else
        vae_free(vae);
    return status;
}

void vae_free(struct vae *vae)
{
    if (!vae) return;
    weights_close(vae->weights);
    free(vae);
}

int64_t vae_latent_channels(const struct vae *vae)
{
    return vae->config.latent_channels;
}

int64_t vae_scale_factor(const struct vae *vae)
{
    return (int64_t)1 << (vae->config.levels - 1);
}

struct weights_size vae_weights(const struct vae *vae)
{
    return weights_size(vae->weights);
}
