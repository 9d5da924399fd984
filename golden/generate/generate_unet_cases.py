"""UNet calls that the pipelines' traces do not reach: latents whose sides no level divides, and options of the config.

Writes golden/unet/<case>/: `case.safetensors` under the names of a trace (golden/README.md): step.00.model_input,
prompt_embeds, negative_prompt_embeds, timesteps, add_text_embeds, add_time_ids, step.00.noise_pred_*, and f64.*, the same
call in float64 with the library's float32 sinusoid. The metadata's `model` names the checkpoint in golden/models; a case
without one brings its own `unet/` with random weights.

Made with diffusers 0.35.1 on PyTorch 1.13 (CPU, one thread). `python3 generate_unet_cases.py GOLDEN_FOLDER`.
"""
import json
import os
import struct
import sys

import numpy as np
import torch
from diffusers import UNet2DConditionModel

DTYPES = {"F32": np.float32, "F64": np.float64}

# name, checkpoint or own config, latent height and width, timestep
CASES = [
    ("odd-sd", "tiny-sd", 7, 5, 437.25),
    ("odd-sdxl", "tiny-sdxl", 7, 9, 437.25),
    ("one-row-sd21v", "tiny-sd21v", 1, 3, 981.0),
    ("options", {
        "block_out_channels": [8, 16, 24],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": [1, 2, 1],
        "attention_head_dim": [3, 2, 5],
        "transformer_layers_per_block": [1, 1, 2],
        "reverse_transformer_layers_per_block": [1, 2, 1],
        "cross_attention_dim": 12,
        "norm_num_groups": 4,
        "norm_eps": 1e-3,
        "in_channels": 3,
        "out_channels": 5,
        "conv_in_kernel": 5,
        "conv_out_kernel": 1,
        "time_embedding_dim": 20,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "use_linear_projection": True,
        "sample_size": 9,
    }, 9, 6, 12.5),
]


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(data[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy())
        for name, entry in header.items()
    }


def write(path, tensors, metadata):
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header, offset = {"__metadata__": metadata}, 0
    for name in names:
        tensor = tensors[name]
        dtype = next(key for key, value in DTYPES.items() if tensor.dtype == value)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(np.ascontiguousarray(tensors[name]).tobytes())


def build(golden, folder, model):
    """The model in float32, and its copy in float64, where upcast_attention would cast down."""
    own = isinstance(model, dict)
    if own:
        config = model
        unet = UNet2DConditionModel(**config)
        with torch.no_grad():
            for parameter in unet.parameters():  # none at its start value: biases 0, norms 1
                parameter.add_(0.1 * torch.randn(parameter.shape))
        os.makedirs(f"{folder}/unet", exist_ok=True)
        with open(f"{folder}/unet/config.json", "w") as file:
            json.dump({"_class_name": "UNet2DConditionModel", **config}, file, indent=2, sort_keys=True)
            file.write("\n")
        weights = {name: tensor.numpy() for name, tensor in unet.state_dict().items()}
        write(f"{folder}/unet/diffusion_pytorch_model.safetensors", weights, {"format": "pt"})
    else:
        with open(f"{golden}/models/{model}/unet/config.json") as file:
            config = {key: value for key, value in json.load(file).items() if key[0] != "_"}
        unet = UNet2DConditionModel(**config)
        unet.load_state_dict(read(f"{golden}/models/{model}/unet/diffusion_pytorch_model.safetensors"))
    double = UNet2DConditionModel(**{**config, "upcast_attention": False})
    double.load_state_dict(unet.state_dict())
    return config, unet.eval(), double.double().eval()


def run(golden, name, model, height, width, timestep):
    torch.manual_seed(1)
    folder = f"{golden}/unet/{name}"
    os.makedirs(folder, exist_ok=True)
    config, unet, double = build(golden, folder, model)
    sample = torch.randn(1, config["in_channels"], height, width)
    prompt = torch.randn(2, 7, config["cross_attention_dim"])
    tensors = {
        "step.00.model_input": sample.numpy(),
        "negative_prompt_embeds": prompt[:1].numpy(),
        "prompt_embeds": prompt[1:].numpy(),
        "timesteps": np.array([timestep], np.float32),
    }
    added = {}
    if config.get("addition_embed_type") == "text_time":
        pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        ids = torch.tensor([[96.0, 128, 8, 16, 48, 80], [32, 24, 1, 2, 40, 56]])
        added = {"text_embeds": torch.randn(2, pooled), "time_ids": ids}
        tensors["add_text_embeds"], tensors["add_time_ids"] = added["text_embeds"].numpy(), ids.numpy()
    for prefix, network, dtype in (("", unet, torch.float32), ("f64.", double, torch.float64)):
        conditions = {key: value.to(dtype) for key, value in added.items()} or None
        with torch.no_grad():
            out = network(torch.cat([sample, sample]).to(dtype), torch.tensor(timestep), prompt.to(dtype),
                          added_cond_kwargs=conditions).sample.numpy()
        tensors[f"{prefix}step.00.noise_pred_uncond"], tensors[f"{prefix}step.00.noise_pred_text"] = out[:1], out[1:]
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    write(f"{folder}/case.safetensors", tensors, {} if isinstance(model, dict) else {"model": model})


if __name__ == "__main__":
    torch.set_num_threads(1)
    # PyTorch 1.13's baddbmm of small matrices multiplies uninitialised memory by beta = 0, which leaves a NaN a NaN.
    torch.baddbmm = lambda _, queries, keys, beta, alpha: alpha * torch.bmm(queries, keys)
    for case in CASES:
        run(sys.argv[1], *case)
