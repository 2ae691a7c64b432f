"""Quantised spike-driven attention: weights of four bits.

Reference: "Quantized spike-driven transformer", ICLR 2025, arXiv 2501.13492 (QSD-Transformer).
Differences: the structure is that of `sdsa` here; the distillation that its training ends with is
not here. Its neurons count up to four spikes at once in training (IE-LIF): that is a choice of
population, ``neuron="integer"``, and any other works.
"""

from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.mixers.sdsa import Form, SpikeDrivenAttention
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import TokenProjection


@MIXERS.add("qsd")
class QuantisedAttention(SpikeDrivenAttention):
    """Spike-driven self-attention with weights of 4 bits, their steps learned (QSD-Transformer).

    Parameters
    ----------
    width
        Features of a token; a multiple of `n_heads`.
    n_heads
        Attention heads; ignored with "mask".
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    form, n_neighbours
        As in `sdsa`.
    bits
        Of a weight, 2 or more.

    Raises
    ------
    ConfigError
        If heads do not share the features evenly, for another form, or for fewer than 2 bits.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        form: Form = "product",
        n_neighbours: int = 3,
        bits: int = 4,
    ) -> None:
        super().__init__(
            width,
            n_heads=n_heads,
            dt=dt,
            population=population,
            form=form,
            n_neighbours=n_neighbours,
        )
        self.project = TokenProjection(width, 3, n_neighbours=n_neighbours, bits=bits)
        self.output = TokenProjection(width, n_neighbours=n_neighbours, bits=bits)
