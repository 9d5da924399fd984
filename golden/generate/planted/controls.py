"""Runs without fault, whose bits may differ from the golden ones and must not be called wrong."""
import torch

from planted import SD, SHAPES_LEADING, XL_PLAIN, control


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
