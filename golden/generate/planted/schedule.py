"""Faults in the schedule and in the noise."""
from planted import (
    SD, SD21, SD21_RESCALE, SD_ETA, SHAPES_DPM, SHAPES_EULER, SHAPES_KARRAS, XL,
    XL_DPM, XL_EULER, XL_KARRAS, XL_LEADING, change_config, fault)


@fault(SD21, "timesteps", "timestep off by one")
def leading_without_offset(port):
    """The leading spacing without steps_offset: 830 for 831."""
    change_config(port, steps_offset=0)


@fault(XL_LEADING, "timesteps", "another timestep spacing")
def linspace_for_leading(port):
    """The linspace spacing for the leading one."""
    change_config(port, timestep_spacing="linspace")


@fault(XL_KARRAS, "timesteps", None)
def no_karras_sigmas(port):
    """use_karras_sigmas is not looked at."""
    change_config(port, use_karras_sigmas=False)


@fault(SD21_RESCALE, "alphas_cumprod", "zero terminal SNR left out")
def no_zero_snr(port):
    """rescale_betas_zero_snr is not looked at."""
    change_config(port, rescale_betas_zero_snr=False)


@fault(XL_DPM, "sigmas", "another final sigma")
@fault(XL_LEADING, "step.04.latents", "another final sigma", absent=["sigmas"])
@fault(SHAPES_DPM, "step.04.latents", "another final sigma", absent=["sigmas", "vae_input", "image*"])
def final_sigma_min(port):
    """The last sigma is the smallest of the training schedule and not zero."""
    change_config(port, final_sigmas_type="sigma_min")


@fault(SD, "step.04.latents", "another final sigma", note="DDIM: its final alpha")
def final_alpha_one(port):
    """DDIM's last step goes to an alpha of 1 and not to the first of the training schedule."""
    change_config(port, set_alpha_to_one=True)


@fault(SD, "init_noise", "noise of torch-cpu")
@fault(SHAPES_EULER, "init_noise", "noise of torch-cpu")
def noise_of_torch(port):
    """The same seed in PyTorch's CPU generator, where the run has NumPy's."""
    port.open_generator("torch")


@fault(SD_ETA, "init_noise", "noise of numpy-pcg64")
def noise_of_numpy(port):
    """The same seed in NumPy's generator, where the run has PyTorch's."""
    port.open_generator("numpy")


@fault(XL, "step.00.noise", "noise drawn when not needed")
def one_draw_too_many(port):
    """After the initial noise one more tensor is drawn and thrown away."""
    original = port.prepare_latents

    def prepare_latents():
        latents = original()
        port.draw(latents.shape)
        return latents

    port.prepare_latents = prepare_latents


@fault(SHAPES_KARRAS, "step.01.noise", "noise drawn when not needed")
def two_draws_a_step(port):
    """Every step draws twice and uses the first."""
    port.step_noise = lambda step, shape: (port.draw(shape), port.draw(shape))[0]


@fault(XL_EULER, "latents.init", "init_noise_sigma left out")
@fault(SHAPES_EULER, "latents.init", "init_noise_sigma left out")
def no_init_noise_sigma(port):
    """The initial noise is not multiplied by the first sigma."""
    port.scale_noise = lambda noise: noise
