/*
 * The decoder of AutoencoderKL (Rombach et al. 2022, arXiv:2112.10752, appendix G: the latents are scaled to
 * unit variance by scaling_factor).
 */
#ifndef REF_VAE_H
#define REF_VAE_H

#include "layers.h"

#define vae_decode KERNEL_NAME(vae_decode)
#define vae_upcasts KERNEL_NAME(vae_upcasts)
#define vae_unscale KERNEL_NAME(vae_unscale)

struct vae; /* config and weights; not tied to a precision */

/* The encoder's weights may be there and are not read. Old names (query, key, value, proj_attn) are
 * understood. */
enum status vae_open(
    const struct checkpoint *checkpoint, const char *variant, struct vae **out, struct error *error);
void vae_free(struct vae *vae); /* accepts NULL */
struct weights_size vae_weights(const struct vae *vae);

int64_t vae_latent_channels(const struct vae *vae); /* 4 */
int64_t vae_scale_factor(const struct vae *vae);    /* 2^(levels - 1): pixels a latent */

/* Latents as the sampler leaves them [B, 4, h, w] -> the decoder's input: latents / scaling_factor, and with
 * latents_mean and latents_std latents * std / scaling_factor + mean, where `use_statistics` says so: of the
 * two pipelines only SDXL's looks at them. */
struct tensor vae_unscale(
    struct forward *f, const struct vae *vae, struct tensor latents, bool use_statistics);
/* The decoder's input -> the picture [B, 3, H, W], about -1..1, not clamped.
 *
 * With f->upcast_vae, where F16 is imitated and the config says force_upcast, the up blocks and what follows
 * them compute in float, with weights of F16, and so the picture is float: what StableDiffusionXLPipeline
 * does under PyTorch 2, whose attention needs no float. BF16 is never upcast. */
struct tensor vae_decode(struct forward *f, const struct vae *vae, struct tensor latents);
/* Whether that is so in a pass like this one. */
bool vae_upcasts(const struct forward *f, const struct vae *vae);

#endif
