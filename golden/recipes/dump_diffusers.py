"""The tensors of one Diffusers call (PyTorch) under the names of golden/README.md, for `plumb verify`.

    from dump_diffusers import Dump

    call = {"prompt": "a cat", "num_inference_steps": 20, "guidance_scale": 7.5, "height": 512, "width": 512}
    with Dump(pipe) as dump:
        images = pipe(**call, generator=torch.Generator("cpu").manual_seed(7), output_type="np",
                      callback_on_step_end=dump.on_step_end).images
    dump.save("port.safetensors", call, seed=7, generator="torch-cpu", images=images)

    $ plumb verify CHECKPOINT port.safetensors

A port that has its own UNet, decoder or scheduler keeps this and changes the part: any object of `pipe` will do. Leave out
what is too large: `Dump(pipe, modules=False)` keeps what goes between the stages and no layer of a model.
"""
import functools
import json
import re
import sys

# The modules whose outputs Plumb has, by their names inside a component.
MODULES = {
    "unet": r"(add_)?time_proj|(time|add)_embedding|conv_in|conv_norm_out|conv_out"
            r"|.*\.(resnets|attentions|transformer_blocks|downsamplers|upsamplers)\.\d+",
    "vae": r"post_quant_conv|decoder\.(conv_in|conv_norm_out|conv_out|up_blocks\.\d+|.*\.(resnets|attentions|upsamplers)\.\d+)",
    "text_encoder": r"text_projection|text_model\.(embeddings|final_layer_norm|encoder\.layers\.\d+)",
}
MODULES["text_encoder_2"] = MODULES["text_encoder"]


class Dump:
    def __init__(self, pipe, modules=True):
        self.pipe, self.modules = pipe, modules
        self.tensors, self.undo, self.step, self.encoded = {}, [], 0, set()

    def put(self, name, value):
        if value is not None:
            self.tensors[name] = value.detach().to("cpu", copy=True).contiguous()

    # --- What is listened to, from the prompt to the picture. A wrapper gets the function that it stands before.

    def __enter__(self):
        pipe = self.pipe
        for name in ("text_encoder", "text_encoder_2"):
            if getattr(pipe, name, None) is not None:
                self.wrap(getattr(pipe, name), "forward", functools.partial(self.encoder, name))
        self.wrap(pipe, "encode_prompt", self.encode_prompt)
        self.wrap(pipe, "prepare_latents", self.prepare_latents)
        for owner in (pipe, pipe.scheduler):  # every draw, of the first latents and of a step
            if hasattr(sys.modules[type(owner).__module__], "randn_tensor"):
                self.wrap(sys.modules[type(owner).__module__], "randn_tensor", functools.partial(self.randn, owner))
        self.wrap(pipe.unet, "forward", self.unet)
        self.wrap(pipe.scheduler, "step", self.scheduler_step)
        self.wrap(pipe.vae, "decode", self.decode)
        return self

    def __exit__(self, *_):
        for owner, name, original in reversed(self.undo):
            delattr(owner, name) if original is None else setattr(owner, name, original)

    def wrap(self, owner, name, listener):
        function = getattr(owner, name)
        self.undo.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, functools.wraps(function)(functools.partial(listener, function)))

    def watched(self, component, function, *args, **kwargs):
        """Calls a model's function, and keeps the outputs of its modules."""
        def hook(name):
            def keep(module, inputs, output):
                self.put(f"act.{component}.{name}", output[0] if isinstance(output, tuple) else getattr(output, "sample", output))
            return keep

        named = getattr(self.pipe, component).named_modules() if self.modules else []
        hooks = [module.register_forward_hook(hook(name)) for name, module in named
                 if re.fullmatch(MODULES[component], name)]
        try:
            return function(*args, **kwargs)
        finally:
            for handle in hooks:
                handle.remove()

    def encoder(self, name, function, input_ids, *args, **kwargs):
        call = function if name in self.encoded else functools.partial(self.watched, name, function)
        output = call(input_ids, *args, **kwargs)
        self.keep_encoder(name, input_ids, output.last_hidden_state, getattr(output, "text_embeds", None))
        return output

    def keep_encoder(self, name, input_ids, last_hidden_state, text_embeds):
        """The first call of each encoder is the prompt, the second the negative prompt."""
        negative = "negative_" if name in self.encoded else ""
        self.encoded.add(name)
        self.put(f"{negative}input_ids.{name}", input_ids)
        self.put(f"{negative}last_hidden_state.{name}", last_hidden_state)
        self.put(f"{negative}text_embeds.{name}", text_embeds)

    def encode_prompt(self, function, *args, **kwargs):
        result = function(*args, **kwargs)
        names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        for name, value in zip(names, result):
            self.put(name, value)
        return result

    def prepare_latents(self, function, *args, **kwargs):
        latents = function(*args, **kwargs)
        self.put("latents.init", latents)
        return latents

    def randn(self, owner, function, *args, **kwargs):
        noise = function(*args, **kwargs)
        self.put("init_noise" if owner is self.pipe else f"step.{self.step:02d}.noise", noise)
        return noise

    def unet(self, function, sample, *args, **kwargs):
        call = functools.partial(self.watched, "unet", function) if self.step == 0 else function
        result = call(sample, *args, **kwargs)
        self.keep_unet(sample, result[0] if isinstance(result, tuple) else result.sample)
        if self.step == 0:
            added = kwargs.get("added_cond_kwargs") or {}
            self.put("add_text_embeds", added.get("text_embeds"))
            self.put("add_time_ids", added.get("time_ids"))
        return result

    def keep_unet(self, sample, output):
        if self.step == 0:
            for name in ("timesteps", "sigmas", "alphas_cumprod"):
                self.put(name, getattr(self.pipe.scheduler, name, None))
        if self.pipe.do_classifier_free_guidance:  # one batch of both halves: the negative prompt's comes first
            self.put(f"step.{self.step:02d}.model_input", sample.chunk(2)[0])
            self.put(f"step.{self.step:02d}.noise_pred_uncond", output.chunk(2)[0])
            self.put(f"step.{self.step:02d}.noise_pred_text", output.chunk(2)[1])
        else:
            self.put(f"step.{self.step:02d}.model_input", sample)
            self.put(f"step.{self.step:02d}.noise_pred_text", output)

    def scheduler_step(self, function, model_output, *args, **kwargs):
        self.put(f"step.{self.step:02d}.noise_pred", model_output)  # after guidance and rescaling
        return function(model_output, *args, **kwargs)

    def on_step_end(self, pipe, step, timestep, callback_kwargs):
        """The pipeline's own callback_on_step_end."""
        self.put(f"step.{self.step:02d}.latents", callback_kwargs["latents"])
        self.put("latents.final", callback_kwargs["latents"])  # the last one stays
        self.step += 1
        return callback_kwargs

    def decode(self, function, latents, *args, **kwargs):
        result = self.watched("vae", function, latents, *args, **kwargs)
        self.put("vae_input", latents)
        self.put("image", result[0] if isinstance(result, tuple) else result.sample)
        return result

    # --- The file

    def save(self, path, call, seed, generator, images=None):
        """`call` are the arguments of the pipeline that are numbers, texts and lists; `generator` is "torch-cpu",
        "torch-cuda" or "numpy-pcg64"; `images` what output_type="np" gives, [B, H, W, 3] from 0 to 1."""
        import torch
        from safetensors.torch import save_file

        if images is not None:
            self.put("image_u8", torch.from_numpy((images * 255).round().astype("uint8")))
        save_file(self.tensors, path, metadata={"recipe": json.dumps(self.recipe(call, seed, generator))})

    def recipe(self, call, seed, generator):
        scheduler = {key: value for key, value in self.pipe.scheduler.config.items() if not key.startswith("_")}
        scheduler["_class_name"] = type(self.pipe.scheduler).__name__
        return {**call, "seed": seed, "generator": generator, "scheduler": scheduler}
