"""Spiking EEGNet: temporal and spatial filters, then separable ones, with neurons in between.

Reference: "EEGNet: a compact convolutional neural network for EEG-based brain-computer interfaces",
J. Neural Eng. 2018, doi:10.1088/1741-2552/aace8c. Differences, beside the neurons: spatial filters
come first, which is the same function, as nothing stands between them and the temporal filters, and
far fewer operations; filters look back only; the readout sees the mean spikes of a part, not all
moments of a window, so that every part is read alike; no limit on the norms of weights.
Neurons see every sample, then every fourth, with time constants in milliseconds, however the window
is laid on steps; steps say how often it is read out.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State
from neurodecode.nn.spiking.stem import (
    CausalFilters,
    SpatialFilters,
    of_samples,
    spikes_in_time,
    tokens_of,
)
from neurodecode.nn.spiking.timebase import Mode


@MODELS.add("spiking_eegnet")
class SpikingEEGNet(SpikingDecoder):
    """EEGNet whose activations are spikes: spatial, temporal and separable filters.

    Parameters
    ----------
    spec
        What the data fixes.
    variant
        "twin" makes it conventional: the same layers with rectified linear units.
    time
        How a window is laid on steps: "repeat", "window" or "stream".
    n_steps
        How many; a stream has one for every `stride` samples.
    neuron, neuron_options
        Neurons by name, and their choices; see `neurodecode list neurons`.
    encoder, encoder_options
        What turns channels into events before they are weighed, by name, and its choices; see
        `neurodecode list encoders`. By default nothing: the first weights meet numbers.
    n_filters
        Temporal filters.
    n_spatial
        Spatial filters for each.
    n_separable
        Features of the second part.
    kernel
        Length of the temporal filters, seconds.
    separable_kernel
        Length of the filters of the second part, seconds.
    stride
        Samples whose spikes are added up for the second part.
    dropout
        Probability of dropping a feature, in [0, 1).
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        variant: str = "",
        time: Mode = "window",
        n_steps: int = 4,
        neuron: str = "lif",
        neuron_options: Mapping[str, Any] | None = None,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
        n_filters: int = 8,
        n_spatial: int = 2,
        n_separable: int = 16,
        kernel: float = 0.5,
        separable_kernel: float = 0.5,
        stride: int = 4,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(spec, time, n_steps, hop=stride)
        population = Population.of(neuron, neuron_options, variant)
        n_maps, sample = n_filters * n_spatial, 1 / spec.sfreq
        self.stride = stride
        self.spatial = SpatialFilters(
            spec, n_maps, encoder=encoder, encoder_options=encoder_options
        )
        n_taps = min(spec.samples(kernel), spec.n_times)
        self.temporal = CausalFilters(n_maps, n_taps, n_alike=n_spatial)
        self.temporal_norm = FeatureNorm(n_maps)
        self.temporal_spikes = of_samples(population, n_maps, sample)
        self.depthwise = CausalFilters(n_maps, max(1, spec.samples(separable_kernel) // stride))
        self.pointwise = nn.Linear(n_maps, n_separable, bias=False)
        self.pointwise_norm = FeatureNorm(n_separable)
        self.pointwise_spikes = of_samples(population, n_separable, stride * sample)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(n_separable, spec.n_outputs)

    def rates(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Mean spikes of the second part, (n_steps, batch, n_separable)."""
        spatial, temporal, first, depthwise, second = state or (None,) * 5
        n = self.time.n_repeats
        x, spatial = self.spatial(x, spatial)
        x, temporal = self.temporal(x, temporal)
        x = self.temporal_norm(x).transpose(0, 1)  #      (n_times, batch, n_maps)
        x, first = spikes_in_time(self.temporal_spikes, x, first, n)
        x = self.dropout(self._strided(x))  #             (n_repeats or 1, n_hops, batch, n_maps)
        batch = x.shape[2]
        # Repeats of a window are windows of their own to a filter, and steps to a neuron.
        x, depthwise = self.depthwise(x.transpose(1, 2).flatten(0, 1), depthwise)
        x = self.pointwise_norm(self.pointwise(x))
        x = x.view(-1, batch, *x.shape[1:]).transpose(1, 2)
        if n:
            x, second = self.pointwise_spikes(x, second)
        else:
            x, second = spikes_in_time(self.pointwise_spikes, x[0], second, 0)
        hops = [-(-length // self.stride) for length in lengths]
        state = (spatial, temporal, first, depthwise, second)
        return tokens_of(x, hops, 1, n).squeeze(2), state

    def features(self, x: Tensor) -> Tensor:
        """Mean spikes of a window: (batch, n_chans, n_times) to (batch, n_separable)."""
        return self.rates(x, self.time.lengths, None)[0].mean(dim=0)

    def advance(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Logits of successive parts; see `SpikingDecoder`."""
        rates, state = self.rates(x, lengths, state)
        logits: Tensor = self.readout(self.dropout(rates))
        return logits, state

    def _strided(self, x: Tensor) -> Tensor:
        """Mean spikes of every few samples; the last of a window may be fewer."""
        means = functional.avg_pool1d(
            x.flatten(2).mT, self.stride, ceil_mode=True, count_include_pad=False
        )
        return means.mT.reshape(len(x), -1, *x.shape[2:])
