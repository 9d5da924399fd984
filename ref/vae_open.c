#include "vae_model.h"

#include <stdlib.h>

enum status vae_open(
    const struct checkpoint *checkpoint, const char *variant, struct vae **out, struct error *error)
{
    *out = NULL;
    cJSON *json = NULL;
    struct vae *vae = calloc(1, sizeof *vae);
    if (!vae) return error_memory(error, sizeof *vae);

    enum status status = checkpoint_read_json(checkpoint, "vae", "config.json", &json, error);
    if (status != STATUS_OK) goto done;
    status = vae_config_read(json, &vae->config, error);
    checkpoint_prefix(checkpoint, "vae", "config.json", status, error);
    if (status != STATUS_OK) goto done;
    status = weights_open(checkpoint, "vae", variant, &vae->weights, error);
    if (status != STATUS_OK) goto done;
    vae_load(vae, vae->weights);
    status = weights_finish(vae->weights, error);

done:
    cJSON_Delete(json);
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
