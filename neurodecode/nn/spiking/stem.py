"""From samples to tokens: causal filters, neurons that see every sample, and their counts.

Filters look back only and hand their last samples on, so that a window in parts gives what the
whole window gives, and a step needs no sample from after it.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.options import check_options
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.convolutions import depthwise
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.neurons import Neuron, Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful
from neurodecode.nn.spiking.timebase import TimeBase


class SpatialFilters(Stateful):
    """Weighted sums of channels at every sample, or of their events.

    Parameters
    ----------
    spec
        What the data fixes.
    width
        Filters.
    encoder
        Turns channels into events before they are weighed, by name; empty leaves them numbers.
    encoder_options
        Its choices.

    Raises
    ------
    ConfigError
        For an encoder that gives several steps for each sample.
    """

    def __init__(
        self,
        spec: TaskSpec,
        width: int,
        *,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = None
        n_inputs = spec.n_chans
        if encoder:
            builder, options = ENCODERS.get(encoder), dict(encoder_options or {})
            check_options(builder, options, where=f"encoder_options of {encoder}")
            self.encoder = builder(spec.n_chans, dt=1 / spec.sfreq, **options)
            n_inputs = self.encoder.n_outputs
            if self.encoder.steps_per_sample != 1:
                raise ConfigError(
                    f"encoder='{encoder}' gives {self.encoder.steps_per_sample} steps for each "
                    f"sample, and the filters of a decoder see samples. Take one that gives one "
                    f"step, such as 'send_on_delta'."
                )
        self.mix = nn.Linear(n_inputs, width, bias=False)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Weigh (batch, n_chans, n_times) to (batch, n_times, width)."""
        if self.encoder is None:
            return self.mix(x.mT), state
        events, state = self.encoder(x.permute(2, 0, 1), state)
        return self.mix(events.transpose(0, 1)), state


class CausalFilters(Stateful):
    """One filter per map over the last samples, no bias: (batch, n_times, n_maps); same shape.

    Parameters
    ----------
    n_maps
        Maps, each with its own filter.
    n_taps
        Samples a filter sees, the newest last.
    n_alike
        Successive maps that share a filter.
    """

    def __init__(self, n_maps: int, n_taps: int, *, n_alike: int = 1) -> None:
        super().__init__()
        self.n_alike = n_alike
        self.weight = nn.Parameter(torch.empty(n_maps // n_alike, n_taps))
        bound = 1 / math.sqrt(n_taps)  # as in torch.nn.Conv1d
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Filter; the state is the last ``n_taps - 1`` samples, before the first of them zeros."""
        weight = self.weight.repeat_interleave(self.n_alike, dim=0)
        x, state = with_past(x, state, weight.shape[1] - 1)
        return depthwise(x, weight, padded=False), state

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        n_maps, n_taps = self.weight.shape
        return f"{n_maps}, n_taps={n_taps}"


class HoppedFilters(Stateful):
    """The same filters over every single channel, at every hop, with a bias.

    Parameters
    ----------
    n_filters
        Filters.
    n_taps
        Samples a filter sees; the newest is the first sample of a hop.
    hop
        Samples between two outputs; the signal is handed over in whole hops, but for its end.
    """

    def __init__(self, n_filters: int, n_taps: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.weigh = nn.Linear(n_taps, n_filters)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Filter (batch, n_chans, n_times) to (n_hops, batch, n_chans, n_filters)."""
        n_taps = self.weigh.in_features
        padded, state = with_past(x.mT, state, n_taps - 1)
        seen = padded.unfold(1, n_taps, self.hop)  #    (batch, n_hops, n_chans, n_taps)
        return self.weigh(seen.transpose(0, 1)), state


class TemporalStem(nn.Module):
    """Spatial filters, temporal filters, neurons that see every sample, and tokens of their counts.

    Parameters
    ----------
    spec
        What the data fixes.
    width
        Spatial filters, and features of a token.
    kernel
        Length of the temporal filters, seconds.
    patch
        Time that a token covers, seconds; a step has as many as come closest to it.
    population
        Makes the neurons.
    dropout
        Probability of dropping a token's feature, in [0, 1).
    encoder, encoder_options
        Of the spatial filters.
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        width: int,
        kernel: float,
        patch: float,
        population: Population,
        dropout: float,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.spatial = SpatialFilters(spec, width, encoder=encoder, encoder_options=encoder_options)
        self.mix_norm = FeatureNorm(width)
        self.filters = CausalFilters(width, odd_taps("kernel", kernel, spec))
        self.filters_norm = FeatureNorm(width)
        self.spikes = of_samples(population, width, 1 / spec.sfreq)
        self.tokens_norm = FeatureNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.n_patches = max(1, round(spec.duration / patch))
        self.position = nn.Parameter(torch.empty(self.n_patches, width))
        # Small filters under a batch norm turn quickly.
        nn.init.trunc_normal_(self.spatial.mix.weight, std=0.01)
        nn.init.trunc_normal_(self.filters.weight, std=0.01)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(
        self, x: Tensor, lengths: list[int], time: TimeBase, state: State
    ) -> tuple[Tensor, State]:
        """Membranes of tokens, (n_steps, batch, n_tokens, width).

        Parameters
        ----------
        x
            Successive parts of a window in one piece, (batch, n_chans, sum of lengths).
        lengths
            Samples of each.
        time
            How windows are laid on steps.
        state
            What came before.
        """
        first, spatial, filters, spikes = state or (0, None, None, None)
        n_parts, n_repeats = len(lengths), time.n_repeats
        n_tokens = max(1, round(self.n_patches / len(time.parts)))
        x, spatial = self.spatial(x, spatial)  #           (batch, n_times, width)
        x, filters = self.filters(self.mix_norm(x), filters)
        x = self.filters_norm(x).transpose(0, 1)
        x, spikes = spikes_in_time(self.spikes, x, spikes, n_repeats)
        x = tokens_of(x, lengths, n_tokens, n_repeats)  #  (n_steps, batch, n_tokens, width)
        token = torch.arange(first * n_tokens, (first + n_parts) * n_tokens, device=x.device)
        patch = ((token + 0.5) * self.n_patches / (n_tokens * len(time.parts))).long()
        # A stream that goes on after a window stays at its end.
        place = self.position[patch.clamp(max=self.n_patches - 1)].view(n_parts, 1, n_tokens, -1)
        state = (first + n_parts, spatial, filters, spikes)
        return self.dropout(self.tokens_norm(x)) + place, state


def odd_taps(option: str, seconds: float, spec: TaskSpec) -> int:
    """Samples in a filter, odd as in nets whose filters have a centre.

    Raises
    ------
    SignalError
        If the filter is longer than the window.
    """
    n_taps = spec.samples(seconds) | 1
    if n_taps > spec.n_times:
        raise SignalError(
            f"{option}={seconds} s is longer than the {spec.duration:g} s window. "
            f"Shorten {option}, or cut longer windows."
        )
    return n_taps


def of_samples(population: Population, n_features: int, dt: float) -> Neuron:
    """Neurons whose steps are samples or hops of `dt` seconds, whatever a window's steps are."""
    neuron = population.make(n_features, dt=dt)
    neuron.counts_samples = True
    return neuron


def with_past(x: Tensor, past: Tensor | None, n: int) -> tuple[Tensor, Tensor]:
    """The signal (batch, n_times, ...) after its last `n` samples, and the `n` newest of both."""
    if past is None:
        past = x.new_zeros(x.shape[0], n, *x.shape[2:])
    x = torch.cat([past, x], dim=1)
    return x, x[:, x.shape[1] - n :]


def tokens_of(x: Tensor, lengths: list[int], n_tokens: int, n_repeats: int) -> Tensor:
    """Means over time that make tokens of steps.

    Parameters
    ----------
    x
        Successive parts in one piece, (1 or n_repeats, n_times, batch, ..., n_features).
    lengths
        Samples (or hops) of each part.
    n_tokens
        Tokens of a part. Those of a part that is shorter than that share samples.
    n_repeats
        How often the one part is given; 0 if parts follow one another.

    Returns
    -------
    Tensor
        (n_steps, batch, n_tokens, ..., n_features).
    """
    blocks = [
        functional.adaptive_avg_pool1d(torch.eye(n).unsqueeze(0), n_tokens)[0].T for n in lengths
    ]
    pool: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    tokens = (pool.to(x) @ x.flatten(2)).view(len(x), len(pool), *x.shape[2:])
    if not n_repeats:
        tokens = tokens.view(len(lengths), n_tokens, *x.shape[2:])
    return tokens.transpose(1, 2)


def spikes_in_time(
    neuron: Neuron, currents: Tensor, state: State, n_repeats: int
) -> tuple[Tensor, State]:
    """Spikes of neurons to which samples are steps, or, if repeated, places.

    Parameters
    ----------
    neuron
        The population.
    currents
        (n_times, batch, ..., n_features).
    state
        Its state.
    n_repeats
        How often the same currents are given, each time to all places at once; 0 if time passes.

    Returns
    -------
    spikes
        (1 or n_repeats, n_times, batch, ..., n_features).
    """
    if n_repeats:
        return neuron(currents.expand(n_repeats, *currents.shape), state)
    spikes, state = neuron(currents, state)
    return spikes.unsqueeze(0), state
