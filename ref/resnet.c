#include "kernels/real.h"

#include "resnet.h"

struct tensor resnet_forward(
    struct forward *f, const struct resnet *resnet, struct tensor x, enum input input, struct tensor temb)
{
    struct arena_mark scope = scope_begin(f);
    bool shortcut = resnet->conv_shortcut.weight.rank > 0;
    struct tensor residual = shortcut ? conv2d(f, x, &resnet->conv_shortcut) : x; /* [B, out, H, W] */
    /* What nothing looks at any more is written over: x after its shortcut, the residual at the end. */
    bool x_is_free = shortcut && input == INPUT_SPENT;
    bool residual_is_free = shortcut || input == INPUT_SPENT;

    struct tensor normed = x_is_free ? group_norm_over(f, x, &resnet->norm1, true) /* norm1, SiLU */
                                     : group_norm(f, x, &resnet->norm1, true);     /* [B, in, H, W] */
    struct tensor hidden_states; /* [B, out, H, W], as all that follow */
    if (resnet->time_emb_proj.weight.rank > 0) {
        struct tensor shift = linear(f, silu(f, temb), &resnet->time_emb_proj); /* [B, out] */
        hidden_states = conv2d_shifted(f, normed, &resnet->conv1, shift);
    } else {
        hidden_states = conv2d(f, normed, &resnet->conv1);
    }
    drop(f, normed);

    hidden_states = group_norm_over(f, hidden_states, &resnet->norm2, true); /* norm2, SiLU */
    struct tensor output = residual_is_free ? conv2d_onto(f, hidden_states, &resnet->conv2, residual)
                                            : conv2d_added(f, hidden_states, &resnet->conv2, residual);
    return forward_output(f, resnet->name, scope_return(f, scope, output));
}

struct tensor downsample_forward(struct forward *f, const struct resampler *downsampler, struct tensor x)
{
    return forward_output(f, downsampler->name, conv2d(f, x, &downsampler->conv));
}

struct tensor upsample_forward(
    struct forward *f, const struct resampler *upsampler, struct tensor x, int64_t height, int64_t width)
{
    struct tensor output; /* [B, C, height, width] */
    if (height == 2 * x.shape[2] && width == 2 * x.shape[3]) {
        output = conv2d_of_doubled(f, x, &upsampler->conv);
        drop(f, x);
    } else {
        struct tensor larger = upsample_nearest(f, x, height, width);
        drop(f, x);
        output = conv2d(f, larger, &upsampler->conv);
        drop(f, larger);
    }
    return forward_output(f, upsampler->name, output);
}
