"""The timesteps of every scheduler class x spacing x kind of sigmas, from diffusers itself.

    python3 generate_timesteps.py timesteps.txt          (diffusers 0.35.1, PyTorch 1.13, NumPy 1.24, SciPy 1.10)

The format is in README.md. Blocks that are the same for several schedules stand once.
"""
import inspect
import sys
import warnings

import diffusers.schedulers as schedulers
import numpy as np
from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler

COUNTS = list(range(1, 51)) + [61, 64, 80, 100, 103, 250, 999, 1000]
CLASSES = """DDIM DDIMInverse DDPM PNDM LCM TCD EulerDiscrete EulerAncestralDiscrete HeunDiscrete LMSDiscrete
    KDPM2Discrete KDPM2AncestralDiscrete DPMSolverSDE DPMSolverMultistep DPMSolverMultistepInverse DPMSolverSinglestep
    DEISMultistep UniPCMultistep SASolver IPNDM EDMEuler EDMDPMSolverMultistep CosineDPMSolverMultistep
    FlowMatchEulerDiscrete FlowMatchHeunDiscrete FlowMatchLCM CMStochasticIterative ScoreSdeVe ScoreSdeVp""".split()
BASE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KINDS = {
    "plain": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "lu": {"use_lu_lambdas": True},
    "flow": {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    "sigma_schedule=exponential": {"sigma_schedule": "exponential"},
}


def runs(values):
    """Integers as arithmetic runs, "981 -20*49": 981 and 49 more, each 20 less than the one before."""
    words, i = [], 0
    while i < len(values):
        step = values[i + 1] - values[i] if i + 1 < len(values) else 0
        n = 0
        while i + n + 1 < len(values) and values[i + n + 1] - values[i + n] == step:
            n += 1
        if n < 2:
            words.append(str(values[i]))
            i += 1
        else:
            words.append("%d %+d*%d" % (values[i], step, n))
            i += n + 1
    return " ".join(words)


def line(scheduler, n):
    try:
        scheduler.set_timesteps(n)
        timesteps = scheduler.timesteps.numpy()
    except Exception:
        return "refused"
    if np.issubdtype(timesteps.dtype, np.integer):
        return runs([int(t) for t in timesteps])
    words = ["%.5g" % t for t in timesteps]
    if len(words) > 103:
        words = words[:3] + ["..."] + words[-3:] + ["sum", "%.7g" % timesteps.astype(np.float64).sum()]
    return " ".join(words)


def main(path):
    warnings.simplefilter("ignore")
    blocks = {}
    for name in sorted(CLASSES):
        cls = ScoreSdeVpScheduler if name == "ScoreSdeVp" else getattr(schedulers, name + "Scheduler")
        options = inspect.signature(cls.__init__).parameters
        base = {key: value for key, value in BASE.items() if key in options}
        spacings = ["leading", "linspace", "trailing"] if "timestep_spacing" in options else [None]
        for spacing in spacings:
            for kind, settings in KINDS.items():
                if any(key not in options for key in settings):
                    continue
                config = dict(base, **settings)
                if spacing:
                    config["timestep_spacing"] = spacing
                scheduler = cls(**config)
                block = tuple("%d: %s" % (n, line(scheduler, n)) for n in COUNTS)
                blocks.setdefault(block, []).append("%s %s %s" % (name, spacing or "-", kind))
    with open(path, "w", encoding="ascii") as file:
        for block, names in blocks.items():
            print("\n".join("= " + name for name in names), file=file)
            print("\n".join(block), file=file)


main(sys.argv[1])
