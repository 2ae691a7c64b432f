"""Spikformer for EEG: a spiking convolutional stem, then attention made of spikes.

Reference: "Spikformer V2: join the high accuracy club on ImageNet with an SNN ticket",
arXiv 2401.02020 (its spiking convolutional stem and spiking self-attention). Differences: one axis
of tokens, moments, instead of an image's two, behind spatial and temporal filters as EEG nets have
them; membranes are added up from block to block, not spikes; attention sees all earlier parts of
the window.
"""

from collections.abc import Mapping
from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.embed import StrideEmbed
from neurodecode.nn.spiking.stateful import Chain
from neurodecode.nn.spiking.timebase import Mode
from neurodecode.nn.spiking.tokens import TokenDecoder


@MODELS.add("spikformer_eeg")
class SpikformerEEG(TokenDecoder):
    """Spikformer: a spiking convolutional stem, then blocks of spiking self-attention.

    Parameters
    ----------
    spec
        What the data fixes.
    variant
        "twin" makes it conventional: the same layers with rectified linear units.
    time
        How a window is laid on steps: "repeat", "window" or "stream".
    n_steps
        How many; a stream has one for each token of the stem.
    neuron, neuron_options
        Neurons by name, and their choices; see `neurodecode list neurons`.
    stem_neuron, stem_neuron_options
        The same of the filters' neurons, which see every sample.
    encoder, encoder_options
        What turns channels into events before they are weighed, by name, and its choices; see
        `neurodecode list encoders`. By default nothing: the first weights meet numbers.
    mixer, mixer_options
        Mixers by name, and their choices; see `neurodecode list mixers`.
    depth
        Blocks.
    width
        Features of a token, and spatial filters.
    n_heads
        Attention heads; divides `width`.
    kernel
        Length of the temporal filters, seconds.
    patch
        Time that a token of the stem covers, seconds; the stem halves their number twice.
    dropout
        Probability of dropping a feature, in [0, 1).
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
        kernel: float = 0.252,
        patch: float = 0.064,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(
            spec,
            time,
            n_steps,
            hop=spec.samples(patch),
            variant=variant,
            neuron=neuron,
            neuron_options=neuron_options,
            stem_neuron=stem_neuron,
            stem_neuron_options=stem_neuron_options,
            width=width,
            kernel=kernel,
            patch=patch,
            dropout=dropout,
            encoder=encoder,
            encoder_options=encoder_options,
        )
        self.layers = Chain(
            self.halved(StrideEmbed),
            self.halved(StrideEmbed),
            self.blocks(depth, mixer, mixer_options, n_heads=n_heads),
        )
