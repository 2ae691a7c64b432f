"""Decoders that turn a window into tokens, and tokens into logits, with layers in between."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from neurodecode.core.spec import TaskSpec
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import Chain, State
from neurodecode.nn.spiking.stem import TemporalStem
from neurodecode.nn.spiking.timebase import Mode


class TokenDecoder(SpikingDecoder):
    """A temporal stem, layers on its tokens, spikes, and a linear readout of their mean.

    Parameters
    ----------
    spec
        What the data fixes.
    mode, n_steps, hop
        How a window is laid on steps; see `SpikingDecoder`.
    population, stem
        Make the neurons, and those of the stem, which see every sample.
    width, kernel, patch
        Of the stem; see `TemporalStem`.
    dropout
        Probability of dropping a feature of a token, and of the mean, in [0, 1).
    encoder, encoder_options
        Of the stem.
    """

    layers: Chain

    def __init__(
        self,
        spec: TaskSpec,
        mode: Mode,
        n_steps: int,
        *,
        hop: int = 1,
        population: Population,
        stem: Population,
        width: int,
        kernel: float,
        patch: float,
        dropout: float,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, mode, n_steps, hop=hop)
        self.stem = TemporalStem(
            spec,
            width=width,
            kernel=kernel,
            patch=patch,
            population=stem,
            dropout=dropout,
            encoder=encoder,
            encoder_options=encoder_options,
        )
        self.spikes = population.make(width, dt=self.time.dt)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(width, spec.n_outputs)

    def tokens(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Spikes of the last layer, (n_steps, batch, n_tokens, width)."""
        stem, layers, spikes = state or (None, None, None)
        x, stem = self.stem(x, lengths, self.time, stem)
        x, layers = self.layers(x, layers)
        x, spikes = self.spikes(x, spikes)
        return x, (stem, layers, spikes)

    def features(self, x: Tensor) -> Tensor:
        """Mean spikes of a window: (batch, n_chans, n_times) to (batch, width)."""
        return self.tokens(x, self.time.lengths, None)[0].mean(dim=(0, 2))

    def advance(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Logits of successive parts; see `SpikingDecoder`."""
        tokens, state = self.tokens(x, lengths, state)
        logits: Tensor = self.readout(self.dropout(tokens.mean(dim=2)))
        return logits, state
