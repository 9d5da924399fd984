"""Faults in the tokens, the text encoders, and what is made of their outputs for the UNet."""
import torch
from torch import nn
from torch.nn import functional as F

from planted import (
    LAYER, SD, SD21, SD21_RESCALE, SD_PNDM, SHAPES_DPM, SHAPES_EULER, SHAPES_KARRAS, SHAPES_LEADING, XL,
    XL_BATCH, XL_DPM, XL_EULER, XL_LEADING, fault, of_type)


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



@fault(XL, "act.text_encoder.text_model.embeddings", None)
def positions_from_one(port):
    """The text encoders' positions count from one; the last one stands twice."""
    for encoder in port.encoders.values():
        positions = encoder.text_model.embeddings.position_embedding.weight
        positions.data = torch.cat([positions.data[1:], positions.data[-1:]])


# --- What the UNet is told


@fault(SD, "negative_prompt_embeds", None)
def prompt_for_both_sides(port):
    """The negative prompt's embeddings are the prompt's."""
    original = port.encode_side

    def encode_side(negative):
        embeds = original(negative)
        if not negative:
            port.prompt = embeds
        return port.prompt

    port.encode_side = encode_side


@fault(XL_LEADING, "prompt_embeds", "encoders in the other order")
@fault(SHAPES_EULER, "prompt_embeds", "encoders in the other order")
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
