"""A text-to-image pipeline that says everything it computes: what a backend engineer's port would be.

The UNet, the autoencoder and the samplers are Diffusers' own; the text encoders are plain_clip.py; what the pipelines do
between them stands here, one short method a step, so that a fault is one method or one module replaced. A run starts from
the token ids of a golden trace, and gives the tensors of that trace under the same names.
"""
import inspect
import json
import struct
import sys

import numpy as np
import torch
import diffusers
from diffusers import AutoencoderKL, UNet2DConditionModel

from plain_clip import TextEncoder

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8}
ENCODERS = ("text_encoder", "text_encoder_2")


def read_tensors(path):
    """A safetensors file: its tensors by name, and its metadata."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
        for name, entry in header.items()
    }, metadata


def write_tensors(path, tensors, metadata):
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    kinds = {np.dtype(kind): name for name, kind in DTYPES.items()}
    header, offset = {"__metadata__": metadata}, 0
    for name in names:
        tensor = tensors[name]
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(np.ascontiguousarray(tensors[name]).tobytes())


def load_weights(module, path):
    """Fills a module, in float32, from a checkpoint's file, whose VAE may have the attention's former names."""
    weights = {}
    for name, tensor in read_tensors(path)[0].items():
        for former, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
            if ".attentions." in name:
                name = name.replace(f".{former}.", f".{new}.")
        if not name.endswith("position_ids"):
            weights[name] = torch.from_numpy(tensor).float()
    module.load_state_dict(weights)
    return module.eval()


def read_config(path):
    with open(path, encoding="utf-8") as file:
        return {key: value for key, value in json.load(file).items() if key[0] != "_"}


class Port:
    """One pipeline call, as the golden trace `base` made it. `tensors` has the outcome in order of computation."""

    def __init__(self, golden, base):
        self.base, metadata = read_tensors(f"{golden}/models/traces/{base}.safetensors")
        self.info = json.loads(metadata["info"])
        self.call, self.model = self.info["call"], self.info["model"]
        folder = f"{golden}/models/{self.model}"
        weights = "diffusion_pytorch_model.safetensors"
        self.unet = UNet2DConditionModel(**read_config(f"{folder}/unet/config.json"))
        load_weights(self.unet, f"{folder}/unet/{weights}")
        self.vae = AutoencoderKL(**read_config(f"{folder}/vae/config.json"))
        load_weights(self.vae, f"{folder}/vae/{weights}")
        self.encoders = {}
        for name in ENCODERS:
            if f"input_ids.{name}" in self.base:
                encoder = TextEncoder(read_config(f"{folder}/{name}/config.json"), projected=name == ENCODERS[1])
                self.encoders[name] = load_weights(encoder, f"{folder}/{name}/model.safetensors")
        self.is_xl = len(self.encoders) == 2

        self.scheduler = getattr(diffusers, self.info["scheduler"]).from_config(self.info["scheduler_config"])
        self.guidance_scale, self.guidance_rescale = self.info["guidance_scale"], self.info["guidance_rescale"]
        self.guided = self.guidance_scale > 1
        self.images = self.call.get("num_images_per_prompt", 1)
        self.scaling_factor = self.vae.config.scaling_factor
        self.zeros_for_empty_prompt = f"negative_input_ids.{ENCODERS[0]}" not in self.base
        self.last_step = None  # stop after this step, without a picture
        self.open_generator()
        self.tensors = {}

    # --- What is seen of a run

    def record(self, name, value):
        """Keeps what the golden trace has too."""
        if name in self.base:
            self.tensors[name] = self.dump(name, np.array(value, order="C"))

    def dump(self, name, array):
        """How a tensor is written down."""
        return array

    def recorded_modules(self, component, module):
        """Records the outputs of the modules of which the golden trace has them; returns the hooks."""
        def hook(name):
            def record(_, inputs, output):
                self.record(name, output[0] if isinstance(output, tuple) else getattr(output, "sample", output))
            return record
        named = ((f"act.{component}.{name}", child) for name, child in module.named_modules())
        return [child.register_forward_hook(hook(name)) for name, child in named if name in self.base]

    # --- From token ids to what the UNet is told

    def input_ids(self, name, negative):
        """[n, L], the golden trace's own."""
        return torch.from_numpy(self.base[f"{'negative_' if negative else ''}input_ids.{name}"])

    def encode(self, name, negative):
        """One encoder on one side of guidance: all hidden states, the last one normed, the pooled vector."""
        encoder, prefix = self.encoders[name], "negative_" if negative else ""
        ids = self.input_ids(name, negative)
        self.record(f"{prefix}input_ids.{name}", ids)
        hooks = [] if negative else self.recorded_modules(name, encoder)
        hidden_states, last, pooled = encoder(ids)
        for hook in hooks:
            hook.remove()
        self.record(f"{prefix}last_hidden_state.{name}", last)
        if pooled is not None:
            self.record(f"{prefix}text_embeds.{name}", pooled)
        return hidden_states, last, pooled

    def choose_state(self, name, hidden_states, last, negative):
        """[n, L, D]: SDXL takes the penultimate state as it is, SD the last one normed; clip_skip goes further back,
        for the positive prompt alone."""
        skip = 0 if negative else self.call.get("clip_skip") or 0
        if self.is_xl:
            return hidden_states[-(skip + 2)]
        return last if skip == 0 else self.encoders[name].text_model.final_layer_norm(hidden_states[-(skip + 1)])

    def join_states(self, states):
        return torch.cat(states, dim=-1)

    def encode_side(self, negative):
        """One side of guidance: [n, L, cross_attention_dim], and SDXL's pooled vector."""
        states, pooled = [], None
        for name in self.encoders:
            hidden_states, last, pooled = self.encode(name, negative)
            states.append(self.choose_state(name, hidden_states, last, negative))
        return self.join_states(states), pooled

    def time_ids(self, original_size, crops_coords_top_left, target_size):
        return list(original_size) + list(crops_coords_top_left) + list(target_size)

    def add_time_ids(self):
        """[R, 6]. Diffusers repeats the block of negative and positive, so that the rows alternate."""
        size, call = (self.call["height"], self.call["width"]), self.call
        rows = [self.time_ids(call.get("original_size") or size, call.get("crops_coords_top_left") or (0, 0),
                              call.get("target_size") or size)]
        if self.guided and call.get("negative_original_size") and call.get("negative_target_size"):
            rows.insert(0, self.time_ids(call["negative_original_size"],
                                         call.get("negative_crops_coords_top_left") or (0, 0),
                                         call["negative_target_size"]))
        elif self.guided:
            rows = rows * 2
        return torch.tensor(rows, dtype=torch.float32).repeat(self.images, 1)

    def encode_prompt(self):
        """The UNet's hidden states [R, L, D], and SDXL's added conditions."""
        embeds, pooled = self.encode_side(negative=False)
        if self.guided and self.is_xl and self.zeros_for_empty_prompt:
            sides = [(torch.zeros_like(embeds), torch.zeros_like(pooled)), (embeds, pooled)]
        elif self.guided:
            sides = [self.encode_side(negative=True), (embeds, pooled)]
        else:
            sides = [(embeds, pooled)]
        sides = [tuple(None if x is None else x.repeat_interleave(self.images, 0) for x in side) for side in sides]
        prefixes = ("", "negative_")  # the golden traces' order: positive first
        for prefix, side in zip(prefixes, reversed(sides)):
            self.record(f"{prefix}prompt_embeds", side[0])
        hidden = torch.cat([side[0] for side in sides])
        if not self.is_xl:
            return hidden, None
        for prefix, side in zip(prefixes, reversed(sides)):
            self.record(f"{prefix}pooled_prompt_embeds", side[1])
        added = {"text_embeds": torch.cat([side[1] for side in sides]), "time_ids": self.add_time_ids()}
        self.record("add_text_embeds", added["text_embeds"])
        self.record("add_time_ids", added["time_ids"])
        return hidden, added

    # --- The schedule and the noise

    def set_timesteps(self):
        given = {key: self.call[key] for key in ("timesteps", "sigmas") if key in self.call}
        self.scheduler.set_timesteps(**(given or {"num_inference_steps": self.call["num_inference_steps"]}))
        for name in ("timesteps", "sigmas", "alphas_cumprod"):
            if isinstance(getattr(self.scheduler, name, None), torch.Tensor):
                self.record(name, getattr(self.scheduler, name))

    def open_generator(self, source=None):
        """numpy: PCG64's standard_normal in float64, rounded; torch: torch.randn on a CPU. One stream a run."""
        source, seed = source or self.info["noise_source"], self.info["seed"]
        if source == "numpy":
            generator = np.random.Generator(np.random.PCG64(seed))
            self.draw = lambda shape: torch.from_numpy(generator.standard_normal(tuple(shape))).float()
        else:
            generator = torch.Generator("cpu").manual_seed(seed)
            self.draw = lambda shape: torch.randn(tuple(shape), generator=generator)

    def step_noise(self, step, shape):
        return self.draw(shape)

    def prepare_latents(self):
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        noise = self.draw((self.images * len(self.base[f"input_ids.{ENCODERS[0]}"]), self.unet.config.in_channels,
                           self.call["height"] // factor, self.call["width"] // factor))
        self.record("init_noise", noise)
        latents = self.scale_noise(noise)
        self.record("latents.init", latents)
        return latents

    def scale_noise(self, noise):
        return noise * self.scheduler.init_noise_sigma

    # --- One step

    def scale_model_input(self, latents, timestep):
        return self.scheduler.scale_model_input(latents, timestep)

    def model_timestep(self, step, timestep):
        """What the UNet is told of the time."""
        return timestep

    def predict(self, step, model_input, timestep, hidden, added):
        """The UNet's prediction for the whole guided batch, [R, C, h, w]."""
        hooks = self.recorded_modules("unet", self.unet) if step == 0 else []
        prediction = self.unet(model_input, self.model_timestep(step, timestep), encoder_hidden_states=hidden,
                               added_cond_kwargs=added, return_dict=False)[0]
        for hook in hooks:
            hook.remove()
        return prediction

    def guide(self, uncond, text):
        return uncond + self.guidance_scale * (text - uncond)

    def rescale(self, guided, text):
        """The guided prediction with the spread of the text prediction, blended in (arXiv 2305.08891, 3.4)."""
        axes = list(range(1, text.ndim))
        rescaled = guided * (text.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
        return self.guidance_rescale * rescaled + (1 - self.guidance_rescale) * guided

    def take_step(self, step, noise_pred, timestep, latents):
        def randn_tensor(shape, **_):
            noise = self.step_noise(step, shape)
            self.record(f"step.{step:02d}.noise", noise)
            return noise

        library = sys.modules[type(self.scheduler).__module__]
        original, options = getattr(library, "randn_tensor", None), {}
        if "eta" in inspect.signature(self.scheduler.step).parameters:
            options["eta"] = self.call.get("eta", 0.0)
        library.randn_tensor = randn_tensor
        try:
            return self.scheduler.step(noise_pred, timestep, latents, return_dict=False, **options)[0]
        finally:
            library.randn_tensor = original

    def denoise(self, step, timestep, latents, hidden, added):
        name = f"step.{step:02d}."
        model_input = self.scale_model_input(latents, timestep)
        self.record(name + "model_input", model_input)
        if self.guided:
            model_input = torch.cat([model_input, model_input])
        noise_pred = self.predict(step, model_input, timestep, hidden, added)
        if self.guided:
            uncond, text = noise_pred.chunk(2)
            self.record(name + "noise_pred_uncond", uncond)
            self.record(name + "noise_pred_text", text)
            noise_pred = self.guide(uncond, text)
            if self.guidance_rescale > 0:
                noise_pred = self.rescale(noise_pred, text)
        else:
            self.record(name + "noise_pred_text", noise_pred)
        self.record(name + "noise_pred", noise_pred)
        latents = self.take_step(step, noise_pred, timestep, latents)
        self.record(name + "latents", latents)
        return latents

    # --- The picture

    def vae_input(self, latents):
        return latents / self.scaling_factor

    def to_bytes(self, image):
        """[B, 3, H, W] -> [B, H, W, 3]"""
        pixels = (image * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        with np.errstate(invalid="ignore"):  # what is not a number is black
            return (pixels * 255).round().astype(np.uint8)

    def decode(self, latents):
        self.record("latents.final", latents)
        vae_input = self.vae_input(latents)
        self.record("vae_input", vae_input)
        hooks = self.recorded_modules("vae", self.vae)
        image = self.vae.decode(vae_input, return_dict=False)[0]
        for hook in hooks:
            hook.remove()
        self.record("image", image)
        self.record("image_u8", self.to_bytes(image))

    # --- The whole call

    def run(self):
        hidden, added = self.encode_prompt()
        self.set_timesteps()
        latents = self.prepare_latents()
        for step, timestep in enumerate(self.scheduler.timesteps):
            latents = self.denoise(step, timestep, latents, hidden, added)
            if step == self.last_step:
                return self.tensors
        self.decode(latents)
        return self.tensors
