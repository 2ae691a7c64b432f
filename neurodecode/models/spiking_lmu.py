"""Spiking Legendre memory for EEG: a stream of tokens, each with a memory of what came before.

References: "LMUFormer: low complexity yet powerful spiking model with Legendre memory units",
ICLR 2024, arXiv 2402.04882 (a convolutional stem, blocks of a memory and a feed-forward network);
"L2MU" (every signal spikes). Differences: the stem is the spatial and temporal filters of EEG nets;
the memory reaches back for a second, not over the whole sequence.
"""

from collections.abc import Mapping
from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.timebase import Mode
from neurodecode.nn.spiking.tokens import TokenDecoder


@MODELS.add("spiking_lmu")
class SpikingLMUDecoder(TokenDecoder):
    """Spiking Legendre memory: decides after every hop of the signal, and trains in parallel.

    Parameters
    ----------
    spec
        What the data fixes.
    variant
        "twin" makes it conventional: the same layers with rectified linear units.
    time
        How a window is laid on steps: "repeat", "window" or "stream".
    n_steps
        How many; a stream has one for each hop.
    neuron, neuron_options
        Neurons by name, and their choices; see `neurodecode list neurons`.
    stem_neuron, stem_neuron_options
        The same of the filters' neurons, which see every sample.
    encoder, encoder_options
        What turns channels into events before they are weighed, by name, and its choices; see
        `neurodecode list encoders`. By default nothing: the first weights meet numbers.
    mixer, mixer_options
        Mixers by name, and their choices; those that remember over steps make sense, such as "lmu"
        and "rwkv".
    depth
        Blocks.
    width
        Features of a token, and spatial filters.
    n_heads
        Memories of a token.
    kernel
        Length of the temporal filters, seconds.
    hop
        Time between two decisions, seconds.
    theta
        Window of a memory, seconds.
    dropout
        Probability of dropping a feature, in [0, 1).
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        variant: str = "",
        time: Mode = "stream",
        n_steps: int = 4,
        neuron: str = "lif",
        neuron_options: Mapping[str, Any] | None = None,
        stem_neuron: str = "lif",
        stem_neuron_options: Mapping[str, Any] | None = None,
        encoder: str = "",
        encoder_options: Mapping[str, Any] | None = None,
        mixer: str = "lmu",
        mixer_options: Mapping[str, Any] | None = None,
        depth: int = 2,
        width: int = 40,
        n_heads: int = 4,
        kernel: float = 0.252,
        hop: float = 0.1,
        theta: float = 1.0,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(
            spec,
            time,
            n_steps,
            hop=spec.samples(hop),
            variant=variant,
            neuron=neuron,
            neuron_options=neuron_options,
            stem_neuron=stem_neuron,
            stem_neuron_options=stem_neuron_options,
            width=width,
            kernel=kernel,
            patch=hop,
            dropout=dropout,
            encoder=encoder,
            encoder_options=encoder_options,
        )
        theta = max(theta, self.time.dt) * 1e3
        self.layers = self.blocks(depth, mixer, mixer_options, n_heads=n_heads, theta=theta)
