"""Spiking DBConformer: the dual-branch transformer with spikes in place of activations.

Its conventional twin is `neurodecode.models.dbconformer`: the same branches, widths, lengths and
head. What differs, beside the neurons: filters look back only, so that a window can be taken in
parts; batch norms stand where the twin has layer norms, because they fold into weights; attention
is a product of spikes without a softmax, and sees all earlier parts of the window; the filters'
neurons see every sample, with time constants in milliseconds, and their counts make the tokens. The
blocks' neurons count to four in one step, which unfolds into four binary ones ("integer"): four
binary steps of a second each decode worse (README), because a membrane forgets all in a second.
The first layer of each branch, and the softmax that weighs electrodes, work on numbers; everything
else that meets a weight is a spike.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import Chain, FeatureNorm, State
from neurodecode.nn.spiking.stem import (
    HoppedFilters,
    TemporalStem,
    odd_taps,
    of_samples,
    spikes_in_time,
    tokens_of,
)
from neurodecode.nn.spiking.timebase import Mode
from neurodecode.nn.spiking.transformer import make_blocks


@MODELS.add("spiking_dbconformer")
class SpikingDBConformer(SpikingDecoder):
    """Two spiking transformers, over time and over electrodes, read out together.

    Parameters
    ----------
    spec
        What the data fixes.
    variant
        "twin" makes it conventional: the same layers with rectified linear units.
    time
        How a window is laid on steps: "repeat", "window" or "stream".
    n_steps
        How many; a stream has one for each token of the temporal branch.
    neuron, neuron_options
        Neurons by name, and their choices; see `neurodecode list neurons`.
    stem_neuron, stem_neuron_options
        The same of the filters' neurons, which see every sample.
    encoder, encoder_options
        What turns channels into events before they are weighed in the
        temporal branch, by name, and its choices; see
        `neurodecode list encoders`. By default nothing: the first weights meet numbers.
    mixer, mixer_options
        Mixers by name, and their choices; see `neurodecode list mixers`.
    depth
        Blocks in each branch.
    width
        Features of a token, and spatial filters of the temporal branch.
    n_heads
        Attention heads; divides `width`.
    patch
        Time that one temporal token covers, seconds.
    kernel
        Length of the temporal filters, seconds.
    electrode_kernel, electrode_stride
        Length and step of the filters over a single electrode, seconds.
    dropout
        Probability of dropping a current in the branches, in [0, 1).
    head_dropout
        The same in the head, before its second and its third layer.
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        variant: str = "",
        time: Mode = "window",
        n_steps: int = 1,
        neuron: str = "integer",
        neuron_options: Mapping[str, Any] | None = None,
        stem_neuron: str = "lif",
        stem_neuron_options: Mapping[str, Any] | None = None,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
        mixer: str = "ssa",
        mixer_options: Mapping[str, Any] | None = None,
        depth: int = 2,
        width: int = 40,
        n_heads: int = 2,
        patch: float = 0.5,
        kernel: float = 0.252,
        electrode_kernel: float = 0.1,
        electrode_stride: float = 0.02,
        dropout: float = 0.25,
        head_dropout: tuple[float, float] = (0.5, 0.3),
    ) -> None:
        hop = spec.samples(electrode_stride)
        super().__init__(spec, time, n_steps, hop=hop)
        population = Population.of(neuron, neuron_options, variant)
        stem = Population.of(stem_neuron, stem_neuron_options, variant)
        dt, sample = self.time.dt, 1 / spec.sfreq

        def branch(memory: str) -> Chain:
            blocks = make_blocks(
                depth,
                mixer,
                width,
                n_heads=n_heads,
                dt=dt,
                population=population,
                options=mixer_options,
                dropout=dropout,
                memory=memory,
            )
            return Chain(blocks, population.make(width, dt=dt))

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
        self.time_layers = branch("far")

        n_taps = odd_taps("electrode_kernel", electrode_kernel, spec)
        self.electrode_filters = HoppedFilters(16, n_taps, hop)
        self.electrode_norm = FeatureNorm(16)
        self.electrode_spikes = of_samples(stem, 16, hop * sample)
        self.electrode_token = nn.Linear(16, width, bias=False)
        self.electrode_token_norm = FeatureNorm(width)
        self.chan_position = nn.Parameter(torch.empty(spec.n_chans, width))
        self.chan_layers = branch("step")
        self.channel_score = nn.Sequential(
            nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False)
        )
        self.head = Chain(
            nn.Linear(2 * width, 64, bias=False),
            FeatureNorm(64),
            population.make(64, dt=dt),
            nn.Dropout(head_dropout[0]),
            nn.Linear(64, 32, bias=False),
            FeatureNorm(32),
            population.make(32, dt=dt),
            nn.Dropout(head_dropout[1]),
            nn.Linear(32, spec.n_outputs),
        )
        nn.init.trunc_normal_(self.chan_position, std=0.02)

    def time_tokens(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Spikes of the temporal branch, (n_steps, batch, n_tokens, width)."""
        stem, layers = state or (None, None)
        x, stem = self.stem(x, lengths, self.time, stem)
        x, layers = self.time_layers(x, layers)
        return x, (stem, layers)

    def chan_tokens(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Spikes of the branch over electrodes, (n_steps, batch, n_chans, width)."""
        filters, spikes, layers = state or (None, None, None)
        x, filters = self.electrode_filters(x, filters)
        x, n = self.electrode_norm(x), self.time.n_repeats
        x, spikes = spikes_in_time(self.electrode_spikes, x, spikes, n)
        hops = [-(-length // self.hop) for length in lengths]
        x = tokens_of(x, hops, 1, n).squeeze(2)  #              (n_steps, batch, n_chans, 16)
        x = self.electrode_token_norm(self.electrode_token(x)) + self.chan_position
        x, layers = self.chan_layers(x, layers)
        return x, (filters, spikes, layers)

    def channel_weights(self, x: Tensor) -> Tensor:
        """Attention over electrodes, (batch, n_chans), mean over steps; each row adds up to 1."""
        return self._weigh(self.chan_tokens(x, self.time.lengths, None)[0]).mean(dim=0)

    def _weigh(self, tokens: Tensor) -> Tensor:
        weights: Tensor = self.channel_score(tokens).squeeze(-1).softmax(dim=-1)
        return weights

    def advance(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Logits of successive parts; see `SpikingDecoder`."""
        in_time, over_chans, head = state or (None, None, None)
        moments, in_time = self.time_tokens(x, lengths, in_time)
        places, over_chans = self.chan_tokens(x, lengths, over_chans)
        place = (self._weigh(places).unsqueeze(2) @ places).squeeze(2)
        features = torch.cat([moments.mean(dim=2), place], dim=2)
        logits, head = self.head(features, head)
        return logits, (in_time, over_chans, head)
