"""Faults in guidance and in the step of the sampler."""
import torch

from planted import (
    GUIDED, SD, SD21, SD21_RESCALE, SD_ETA, SD_PNDM, SHAPES_DPM, SHAPES_EULER, UNCOND, XL_LEADING, XL_PLAIN,
    change_config, fault)


@fault(SHAPES_EULER, "step.00.model_input", "model input not scaled")
@fault(XL_PLAIN, "step.00.model_input", "model input not scaled")
def no_scale_model_input(port):
    """The latents go to the UNet without the division by sqrt(sigma^2 + 1)."""
    def scale_model_input(latents, timestep):
        port.scheduler.scale_model_input(latents, timestep)  # it counts the steps too
        return latents

    port.scale_model_input = scale_model_input


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


@fault(SD_ETA, "step.00.latents", None)
def no_eta(port):
    """DDIM's eta of 1 is not looked at, and nothing is drawn."""
    port.call = {**port.call, "eta": 0.0}


@fault(SD21, "step.00.latents", "v-prediction as epsilon")
@fault(SD21_RESCALE, "step.00.latents", "v-prediction as epsilon", note="infinite: alpha is 0 at the first step")
def v_as_epsilon(port):
    """The model's velocity is taken for noise."""
    change_config(port, prediction_type="epsilon")


@fault(SD, "step.00.latents", "epsilon as v-prediction")
def epsilon_as_v(port):
    """The model's noise is taken for velocity."""
    change_config(port, prediction_type="v_prediction")
