/*
 * CLIP's text transformer (Radford et al. 2021), as Stable Diffusion uses it: CLIPTextModel and
 * CLIPTextModelWithProjection.
 */
#ifndef REF_TEXT_ENCODER_H
#define REF_TEXT_ENCODER_H

#include "layers.h"

#define text_encoder_forward KERNEL_NAME(text_encoder_forward)

struct text_encoder; /* text_encoder.c: config and weights; not tied to a precision */

/* `component` is "text_encoder" or "text_encoder_2". */
enum status text_encoder_open(const struct checkpoint *checkpoint, const char *component, const char *variant,
    struct text_encoder **out, struct error *error);
void text_encoder_free(struct text_encoder *encoder); /* accepts NULL */
struct weights_size text_encoder_weights(const struct text_encoder *encoder);

/* What its config says. */
int64_t text_encoder_layers(const struct text_encoder *encoder);
int64_t text_encoder_hidden_size(const struct text_encoder *encoder);
int64_t text_encoder_projection_size(const struct text_encoder *encoder); /* 0 without a projection */
int64_t text_encoder_vocabulary_size(const struct text_encoder *encoder);
int64_t text_encoder_positions(const struct text_encoder *encoder); /* max_position_embeddings, 77 */

struct text_encoder_output {
    struct tensor hidden_state;      /* [B, L, hidden]: hidden_states[layer], see below */
    struct tensor last_hidden_state; /* [B, L, hidden]: after final_layer_norm */
    struct tensor text_embeds; /* [B, projection]: pooled and projected; data NULL without a projection */
};

/* ids: [batch, length]. `layer` counts hidden_states as transformers does: 0 is the embeddings, n the output
 * of the n-th block, negative from the end (-1 the last block, -2 the penultimate one); none of them
 * normed. */
struct text_encoder_output text_encoder_forward(struct forward *f, const struct text_encoder *encoder,
    const int64_t *ids, int64_t batch, int64_t length, int64_t layer);
/* final_layer_norm on a hidden state: what SD does with clip_skip. */
#define text_encoder_final_norm KERNEL_NAME(text_encoder_final_norm)
struct tensor text_encoder_final_norm(
    struct forward *f, const struct text_encoder *encoder, struct tensor hidden_state);

#endif
