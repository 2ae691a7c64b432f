"""Fitted nets as graphs of torch: microvolts in, logits and probabilities out."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from neurodecode.core.errors import ConfigError

INPUT, OUTPUTS = "windows", ("logits", "probabilities")

LOUD = (
    "torch.export._trace",  # of loops
    "torch.fx.experimental.symbolic_shapes",  # of what an error says too
    "torch.onnx._internal.exporter._registration",  # of packages that are not there
)
"""Loggers of torch that say what a person can do nothing about."""


class Program(NamedTuple):
    """A graph of torch, and how many windows it takes at a time: any number if None."""

    graph: ExportedProgram
    batch: int | None


class Microvolts(nn.Module):
    """A net with the normalisation before it and the softmax after it.

    Parameters
    ----------
    net
        Maps normalised windows (batch, n_chans, n_times) to logits (batch, n_outputs).
    mean, scale
        What is subtracted from each channel and what it is divided by, microvolts, (n_chans, 1).
    """

    channel_mean: Tensor
    channel_scale: Tensor

    def __init__(self, net: nn.Module, mean: NDArray[Any], scale: NDArray[Any]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("channel_mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("channel_scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities, each (batch, n_outputs), of windows in microvolts."""
        logits = self.net((windows - self.channel_mean) / self.channel_scale)
        return logits, logits.softmax(dim=-1)


def program_of(net: nn.Module, mean: NDArray[Any], scale: NDArray[Any], *, n_times: int) -> Program:
    """The graph of a fitted net, as it is in evaluation, for any number of windows if it can.

    Parameters
    ----------
    net, mean, scale
        See `Microvolts`; the net is moved to the CPU.
    n_times
        Samples of a window.

    Raises
    ------
    ConfigError
        If torch cannot follow what the net does.
    """
    whole = Microvolts(net.cpu(), mean, scale).eval()
    error: Exception | None = None
    with quiet(), torch.no_grad():
        for batch in (None, 1):  # some nets write the number of windows into their graph
            x = torch.zeros(batch or 2, len(mean), n_times)
            sizes = ({0: Dim("batch")},) if batch is None else None
            try:
                graph = torch.export.export(whole, (x,), dynamic_shapes=sizes)
            except Exception as reason:  # in as many ways as nets are written
                error = error or reason
                continue
            for node in graph.graph.nodes:  # where code lies on this machine is nobody's business
                node.meta.pop("stack_trace", None)
            return Program(graph, batch)
    raise ConfigError(
        f"{type(net).__name__} cannot be written as a graph: torch.export says "
        f"'{in_short(error)}'. Export another decoder."
    )


def logits_of(net: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a net itself says to normalised windows, (n_windows, n_outputs), on the CPU."""
    with torch.inference_mode():
        said: NDArray[np.float32] = net.cpu().eval()(torch.from_numpy(x)).numpy()
    return said


def in_short(error: Exception | None) -> str:
    """The first line of an error, without its end where that is far."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['nothing'])[0][:160].rstrip('. ')}"


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block, torch does not say what a person can do nothing about."""
    loggers = [logging.getLogger(name) for name in LOUD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        # A graph that torch gives up is printed, all of it.
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
