/*
 * UNet2DConditionModel as Stable Diffusion 1.x, 2.x and XL configure it (Ronneberger et al. 2015,
 * arXiv:1505.04597, figure 1; Rombach et al. 2022, arXiv:2112.10752, figure 3; Podell et al. 2023,
 * arXiv:2307.01952, section 2).
 */
#ifndef REF_UNET_H
#define REF_UNET_H

#include "layers.h"

#define unet_forward KERNEL_NAME(unet_forward)

struct unet; /* config and weights; not tied to a precision */

/* Reads config and weights. Refuses what is not implemented, and what is missing, extra or misshapen, with
 * file and field. */
enum status unet_open(
    const struct checkpoint *checkpoint, const char *variant, struct unet **out, struct error *error);
void unet_free(struct unet *unet); /* accepts NULL */
struct weights_size unet_weights(const struct unet *unet);

/* What its config says. */
int64_t unet_in_channels(const struct unet *unet);
int64_t unet_out_channels(const struct unet *unet);
int64_t unet_sample_size(const struct unet *unet);
int64_t unet_cross_attention_dim(const struct unet *unet);
int64_t unet_time_ids_dim(const struct unet *unet); /* addition_time_embed_dim, 0 without text_time */
int64_t unet_add_embedding_dim(
    const struct unet *unet); /* projection_class_embeddings_input_dim, 0 without */

struct unet_input {
    struct tensor sample;                /* [B, C, H, W] */
    double timestep;                     /* may be fractional; cast to float32 before the sinusoid */
    struct tensor encoder_hidden_states; /* [B, L, cross_attention_dim] */
    struct tensor text_embeds;           /* SDXL: [B, pooled]; data NULL otherwise */
    struct tensor time_ids;              /* SDXL: [B, 6] */
    const struct text_keys *text_keys;   /* of unet_read_text(); NULL: the pass makes its own */
};

/* The keys and values that the cross-attentions make of encoder_hidden_states [B, L, cross_attention_dim]:
 * the same at every step, so that a run makes them once. `keys` has room for unet_text_keys() of them; their
 * tensors live in the present scope. */
struct text_keys; /* transformer.h */
size_t unet_text_keys(const struct unet *unet);
#define unet_read_text KERNEL_NAME(unet_read_text)
void unet_read_text(
    struct forward *f, const struct unet *unet, struct tensor encoder_hidden_states, struct text_keys *keys);

/* The noise prediction, [B, C, H, W]. Everything in `real`, but the sinusoid, which is the library's
 * float32. */
struct tensor unet_forward(struct forward *f, const struct unet *unet, const struct unet_input *input);

#endif
