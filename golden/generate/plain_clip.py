"""CLIP's text encoder in plain PyTorch.

Module and parameter names are those of transformers' CLIPTextModel, so that its checkpoints load and its modules can be
hooked by name. The arithmetic is its eager attention's, operation for operation: queries are scaled before the product,
the causal mask is added, nothing masks the padding. Against the traces that transformers 4.33 made, every output is equal
bit for bit on the machine that made them.
"""
import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"gelu": F.gelu, "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x)}


def causal_mask(length):
    """[length, length]: the most negative number above the diagonal, zero elsewhere."""
    return torch.full((length, length), torch.finfo(torch.float32).min).triu(1)


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.token_embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.position_embedding = nn.Embedding(config["max_position_embeddings"], config["hidden_size"])

    def forward(self, input_ids):
        return self.token_embedding(input_ids) + self.position_embedding(torch.arange(input_ids.shape[1])[None])


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.heads = config["hidden_size"], config["num_attention_heads"]
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x, mask):
        batch, length, width = x.shape
        size = width // self.heads

        def split(y):  # [B, L, D] -> [B*heads, L, size]
            return y.view(batch, length, self.heads, size).transpose(1, 2).reshape(batch * self.heads, length, size)

        queries, keys, values = split(self.q_proj(x) * size**-0.5), split(self.k_proj(x)), split(self.v_proj(x))
        weights = torch.softmax(torch.bmm(queries, keys.transpose(1, 2)) + mask, dim=-1)
        mixed = torch.bmm(weights, values).view(batch, self.heads, length, size)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.activation = ACTIVATIONS[config["hidden_act"]]
        self.fc1 = nn.Linear(config["hidden_size"], config["intermediate_size"])
        self.fc2 = nn.Linear(config["intermediate_size"], config["hidden_size"])

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn, self.mlp = Attention(config), MLP(config)
        self.layer_norm1 = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])
        self.layer_norm2 = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Transformer(nn.Module):
    """`text_model` of the checkpoint."""

    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.final_layer_norm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])
        self.mask = causal_mask


class TextEncoder(nn.Module):
    def __init__(self, config, projected):
        super().__init__()
        self.text_model = Transformer(config)
        self.eos_token_id = config["eos_token_id"]
        if projected:
            self.text_projection = nn.Linear(config["hidden_size"], config["projection_dim"], bias=False)

    def pooled_position(self, input_ids):
        """[B]: where the vector that stands for the whole prompt is. Configs from before transformers 4.24 say 2, which
        is not the id of the end: the largest id is meant."""
        if self.eos_token_id == 2:
            return input_ids.argmax(dim=-1)
        return (input_ids == self.eos_token_id).int().argmax(dim=-1)

    def forward(self, input_ids):
        """hidden_states: the embeddings and each layer's output, [B, L, D]; the last of them normed; and with a
        projection the pooled vector, [B, projection_dim], else None."""
        model = self.text_model
        hidden_states, mask = [model.embeddings(input_ids)], model.mask(input_ids.shape[1])
        for layer in model.encoder.layers:
            hidden_states.append(layer(hidden_states[-1], mask))
        last = model.final_layer_norm(hidden_states[-1])
        if not hasattr(self, "text_projection"):
            return hidden_states, last, None
        pooled = last[torch.arange(len(last)), self.pooled_position(input_ids)]
        return hidden_states, last, self.text_projection(pooled)
