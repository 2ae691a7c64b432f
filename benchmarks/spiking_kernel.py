"""Speed of the membrane kernel: `python benchmarks/spiking_kernel.py [--threads N] [--json FILE]`.

Forward and backward of leaky integrate-and-fire neurons (soft reset, arc tangent, detached reset)
on the shapes that nets have: tokens or maps with few steps, and streams with many. Our two fused
paths stand beside a plain torch loop, spikingjelly and snntorch, where these are installed; all get
the same currents and gradients, take turns, and are checked to spike alike (but for membranes that
are at the threshold to the last bit, where snntorch is silent). A ratio is how many times as long
spikingjelly takes; memory is the most that one call held beside its input, in sizes of it.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from neurodecode.nn.compiled import MEMBRANE
from neurodecode.nn.spiking.kernel import Path as KernelPath
from neurodecode.nn.spiking.kernel import membrane, using
from neurodecode.nn.spiking.surrogates import surrogate

Call = Callable[[Tensor], Tensor]

SHAPES = (
    (4, 32, 40, 128), (8, 32, 40, 250), (16, 32, 64, 128), (4, 32, 64, 1000), (16, 32, 64, 1000),
    (128, 32, 64), (250, 32, 64), (1000, 32, 64), (250, 32, 640),
)  # fmt: skip


def main() -> None:
    """A line per shape."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    calls = {name: ours(name) for name in ("loop", "torch", "compiled")}
    if MEMBRANE.why_not():
        del calls["compiled"]
        print(f"no compiled path: {MEMBRANE.why_not()}")
    for name, make in {"spikingjelly": jelly, "snntorch": snn}.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                calls[name] = make()
        except ImportError as error:
            print(f"no {name}: {error}")
    base = "spikingjelly" if "spikingjelly" in calls else "loop"
    print(f"forward and backward, {options.threads} thread(s): ms, times as fast as {base}, memory")
    print(f"{'shape':<20}" + "".join(f"{name:>26}" for name in calls))
    rows = []
    for shape in SHAPES:
        row = measure(shape, calls, options.rounds)
        rows.append({"shape": shape, **row})
        cells = (
            f"{row[n]['ms']:9.1f} {row[base]['ms'] / row[n]['ms']:7.1f}x {row[n]['memory']:6.1f}"
            for n in calls
        )
        print(f"{'x'.join(map(str, shape)):<20}" + "".join(f"{cell:>26}" for cell in cells))
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "rows": rows}, indent=1))


def measure(shape: tuple[int, ...], calls: dict[str, Call], rounds: int) -> dict[str, dict]:
    """Median and spread of the time in ms, and memory, of each; they take turns."""
    draw = torch.Generator().manual_seed(0)
    # Below two thresholds, so that every library's reset is the same.
    x = 0.9 * torch.rand(shape, generator=draw)
    gradient = torch.randn(shape, generator=draw)
    times: dict[str, list[float]] = {name: [] for name in calls}
    memory, spikes = {}, {}
    for name, call in calls.items():
        spikes[name], memory[name] = held(call, x, gradient)
        if (spikes[name] != spikes["loop"]).float().mean() > 1e-4:
            raise SystemExit(f"{name} spikes differently on {shape}")
    del spikes
    for _ in range(rounds):
        for name, call in calls.items():
            y = x.clone().requires_grad_()
            start = time.perf_counter()
            call(y).backward(gradient)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {
        name: {
            "ms": statistics.median(values),
            "fastest": min(values),
            "slowest": max(values),
            "memory": memory[name],
        }
        for name, values in times.items()
    }


def held(call: Call, x: Tensor, gradient: Tensor) -> tuple[Tensor, float]:
    """Spikes, and the most memory held at any moment beside the input, in sizes of the input."""
    y = x.clone().requires_grad_()
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        spikes = call(y)
        spikes.backward(gradient)
    now = most = 0
    changes = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    for change in sorted(changes, key=lambda e: e.start_ns()):
        now += change.nbytes()
        most = max(most, now)
    return spikes.detach(), most / (x.numel() * x.element_size())


def ours(path: KernelPath) -> Call:
    """One path of the kernel."""
    p = {"decay": torch.tensor([0.5]), "threshold": torch.tensor([1.0])}
    slope = surrogate("atan")

    def call(x: Tensor) -> Tensor:
        with using(path):
            return membrane(x, surrogate=slope, **p).spikes

    return call


def jelly() -> Call:
    """spikingjelly, all steps in one call."""
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based import surrogate as surrogates

    lif = neuron.LIFNode(
        tau=2.0, decay_input=False, v_reset=None, detach_reset=True, step_mode="m",
        surrogate_function=surrogates.ATan(),
    )  # fmt: skip

    def call(x: Tensor) -> Tensor:
        functional.reset_net(lif)
        spikes: Tensor = lif(x)
        return spikes

    return call


def snn() -> Call:
    """snntorch, step by step over `unbind`: the way that does not grow with the square of steps."""
    import snntorch

    leaky = snntorch.Leaky(
        beta=0.5, reset_mechanism="subtract", reset_delay=False,
        spike_grad=snntorch.surrogate.atan(alpha=2.0),
    )  # fmt: skip

    def call(x: Tensor) -> Tensor:
        v, spikes = leaky.init_leaky(), []
        for current in x.unbind(0):
            s, v = leaky(current, v)
            spikes.append(s)
        return torch.stack(spikes)

    return call


if __name__ == "__main__":
    main()
