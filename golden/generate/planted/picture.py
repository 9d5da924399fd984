"""Faults in the decoder and in what is made of its image."""
from torch import nn

from planted import (
    SD, SD21, SD21_RESCALE, SD_ETA, SD_PNDM, SHAPES, SHAPES_DPM, SHAPES_LEADING, XL, XL_LEADING, XL_PLAIN, fault,
    of_type)
from planted.unet import channels_last, interpolate_in


@fault(SD_PNDM, "vae_input", "scaling factor left out")
def no_scaling_factor(port):
    """The latents are not divided by the VAE's scaling factor."""
    port.scaling_factor = 1.0


@fault(XL_LEADING, "vae_input", "another scaling factor")
@fault(SHAPES_LEADING, "vae_input", "another scaling factor", absent=["step.*"])
def scaling_factor_of_sd(port):
    """The latents are divided by Stable Diffusion 1's scaling factor, 0.18215."""
    port.scaling_factor = 0.18215


@fault(SD21_RESCALE, "act.vae.decoder.mid_block.resnets.0", "norm epsilon")
@fault(SD, "image", "norm epsilon")
def vae_norm_epsilon(port):
    """The VAE's group norms have an epsilon of 1e-5 for 1e-6."""
    for norm in of_type(port.vae, nn.GroupNorm):
        norm.eps = 1e-5


@fault(SD_PNDM, "act.vae.decoder.up_blocks.0.upsamplers.0", "bilinear upsampling")
@fault(SHAPES, "image", "bilinear upsampling", absent=["step.*"])
def bilinear_upsampling_in_vae(port):
    """The decoder's upsamplers interpolate, where Diffusers repeats each value."""
    interpolate_in(port.vae)


@fault(SD21_RESCALE, "act.vae.decoder.conv_in", "constant bias by channel")
def decoder_bias_left_out(port):
    """The bias of the decoder's first convolution is left out."""
    port.vae.decoder.conv_in.bias.data.zero_()


@fault(XL_PLAIN, "image", "transposed weights")
def transposed_value_in_vae(port):
    """The value projection of the decoder's attention is stored transposed."""
    projection = port.vae.decoder.mid_block.attentions[0].to_v
    projection.weight.data = projection.weight.data.T.contiguous()


@fault(SD_ETA, "image", None)
def no_post_quant_conv(port):
    """The VAE's post_quant_conv is left out."""
    port.vae.post_quant_conv.forward = lambda x: x


@fault(XL, "act.vae.decoder.up_blocks.1.resnets.0", "overflow of half precision")
@fault(SHAPES_LEADING, "image", "overflow of half precision", absent=["step.*"])
def half_precision_overflow(port):
    """The decoder's values are scaled up inside and held in half precision, where the largest overflow."""
    def overflow(module, inputs, output):
        scale = 65504 / (0.95 * output.abs().max())
        return (output * scale).half().float() / scale

    port.vae.decoder.up_blocks[1].resnets[0].register_forward_hook(overflow)


@fault(SD21, "image", "channels last", stages=["decoder", "picture"])
def image_dumped_channels_last(port):
    """The image is written as NHWC under an NCHW shape; the run itself is right."""
    port.dump = channels_last(lambda name: name == "image")


@fault(SD, "image", "image in 0 to 1", stages=["decoder", "picture"])
def image_from_zero_to_one(port):
    """The image is written after it was brought to 0 to 1; the bytes are right."""
    original = port.dump
    port.dump = lambda name, array: original(name, array / 2 + 0.5 if name == "image" else array)


@fault(SHAPES, "image_u8", "bytes truncated", absent=["step.*"])
@fault(SD, "image_u8", "bytes truncated")
def bytes_truncated(port):
    """The bytes are cut off and not rounded."""
    def to_bytes(image):
        pixels = (image * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        return (pixels * 255).astype("uint8")

    port.to_bytes = to_bytes


@fault(SHAPES_DPM, "image_u8", None, absent=["step.*"])
def blue_before_red(port):
    """The bytes' colours stand in the order blue, green, red."""
    original = port.to_bytes
    port.to_bytes = lambda image: original(image)[..., ::-1].copy()
