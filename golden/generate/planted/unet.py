"""Faults in the UNet."""
import torch
from torch.nn import functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D

from planted import (
    SD, SD21, SD21_RESCALE, SD_PNDM, SHAPES, SHAPES_DPM, SHAPES_EULER, SHAPES_KARRAS, SHAPES_LEADING, TEXT,
    UNCOND, XL, XL_DPM, XL_EULER, XL_LEADING, XL_PLAIN, fault, of_type)


# --- The time


@fault(SD_PNDM, "act.unet.time_proj", "sine and cosine exchanged")
@fault(SHAPES, UNCOND.format(0), "sine and cosine exchanged")
@fault(XL_PLAIN, TEXT.format(0), "sine and cosine exchanged")
def sine_before_cosine(port):
    """The timestep's sinusoid is [sin | cos]."""
    port.unet.time_proj.flip_sin_to_cos = False


@fault(XL, "act.unet.add_time_proj", "sine and cosine exchanged")
def sine_before_cosine_of_sizes(port):
    """The sinusoid of SDXL's sizes, not that of the time, is [sin | cos]."""
    port.unet.add_time_proj.flip_sin_to_cos = False


@fault(SD21_RESCALE, "act.unet.time_proj", "frequency shift of 1")
@fault(XL_LEADING, UNCOND.format(0), "frequency shift of 1")
def frequency_shift(port):
    """The sinusoid's frequencies end at 1/10000: downscale_freq_shift is 1 and not 0."""
    port.unet.time_proj.downscale_freq_shift = 1


@fault(SD_PNDM, "act.unet.time_proj", "timestep off by one")
@fault(XL_LEADING, UNCOND.format(0), "timestep off by one")
def model_timestep_less_one(port):
    """The UNet is told the timestep before the sampler's: 830 for 831."""
    port.model_timestep = lambda step, timestep: timestep - 1


@fault(SHAPES_DPM, UNCOND.format(0), "timestep off by one")
def model_timestep_plus_one(port):
    """The UNet is told the timestep after the sampler's: 1000 for 999."""
    port.model_timestep = lambda step, timestep: timestep + 1


@fault(SD21_RESCALE, "act.unet.time_proj", "timestep in bf16")
@fault(XL_DPM, UNCOND.format(0), "timestep in bf16")
@fault(SD, UNCOND.format(0), "timestep in bf16")
def bfloat16_timestep(port):
    """The timestep is rounded to bfloat16 before the sinusoid: 999 is 1000, 801 is 800."""
    port.model_timestep = lambda step, timestep: timestep.bfloat16().float()


@fault(XL_PLAIN, TEXT.format(0), None)
def timestep_from_zero_to_one(port):
    """The UNet is told the timestep as a part of 1."""
    port.model_timestep = lambda step, timestep: timestep / 1000


@fault(XL_LEADING, UNCOND.format(2), "timestep of another step")
@fault(SHAPES_DPM, UNCOND.format(2), "timestep of another step")
def third_step_at_second_timestep(port):
    """In the third step alone the UNet is told the second step's timestep."""
    port.model_timestep = lambda step, timestep: port.scheduler.timesteps[1] if step == 2 else timestep



# --- The layers


@fault(SD_PNDM, "act.unet.down_blocks.0.attentions.0.transformer_blocks.0", "norm epsilon")
@fault(XL, "act.unet.down_blocks.1.attentions.0.transformer_blocks.0", "norm epsilon")
def transformer_group_norm_epsilon(port):
    """The group norm before a transformer's proj_in has an epsilon of 1e-5 for 1e-6."""
    for transformer in of_type(port.unet, Transformer2DModel):
        transformer.norm.eps = 1e-5


@fault(SD21_RESCALE, "act.unet.down_blocks.0.resnets.0", "norm epsilon")
def resnet_norm_epsilon(port):
    """The UNet's resnets have an epsilon of 1e-6 for 1e-5."""
    for resnet in of_type(port.unet, ResnetBlock2D):
        resnet.norm1.eps = resnet.norm2.eps = 1e-6


@fault(XL, "act.unet.down_blocks.1.attentions.0.transformer_blocks.0", "tanh GELU")
@fault(SD, UNCOND.format(0), "tanh GELU")
def tanh_gelu_in_geglu(port):
    """The GELU of the UNet's feed-forward layers is the tanh approximation."""
    for layer in of_type(port.unet, GEGLU):
        layer.gelu = lambda gate: F.gelu(gate, approximate="tanh")


@fault(SD21, UNCOND.format(0), "GEGLU halves swapped")
@fault(SD_PNDM, "act.unet.down_blocks.0.attentions.0.transformer_blocks.0", "GEGLU halves swapped")
def geglu_halves_swapped(port):
    """The first half of the projection is the gate, the second the value."""
    def swapped(layer):
        def forward(x):
            gate, value = layer.proj(x).chunk(2, dim=-1)
            return value * F.gelu(gate)
        return forward

    for layer in of_type(port.unet, GEGLU):
        layer.forward = swapped(layer)


@fault(SHAPES_EULER, UNCOND.format(0), "transposed weights")
@fault(XL, "act.unet.mid_block.attentions.0.transformer_blocks.0", "transposed weights")
def transposed_query(port):
    """One self-attention's to_q weight, in the middle block, is stored transposed."""
    projection = port.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q
    projection.weight.data = projection.weight.data.T.contiguous()


@fault(SD_PNDM, "act.unet.down_blocks.0.attentions.0.transformer_blocks.0", "number of heads read as their size")
@fault(XL_LEADING, UNCOND.format(0), "number of heads read as their size")
def heads_read_as_size(port):
    """attention_head_dim is believed: it is in fact the number of heads."""
    for attention in of_type(port.unet, Attention):
        size = attention.heads
        attention.heads, attention.scale = attention.inner_dim // size, size**-0.5


@fault(SD_PNDM, "act.unet.down_blocks.0.downsamplers.0", "padding of the downsampler")
@fault(XL_EULER, UNCOND.format(0), "padding of the downsampler")
def asymmetric_padding(port):
    """The UNet's downsamplers pad the right and the lower side alone, as the encoder's do."""
    for layer in of_type(port.unet, Downsample2D):
        layer.padding, layer.conv.padding = 0, (0, 0)


@fault(XL, "act.unet.up_blocks.0.upsamplers.0", "bilinear upsampling")
@fault(SD21, UNCOND.format(0), "bilinear upsampling")
def bilinear_upsampling(port):
    """The UNet's upsamplers interpolate, where Diffusers repeats each value."""
    interpolate_in(port.unet)


def interpolate_in(module):
    def interpolating(layer):
        def forward(x, output_size=None):
            size = output_size or [2 * side for side in x.shape[-2:]]
            return layer.conv(F.interpolate(x, size=size, mode="bilinear", align_corners=False))
        return forward

    for layer in of_type(module, Upsample2D):
        layer.forward = interpolating(layer)


@fault(SHAPES_KARRAS, UNCOND.format(0), "constant bias")
@fault(XL_PLAIN, TEXT.format(0), "constant bias")
def constant_bias(port):
    """All of the UNet's output is 0.0188 too large."""
    port.unet.conv_out.bias.data += 0.0188


@fault(XL_DPM, UNCOND.format(0), "constant scale")
@fault(SD_PNDM, "act.unet.conv_out", "constant scale")
def constant_scale(port):
    """All of the UNet's output is 1 % too large."""
    port.unet.conv_out.weight.data *= 1.01
    port.unet.conv_out.bias.data *= 1.01


@fault(XL, "act.unet.conv_in", "channels last")
def activations_dumped_channels_last(port):
    """The UNet's activations are written as NHWC under an NCHW shape; the run itself is right."""
    port.dump = channels_last(lambda name: name.startswith("act.unet."))


@fault(SHAPES_LEADING, UNCOND.format(0), "channels last", stages=["unet", "guidance"])
def predictions_dumped_channels_last(port):
    """The two halves of the prediction are written as NHWC under an NCHW shape; the run itself is right."""
    port.dump = channels_last(lambda name: name.endswith(("noise_pred_uncond", "noise_pred_text")))


def channels_last(concerned):
    def dump(name, array):
        if array.ndim != 4 or not concerned(name):
            return array
        return array.transpose(0, 2, 3, 1).copy().reshape(array.shape)
    return dump


@fault(SD_PNDM, "act.unet.up_blocks.0.resnets.0", None)
def skip_before_hidden_state(port):
    """In the first up block the skip connection stands before the hidden state."""
    def swap(module, inputs):
        hidden, skip = inputs[0].chunk(2, dim=1)
        return (torch.cat([skip, hidden], dim=1), *inputs[1:])

    port.unet.up_blocks[0].resnets[0].register_forward_pre_hook(swap)


@fault(XL, "act.unet.add_embedding", None)
def sizes_before_pooled(port):
    """SDXL's added condition is [sizes | pooled]."""
    def swap(module, inputs):
        sizes = 6 * port.unet.config.addition_time_embed_dim
        pooled = inputs[0].shape[1] - sizes
        return (torch.cat([inputs[0][:, pooled:], inputs[0][:, :pooled]], dim=1),)

    port.unet.add_embedding.register_forward_pre_hook(swap)


@fault(SD21_RESCALE, "act.unet.down_blocks.0.attentions.0.transformer_blocks.0", None)
def attention_not_scaled(port):
    """The UNet's attention scores are not multiplied by head_dim^-0.5."""
    for attention in of_type(port.unet, Attention):
        attention.scale = 1.0


@fault(SD21, TEXT.format(2), "not a number")
def one_nan(port):
    """One element of the third step's prediction for the prompt is not a number."""
    original = port.predict

    def predict(step, *inputs):
        prediction = original(step, *inputs)
        if step == 2:
            prediction[-1, 1, 5, 7] = float("nan")
        return prediction

    port.predict = predict
