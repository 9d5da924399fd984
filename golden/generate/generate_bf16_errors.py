#!/usr/bin/env python3
"""How far PyTorch's own bfloat16 is from the truth, module by module.

    python3 generate_bf16_errors.py ..       # writes ../models/traces/NAME.bf16_errors.json

The UNet at the first step and the autoencoder run in bfloat16, weights too, on the inputs that a golden trace recorded;
the truth is the same in float64 with the library's float32 sinusoid. What is written is the root mean square of the
difference over that of the truth, for each module that the trace has. CPU kernels of PyTorch 1.13; they round more often
than one result an operator (half_precision.py says where), so an implementation that rounds once may be a little closer.
"""
import json
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from traced_port import load_weights, read_config, read_tensors

TRACES = ("sd-pndm6", "sd21v-ddim10-zsnr-rescale", "sdxl-ays10-sde")
WEIGHTS = "diffusion_pytorch_model.safetensors"


def watched(module, component, recorded, outputs):
    """Has the outputs of the recorded modules written to `outputs`, as float64."""
    def hook(name):
        def keep(_, inputs, output):
            output = output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
            outputs[name] = output.double().clone()
        return keep
    for name, child in module.named_modules():
        if f"act.{component}.{name}" in recorded:
            child.register_forward_hook(hook(f"act.{component}.{name}"))
    return module


def run_unet(unet, recorded, dtype, outputs):
    tensor = {name: torch.from_numpy(array) for name, array in recorded.items()}
    sample, text = tensor["step.00.model_input"], tensor["prompt_embeds"]
    guided = "step.00.noise_pred_uncond" in tensor
    if guided:
        sample, text = torch.cat([sample, sample]), torch.cat([tensor["negative_prompt_embeds"], text])
    added = None
    if "add_time_ids" in tensor:
        added = {"text_embeds": tensor["add_text_embeds"].to(dtype), "time_ids": tensor["add_time_ids"].to(dtype)}
    noise_pred = unet(sample.to(dtype), tensor["timesteps"][0], encoder_hidden_states=text.to(dtype),
                      added_cond_kwargs=added, return_dict=False)[0].double()
    halves = noise_pred.chunk(2) if guided else (None, noise_pred)
    if guided:
        outputs["step.00.noise_pred_uncond"] = halves[0]
    outputs["step.00.noise_pred_text"] = halves[1]


def run_vae(vae, recorded, dtype, outputs):
    outputs["image"] = vae.decode(torch.from_numpy(recorded["vae_input"]).to(dtype), return_dict=False)[0].double()


def errors_of(kind, component, folder, run, recorded):
    """{name: relative root mean square}. The exact copy must not be told to narrow to float32."""
    results = []
    for dtype in (torch.float64, torch.bfloat16):
        config = read_config(f"{folder}/{component}/config.json")
        if dtype == torch.float64 and component == "unet":
            config["upcast_attention"] = False
        outputs = {}
        module = load_weights(kind(**config), f"{folder}/{component}/{WEIGHTS}")
        run(watched(torch.nn.Module.to(module, dtype), component, recorded, outputs), recorded, dtype, outputs)
        results.append(outputs)
    exact, narrow = results
    return {name: float(((narrow[name] - truth) ** 2).mean().sqrt() / (truth ** 2).mean().sqrt())
            for name, truth in exact.items()}


def main(golden):
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    for name in TRACES:
        path = f"{golden}/models/traces/{name}"
        recorded, metadata = read_tensors(f"{path}.safetensors")
        folder = f"{golden}/models/{json.loads(metadata['info'])['model']}"
        errors = errors_of(UNet2DConditionModel, "unet", folder, run_unet, recorded)
        errors.update(errors_of(AutoencoderKL, "vae", folder, run_vae, recorded))
        with open(f"{path}.bf16_errors.json", "w", encoding="utf-8") as file:
            json.dump({key: float(f"{value:.4g}") for key, value in errors.items()}, file, indent=0, sort_keys=True)
            file.write("\n")
        print(f"{name}: {len(errors)} modules, the worst {max(errors.values()):.2g}, "
              f"the median {np.median(list(errors.values())):.2g}")


if __name__ == "__main__":
    main(sys.argv[1])
