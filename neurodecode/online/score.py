"""Fitted decoders as the live loop asks them: one window, or one hop of a stream, at a time."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.core.stopping import StopRule, softmax
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.online.early_exit import EarlyExit
from neurodecode.online.runtime import Runtime, choose_runtime

Proba = NDArray[np.float64]


class Fitted(Protocol):
    """A fitted decoder, such as `neurodecode.training.estimator.Decoder`."""

    model_: Any
    spec_: TaskSpec
    mean_: NDArray[np.float32]  # nets only, (n_chans, 1), as `scale_`
    scale_: NDArray[np.float32]


class Scorer(Protocol):
    """Probabilities of windows; it remembers nothing itself. `Stream` is one that is told more.

    Attributes
    ----------
    hop
        Samples that have to come together; decisions are a multiple of it apart.
    """

    hop: int

    def window(self, x: NDArray[np.float32]) -> tuple[Proba, Any]:
        """Probabilities (n_outputs,) of a whole window (n_chans, n_times); and what to remember."""
        ...


class Classical:
    """A scikit-learn classifier, which sees each window anew."""

    hop = 1

    def __init__(self, model: Any) -> None:
        self.model = model

    def window(self, x: NDArray[np.float32]) -> tuple[Proba, Any]:
        """Probabilities of a window, (n_outputs,)."""
        proba = self.model.predict_proba(x[None].astype(np.float64))
        return np.asarray(proba[0], dtype=np.float64), None


class NormalizedNet:
    """A net, and what it sees of microvolts."""

    def __init__(
        self, net: nn.Module, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> None:
        self.net = net.eval()
        self.on = next((p.device for p in net.parameters()), torch.device("cpu"))
        self.mean, self.scale = mean, scale

    def normalized(self, x: NDArray[np.float32]) -> torch.Tensor:
        """What the net sees of samples in microvolts, (1, n_chans, n_times)."""
        ready = np.subtract(x, self.mean, dtype=np.float32)
        np.divide(ready, self.scale, out=ready)
        return torch.from_numpy(ready[None]).to(self.on)


class Net(NormalizedNet):
    """A net that sees each window, of `n_times` samples, anew.

    Parameters
    ----------
    net, mean, scale, n_times
        Fitted.
    runtime, kept
        Whether torch asks it or onnxruntime; see `choose_runtime`.
    """

    hop = 1

    def __init__(
        self,
        net: nn.Module,
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        n_times: int,
        *,
        runtime: Runtime = "torch",
        kept: Path | None = None,
    ) -> None:
        super().__init__(net, mean, scale)
        self.chosen = choose_runtime(
            net, mean, scale, self._by_torch, n_times=n_times, runtime=runtime, kept=kept
        )

    def window(self, x: NDArray[np.float32]) -> tuple[Proba, Any]:
        """Probabilities of a window, (n_outputs,)."""
        return np.asarray(softmax(self.chosen.ask(x)), dtype=np.float64), None

    def _by_torch(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        with torch.inference_mode():
            logits: NDArray[np.float64] = self.net(self.normalized(x))[0].double().cpu().numpy()
        return logits


class Heard(NamedTuple):
    """What is remembered of a stream."""

    net: Any
    logits: NDArray[np.float64]  # (n_steps, n_outputs): those of the window, oldest first


class Stream(NormalizedNet):
    """A spiking net in stream time: it hears each sample once, and never begins anew.

    The first window is heard as in training, from silence. After it only what is new is heard, and
    the logits of a window are the mean of those of its steps, whose memory reaches back before it.
    """

    net: SpikingDecoder

    def __init__(
        self, net: SpikingDecoder, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> None:
        super().__init__(net, mean, scale)
        self.hop = net.hop

    def window(self, x: NDArray[np.float32]) -> tuple[Proba, Any]:
        """Probabilities of the first window of a stream, (n_outputs,)."""
        return self._hear(x, self.net.time.lengths, None)

    def advance(self, x: NDArray[np.float32], n_new: int, state: Any) -> tuple[Proba, Any]:
        """Probabilities of the window that ends with new samples.

        Parameters
        ----------
        x
            The window that has come to be.
        n_new
            How many of its samples, the last ones, are new; a multiple of `hop`.
        state
            What the last call returned.
        """
        return self._hear(x[:, -n_new:], [self.hop] * (n_new // self.hop), state)

    def _hear(
        self, x: NDArray[np.float32], lengths: list[int], heard: Heard | None
    ) -> tuple[Proba, Any]:
        with torch.inference_mode():
            steps, net = self.net.advance(
                self.normalized(x), lengths, None if heard is None else heard.net
            )
        logits = steps[:, 0].double().cpu().numpy()
        if heard is not None:
            logits = np.concatenate([heard.logits[len(logits) :], logits])
        proba = np.asarray(softmax(logits.mean(axis=0)), dtype=np.float64)
        return proba, Heard(net, logits)


class InParts(NormalizedNet):
    """A spiking net that may answer before a window is over; see `EarlyExit`."""

    hop = 1
    net: SpikingDecoder

    def __init__(
        self,
        net: SpikingDecoder,
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        rule: StopRule,
    ) -> None:
        super().__init__(net, mean, scale)
        self.exit = EarlyExit(net, rule)
        self.edges = net.time.edges[1:]

    def window(self, x: NDArray[np.float32]) -> tuple[Proba, Any]:
        """Probabilities of a whole window, (n_outputs,), as soon as they are enough."""
        state: Any = None
        for begin, end in zip((0, *self.edges), self.edges, strict=False):
            proba, stops, state = self.part(x[:, begin:end], state)
            if stops:
                return proba, None
        raise AssertionError("every window stops at its end")

    def part(self, x: NDArray[np.float32], state: Any) -> tuple[Proba, bool, Any]:
        """Probabilities by the next part of a window, whether they are enough, and the state."""
        decision, proba, state = self.exit.push(self.normalized(x)[0].cpu().numpy(), state)
        return np.asarray(proba, dtype=np.float64), decision is not None, state


def goes_on(net: SpikingDecoder) -> bool:
    """Whether a net can hear a stream without end: in stream time, and all of it forgets."""
    parts = (getattr(part, "endless", True) for part in net.modules())
    return net.time.mode == "stream" and all(parts)


def scorer_of(
    decoder: Fitted,
    rule: StopRule | None = None,
    *,
    runtime: Runtime = "torch",
    kept: Path | None = None,
) -> Scorer:
    """How to ask a fitted decoder, by what it is.

    The part of it that is a net is asked directly: checks of shape and values, which the loop has
    made, and moving to a device take longer than some nets.

    Parameters
    ----------
    decoder
        Fitted.
    rule
        When it may answer before a window is over, for windows that begin at cues.
    runtime, kept
        For nets that see each window anew, see `choose_runtime`; torch asks the others.

    Raises
    ------
    ConfigError
        If a rule is given for a decoder that takes no parts, or "onnx" cannot be had.
    """
    if rule is not None:
        if not isinstance(decoder.model_, SpikingDecoder):
            raise ConfigError("Only spiking decoders can answer before a window is over.")
        return InParts(decoder.model_, decoder.mean_, decoder.scale_, rule)
    if not isinstance(decoder.model_, nn.Module):
        return Classical(decoder.model_)
    if isinstance(decoder.model_, SpikingDecoder) and goes_on(decoder.model_):
        return Stream(decoder.model_, decoder.mean_, decoder.scale_)
    return Net(
        decoder.model_,
        decoder.mean_,
        decoder.scale_,
        decoder.spec_.n_times,
        runtime=runtime,
        kept=kept,
    )
