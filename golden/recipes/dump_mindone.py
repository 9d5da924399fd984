"""The same from the MindSpore port (mindone.diffusers), as a folder of .npy.

    from dump_mindone import MindOneDump

    ms.set_context(mode=ms.PYNATIVE_MODE)  # hooks are not called in graph mode, nor inside of jit
    call = {"prompt": "a cat", "num_inference_steps": 20, "guidance_scale": 7.5, "height": 512, "width": 512}
    with MindOneDump(pipe) as dump:
        pipe(**call, generator=np.random.Generator(np.random.PCG64(7)), callback_on_step_end=dump.on_step_end)
    dump.save("port", call, seed=7, generator="numpy-pcg64")

    $ plumb verify CHECKPOINT port --recipe port/run.json

The port follows Diffusers file for file, so what is listened to is what dump_diffusers.py listens to. Only the models are
hooked otherwise: a Cell calls its hooks with the positional inputs, and has no `forward` to stand before. So SDXL's
add_text_embeds and add_time_ids, which are named arguments, are not in the dump; Plumb makes them from what is.
"""
import json
import os
import re
import sys

import numpy as np
from dump_diffusers import MODULES, Dump


def array(value):
    """A tensor's elements; bfloat16, which NumPy has not, as the same numbers in float32."""
    return np.asarray(value.float().asnumpy() if "bfloat16" in str(value.dtype).lower() else value.asnumpy()).copy()


class MindOneDump(Dump):
    def put(self, name, value):
        if value is not None:
            self.tensors[name] = value if isinstance(value, np.ndarray) else array(value)

    def __enter__(self):
        pipe = self.pipe
        self.handles = []
        for name in ("text_encoder", "text_encoder_2"):
            if getattr(pipe, name, None) is not None:
                self.hook(getattr(pipe, name), self.after_encoder(name))
                self.hook_modules(name)
        self.hook(pipe.unet, self.after_unet)
        self.hook_modules("unet")
        self.hook(pipe.vae.post_quant_conv, lambda inputs, output: self.put("vae_input", inputs[0]))
        self.hook(pipe.vae.decoder, lambda inputs, output: self.put("image", output))
        self.hook_modules("vae")
        self.wrap(pipe, "encode_prompt", self.encode_prompt)
        self.wrap(pipe, "prepare_latents", self.prepare_latents)
        for owner in (pipe, pipe.scheduler):
            module = sys.modules[type(owner).__module__]
            if hasattr(module, "randn_tensor"):
                self.wrap(module, "randn_tensor", lambda function, *args, owner=owner, **kwargs:
                          self.randn(owner, function, *args, **kwargs))
        self.wrap(pipe.scheduler, "step", self.scheduler_step)
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()
        super().__exit__(*error)

    def hook(self, cell, listener):
        def after(cell, inputs, output):  # MindSpore wants a plain function of these three
            listener(inputs, output)

        self.handles.append(cell.register_forward_hook(after))

    def hook_modules(self, component):
        def keep(name):
            def after(inputs, output):
                if f"act.{component}.{name}" not in self.tensors:  # of the encoders the prompt, of the UNet the first step
                    self.put(f"act.{component}.{name}", output[0] if isinstance(output, (tuple, list)) else output)
            return after

        for name, cell in getattr(self.pipe, component).cells_and_names():
            if self.modules and re.fullmatch(MODULES[component], name):
                self.hook(cell, keep(name))

    def after_encoder(self, name):
        def after(inputs, output):
            pooled = output[0] if output[0].ndim == 2 else None  # a text_projection's result comes first
            self.keep_encoder(name, inputs[0], output[0] if pooled is None else output[1], pooled)
        return after

    def after_unet(self, inputs, output):
        self.keep_unet(inputs[0], output[0] if isinstance(output, (tuple, list)) else output)

    def save(self, folder, call, seed, generator, images=None):
        """`images` is what output_type="np" gives, [B, H, W, 3] from 0 to 1."""
        if images is not None:
            self.put("image_u8", (np.asarray(images) * 255).round().astype(np.uint8))
        os.makedirs(folder, exist_ok=True)
        for name, value in self.tensors.items():
            np.save(os.path.join(folder, name + ".npy"), value)
        with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as file:
            json.dump(self.recipe(call, seed, generator), file)
