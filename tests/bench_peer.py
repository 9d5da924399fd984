#!/usr/bin/python3
"""Plumb's operators beside PyTorch's, at the shapes of the real models.

    make bench-peer                                      the UNet of sd15, all threads
    make bench-peer PEER="--architecture sdxl --size 512x512 --part unet --threads 1"

Runs `plumb bench --kernels` and the same operators in torch.nn.functional by turns, so that both meet the machine
as it is, with the same number of threads, and prints the ratio of their times; and for each part the sum over one
forward pass. Inputs are random, float32, contiguous. Options but --turns and --plumb are those of `plumb bench`.
PyTorch is Debian's python3-torch; without it there is nothing to compare with, and the script says so and ends
with status 0.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

SHORTEST = 0.05  # seconds that a timing lasts at least


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plumb", default="build/plumb", help="the program (build/plumb)")
    parser.add_argument("--turns", type=int, default=3, help="of both programs; the medians count (3)")
    parser.add_argument("--architecture", default="sd15")
    parser.add_argument("--size")
    parser.add_argument("--part", default="unet")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--threads")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--gemm")
    arguments = parser.parse_args()
    if arguments.turns < 1:
        parser.error("--turns: expected at least 1")
    return arguments


def run_plumb(arguments, *more):
    command = [arguments.plumb, "bench", "--kernels", "--format", "json", *more]
    for name in ("architecture", "size", "part", "batch", "threads", "clock", "gemm"):
        value = getattr(arguments, name)
        if value is not None:
            command += ["--" + name, value]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(done.returncode)  # plumb has said why
    return json.loads(done.stdout)


def torch_operator(torch, op):
    """The same work as a function without arguments, or None where PyTorch has no such operator."""
    F = torch.nn.functional
    name, shape = op["operator"], op["x"]
    x = torch.rand(shape) - 0.5
    w = torch.rand(op["w"]) - 0.5 if "w" in op else None
    if name.startswith("linear"):
        return torch_linear(torch, op, x, w)
    if "conv2d" in name:
        return torch_conv2d(torch, op, x, w)
    if name == "attention":
        return torch_attention(torch, op, x, w)
    if name in ("group_norm", "group_norm_silu"):
        channels = shape[1]
        groups = next(g for g in (32, 16, 8, 4, 2, 1) if channels % g == 0)
        weight, bias = torch.rand(channels), torch.rand(channels)
        if name == "group_norm":
            return lambda: F.group_norm(x, groups, weight, bias)
        return lambda: F.silu(F.group_norm(x, groups, weight, bias))
    if name == "layer_norm":
        weight, bias = torch.rand(shape[-1]), torch.rand(shape[-1])
        return lambda: F.layer_norm(x, shape[-1:], weight, bias)
    if name == "geglu":

        def geglu():
            value, gate = x.chunk(2, dim=-1)
            return value * F.gelu(gate)

        return geglu
    if name == "concat_channels":
        other = torch.rand([shape[0], op["y"][1] - shape[1], *shape[2:]])
        return lambda: torch.cat([x, other], dim=1)
    if name == "add_channels":
        vector = torch.rand(shape[:2] + [1] * (len(shape) - 2))
        return lambda: x.add_(vector)
    if name == "from_tokens":
        return lambda: x.transpose(1, 2).reshape(op["y"]).contiguous()
    simple = {
        "silu": lambda: F.silu(x),
        "gelu": lambda: F.gelu(x),
        "quick_gelu": lambda: x * torch.sigmoid(1.702 * x),
        "multiply": lambda: x * 0.125,
        "add": lambda: x + x,
        "to_tokens": lambda: x.flatten(2).transpose(1, 2).contiguous(),
        "upsample_nearest": lambda: F.interpolate(x, size=op["y"][2:]),
    }
    return simple.get(name)


def torch_linear(torch, op, x, w):
    F = torch.nn.functional
    bias = torch.rand(op["w"][0])
    y = torch.rand(op["y"])

    def geglu():
        value, gate = F.linear(x, w, bias).chunk(2, dim=-1)
        return value * F.gelu(gate)

    def quick_gelu():
        inner = F.linear(x, w, bias)
        return inner * torch.sigmoid(1.702 * inner)

    return {
        "linear": lambda: F.linear(x, w, bias),
        "linear_onto": lambda: F.linear(x, w, bias) + y,
        "linear_gelu": lambda: F.gelu(F.linear(x, w, bias)),
        "linear_quick_gelu": quick_gelu,
        "linear_geglu": geglu,
    }.get(op["operator"])


def torch_conv2d(torch, op, x, w):
    F = torch.nn.functional
    bias, stride = torch.rand(op["w"][0]), op["stride"]
    top, bottom, left, right = op["padding"]
    y = torch.rand(op["y"])
    shift = torch.rand(op["y"][:2] + [1, 1])

    def conv2d(x):
        if (top, left) != (bottom, right):
            return F.conv2d(F.pad(x, (left, right, top, bottom)), w, bias, stride)
        return F.conv2d(x, w, bias, stride, (top, left))

    return {
        "conv2d": lambda: conv2d(x),
        "conv2d_shifted": lambda: conv2d(x) + shift,
        "conv2d_added": lambda: conv2d(x) + y,
        "upsample_conv2d": lambda: conv2d(F.interpolate(x, size=op["y"][2:])),
    }.get(op["operator"])


def torch_attention(torch, op, q, k):
    """As diffusers computes it without scaled_dot_product_attention, which PyTorch 1.13 does not have."""
    batch, length, width = op["x"]
    heads, keys = op["heads"], op["w"][1]
    dim = width // heads
    v = torch.rand(op["w"]) - 0.5
    mask = torch.full((length, keys), float("-inf")).triu(1) if op["causal"] else torch.zeros(1, 1)

    def split(x, count):
        return x.reshape(batch, count, heads, dim).permute(0, 2, 1, 3).reshape(batch * heads, count, dim)

    def attention():
        scores = torch.baddbmm(
            mask.expand(batch * heads, length, keys), split(q, length), split(k, keys).transpose(1, 2),
            beta=1 if op["causal"] else 0, alpha=dim**-0.5)
        y = torch.bmm(scores.softmax(dim=-1), split(v, keys))
        return y.reshape(batch, heads, length, dim).permute(0, 2, 1, 3).reshape(batch, length, width)

    return attention


def seconds_of(function, clock):
    now = time.process_time if clock == "cpu" else time.perf_counter
    function()  # what is made once, is made
    start = now()
    function()
    runs = max(1, int(SHORTEST / max(now() - start, 1e-7)))
    start = now()
    for _ in range(runs):
        function()
    return (now() - start) / runs


def measure(torch, arguments):
    """The operators as plumb lists them, each with the times of both programs, one of each turn."""
    operators = None
    for turn in range(arguments.turns):
        print(f"\rturn {turn + 1} of {arguments.turns}", end="", file=sys.stderr, flush=True)
        report = run_plumb(arguments, "--repeat", "1")
        torch.set_num_threads(report["threads"])
        if operators is None:
            operators = report["operators"]
            for op in operators:
                op["plumb"], op["torch"] = [], []
        for op, measured in zip(operators, report["operators"]):
            function = torch_operator(torch, op) if "seconds" in measured else None
            if function is None:
                continue
            op["plumb"].append(measured["seconds"])
            with torch.no_grad():
                op["torch"].append(seconds_of(function, arguments.clock))
    print(file=sys.stderr)
    return report, [op for op in operators if op["torch"]]


def show_shape(op):
    text = "x".join(map(str, op["x"]))
    if "heads" in op:
        return f"{text}, {op['heads']} heads, {op['w'][1]} keys"
    if "w" in op:
        text += " by " + "x".join(map(str, op["w"]))
    return text + (", stride 2" if op.get("stride") == 2 else "")


def show(report, operators):
    width = max(len(show_shape(op)) for op in operators)
    print(f"{'part':14}  {'operator':17}  {'shape':{width}}  calls  plumb, ms  torch, ms  torch/plumb")
    sums = {}
    for op in operators:
        plumb, torch = statistics.median(op["plumb"]), statistics.median(op["torch"])
        print(f"{op['part']:14}  {op['operator']:17}  {show_shape(op):{width}}  {op['calls']:5}"
              f"  {1e3 * plumb:9.3f}  {1e3 * torch:9.3f}  {torch / plumb:11.2f}")
        part = sums.setdefault(op["part"], [0, 0])
        part[0] += op["calls"] * plumb
        part[1] += op["calls"] * torch
    print()
    for part, (plumb, torch) in sums.items():
        print(f"{part}: the operators of one pass take {plumb:.3f} s in plumb {report['plumb']}"
              f" and {torch:.3f} s in PyTorch, {torch / plumb:.2f} times as long")


def main():
    arguments = read_arguments()
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, so there is nothing to compare with: apt-get install python3-torch")
        return
    report, operators = measure(torch, arguments)
    print(f"{report['cpu']}, threads: {report['threads']}, {report['clock']} time; plumb: {report['kernels']} kernels,"
          f" {report['gemm']} products ({report['blas_core']}); PyTorch {torch.__version__}\n")
    show(report, operators)


main()
