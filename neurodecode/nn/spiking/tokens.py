"""Decoders that turn a window into tokens, and tokens into logits, with layers in between."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from neurodecode.core.spec import TaskSpec
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import Chain, State, Stateful
from neurodecode.nn.spiking.stem import TemporalStem
from neurodecode.nn.spiking.timebase import Mode
from neurodecode.nn.spiking.transformer import make_blocks


class TokenDecoder(SpikingDecoder):
    """A temporal stem, layers on its tokens, spikes, and a linear readout of their mean.

    Parameters
    ----------
    spec
        What the data fixes.
    mode, n_steps, hop
        How a window is laid on steps; see `SpikingDecoder`.
    variant, neuron, neuron_options
        The neurons; see `Population.of`.
    stem_neuron, stem_neuron_options
        Those of the stem, which see every sample.
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
        variant: str,
        neuron: str,
        neuron_options: Mapping[str, Any] | None,
        stem_neuron: str,
        stem_neuron_options: Mapping[str, Any] | None,
        width: int,
        kernel: float,
        patch: float,
        dropout: float,
        encoder: str,
        encoder_options: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(spec, mode, n_steps, hop=hop)
        self.stem = TemporalStem(
            spec,
            width=width,
            kernel=kernel,
            patch=patch,
            population=Population.of(stem_neuron, stem_neuron_options, variant),
            dropout=dropout,
            encoder=encoder,
            encoder_options=encoder_options,
        )
        self.width = width
        self.population = Population.of(neuron, neuron_options, variant)
        self.spikes = self.population.make(width, dt=self.time.dt)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(width, spec.n_outputs)

    def blocks(
        self,
        n_blocks: int,
        mixer: str,
        options: Mapping[str, Any] | None = None,
        *,
        n_heads: int,
        **wanted: Any,
    ) -> Chain:
        """Blocks for the layers, whose mixers see all of the window so far if they can."""
        return make_blocks(
            n_blocks,
            mixer,
            self.width,
            n_heads=n_heads,
            dt=self.time.dt,
            population=self.population,
            options=options,
            dropout=self.dropout.p,
            memory="far",
            **wanted,
        )

    def halved(self, embed: Callable[..., Stateful]) -> Stateful:
        """A layer that makes half as many tokens; see `neurodecode.nn.spiking.embed`."""
        return embed(self.width, dt=self.time.dt, population=self.population)

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
