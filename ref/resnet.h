/*
 * ResnetBlock2D (He et al. 2016, arXiv:1603.05027, figure 1b, with the time embedding of Ho et al. 2020,
 * arXiv:2006.11239, appendix B) and the two resamplers: what the UNet and the autoencoder are both built of.
 */
#ifndef REF_RESNET_H
#define REF_RESNET_H

#include "layers.h"

#define resnet_forward KERNEL_NAME(resnet_forward)
#define downsample_forward KERNEL_NAME(downsample_forward)
#define upsample_forward KERNEL_NAME(upsample_forward)

struct resnet {
    char name[MODULE_NAME];
    struct norm norm1;
    struct conv2d conv1;         /* in -> out, 3x3 */
    struct linear time_emb_proj; /* temb_channels -> out; weight.rank 0 in the autoencoder, which has none */
    struct norm norm2;
    struct conv2d conv2;         /* out -> out, 3x3 */
    struct conv2d conv_shortcut; /* in -> out, 1x1; weight.rank 0 where in == out */
};

struct resampler {
    char name[MODULE_NAME];
    struct conv2d conv; /* 3x3; stride 2 in a downsampler */
};

/* `path` is the module's path inside `component` ("unet", "vae"). temb_channels is 0 without an embedding. */
void resnet_load(struct weights *weights, struct resnet *resnet, const char *component, const char *path,
    int64_t in, int64_t out, int64_t temb_channels, int groups, double eps);
void downsampler_load(struct weights *weights, struct resampler *downsampler, const char *component,
    const char *path, int64_t channels);
void upsampler_load(struct weights *weights, struct resampler *upsampler, const char *component,
    const char *path, int64_t channels);

/* What becomes of a block's input: it stays as it is, or the block writes over it and gives its memory back,
 * since nothing looks at it any more. */
enum input { INPUT_KEPT, INPUT_SPENT };

/* x: [B, in, H, W], temb: [B, temb_channels] (not looked at without time_emb_proj) -> [B, out, H, W] */
struct tensor resnet_forward(
    struct forward *f, const struct resnet *resnet, struct tensor x, enum input input, struct tensor temb);
/* x: [B, C, H, W] -> [B, C, ceil(H/2), ceil(W/2)] */
struct tensor downsample_forward(struct forward *f, const struct resampler *downsampler, struct tensor x);
/* x: [B, C, H, W], which is spent -> [B, C, height, width]: nearest neighbour, then the convolution */
struct tensor upsample_forward(
    struct forward *f, const struct resampler *upsampler, struct tensor x, int64_t height, int64_t width);

#endif
