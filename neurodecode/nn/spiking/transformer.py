"""Blocks of a spiking transformer: a mixer, then two layers for each token, on one membrane.

Reference: "Spike-driven transformer V2: meta spiking neural network architecture inspiring the
design of next-generation neuromorphic chips", ICLR 2024, arXiv 2404.03663 (its membrane shortcut:
what is added up from block to block is a membrane, and everything that meets a weight is a spike).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from neurodecode.core.options import check_options, keywords
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import Chain, FeatureNorm, State, Stateful


def make_mixer(
    name: str,
    width: int,
    *,
    n_heads: int,
    dt: float,
    population: Population,
    options: Mapping[str, Any] | None = None,
    **wanted: Any,
) -> Stateful:
    """A mixer by name.

    `wanted` are choices of the net that uses it: mixers without such a choice go without, and a
    person's own `options` win.

    Raises
    ------
    ConfigError
        For a mixer or an option that there is not.
    """
    builder, options = MIXERS.get(name), dict(options or {})
    check_options(builder, options, where=f"mixer_options of {name}")
    taken = {key: value for key, value in wanted.items() if key in keywords(builder)}
    return builder(width, n_heads=n_heads, dt=dt, population=population, **{**taken, **options})


class SpikingFeedForward(Stateful):
    """Spikes, a wider layer, spikes, and back: membranes to currents of the same shape.

    Parameters
    ----------
    width
        Features of a token.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    expansion
        Hidden features, in widths.
    """

    def __init__(
        self, width: int, *, dt: float, population: Population, expansion: int = 4
    ) -> None:
        super().__init__()
        hidden = expansion * width
        self.layers = Chain(
            population.make(width, dt=dt),
            nn.Linear(width, hidden, bias=False),
            FeatureNorm(hidden),
            population.make(hidden, dt=dt),
            nn.Linear(hidden, width, bias=False),
            FeatureNorm(width),
        )

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents."""
        return self.layers(x, state)


class SpikingBlock(Stateful):
    """A mixer, then a feed-forward network; the currents of each are added to the membrane.

    Parameters
    ----------
    mixer, feedforward
        Map membranes to currents of the same shape.
    dropout
        Probability of dropping a current, in [0, 1).
    """

    def __init__(self, mixer: Stateful, feedforward: Stateful, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.mixer, self.feedforward = mixer, feedforward
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width); same shape."""
        mixed, fed = state or (None, None)
        currents, mixed = self.mixer(x, mixed)
        x = x + self.dropout(currents)
        currents, fed = self.feedforward(x, fed)
        return x + self.dropout(currents), (mixed, fed)


def make_blocks(
    n_blocks: int,
    mixer: str,
    width: int,
    *,
    n_heads: int,
    dt: float,
    population: Population,
    options: Mapping[str, Any] | None = None,
    dropout: float = 0.0,
    **wanted: Any,
) -> Chain:
    """Blocks one after the other, each with a mixer of its own; see `make_mixer`."""
    return Chain(
        *(
            SpikingBlock(
                make_mixer(
                    mixer,
                    width,
                    n_heads=n_heads,
                    dt=dt,
                    population=population,
                    options=options,
                    **wanted,
                ),
                SpikingFeedForward(width, dt=dt, population=population),
                dropout=dropout,
            )
            for _ in range(n_blocks)
        )
    )
