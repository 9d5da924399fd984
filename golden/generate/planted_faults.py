"""The faults of golden/faults, one small function each: what it does wrong to a Port (traced_port.py).

`@fault(base, first_wrong, suspect)` plants it in the run of the golden trace `base`. `first_wrong` is the first tensor in
order of computation that the fault reaches, and so the one that a check of each stage from its recorded inputs must name.
`suspect` is the kind of fault in a few fixed words, or None where it is no usual one and a diagnosis has nothing to say.
Sources: the collected reports in which ports of these pipelines had exactly these faults.
"""
import torch
from torch import nn
from torch.nn import functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D

FAULTS, CONTROLS = [], []
SD, SD_ETA, SD_PNDM = "sd-ddim5", "sd-ddim5-torchgen", "sd-pndm6"
SD21, SD21_RESCALE = "sd21v-ddim6-leading", "sd21v-ddim10-zsnr-rescale"
XL, XL_BATCH, XL_PLAIN = "sdxl-ays10-sde", "sdxl-batch2-nonsquare", "sdxl-noguidance3"
XL_DPM, XL_LEADING, XL_EULER = "sdxl-dpm5-trailing", "sdxl-dpm5-leading", "sdxl-euler-sigmas"
SHAPES, SHAPES_DPM, SHAPES_LEADING = "shapes-ays10-sde", "shapes-dpm5-trailing", "shapes-dpm5-leading"
SHAPES_EULER, SHAPES_KARRAS = "shapes-euler-sigmas", "shapes-sde-karras20"

LAYER = "act.{}.text_model.encoder.layers.{}"
UNCOND, TEXT, GUIDED = "step.{:02d}.noise_pred_uncond", "step.{:02d}.noise_pred_text", "step.{:02d}.noise_pred"


def fault(base, first_wrong, suspect, **more):
    """more: `absent`, patterns of names that this port does not dump; `stages`, if the fault shows
    in others than its first wrong tensor says; `note`."""
    def add(plant):
        names = [first_wrong] if isinstance(first_wrong, str) else list(first_wrong)
        FAULTS.append(dict(more, plant=plant, base=base, first_wrong=names, suspect=suspect))
        return plant
    return add


def control(base):
    def add(plant):
        CONTROLS.append(dict(plant=plant, base=base, first_wrong=[], suspect=None, whole=True))
        return plant
    return add


def of_type(root, kind):
    return [module for module in root.modules() if isinstance(module, kind)]


def change_config(port, **overrides):
    port.scheduler = type(port.scheduler).from_config({**port.scheduler.config, **overrides})


# --- Tokens and text encoders


@fault(SD, "input_ids.text_encoder", "another pad token")
@fault(SHAPES_KARRAS, "input_ids.text_encoder", "another pad token")
def pad_with_zero(port):
    """The prompt is padded with token 0 and not with the end token."""
    pad_with(port, lambda end: 0)


@fault(SD21, "input_ids.text_encoder", "another pad token")
def pad_with_end(port):
    """The prompt is padded with the end token and not with token 0, the checkpoint's `!`."""
    pad_with(port, lambda end: end)


def pad_with(port, pad):
    original = port.input_ids

    def input_ids(name, negative):
        ids = original(name, negative)
        end = int(ids.max())  # the end token has the largest id
        after = (ids == end).int().cumsum(-1) > 0
        first = after & ((ids == end).int().cumsum(-1).cumsum(-1) == 1)
        return torch.where(after & ~first, torch.full_like(ids, pad(end)), ids)

    port.input_ids = input_ids


@fault(SD21_RESCALE, LAYER.format("text_encoder", 0), "tanh GELU")
@fault(SHAPES_LEADING, "text_embeds.text_encoder_2", "tanh GELU")
def tanh_gelu_in_clip(port):
    """The text encoder's GELU is the tanh approximation."""
    for encoder in port.encoders.values():
        for layer in encoder.text_model.encoder.layers:
            if layer.mlp.activation is F.gelu:
                layer.mlp.activation = lambda x: F.gelu(x, approximate="tanh")


@fault(SD21, "prompt_embeds", "quick GELU for GELU")
@fault(XL, LAYER.format("text_encoder_2", 0), "quick GELU for GELU")
def quick_gelu_for_gelu(port):
    """Every text encoder has x*sigmoid(1.702 x) for its activation."""
    for encoder in port.encoders.values():
        for layer in encoder.text_model.encoder.layers:
            layer.mlp.activation = lambda x: x * torch.sigmoid(1.702 * x)


@fault(SD_PNDM, LAYER.format("text_encoder", 0), "GELU for quick GELU")
@fault(XL_EULER, "prompt_embeds", "GELU for quick GELU")
def gelu_for_quick_gelu(port):
    """Every text encoder has the erf GELU for its activation."""
    for encoder in port.encoders.values():
        for layer in encoder.text_model.encoder.layers:
            layer.mlp.activation = F.gelu


@fault(SD_PNDM, LAYER.format("text_encoder", 0), "no causal mask")
@fault(SHAPES_DPM, "text_embeds.text_encoder_2", "no causal mask")
def no_causal_mask(port):
    """The text encoders see the tokens that come after."""
    for encoder in port.encoders.values():
        encoder.text_model.mask = lambda length: torch.zeros(length, length)


@fault(XL, LAYER.format("text_encoder", 0), "norm epsilon")
def clip_norm_epsilon(port):
    """The text encoders' layer norms have an epsilon of 1e-6 for 1e-5."""
    for encoder in port.encoders.values():
        for norm in of_type(encoder, nn.LayerNorm):
            norm.eps = 1e-6


@fault(SD21_RESCALE, LAYER.format("text_encoder", 2), "transposed weights")
def transposed_query_in_clip(port):
    """The third layer's query projection in the text encoder is stored transposed."""
    projection = port.encoders["text_encoder"].text_model.encoder.layers[2].self_attn.q_proj
    projection.weight.data = projection.weight.data.T.contiguous()


@fault(XL, "prompt_embeds", "final norm added")
@fault(SHAPES_EULER, "prompt_embeds", "final norm added")
def final_norm_on_penultimate(port):
    """SDXL's penultimate hidden states go through the final layer norm."""
    port.choose_state = lambda name, states, last, negative: port.encoders[name].text_model.final_layer_norm(states[-2])


@fault(SD, "prompt_embeds", "final norm left out")
@fault(SD21_RESCALE, "prompt_embeds", "final norm left out")
def no_final_norm(port):
    """The last hidden state is taken without the final layer norm."""
    port.choose_state = lambda name, states, last, negative: states[-1]


@fault(SHAPES_DPM, "prompt_embeds", "another layer's output")
@fault(XL, "prompt_embeds", "another layer's output")
def last_layer_for_penultimate(port):
    """SDXL's text encoders give the last layer's output, not the penultimate one's."""
    port.choose_state = lambda name, states, last, negative: states[-1]


@fault(SD21, "prompt_embeds", "another layer's output")
def penultimate_layer_for_last(port):
    """The text encoder stops one layer early, and norms that."""
    port.choose_state = lambda name, states, last, negative: port.encoders[name].text_model.final_layer_norm(states[-2])


@fault(XL_BATCH, "prompt_embeds", "another layer's output", note="the call has clip_skip=1")
def clip_skip_ignored(port):
    """clip_skip is not looked at."""
    port.call = {**port.call, "clip_skip": None}


@fault(XL, ["act.text_encoder_2.text_projection", "text_embeds.text_encoder_2"], "pooled at another position")
def pooled_at_last_position(port):
    """The pooled vector is that of the last position, a pad token, and not of the first end token."""
    port.encoders["text_encoder_2"].pooled_position = lambda ids: torch.full((len(ids),), ids.shape[1] - 1)


@fault(SHAPES_EULER, "text_embeds.text_encoder_2", "pooled at another position")
def pooled_at_first_position(port):
    """The pooled vector is that of the start token."""
    port.encoders["text_encoder_2"].pooled_position = lambda ids: torch.zeros(len(ids), dtype=torch.long)


# --- What the UNet is told


@fault(XL_LEADING, "prompt_embeds", "encoders in the other order")
def encoders_in_other_order(port):
    """The second encoder's features stand before the first one's."""
    port.join_states = lambda states: torch.cat(states[::-1], dim=-1)


@fault(XL, "negative_prompt_embeds", "zeros for the empty prompt")
@fault(XL_DPM, "negative_prompt_embeds", "zeros for the empty prompt")
def zeros_for_empty_prompt(port):
    """Zeros stand for a negative prompt that is given as the empty string."""
    port.zeros_for_empty_prompt = True


@fault(SHAPES_LEADING, "negative_prompt_embeds", "the empty prompt for zeros")
@fault(XL_EULER, "negative_prompt_embeds", "the empty prompt for zeros")
def empty_prompt_for_zeros(port):
    """A negative prompt that is not given is encoded as the empty string, where zeros should stand."""
    original = port.input_ids

    def input_ids(name, negative):
        if not negative:
            return original(name, negative)
        positive = original(name, False)
        start, end, pad = positive[0, 0], positive.max(), positive[0, -1]
        return torch.cat([torch.stack([start, end]), pad.repeat(positive.shape[1] - 2)])[None]

    port.input_ids, port.zeros_for_empty_prompt = input_ids, False


@fault(XL_BATCH, "add_time_ids", "width before height")
def width_before_height(port):
    """The pairs of add_time_ids are (width, height) and (left, top)."""
    port.time_ids = lambda *pairs: [number for pair in pairs for number in pair[::-1]]


# --- The schedule and the noise


@fault(SD21, "timesteps", "timestep off by one")
def leading_without_offset(port):
    """The leading spacing without steps_offset: 830 for 831."""
    change_config(port, steps_offset=0)


@fault(XL_LEADING, "timesteps", "another timestep spacing")
def linspace_for_leading(port):
    """The linspace spacing for the leading one."""
    change_config(port, timestep_spacing="linspace")


@fault(SD21_RESCALE, "alphas_cumprod", "zero terminal SNR left out")
def no_zero_snr(port):
    """rescale_betas_zero_snr is not looked at."""
    change_config(port, rescale_betas_zero_snr=False)


@fault(XL_DPM, "sigmas", "another final sigma")
@fault(XL_LEADING, "step.04.latents", "another final sigma", absent=["sigmas"])
@fault(SHAPES_DPM, "step.04.latents", "another final sigma", absent=["sigmas", "vae_input", "image*"])
def final_sigma_min(port):
    """The last sigma is the smallest of the training schedule and not zero."""
    change_config(port, final_sigmas_type="sigma_min")


@fault(SD, "step.04.latents", "another final sigma", note="DDIM: its final alpha")
def final_alpha_one(port):
    """DDIM's last step goes to an alpha of 1 and not to the first of the training schedule."""
    change_config(port, set_alpha_to_one=True)


@fault(SD, "init_noise", "noise of torch-cpu")
@fault(SHAPES_EULER, "init_noise", "noise of torch-cpu")
def noise_of_torch(port):
    """The same seed in PyTorch's CPU generator, where the run has NumPy's."""
    port.open_generator("torch")


@fault(SD_ETA, "init_noise", "noise of numpy-pcg64")
def noise_of_numpy(port):
    """The same seed in NumPy's generator, where the run has PyTorch's."""
    port.open_generator("numpy")


@fault(XL, "step.00.noise", "noise drawn when not needed")
def one_draw_too_many(port):
    """After the initial noise one more tensor is drawn and thrown away."""
    original = port.prepare_latents

    def prepare_latents():
        latents = original()
        port.draw(latents.shape)
        return latents

    port.prepare_latents = prepare_latents


@fault(SHAPES_KARRAS, "step.01.noise", "noise drawn when not needed")
def two_draws_a_step(port):
    """Every step draws twice and uses the first."""
    port.step_noise = lambda step, shape: (port.draw(shape), port.draw(shape))[0]


@fault(XL_EULER, "latents.init", "init_noise_sigma left out")
@fault(SHAPES_EULER, "latents.init", "init_noise_sigma left out")
def no_init_noise_sigma(port):
    """The initial noise is not multiplied by the first sigma."""
    port.scale_noise = lambda noise: noise


# --- The UNet: the time


@fault(SHAPES_EULER, "step.00.model_input", "model input not scaled")
@fault(XL_PLAIN, "step.00.model_input", "model input not scaled")
def no_scale_model_input(port):
    """The latents go to the UNet without the division by sqrt(sigma^2 + 1)."""
    def scale_model_input(latents, timestep):
        port.scheduler.scale_model_input(latents, timestep)  # it counts the steps too
        return latents

    port.scale_model_input = scale_model_input


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


@fault(XL_LEADING, UNCOND.format(2), "timestep of another step")
@fault(SHAPES_DPM, UNCOND.format(2), "timestep of another step")
def third_step_at_second_timestep(port):
    """In the third step alone the UNet is told the second step's timestep."""
    port.model_timestep = lambda step, timestep: port.scheduler.timesteps[1] if step == 2 else timestep


# --- The UNet: its layers


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


@fault(SD21, "image", "channels last", stages=["decoder", "picture"])
def image_dumped_channels_last(port):
    """The image is written as NHWC under an NCHW shape; the run itself is right."""
    port.dump = channels_last(lambda name: name == "image")


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


# --- Guidance and the step


@fault(SHAPES_EULER, UNCOND.format(0), "guidance halves swapped")
@fault(SD_ETA, UNCOND.format(0), "guidance halves swapped")
def halves_swapped(port):
    """The two halves of the batch are taken for each other."""
    original = port.predict
    port.predict = lambda *inputs: torch.cat(original(*inputs).chunk(2)[::-1])


@fault(SD, GUIDED.format(0), "guidance halves swapped")
def halves_swapped_in_guidance(port):
    """The halves are known, but their places in the formula of guidance are exchanged."""
    port.guide = lambda uncond, text: text + port.guidance_scale * (uncond - text)


@fault(SD21, GUIDED.format(2), "guidance halves swapped")
def halves_swapped_in_third_step(port):
    """In the third step alone the halves are exchanged in the formula of guidance."""
    calls = iter(range(1000))

    def guide(uncond, text):
        if next(calls) == 2:
            uncond, text = text, uncond
        return uncond + port.guidance_scale * (text - uncond)

    port.guide = guide


@fault(SHAPES_DPM, GUIDED.format(0), "guidance from the text half")
@fault(SD_PNDM, GUIDED.format(0), "guidance from the text half")
def guidance_from_text(port):
    """text + g*(text - uncond): the guidance scale means one more."""
    port.guide = lambda uncond, text: text + port.guidance_scale * (text - uncond)


@fault(SD21_RESCALE, GUIDED.format(0), "guidance rescale left out")
def no_rescale(port):
    """guidance_rescale is computed and not used."""
    port.rescale = lambda guided, text: guided


@fault(SD21_RESCALE, GUIDED.format(0), "guidance rescale by channel")
def rescale_by_channel(port):
    """The standard deviations of guidance_rescale are each channel's."""
    def rescale(guided, text):
        rescaled = guided * (text.std(dim=(2, 3), keepdim=True) / guided.std(dim=(2, 3), keepdim=True))
        return port.guidance_rescale * rescaled + (1 - port.guidance_rescale) * guided

    port.rescale = rescale


@fault(XL_LEADING, "step.01.latents", "solver of order 1")
@fault(SHAPES_DPM, "step.01.latents", "solver of order 1")
def solver_order_one(port):
    """The multistep solver is of order 1 and not 2."""
    change_config(port, solver_order=1)


@fault(SD21, "step.00.latents", "v-prediction as epsilon")
def v_as_epsilon(port):
    """The model's velocity is taken for noise."""
    change_config(port, prediction_type="epsilon")


@fault(SD, "step.00.latents", "epsilon as v-prediction")
def epsilon_as_v(port):
    """The model's noise is taken for velocity."""
    change_config(port, prediction_type="v_prediction")


# --- The picture


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


# --- No fault: what may differ, and must not be called wrong


@control(SD)
def halves_one_at_a_time(port):
    """No fault: the two halves of guidance go through the UNet one after the other."""
    original = port.predict

    def predict(step, model_input, timestep, hidden, added):
        inputs = zip(model_input.split(1), hidden.split(1))
        return torch.cat([original(step, *pair[:1], timestep, *pair[1:], added) for pair in inputs])

    port.predict = predict


@control(XL_PLAIN)
def other_convolutions(port):
    """No fault: convolutions with PyTorch's own kernels, and not oneDNN's."""
    original = port.run

    def run():
        with torch.backends.mkldnn.flags(enabled=False):
            return original()

    port.run = run


@control(SHAPES_LEADING)
def nothing_changed(port):
    """No fault: the same run again."""
