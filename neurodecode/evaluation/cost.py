"""What a net takes for one window: counts of what it does, and the time that it needs here."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.core.counts import TOTALS, Counts, LayerCount
from neurodecode.nn.count import count
from neurodecode.nn.threads import torch_threads

N_REPEATS = 200
WARM_UP = 10
SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time from a window to its logits: one at a time, one thread, on the CPU.

    Attributes
    ----------
    p50, p99
        Percentiles over repeats, ms.
    n_repeats
        How many: `N_REPEATS`, or fewer if that would take longer than `SECONDS`.
    """

    p50: float
    p99: float
    n_repeats: int


def counts_of(net: Any, x: NDArray[np.float32]) -> Counts | None:
    """What a net does with a window; None for a classical decoder.

    Parameters
    ----------
    net
        A decoder of the registry; nets are moved to the CPU.
    x
        Windows as the net sees them, (n_windows, n_chans, n_times).
    """
    return count(net.cpu(), torch.from_numpy(x)) if isinstance(net, nn.Module) else None


def latency_of(net: nn.Module, x: NDArray[np.float32]) -> Latency:
    """Time for one window; windows (n_windows, n_chans, n_times) are taken in turn."""
    windows, times = torch.from_numpy(x), list[float]()
    net.cpu().eval()
    begin = time.perf_counter()
    with torch.inference_mode(), torch_threads(1):
        for i in range(WARM_UP + N_REPEATS):
            times.append(_timed(net, windows[i % len(x)].unsqueeze(0)))
            if time.perf_counter() - begin > SECONDS and i > WARM_UP:
                break
    p50, p99 = np.percentile(times[WARM_UP:], [50, 99]) * 1e3
    return Latency(p50=float(p50), p99=float(p99), n_repeats=len(times) - WARM_UP)


def _timed(net: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    net(x)
    return time.perf_counter() - start


def mean_counts(several: Sequence[Counts]) -> Counts:
    """Counts of the same net as fitted in several folds, on average."""
    first = several[0]
    layers: dict[tuple[str, str], list[LayerCount]] = {}
    for counts in several:
        for layer in counts.layers:
            layers.setdefault((layer.layer, layer.kind), []).append(layer)
    return replace(
        first,
        layers=[
            replace(
                same[0],
                **{n: sum(getattr(layer, n) for layer in same) / len(several) for n in TOTALS},
            )
            for same in layers.values()
        ],
        unseen=tuple(sorted({name for counts in several for name in counts.unseen})),
    )
