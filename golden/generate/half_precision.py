"""A Port in half precision: the operands and the result of every operator are rounded to float16 or bfloat16, and what
happens inside an operator is float32. So compute backends that keep tensors in these types and accumulate in float32.

PyTorch's own CPU kernels in bfloat16 are no model of that. On the same operands 1.13's layer norm is 1.8 times as far from
the exact answer as one rounding of its result, its SiLU 1.5 and its group norm 3.2 times (matrix products, convolutions,
softmax and GELU: 1.0); whole stages come out at 4 to 17 times what is made here.
"""
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

TYPES = {"f16": torch.float16, "bf16": torch.bfloat16}
# Which trace, in which type, stored as what, up to which step (None: to the picture). What is stored in float32 shows, to
# those who believe it was computed in float32, as wrong; what is stored in float16 may be no more than stored so.
PRECISIONS = [
    {"base": "sd-ddim5", "dtype": "f16", "stored": "f16", "last_step": None},
    {"base": "sdxl-ays10-sde", "dtype": "f16", "stored": "f32", "last_step": 0},
    {"base": "shapes-dpm5-trailing", "dtype": "bf16", "stored": "f32", "last_step": 0},
]


class Rounding(TorchDispatchMode):
    """Rounds the result of every operator, except of numbers, which PyTorch keeps apart from tensors too."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype, self.active = dtype, True

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return tree_map(self.round_result, operator(*args, **(kwargs or {})))

    def round_result(self, value):
        rounds = self.active and isinstance(value, torch.Tensor) and value.dtype == torch.float32 and value.ndim > 0
        return value.to(self.dtype).float() if rounds else value

    def exactly(self, function):
        """The function in float32."""
        def call(*inputs):
            before, self.active = self.active, False
            try:
                return function(*inputs)
            finally:
                self.active = before
        return call

    def rounded_once(self, function):
        """The function in float32, its result rounded."""
        exact = self.exactly(function)
        return lambda *inputs: self.round_result(exact(*inputs))


def in_half_precision(port, dtype):
    """The port with rounded weights, in half precision where the pipelines are: the sinusoids are computed in float32, as
    are the steps of the schedulers that say so; their noise is drawn in it."""
    rounding, run = Rounding(TYPES[dtype]), port.run
    for model in (port.unet, port.vae, *port.encoders.values()):
        for parameter in model.parameters():
            parameter.data = rounding.round_result(parameter.data)
    for sinusoid in (port.unet.time_proj, getattr(port.unet, "add_time_proj", None)):
        if sinusoid is not None:
            sinusoid.forward = rounding.rounded_once(sinusoid.forward)
    port.set_timesteps = rounding.exactly(port.set_timesteps)
    exact_draw = rounding.exactly(port.draw)
    port.draw = rounding.rounded_once(port.draw)
    if port.info["scheduler"] in ("DPMSolverMultistepScheduler", "EulerDiscreteScheduler"):
        port.step_noise = lambda step, shape: exact_draw(shape)
        port.take_step = rounding.rounded_once(port.take_step)

    def run_rounding():
        with rounding:
            return run()

    port.run = run_rounding
