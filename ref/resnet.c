#include "kernels/real.h"

#include "resnet.h"

struct tensor resnet_forward(
    struct forward *f, const struct resnet *resnet, struct tensor x, struct tensor temb)
{
    struct arena_mark scope = scope_begin(f);
    struct tensor hidden_states = group_norm(f, x, &resnet->norm1, true); /* norm1, SiLU: [B, in, H, W] */
    hidden_states = conv2d(f, hidden_states, &resnet->conv1);             /* [B, out, H, W] */
    hidden_states = scope_return(f, scope, hidden_states);

    if (resnet->time_emb_proj.weight.rank > 0) {
        struct tensor shift = linear(f, silu(f, temb), &resnet->time_emb_proj); /* [B, out] */
        hidden_states = add_channels(f, hidden_states, shift);
    }

    hidden_states = group_norm(f, hidden_states, &resnet->norm2, true); /* norm2, SiLU */
    hidden_states = conv2d(f, hidden_states, &resnet->conv2);           /* [B, out, H, W] */
    hidden_states = scope_return(f, scope, hidden_states);

    if (resnet->conv_shortcut.weight.rank > 0) x = conv2d(f, x, &resnet->conv_shortcut); /* [B, out, H, W] */
    hidden_states = add(f, x, hidden_states);
    return forward_output(f, resnet->name, scope_return(f, scope, hidden_states));
}

struct tensor downsample_forward(struct forward *f, const struct resampler *downsampler, struct tensor x)
{
    return forward_output(f, downsampler->name, conv2d(f, x, &downsampler->conv));
}

struct tensor upsample_forward(
    struct forward *f, const struct resampler *upsampler, struct tensor x, int64_t height, int64_t width)
{
    struct arena_mark scope = scope_begin(f);
    x = upsample_nearest(f, x, height, width); /* [B, C, height, width] */
    x = conv2d(f, x, &upsampler->conv);
    return forward_output(f, upsampler->name, scope_return(f, scope, x));
}
