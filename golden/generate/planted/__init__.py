"""The faults of golden/faults, one small function each: what it does wrong to a Port (traced_port.py).

`@fault(base, first_wrong, suspect)` plants it in the run of the golden trace `base`. `first_wrong` is the first tensor in
order of computation that the fault reaches, and so the one that a check of each stage from its recorded inputs must name.
`suspect` is the kind of fault in a few fixed words, or None where it is none of the usual ones.
Sources: the collected reports in which ports of these pipelines had exactly these faults. The modules of this package are
the stages: text.py, schedule.py, unet.py, sampling.py, picture.py; controls.py is without fault.
"""
FAULTS, CONTROLS = [], []
SD, SD_ETA, SD_PNDM = "sd-ddim5", "sd-ddim5-torchgen", "sd-pndm6"
SD21, SD21_RESCALE = "sd21v-ddim6-leading", "sd21v-ddim10-zsnr-rescale"
XL, XL_BATCH, XL_PLAIN = "sdxl-ays10-sde", "sdxl-batch2-nonsquare", "sdxl-noguidance3"
XL_DPM, XL_LEADING, XL_EULER = "sdxl-dpm5-trailing", "sdxl-dpm5-leading", "sdxl-euler-sigmas"
SHAPES, SHAPES_DPM, SHAPES_LEADING = "shapes-ays10-sde", "shapes-dpm5-trailing", "shapes-dpm5-leading"
SHAPES_EULER, SHAPES_KARRAS, XL_KARRAS = "shapes-euler-sigmas", "shapes-sde-karras20", "sdxl-sde-karras10"

LAYER = "act.{}.text_model.encoder.layers.{}"
UNCOND, TEXT, GUIDED = "step.{:02d}.noise_pred_uncond", "step.{:02d}.noise_pred_text", "step.{:02d}.noise_pred"


def fault(base, first_wrong, suspect, **more):
    """more: `absent`, patterns of names that this port does not dump; `stages`, if the fault shows in others than its first
    wrong tensor says; `note`."""
    def add(plant):
        names = [first_wrong] if isinstance(first_wrong, str) else list(first_wrong)
        FAULTS.append(dict(more, plant=plant, base=base, first_wrong=names, suspect=suspect))
        return plant
    return add


def control(base):
    """A run without fault, whole: what it changes is within rounding."""
    def add(plant):
        CONTROLS.append(dict(plant=plant, base=base, first_wrong=[], suspect=None, whole=True))
        return plant
    return add


def of_type(root, kind):
    return [module for module in root.modules() if isinstance(module, kind)]


def change_config(port, **overrides):
    port.scheduler = type(port.scheduler).from_config({**port.scheduler.config, **overrides})
