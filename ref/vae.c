#include "kernels/real.h"

#include "vae_model.h"

#include "kernels/rounded.h"

#include <math.h>

static void check_latents(struct forward *f, const struct vae *vae, const struct tensor *latents)
{
    int64_t channels = vae->config.latent_channels;
    const int64_t *shape = latents->shape;
    if (f->status != STATUS_OK || (latents->data && latents->dtype == DTYPE_REAL && latents->rank == 4 &&
                                      shape[0] > 0 && shape[1] == channels && shape[2] > 0 && shape[3] > 0))
        return;
    char shown[160];
    f->status = error_input(f->error, "vae: latents: expected %s of shape [B, %d, h, w], got %s of shape %s",
        dtype_name(DTYPE_REAL), (int)channels, latents->data ? dtype_name(latents->dtype) : "nothing",
        tensor_show_shape(latents, shown, sizeof shown));
}

struct tensor vae_unscale(
    struct forward *f, const struct vae *vae, struct tensor latents, bool use_statistics)
{
    const struct vae_config *config = &vae->config;
    check_latents(f, vae, &latents);
    struct tensor unscaled = forward_tensor(f, latents.rank, latents.shape);
    if (!forward_computes(f)) return unscaled;

    size_t channels = (size_t)latents.shape[1], size = (size_t)(latents.shape[2] * latents.shape[3]);
    size_t planes = (size_t)latents.shape[0] * channels;
    bool statistics = use_statistics && config->has_latents_statistics;
    real scaling_factor = (real)config->scaling_factor;
    const enum number_format format = forward_result_format(f);
    for (size_t plane = 0; plane < planes; plane++) {
        real mean = round_real(format, (real)config->latents_mean[plane % channels]);
        real std = round_real(format, (real)config->latents_std[plane % channels]);
        const real *x = (const real *)latents.data + plane * size;
        real *y = (real *)unscaled.data + plane * size;
        for (size_t i = 0; i < size; i++) {
            y[i] = statistics ? round_real(format, x[i] * std) : x[i];
            y[i] = round_real(format, y[i] / scaling_factor);
            if (statistics) y[i] = round_real(format, y[i] + mean);
        }
    }
    return unscaled;
}

/* x: [B, C, h, w], which is given back -> the same: softmax(Q K^T / sqrt(C)) V over the h*w positions, and
 * the input added. */
static struct tensor attend(struct forward *f, const struct vae_attention *weights, struct tensor x)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor tokens = to_tokens(f, group_norm(f, x, &weights->group_norm, false)); /* [B, h*w, C] */
    struct tensor q = linear(f, tokens, &weights->to_q);
    struct tensor k = linear(f, tokens, &weights->to_k);
    struct tensor v = linear(f, tokens, &weights->to_v);
    struct tensor attended = attention(f, q, k, v, 1, 1 / sqrt((double)x.shape[1]), false);
    attended =
        from_tokens(f, linear(f, attended, &weights->to_out), x.shape[2], x.shape[3]); /* [B, C, h, w] */
    attended = scope_return(f, scope, add_onto(f, attended, x));
    drop(f, x);
    return forward_output(f, weights->name, attended);
}

bool vae_upcasts(const struct forward *f, const struct vae *vae)
{
    return f->upcast_vae && f->format == FORMAT_F16 && vae->config.force_upcast;
}

struct tensor vae_decode(struct forward *f, const struct vae *vae, struct tensor latents)
{
    const struct vae_config *config = &vae->config;
    const struct tensor none = {0}; /* no embedding */
    check_latents(f, vae, &latents);
    if (f->status != STATUS_OK) return latents;
    struct arena_mark scope = scope_begin(f);

    struct tensor sample = forward_rounded_copy(f, latents); /* [B, 4, h, w] */
    if (config->use_post_quant_conv) {
        sample = conv2d(f, sample, &vae->post_quant_conv);
        forward_output(f, "vae.post_quant_conv", sample);
    }
    sample = scope_return(f, scope, conv2d(f, sample, &vae->conv_in)); /* [B, C_coarsest, h, w] */
    forward_output(f, "vae.decoder.conv_in", sample);

    /* From here on each activation gives way to the next. */
    sample = resnet_forward(f, &vae->mid_resnets[0], sample, INPUT_SPENT, none);
    if (config->mid_block_add_attention) sample = attend(f, &vae->mid_attention, sample);
    sample = resnet_forward(f, &vae->mid_resnets[1], sample, INPUT_SPENT, none);

    /* upcast_vae(): the blocks above and their attention stay in F16. */
    f->upcast = vae_upcasts(f, vae);
    for (int i = 0; i < config->levels; i++) { /* [B, C_i, 2^i h, 2^i w] */
        const struct vae_up_block *block = &vae->up_blocks[i];
        for (int64_t j = 0; j <= config->layers_per_block; j++)
            sample = resnet_forward(f, &block->resnets[j], sample, INPUT_SPENT, none);
        if (block->has_upsampler) {
            /* The largest tensors of the decoder come next, and gaps between them would count. */
            int64_t height = 2 * sample.shape[2], width = 2 * sample.shape[3];
            sample = upsample_forward(f, &block->upsampler, settle(f, sample), height, width);
            sample = settle(f, sample);
        }
        forward_output(f, block->name, sample);
    }

    sample = group_norm_over(f, sample, &vae->conv_norm_out, false);
    forward_output(f, "vae.decoder.conv_norm_out", sample);
    sample = conv2d(f, silu_over(f, sample), &vae->conv_out); /* [B, 3, H, W] */
    sample = scope_return(f, scope, forward_output(f, "vae.decoder.conv_out", sample));
    f->upcast = false;
    return sample;
}
