#!/usr/bin/env python3
"""golden/faults: runs with one planted fault each, to hold a checker of ports against.

    python3 generate_faults.py ..            # writes ../faults, reads ../models
    python3 generate_faults.py .. --only 'sd-pndm6-*'   # prints what these give; writes nothing

Each run of planted/ continues a golden trace's call with the fault in place, as a faulty port would: what comes
after is consistent with it. What is written is an overlay: the tensors whose bytes differ from the golden trace's.
index.json says what to lay it over, what to leave out, and what a checker should find. Before a fault is planted the clean
run is repeated and compared with the golden trace; and the first tensor that the fault changes must be the one the index
names.
"""
import argparse
import fnmatch
import json
import os
import re

import numpy as np
import torch

from half_precision import PRECISIONS, in_half_precision
from planted import CONTROLS, FAULTS, text, schedule, unet, sampling, picture, controls  # the modules fill the lists
from traced_port import Port, write_tensors

ACTIVATIONS_KEPT = 3  # of those that a fault reaches: the first wrong one and two more
# A clean run on another machine differs by rounding, which guidance and ten steps of it multiply.
CLEAN_TOLERANCE = 3e-4


# The stages of `plumb verify` in which a fault shows, by its first wrong tensor; a fault may say otherwise.
STAGES = (
    ("*input_ids.*", ["tokens"]),
    ("act.text_encoder*", ["text encoder", "conditioning"]),
    ("text_embeds.*", ["text encoder", "conditioning"]),
    ("*prompt_embeds", ["conditioning"]),
    ("add_time_ids", ["conditioning"]),
    ("timesteps", ["schedule"]),
    ("sigmas", ["schedule"]),
    ("alphas_cumprod", ["schedule"]),
    ("*noise", ["noise"]),
    ("latents.init", ["noise"]),
    ("*.model_input", ["model input"]),
    ("act.unet.*", ["unet"]),
    ("*.noise_pred_*", ["unet"]),
    ("*.noise_pred", ["guidance"]),
    ("*.latents", ["step"]),
    ("vae_input", ["decoder"]),
    ("act.vae.*", ["decoder"]),
    ("image", ["decoder"]),
    ("image_u8", ["picture"]),
)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def error_to_peak(a, b):
    """The largest difference over b's largest magnitude; None where it is not a number."""
    a, b = np.float64(a), np.float64(b)
    with np.errstate(invalid="ignore"):
        error = np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)
    return float(f"{error:.3g}") if np.isfinite(error) else None


def clean_run(golden, base):
    port = Port(golden, base)
    tensors = port.run()
    missing = [name for name in port.base if name not in tensors and not name.startswith("f64.")]
    assert not missing, (base, missing)
    for name, tensor in tensors.items():
        recorded = np.float64(port.base[name])
        error = np.abs(np.float64(tensor) - recorded).max()
        assert error <= (1 if name == "image_u8" else CLEAN_TOLERANCE * np.abs(recorded).max()), (base, name, error)
    equal = sum(same(tensors[name], port.base[name]) for name in tensors)
    print(f"{base}: clean run, {equal} of {len(tensors)} tensors equal bit for bit")
    return tensors


def stop_after(fault, steps):
    """The last step to keep: the first step, or the one after the first wrong one; None: all, and the picture."""
    match = re.match(r"step\.(\d+)", fault["first_wrong"][0]) if fault["first_wrong"] else None
    late = fault["first_wrong"] and fault["first_wrong"][0].startswith(("vae_input", "act.vae", "image"))
    if fault.get("whole") or late:
        return None
    last = int(match.group(1)) + 1 if match else 0
    return last if last < steps - 1 else None


def name_of(fault):
    return f"{fault['base']}-{fault['plant'].__name__.replace('_', '-')}"


def stages_of(fault):
    if "stages" in fault or not fault["first_wrong"]:
        return fault.get("stages", [])
    return next(stages for pattern, stages in STAGES if matches(fault["first_wrong"][0], [pattern]))


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def shortest_pattern(name, base, left_out):
    """`step.03.*` rather than its members, where all of them are left out."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        pattern = ".".join(parts[:length]) + ".*"
        if set(fnmatch.filter(base, pattern)) <= set(left_out):
            return pattern
    return name


def overlay_of(tensors, base, leave_out, absent, keep_equal):
    """What is laid over the golden trace `base`, and the patterns of what is not there at all."""
    absent = absent + sorted({shortest_pattern(name, base, leave_out) for name in leave_out} - set(absent))
    return {name: tensor for name, tensor in tensors.items()
            if not matches(name, absent) and (keep_equal or not same(tensor, base[name]))}, absent


def run_in_half(golden, case):
    """The overlay's tensors, and the index entry, of a run without fault in half precision."""
    port = Port(golden, case["base"])
    in_half_precision(port, case["dtype"])
    port.last_step = case["last_step"]
    tensors = port.run()
    if case["stored"] == "f16":  # what has float16's values
        for name, tensor in tensors.items():
            narrow = tensor.astype(np.float16) if tensor.dtype == np.float32 else tensor
            if narrow.dtype == np.float16 and np.array_equal(narrow.astype(np.float32), tensor):
                tensors[name] = narrow
    overlay, absent = overlay_of(tensors, port.base, [name for name in port.base if name not in tensors], [], False)
    return overlay, {
        "name": f"{case['base']}-{case['dtype']}",
        "base": f"models/traces/{case['base']}.safetensors",
        "model": f"models/{port.model}",
        "their_dtype": case["dtype"],
        "stored": case["stored"],
        "absent": absent,
    }


def run_fault(golden, fault, clean):
    """The overlay's tensors, and the fault's entry in the index."""
    port = Port(golden, fault["base"])
    fault["plant"](port)
    port.last_step = stop_after(fault, port.info["unet_calls"])
    tensors = port.run()
    is_control = not fault["first_wrong"]

    absent = list(fault.get("absent", []))
    changed = [name for name in tensors if not same(tensors[name], clean[name])
               and not matches(name, absent)]
    activations = [name for name in changed if name.startswith("act.")]
    changed = [name for name in changed if name not in activations[ACTIVATIONS_KEPT:]]
    if not is_control:
        assert changed and changed[0] in fault["first_wrong"], (fault["plant"].__name__, changed[:3])
    leave_out = [name for name in port.base if name not in tensors or name in activations[ACTIVATIONS_KEPT:]]
    overlay, absent = overlay_of(tensors, port.base, leave_out, absent, keep_equal=is_control)
    entry = {
        "name": name_of(fault),
        "base": f"models/traces/{fault['base']}.safetensors",
        "model": f"models/{port.model}",
        "fault": fault["plant"].__doc__,
        "first_wrong": fault["first_wrong"],
        "stages": stages_of(fault),
        "suspect": fault["suspect"],
        "error_to_peak": error_to_peak(tensors[changed[0]], clean[changed[0]]) if changed else 0.0,
        "absent": absent,
    }
    if "note" in fault:
        entry["note"] = fault["note"]
    return overlay, entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden", help="the golden folder")
    parser.add_argument("--only", help="only the faults whose names match; print and do not write")
    parser.add_argument("--out", help="write here, not into GOLDEN/faults")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    out = arguments.out or os.path.join(arguments.golden, "faults")
    os.makedirs(out, exist_ok=True)

    clean, entries = {}, []
    for fault in FAULTS + CONTROLS:
        base = fault["base"]
        if arguments.only and not matches(name_of(fault), [arguments.only]):
            continue
        if base not in clean:
            clean[base] = clean_run(arguments.golden, base)
        overlay, entry = run_fault(arguments.golden, fault, clean[base])
        entries.append(entry)
        if not arguments.only:
            write_tensors(os.path.join(out, entry["name"] + ".safetensors"), overlay,
                          {"base": entry["base"], "fault": entry["fault"]})
        print(f"{entry['name']}: {entry['first_wrong']} {entry['error_to_peak']}, {len(overlay)} tensors, "
              f"{sum(tensor.nbytes for tensor in overlay.values()) / 1e3:.0f} kB", flush=True)
    if arguments.only:
        return
    precisions = []
    for case in PRECISIONS:
        overlay, entry = run_in_half(arguments.golden, case)
        precisions.append(entry)
        metadata = {"base": entry["base"], "their_dtype": entry["their_dtype"]}
        write_tensors(os.path.join(out, entry["name"] + ".safetensors"), overlay, metadata)
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names)
    index = {
        "about": "one planted fault each; see golden/README.md, Faults",
        "suspects": sorted({entry["suspect"] for entry in entries if entry["suspect"]}),
        "faults": entries,
        "precisions": precisions,
    }
    with open(os.path.join(out, "index.json"), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
